import os
import signal
import time
from typing import Any

import pytest

from tests.tfjob.local.local_run import FOREVER, LocalRun, MakeJob
from tfjob.backend import Placement, Warned
from tfjob.errors import JobCancelled
from tfjob.launcher import find_owner
from tfjob.local.machine import Load, available_cores

QUIET, BUSY = Load({0: 0.0}), Load({0: 1.0}, {"stress-ng": 0.98})


def test_a_job_waits_for_a_quiet_machine_before_its_clock_starts(make_job: MakeJob, run_local: LocalRun) -> None:
    loads = [BUSY, BUSY, QUIET]

    def look(cpus: Any, seconds: float, pause: Any, *, is_named: bool, owner: Any) -> Load:
        assert set(cpus) >= {available_cores()[0]}
        pause(0.2)
        return loads.pop(0)

    before = time.monotonic()
    result = run_local(make_job("print('hello')"), placement=Placement(patience_seconds=10), look=look)
    assert run_local.statuses() == ["Created", "Queued", "Queued", "Running", "Succeeded"]
    assert result.quiet is not None
    assert result.quiet.taken_by == ["stress-ng, 98 % of a core"]
    assert result.started_monotonic is not None
    assert result.started_monotonic - before >= 0.6
    assert result.total_seconds <= time.monotonic() - before - 0.6
    assert result.warnings == []
    assert loads == []


def test_a_job_that_begins_on_a_busy_machine_warns_of_it(make_job: MakeJob, run_local: LocalRun) -> None:
    result = run_local(make_job(""), placement=Placement(patience_seconds=0), look=lambda *_, **__: BUSY)
    (warning,) = result.warnings
    assert warning.endswith("the job began on a busy machine: CPU 0 is taken by stress-ng (98 %)")
    assert Warned(warning) in run_local.events


def test_a_job_that_is_not_to_wait_does_not_look(make_job: MakeJob, run_local: LocalRun) -> None:
    def look(*_: Any, **__: Any) -> Load:
        raise AssertionError

    assert run_local(make_job(""), look=look).quiet is None


@pytest.mark.usefixtures("interruptible")
def test_a_signal_is_heard_while_a_job_waits_for_a_quiet_machine(make_job: MakeJob, run_local: LocalRun) -> None:
    def look(cpus: Any, seconds: float, pause: Any, **_: Any) -> Load:
        os.kill(os.getpid(), signal.SIGINT)
        pause(60)
        return QUIET

    with pytest.raises(KeyboardInterrupt):
        run_local(make_job(FOREVER), placement=Placement(patience_seconds=60), look=look)
    assert run_local.lines("worker-0") == []


def test_a_job_whose_owner_dies_while_it_waits_for_a_quiet_machine_does_not_begin(
    make_job: MakeJob, run_local: LocalRun
) -> None:
    def look(cpus: Any, seconds: float, pause: Any, **_: Any) -> Load:
        pause(60)
        return QUIET

    owner = find_owner({"TFJOB_OWNER_PID": str(2**22 + 1)})
    with pytest.raises(JobCancelled):
        run_local(make_job(FOREVER), placement=Placement(patience_seconds=60), look=look, owner=owner)
    assert run_local.statuses() == ["Created", "Failed"]
