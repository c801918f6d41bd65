import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from model.errors import ExitCode
from model.training.heartbeat import Beat, is_silent, take_look

PATIENCE_SECONDS = 300.0


def test_other_content_is_a_sign_of_life_and_the_same_or_none_is_not() -> None:
    beat = Beat(b"1\n", renewed_at=10.0)
    assert take_look(beat, b"2\n", 13.0) == Beat(b"2\n", 13.0)
    assert take_look(beat, b"1\n", 13.0) == beat
    assert take_look(beat, None, 13.0) == beat
    assert take_look(take_look(beat, None, 13.0), b"1\n", 16.0) == beat


def test_the_first_content_is_a_sign_of_life() -> None:
    assert take_look(Beat(None, renewed_at=10.0), b"1\n", 13.0) == Beat(b"1\n", 13.0)


@pytest.mark.parametrize(("now", "silent"), [(10.0, False), (69.9, False), (70.0, True), (500.0, True)])
def test_a_launcher_is_gone_after_as_long_as_one_is_patient(now: float, silent: bool) -> None:
    assert is_silent(Beat(None, renewed_at=10.0), now, patience_seconds=60.0) is silent


@contextmanager
def renewing(path: Path) -> Iterator[None]:
    """Renews a heartbeat as a launcher does, as long as its block lasts."""
    has_ended = threading.Event()

    def renew() -> None:
        count = 0
        while not has_ended.wait(0.05):
            path.write_text(f"{count}\n")
            count += 1

    launcher = threading.Thread(target=renew)
    launcher.start()
    try:
        yield
    finally:
        has_ended.set()
        launcher.join()


def start_stuck_replica(tmp_path: Path, patience_seconds: float, stderr: int) -> "subprocess.Popen[str]":
    data = tmp_path / "data"
    data.mkdir()
    os.mkfifo(data / "manifest.json")  # nobody writes into it: whoever opens it is stuck in a call of the kernel
    folders = (f"--data-dir={data}", f"--output-dir={tmp_path}")
    impatient = f"train.PATIENCE_SECONDS = {patience_seconds}; raise SystemExit(train.main())"
    program = f"from model import train; {impatient}"
    command = [sys.executable, "-c", program, f"--heartbeat-file={tmp_path / 'heartbeat'}", *folders]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=stderr, text=True)


@pytest.mark.slow
def test_a_replica_that_is_stuck_ends_once_its_launcher_is_gone_and_not_before(tmp_path: Path) -> None:
    # Whoever renews may be kept from it by a busy machine, though not for two seconds.
    replica = start_stuck_replica(tmp_path, 2.0, subprocess.PIPE)
    try:
        with renewing(tmp_path / "heartbeat"):
            while not (children := psutil.Process(replica.pid).children()):
                assert replica.poll() is None
                time.sleep(0.01)
            with suppress(subprocess.TimeoutExpired):
                replica.wait(3.0)
            assert replica.poll() is None
        told = replica.communicate(timeout=PATIENCE_SECONDS)[1]
    finally:
        replica.kill()
    assert replica.returncode == ExitCode.LAUNCHER_GONE.value == 4
    assert len(children) == 1
    assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == []
    silence = f"the launcher has not renewed {tmp_path / 'heartbeat'} for 2 s: it is gone"
    assert told == f"error: {silence}, so this replica ends itself\n"


def test_a_replica_ends_although_nobody_reads_any_more_what_it_says(tmp_path: Path) -> None:
    unread, stderr = os.pipe()
    os.close(unread)
    replica = start_stuck_replica(tmp_path, 0.1, stderr)
    os.close(stderr)
    try:
        assert replica.wait(PATIENCE_SECONDS) == ExitCode.LAUNCHER_GONE
    finally:
        replica.kill()


@pytest.mark.parametrize(("program", "code"), [("os._exit(7)", 7), ("os.kill(os.getpid(), 9)", 137)])
def test_a_supervised_replica_ends_as_its_program_does(tmp_path: Path, program: str, code: int) -> None:
    assert run_supervised(tmp_path, program).wait(PATIENCE_SECONDS) == code


def test_a_supervised_replica_is_as_old_as_its_supervisor(tmp_path: Path) -> None:
    program = "age = seconds_since_process_start(); os._exit(age < 0.2)"
    before = "from model.host import seconds_since_process_start; seconds_since_process_start(); time.sleep(0.2)"
    assert run_supervised(tmp_path, program, before).wait(PATIENCE_SECONDS) == 0


def test_who_asks_the_supervisor_to_end_asks_the_replica(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    replica = run_supervised(tmp_path, f"open({str(ready)!r}, 'w').close(); time.sleep(600)")
    try:
        while not ready.exists():
            time.sleep(0.01)
        replica.terminate()
        assert replica.wait(PATIENCE_SECONDS) == 128 + 15
    finally:
        replica.kill()


def run_supervised(tmp_path: Path, program: str, before: str = "") -> "subprocess.Popen[bytes]":
    watch = f"supervise(Path({str(tmp_path / 'heartbeat')!r}), {PATIENCE_SECONDS}, 4)"
    lines = (
        "import os, time",
        "from pathlib import Path",
        "from model.training import supervise",
        before,
        watch,
    )
    return subprocess.Popen([sys.executable, "-c", "\n".join((*lines, program))], cwd=Path(__file__).parents[3])
