import os
import signal
import subprocess
import time

import pytest

from tests.skipping_clock import SkippingClock
from tests.tfjob.local.local_run import (
    FOREVER,
    PATIENCE_SECONDS,
    LocalRun,
    MakeJob,
    is_running,
)
from tfjob.errors import JobCancelled, JobDeadlineExceeded
from tfjob.launcher import find_owner


def test_the_deadline_ends_the_job_and_quotes_who_was_waited_for(make_job: MakeJob, run_local: LocalRun) -> None:
    clock = SkippingClock()
    with pytest.raises(JobDeadlineExceeded, match=r"deadline of 300 s[^$]*Last lines of worker-0:\n  pid"):
        run_local(make_job(FOREVER, active_deadline_seconds=300), on_line=lambda: clock.skip(300), clock=clock)
    assert not any(map(is_running, run_local.pids()))


def test_a_replica_that_ignores_sigterm_is_killed(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
if role == "worker-1":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("pid", os.getpid(), subprocess.Popen(["sleep", "600"]).pid)
    path("ready").touch()
    time.sleep(600)
wait_for("ready")
"""
    begin = time.monotonic()
    result = run_local(make_job(code, workers=2), grace_seconds=0.3)
    assert time.monotonic() - begin > 0.3
    assert result.replicas[1].exit_code is None
    assert len(run_local.pids()) == 2
    assert not any(map(is_running, run_local.pids()))


def test_what_a_replica_does_on_sigterm_is_logged(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
if role == "worker-1":
    signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(0)))
    path("ready").touch()
    time.sleep(600)
wait_for("ready")
"""
    result = run_local(make_job(code, workers=2), grace_seconds=PATIENCE_SECONDS)
    assert run_local.lines("worker-1") == ["saved"]
    assert [replica.exit_code for replica in result.replicas] == [0, 0]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("signal_number", "error", "message"),
    [
        (signal.SIGTERM, JobCancelled, "Job mnist was cancelled: this process received SIGTERM"),
        (signal.SIGINT, KeyboardInterrupt, None),
    ],
)
def test_a_signal_stops_the_job_and_its_handling_is_as_before_afterwards(
    make_job: MakeJob,
    run_local: LocalRun,
    signal_number: signal.Signals,
    error: type[BaseException],
    message: str | None,
) -> None:
    with pytest.raises(error, match=message):
        run_local(make_job(FOREVER), on_line=lambda: os.kill(os.getpid(), signal_number))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [signal.default_int_handler] * 2
    assert not any(map(is_running, run_local.pids()))


@pytest.mark.usefixtures("interruptible")
def test_a_signal_that_comes_while_the_rest_is_stopped_is_not_lost(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
signal.signal(signal.SIGTERM, lambda *_: (os.kill(os.getppid(), signal.SIGINT), sys.exit(0)))
path("ready").touch() if role == "worker-1" else wait_for("ready")
if role == "worker-1": time.sleep(600)
"""
    with pytest.raises(KeyboardInterrupt):
        run_local(make_job(code, workers=2), grace_seconds=PATIENCE_SECONDS)
    assert run_local.statuses()[-1] == "Succeeded"


def test_an_error_in_the_callers_callback_leaves_nothing_running(make_job: MakeJob, run_local: LocalRun) -> None:
    def fail() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_local(make_job(FOREVER), on_line=fail)
    assert not any(map(is_running, run_local.pids()))


def test_the_job_is_cancelled_when_its_owner_dies(make_job: MakeJob, run_local: LocalRun) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        owner = find_owner({"TFJOB_OWNER_PID": str(process.pid)})
        with pytest.raises(JobCancelled, match=f"process {process.pid}, its owner, has ended"):
            run_local(make_job(FOREVER), on_line=process.kill, owner=owner)
    assert not any(map(is_running, run_local.pids()))


def test_a_job_of_an_owner_that_is_already_gone_ends_at_once(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobCancelled):
        run_local(make_job(FOREVER), owner=find_owner({"TFJOB_OWNER_PID": str(2**22 + 1)}))
