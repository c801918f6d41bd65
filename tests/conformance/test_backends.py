"""What a TFJob does on every backend: on this machine's processes, and on a cluster's training operator."""

import json
import os
import signal
import time

import pytest

from tests.conformance.job_run import JobRun
from tfjob.backend import StatusChanged
from tfjob.errors import JobCancelled, JobDeadlineExceeded, JobFailed
from tfjob.job import replica_counts
from tfjob.local.tf_config import tf_config

# Real processes, and what they and the backends wait for.
pytestmark = pytest.mark.slow

FOREVER = "print('pid', os.getpid()); time.sleep(600)"


def test_a_job_that_succeeds_says_so_and_returns_what_it_measured(run_job: JobRun) -> None:
    before = time.time()
    result = run_job(f"print('hello'); time.sleep({run_job.site.seen_seconds})")
    main_statuses = [status for status in run_job.statuses() if status not in ("Queued", "Pulling")]
    assert main_statuses == ["Created", "Running", "Succeeded"]
    assert run_job.lines("worker-0") == ["hello"]
    assert [(replica.name, replica.exit_code) for replica in result.replicas] == [("worker-0", 0)]
    assert 0 <= result.schedule_seconds <= result.queue_seconds <= result.total_seconds
    # A pod's timestamps are whole seconds.
    assert before - 1 <= result.replicas[0].started_at <= result.replicas[0].ended_at <= time.time()
    run_job.site.assert_nothing_is_left(run_job)


def test_every_replica_gets_the_tf_config_that_follows_from_the_manifest(run_job: JobRun) -> None:
    names = ("chief-0", "worker-0", "worker-1", "ps-0")
    run_job(
        "print(json.dumps(config)); time.sleep(600)",
        workers=2,
        ps=1,
        chief=True,
        is_measured=lambda: all(map(run_job.lines, names)),  # when the chief ends, so do the others, with their logs
    )
    manifest = run_job.site.make("", workers=2, ps=1, chief=True)
    seen = {
        (replica_type, index): json.loads(run_job.lines(f"{replica_type.lower()}-{index}")[0])
        for replica_type, count in replica_counts(manifest).items()
        for index in range(count)
    }
    addresses = run_job.site.addresses(manifest, seen["Chief", 0])
    assert seen == {key: tf_config(manifest, *key, lambda *member: addresses[member]) for key in seen}


def test_a_single_replica_gets_no_tf_config(run_job: JobRun) -> None:
    run_job("print(config)")
    assert run_job.lines("worker-0") == ["None"]


def test_with_a_chief_it_alone_decides_and_the_rest_is_stopped(run_job: JobRun) -> None:
    code = """
if role == "worker-0": path("ready").touch()
if role == "chief-0": wait_for("ready")
else: time.sleep(600)
"""
    result = run_job(code, chief=True, ps=1)
    assert next(replica.exit_code for replica in result.replicas if replica.name == "chief-0") == 0
    run_job.site.assert_nothing_is_left(run_job)


def test_all_workers_are_waited_for_where_the_policy_says_so(run_job: JobRun) -> None:
    code = "if role != 'worker-0': time.sleep(2); print('done')"
    result = run_job(code, workers=2, success_policy="AllWorkers")
    assert [replica.exit_code for replica in result.replicas] == [0, 0]
    assert run_job.lines("worker-1") == ["done"]


@pytest.mark.parametrize(("policy", "code"), [("Never", 3), ("ExitCode", 1)])
def test_a_failed_replica_fails_the_job_and_is_named_soon(run_job: JobRun, policy: str, code: int) -> None:
    program = f"""
if role == "worker-1":
    for i in range(30): print("line", i)
    print(time.time())
    sys.exit({code})
{FOREVER}
"""
    failed_at: list[float] = []

    with pytest.raises(JobFailed) as caught:
        run_job(program, workers=2, restart_policy=policy, on_failure=lambda: failed_at.append(time.time()))
    first, second, *lines = str(caught.value).splitlines()
    assert first == f"Job mnist failed: worker-1: exit code {code}, restart policy {policy}."
    assert second == "Last lines of worker-1:"
    assert lines[:-1] == [f"  line {i}" for i in range(11, 30)]
    assert failed_at[0] - float(lines[-1]) < 30  # the others would run for ten minutes
    run_job.site.assert_nothing_is_left(run_job)


def test_a_parameter_server_that_fails_fails_the_job(run_job: JobRun) -> None:
    with pytest.raises(JobFailed, match="ps-0: exit code 7"):
        run_job("if role == 'ps-0': sys.exit(7)\ntime.sleep(600)", ps=1, restart_policy="ExitCode")


FAIL_ONCE = """
print("started")
if role == "worker-1" and not path("failed").exists():
    path("failed").touch()
    time.sleep({seconds})
    {failure}
time.sleep({seconds})
"""


@pytest.mark.parametrize(("policy", "code"), [("OnFailure", 1), ("ExitCode", 138)])
def test_a_replica_is_restarted_as_its_policy_says(run_job: JobRun, policy: str, code: int) -> None:
    program = FAIL_ONCE.format(failure=f"sys.exit({code})", seconds=run_job.site.seen_seconds)
    result = run_job(program, workers=2, success_policy="AllWorkers", restart_policy=policy)
    changes = [event for event in run_job.events if isinstance(event, StatusChanged)]
    restarts = [event.message for event in changes if event.status == "Restarting"]
    assert len(restarts) == 1, restarts
    assert restarts[0].startswith(f"worker-1 ended (exit code {code}")
    assert [(replica.restarts, replica.exit_code) for replica in result.replicas] == [(0, 0), (1, 0)]
    assert run_job.lines("worker-1") == ["started", "started"]
    assert (run_job.log_dir / "worker-1.log").read_text() == "started\nstarted\n"


def test_the_deadline_ends_the_job_and_quotes_who_was_waited_for(run_job: JobRun) -> None:
    with pytest.raises(JobDeadlineExceeded, match=r"deadline of 300 s[^$]*Last lines of worker-0:\n  pid"):
        run_job(FOREVER, active_deadline_seconds=300, on_line=lambda _: run_job.clock.skip(300))
    run_job.site.assert_nothing_is_left(run_job)


def test_logs_are_complete_in_file_and_events(run_job: JobRun) -> None:
    run_job("for i in range(5000): print(i, 'ä')\nprint('no newline', end='', file=sys.stderr)")
    expected = [*(f"{i} ä" for i in range(5000)), "no newline"]
    assert run_job.lines("worker-0") == expected
    assert (run_job.log_dir / "worker-0.log").read_text().rstrip("\n") == "\n".join(expected)


def test_a_line_arrives_within_two_seconds(run_job: JobRun) -> None:
    lags: list[float] = []
    run_job(
        "for _ in range(3): print(time.time()); time.sleep(1.5)\ntime.sleep(1.5)",
        on_line=lambda text: lags.append(time.time() - float(text)),
    )
    assert len(lags) == 3
    assert min(lags) < 2  # one may be late on a busy machine; where lines come in the end, the last comes after three


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("signal_number", "error"), [(signal.SIGTERM, JobCancelled), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_stops_the_job_and_leaves_nothing(
    run_job: JobRun, signal_number: signal.Signals, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        run_job(FOREVER, on_line=lambda _: os.kill(os.getpid(), signal_number))
    run_job.site.assert_nothing_is_left(run_job)


def test_an_error_in_the_callers_callback_leaves_nothing_running(run_job: JobRun) -> None:
    def fail(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_job(FOREVER, on_line=fail)
    run_job.site.assert_nothing_is_left(run_job)
