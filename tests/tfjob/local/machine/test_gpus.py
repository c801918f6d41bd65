from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfjob.backend import Placement
from tfjob.errors import SpecError
from tfjob.job import FOREIGN_ANNOTATION
from tfjob.local.backend import LocalBackend
from tfjob.local.machine.gpus import are_shared, assign_gpus, list_gpus, visible_gpus
from tfjob.spec import ReplicaSpec

FIRST, SECOND = (f"GPU-1b2c3d4e-0000-1111-2222-33334444555{number}" for number in range(2))
SAID = f"GPU 0: NVIDIA A100 (UUID: {FIRST})\nGPU 1: NVIDIA A100 (UUID: {SECOND})\n"


def fail() -> str:
    pytest.fail("nobody need be asked")


def write_gpus(root: Path, *uuids: str) -> Path:
    for number, uuid in enumerate(uuids):
        file = root / f"proc/driver/nvidia/gpus/0000:0{number}:00.0/information"
        file.parent.mkdir(parents=True)
        file.write_text(f"Model: \t\t NVIDIA A100\nIRQ:   \t\t 120\nGPU UUID: \t {uuid}\nDevice Minor: \t {number}\n")
    return root


def test_the_kernel_tells_the_gpus(tmp_path: Path) -> None:
    assert list_gpus(write_gpus(tmp_path, FIRST, SECOND), {}, fail) == [FIRST, SECOND]


def test_a_container_that_is_shown_all_gpus_of_its_machine_has_those_whose_device_it_has(tmp_path: Path) -> None:
    root = write_gpus(tmp_path, FIRST, SECOND)
    (root / "dev").mkdir()
    (root / "dev/nvidia1").touch()
    assert list_gpus(root, {}, fail) == [SECOND]


@pytest.mark.parametrize("uuids", [(), ("GPU-????????-????-????-????-????????????",)])
def test_where_the_kernel_does_not_tell_the_driver_is_asked(uuids: tuple[str, ...], tmp_path: Path) -> None:
    assert list_gpus(write_gpus(tmp_path, *uuids), {}, lambda: SAID) == [FIRST, SECOND]


def test_a_machine_without_a_driver_has_none(tmp_path: Path) -> None:
    assert list_gpus(tmp_path, {}, lambda: "") == []
    assert list_gpus(tmp_path, {"CUDA_VISIBLE_DEVICES": "0"}, lambda: "") == []


@pytest.mark.parametrize(("visible", "gpus"), [("1", ["1"]), (f"{SECOND}", [SECOND]), ("", []), ("-1", [])])
def test_what_this_process_does_not_see_is_not_given_away(visible: str, gpus: list[str], tmp_path: Path) -> None:
    root = write_gpus(tmp_path, FIRST, SECOND)
    assert list_gpus(root, {"CUDA_VISIBLE_DEVICES": visible}, fail) == gpus


def test_each_replica_gets_gpus_of_its_own() -> None:
    gpus = assign_gpus({"worker-0": 1, "worker-1": 1, "ps-0": 0}, [FIRST, SECOND])
    assert gpus == {"worker-0": (FIRST,), "worker-1": (SECOND,), "ps-0": ()}
    assert visible_gpus(gpus["worker-1"]) == {"CUDA_VISIBLE_DEVICES": SECOND}


def test_who_asked_for_none_sees_none() -> None:
    assert visible_gpus(()) == {"CUDA_VISIBLE_DEVICES": "-1"}


@pytest.mark.parametrize(
    ("asked", "available", "message"),
    [
        ({"worker-0": 1}, [], "1 replica asks for 1 GPU, and this machine has none: leave gpus_per_replica out"),
        ({"worker-0": 1, "worker-1": 1, "ps-0": 0}, [FIRST], "2 replicas ask for 2 GPUs, and this machine has 1: "),
    ],
)
def test_more_gpus_than_there_are_are_refused(asked: dict[str, int], available: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        assign_gpus(asked, available)


def test_replicas_that_may_share_take_turns_on_what_there_is_and_no_replica_gets_one_twice() -> None:
    gpus = assign_gpus({"worker-0": 1, "worker-1": 1, "ps-0": 0, "worker-2": 1}, [FIRST, SECOND], may_share=True)
    assert gpus == {"worker-0": (FIRST,), "worker-1": (SECOND,), "ps-0": (), "worker-2": (FIRST,)}
    assert are_shared(gpus)
    with pytest.raises(SpecError, match="2 replicas ask for 4 GPUs, and this machine has 1"):
        assign_gpus({"worker-0": 2, "worker-1": 2}, [FIRST], may_share=True)


def test_replicas_that_could_share_but_need_not_have_their_own() -> None:
    gpus = assign_gpus({"worker-0": 1, "worker-1": 1}, [FIRST, SECOND], may_share=True)
    assert not are_shared(gpus)


def test_replicas_that_share_a_gpu_are_contended_and_the_result_says_so(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    replicas = {"Worker": ReplicaSpec(count=2, cpus=0.5, gpus=1)}
    manifest = make_job("print(1)", replicas=replicas, success_policy="AllWorkers")
    backend, placement = LocalBackend(gpus=lambda: [FIRST]), Placement(may_share_gpus=True)
    result = backend.run(manifest, log_dir=tmp_path, on_event=lambda _: None, placement=placement)
    assert (result.contended, result.gpus_held) == (True, 1)
    assert "replicas share a GPU: timings are contended" in result.warnings


def test_a_job_that_asks_for_gpus_where_there_are_none_does_not_start(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    manifest = make_job("print('ran')", replicas={"Worker": ReplicaSpec(gpus=1)})
    with pytest.raises(SpecError, match="1 replica asks for 1 GPU, and this machine has none"):
        LocalBackend(gpus=list).run(manifest, log_dir=tmp_path / "logs", on_event=print)


def test_a_persons_job_does_without_gpus_where_there_are_none(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    manifest = make_job("print(os.environ['CUDA_VISIBLE_DEVICES'])", replicas={"Worker": ReplicaSpec(gpus=1)})
    manifest["metadata"].setdefault("annotations", {})[FOREIGN_ANNOTATION] = "true"
    result = LocalBackend(gpus=list).run(manifest, log_dir=tmp_path / "logs", on_event=lambda _: None)
    assert (tmp_path / "logs" / "worker-0.log").read_text().strip() == "-1"
    assert any("the training did without" in warning for warning in result.warnings)
    assert result.gpus_held == 0


def test_replicas_of_a_job_see_one_gpu_each(make_job: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    code = "print(os.environ['CUDA_VISIBLE_DEVICES'])"
    manifest = make_job(code, replicas={"Worker": ReplicaSpec(count=2, gpus=1)}, success_policy="AllWorkers")
    backend = LocalBackend(gpus=lambda: [FIRST, SECOND])
    assert backend.run(manifest, log_dir=tmp_path / "logs", on_event=lambda _: None).gpus_held == 2
    seen = [(tmp_path / "logs" / f"worker-{index}.log").read_text().strip() for index in range(2)]
    assert seen == [FIRST, SECOND]


def test_without_gpus_a_persons_own_choice_of_what_is_visible_stays(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    code = "print(os.environ['CUDA_VISIBLE_DEVICES'])"
    environments: list[dict[str, str]] = [{}, {"CUDA_VISIBLE_DEVICES": "7"}]
    for env, seen in zip(environments, ("-1", "7"), strict=True):
        LocalBackend().run(make_job(code, env=env), log_dir=tmp_path, on_event=lambda _: None)
        assert (tmp_path / "worker-0.log").read_text().strip() == seen


def test_a_replica_is_told_that_its_gpu_is_shared() -> None:
    assert visible_gpus(["GPU-1"], is_shared=True) == {
        "CUDA_VISIBLE_DEVICES": "GPU-1",
        "TFJOB_SPEEDUP_SHARED_GPUS": "1",
    }
    assert visible_gpus(["GPU-1"]) == {"CUDA_VISIBLE_DEVICES": "GPU-1"}
