import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from tfjob.local.processes.keeper import kill_group
from tfjob.local.processes.life import _ask_psutil, read_lives

Start = Callable[[str], "subprocess.Popen[bytes]"]
SLEEP = "exec sleep 60"
WRAPPED = "sleep 60; true"


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def start(command: str) -> "subprocess.Popen[bytes]":
            process = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
            stack.callback(process.wait)
            stack.callback(kill_group, process.pid, signal.SIGKILL)
            return process

        yield start


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_stopped(process: "subprocess.Popen[bytes]") -> bool:
    return read_lives({"worker-0": process.pid}, 1)["worker-0"].is_stopped


def find_child(process: "subprocess.Popen[bytes]") -> int:
    children: list[str] = []
    while not children:
        children = [str(child.pid) for child in psutil.Process(process.pid).children()]
    return int(children[0])


def test_a_process_is_stopped_until_it_is_continued(start: Start) -> None:
    process = start(SLEEP)
    assert not is_stopped(process)
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: is_stopped(process))
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: not is_stopped(process))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_program_behind_a_wrapper_is_what_counts(start: Start) -> None:
    process = start(WRAPPED)
    os.kill(find_child(process), signal.SIGSTOP)
    wait_for(lambda: is_stopped(process))


def test_what_a_replica_computes_is_seen_and_each_look_is_another(start: Start) -> None:
    leaders = {"busy": start("while :; do :; done").pid, "idle": start(SLEEP).pid}
    wait_for(lambda: read_lives(leaders, 1)["busy"].cpu_seconds > 0.1)
    idle = read_lives(leaders, 2)["idle"]
    assert idle.cpu_seconds < 0.05
    assert idle.count == 2


def test_nothing_is_seen_of_a_replica_that_is_gone(start: Start) -> None:
    process = start("exit 0")
    process.wait()
    assert read_lives({"worker-0": process.pid}, 1) == {}
    assert _ask_psutil({"worker-0": process.pid}, 1) == {}


def test_other_systems_tell_the_same_of_a_single_process(start: Start) -> None:
    process = start(SLEEP)
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: _ask_psutil({"worker-0": process.pid}, 1)["worker-0"].is_stopped)
