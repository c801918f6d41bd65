import re
import time
from pathlib import Path

import psutil
import pytest

from tests.skipping_clock import SkippingClock
from tests.tfjob.local.local_run import LocalRun, MakeJob
from tfjob.backend import StatusChanged, Warned
from tfjob.errors import JobDeadlineExceeded, JobFailed, JobStalled
from tfjob.signs import SIGNS_VARIABLE

STOP_ONE = """
if role == "worker-1" and not path("stopped").exists():
    print("pid", os.getpid())
    path("stopped").touch()
    os.kill(os.getpid(), signal.SIGSTOP)
wait_for("stopped")
"""
# Five seconds lie between two looks, and a busy machine puts them off.
SILENCE = r"no sign of life for \d+ s \(stopped, as by SIGSTOP\)"


@pytest.mark.slow
def test_a_replica_that_is_stopped_for_ever_is_ended_by_name_and_started_again(
    make_job: MakeJob, run_local: LocalRun, tmp_path: Path
) -> None:
    env = {"SHARED": str(tmp_path), SIGNS_VARIABLE: str(tmp_path / "signs")}
    job = make_job(STOP_ONE, workers=2, success_policy="AllWorkers", restart_policy="ExitCode", env=env)
    result = run_local(job, silent_seconds=3.0)
    assert [replica.restarts for replica in result.replicas] == [0, 1]
    warned = [event.message for event in run_local.events if isinstance(event, Warned)][-1]
    assert re.fullmatch(rf"worker-1 gives {SILENCE}: it is ended", warned)
    (restart,) = [
        event.message for event in run_local.events if isinstance(event, StatusChanged) and event.status == "Restarting"
    ]
    ended = r"worker-1 ended \(exit code 137, killed by SIGKILL"
    assert re.fullmatch(rf"{ended}; it gave {SILENCE}\); restart 1 in 0 s", restart)


def test_who_ends_for_a_peer_that_is_stopped_is_told_with_the_peers_name(
    make_job: MakeJob, run_local: LocalRun, tmp_path: Path
) -> None:
    def wait_until_it_is_stopped() -> None:
        (pid,) = run_local.pids()
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        (tmp_path / "seen").touch()

    code = f"{STOP_ONE}\nwait_for('seen')\nsys.exit(138)"
    job = make_job(code, workers=2, restart_policy="Never", env={"SHARED": str(tmp_path)})
    stopped = r"worker-1 gave no sign of life for \d+ s, its process is stopped"
    with pytest.raises(JobFailed, match=rf"worker-0: exit code 138, asking to be restarted; {stopped}, restart policy"):
        run_local(job, on_line=wait_until_it_is_stopped)


@pytest.mark.slow
def test_a_persons_own_program_that_is_stopped_is_told_of_and_left_alone(
    make_job: MakeJob, run_local: LocalRun
) -> None:
    code = "if os.fork(): os.kill(os.getpid(), signal.SIGSTOP)\nelse: time.sleep(13); os.kill(os.getppid(), 18)"
    run_local(make_job(code), silent_seconds=3.0)
    warned = [event.message for event in run_local.events if isinstance(event, Warned)][-1]
    assert re.fullmatch(rf"worker-0 gives {SILENCE}: the job waits for who stopped it to continue it", warned)


@pytest.mark.slow
def test_replicas_that_live_and_do_not_move_end_the_job(make_job: MakeJob, run_local: LocalRun, tmp_path: Path) -> None:
    code = """
path("signs").mkdir(exist_ok=True)
path("signs/" + role + ".place").write_text("training, step 7")
time.sleep(600)
"""
    env = {"SHARED": str(tmp_path), SIGNS_VARIABLE: str(tmp_path / "signs")}
    with pytest.raises(JobStalled, match=r"no replica has moved or computed for .* \(worker-0: training, step 7; "):
        run_local(make_job(code, workers=2, env=env), stall_seconds=6.0)


def test_the_deadline_says_where_each_replica_was(make_job: MakeJob, run_local: LocalRun, tmp_path: Path) -> None:
    (tmp_path / "signs").mkdir()
    (tmp_path / "signs" / "worker-0.place").write_text("training, step 7")
    env = {"SHARED": str(tmp_path), SIGNS_VARIABLE: str(tmp_path / "signs")}
    job = make_job("print('busy', flush=True); time.sleep(600)", env=env, active_deadline_seconds=20)
    clock = SkippingClock()
    with pytest.raises(JobDeadlineExceeded, match=r"Seen last: worker-0: training, step 7, for \d+ s\.\nLast lines of"):
        run_local(job, on_line=lambda: clock.skip(20), clock=clock)
