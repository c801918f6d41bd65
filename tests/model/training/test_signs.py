import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.training.role import parse_tf_config
from model.training.signs import SIGNS_VARIABLE, Signs, describe_process, find_signs_folder, name_life, write_sign

ROLE = parse_tf_config('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', None)


def test_a_place_is_told_at_once_and_steps_now_and_then(tmp_path: Path) -> None:
    now = 100.0
    signs = Signs(tmp_path / "signs", ROLE, clock=lambda: now)
    path = tmp_path / "signs" / "worker-1.place"
    signs.tell("training, step 1")
    told = []
    for step in range(20):
        now += 1.0
        signs.note_step(step)
        told.append(path.read_text())
    assert list(dict.fromkeys(told)) == [
        "training, step 1\n",
        *(f"training, step {step} done\n" for step in (5, 10, 15, 20)),
    ]


def test_nothing_is_told_where_nobody_looks_or_nothing_can_be_written(tmp_path: Path) -> None:
    Signs(None, ROLE).tell("training")
    (tmp_path / "file").touch()
    Signs(tmp_path / "file", ROLE).tell("training")
    write_sign(tmp_path / "file" / "worker-1.life", "1 running 0.0")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_launcher_names_the_folder_by_a_variable() -> None:
    assert find_signs_folder({SIGNS_VARIABLE: "/shared/signs"}) == Path("/shared/signs")
    assert find_signs_folder({}) is None
    assert name_life(Path("/shared/signs"), ROLE) == Path("/shared/signs/worker-1.life")
    assert name_life(None, ROLE) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_beside_a_replica_tells_whether_it_is_stopped() -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        assert re.match(r"running 0\.\d\d ", describe_process(process.pid))
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert re.match(r"stopped 0\.\d\d ", describe_process(process.pid))
    finally:
        process.kill()
        process.wait()


def test_what_its_threads_waited_for_a_core_is_told_together(tmp_path: Path) -> None:
    stat = f"7 (a ) b) R {'0 ' * 10}150 50 0"
    for thread, schedstat in enumerate(("1 2000000000 7", "1 500000000 7", "", "torn")):
        folder = tmp_path / f"proc/7/task/{thread}"
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(schedstat)
    (tmp_path / "proc/7/stat").write_text(stat)
    assert describe_process(7, root=tmp_path) == f"running {200 / os.sysconf('SC_CLK_TCK'):.2f} 2.50"


def test_a_process_that_cannot_be_looked_at_is_not_taken_for_idle(tmp_path: Path) -> None:
    before = time.monotonic()
    state, seconds = describe_process(1, root=tmp_path).split()
    assert state == "running"
    assert float(seconds) >= before - 0.01
