from pathlib import Path

import pytest

from tfjob.local.machine import available_cores
from tfjob.local.machine.cpus import read_cores, read_quota

V2_AT_ROOT, V1 = "0::/\n", "3:cpuset:/\n4:cpu,cpuacct:{path}\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("cpu_max", "quota"), [("max 100000\n", None), ("200000 100000\n", 2.0), ("250000 100000\n", 2.5), ("odd", None)]
)
def test_a_containers_own_group_tells_its_limit(cpu_max: str, quota: float | None, tmp_path: Path) -> None:
    files = {"proc/self/cgroup": V2_AT_ROOT, "sys/fs/cgroup/cpu.max": cpu_max}
    assert read_quota(write(tmp_path, files)) == quota


def test_a_parent_groups_limit_counts_where_it_is_tighter(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/team.slice/job.scope\n",
        "sys/fs/cgroup/team.slice/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/team.slice/job.scope/cpu.max": "max 100000\n",
    }
    assert read_quota(write(tmp_path, files)) == 1.5


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("path", "folder"), [("/", ""), ("/docker/abc", ""), ("/docker/abc", "docker/abc")])
def test_a_limit_of_the_first_version_of_control_groups_is_seen(
    mount: str, path: str, folder: str, tmp_path: Path
) -> None:
    group = f"sys/fs/cgroup/{mount}/{folder}"
    files = {
        "proc/self/cgroup": V1.format(path=path),
        f"{group}/cpu.cfs_quota_us": "300000\n",
        f"{group}/cpu.cfs_period_us": "100000\n",
    }
    assert read_quota(write(tmp_path, files)) == 3.0


def test_no_limit_of_the_first_version_is_none(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/cpu"
    files = {
        "proc/self/cgroup": V1.format(path="/"),
        f"{group}/cpu.cfs_quota_us": "-1\n",
        f"{group}/cpu.cfs_period_us": "100000\n",
    }
    assert read_quota(write(tmp_path, files)) is None


def test_a_group_outside_of_the_containers_own_shows_what_there_is(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../other\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}
    assert read_quota(write(tmp_path, files)) == 1.0


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert read_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("siblings", "cores"),
    [
        (["0,2", "1,3", "0,2", "1,3"], {0: 0, 1: 1, 2: 0, 3: 1}),
        (["0-1", "0-1", "2-3", "2-3"], {0: 0, 1: 0, 2: 2, 3: 2}),
        (["0", "1"], {0: 0, 1: 1, 2: 2, 3: 3}),
    ],
)
def test_threads_of_one_core_are_known_by_its_first(siblings: list[str], cores: dict[int, int], tmp_path: Path) -> None:
    folder = "sys/devices/system/cpu"
    files = {f"{folder}/cpu{cpu}/topology/thread_siblings_list": f"{text}\n" for cpu, text in enumerate(siblings)}
    assert read_cores([0, 1, 2, 3], write(tmp_path, files)) == cores


def test_the_cores_that_are_available_are_no_more_than_the_limit_leaves(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": V2_AT_ROOT, "sys/fs/cgroup/cpu.max": "100000 100000\n"}
    assert len(available_cores(write(tmp_path, files))) == 1
