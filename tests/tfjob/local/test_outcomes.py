import time

import pytest

from tests.tfjob.local.local_run import FOREVER, LocalRun, MakeJob, is_running
from tfjob.errors import JobFailed


def test_with_a_chief_it_alone_decides_and_the_rest_is_stopped(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
print('pid', os.getpid())
if role == "worker-0": path("ready").touch()
if role == "chief-0": wait_for("ready")
else: time.sleep(600)
"""
    result = run_local(make_job(code, chief=True, ps=1))
    assert {replica.name: replica.exit_code for replica in result.replicas} == {
        "chief-0": 0,
        "worker-0": None,
        "ps-0": None,
    }
    assert not any(map(is_running, run_local.pids()))


def test_without_a_chief_worker_0_decides(make_job: MakeJob, run_local: LocalRun) -> None:
    result = run_local(make_job("if role != 'worker-0': time.sleep(600)", workers=2))
    assert [replica.exit_code for replica in result.replicas] == [0, None]


def test_all_workers_are_waited_for_where_the_policy_says_so(make_job: MakeJob, run_local: LocalRun) -> None:
    code = "if role != 'worker-0': time.sleep(0.3); print('done')"
    result = run_local(make_job(code, workers=2, success_policy="AllWorkers"))
    assert [replica.exit_code for replica in result.replicas] == [0, 0]
    assert run_local.lines("worker-1") == ["done"]


def test_nothing_is_left_even_where_pods_would_be(make_job: MakeJob, run_local: LocalRun) -> None:
    code = f"""
if role == "worker-0": wait_for("ready")
else: path("ready").touch(); {FOREVER}
"""
    run_local(make_job(code, workers=2, clean_pod_policy="None"))
    assert not any(map(is_running, run_local.pids()))


@pytest.mark.parametrize(("policy", "code", "reason"), [("Never", 3, "exit code 3"), ("ExitCode", 1, "exit code 1")])
def test_a_failed_replica_fails_the_job_and_is_named(
    make_job: MakeJob, run_local: LocalRun, policy: str, code: int, reason: str
) -> None:
    program = f"""
if role == "worker-1":
    for i in range(30): print("line", i)
    sys.exit({code})
{FOREVER}
"""
    with pytest.raises(JobFailed) as caught:
        run_local(make_job(program, workers=2, restart_policy=policy))
    assert str(caught.value).splitlines() == [
        f"Job mnist failed: worker-1: {reason}, restart policy {policy}.",
        "Last lines of worker-1:",
        *(f"  line {i}" for i in range(10, 30)),
    ]
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", code)
    assert run_local.statuses()[-1] == "Failed"
    assert not any(map(is_running, run_local.pids()))


def test_a_parameter_server_that_fails_fails_the_job(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match="ps-0: exit code 139, killed by SIGSEGV"):
        run_local(
            make_job(
                "if role == 'ps-0': os.kill(os.getpid(), signal.SIGSEGV)\ntime.sleep(600)", ps=1, restart_policy="Never"
            )
        )


def test_a_program_that_does_not_exist_fails_the_job(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match=r"worker-0: exit code 127[^$]*no-such-program"):
        run_local(make_job("", command=("no-such-program",), restart_policy="Never"))


def test_a_failing_replica_that_leaves_a_child_behind_is_seen_at_once(make_job: MakeJob, run_local: LocalRun) -> None:
    code = "print('pid', subprocess.Popen(['sleep', '600']).pid); print(time.time()); os._exit(1)"
    with pytest.raises(JobFailed):
        run_local(make_job(code, restart_policy="Never"))
    assert time.time() - float(run_local.lines("worker-0")[1]) < 300  # the child would hold the log open for longer
    assert not any(map(is_running, run_local.pids()))


FAIL_ONCE = """
print("started")
if role == "worker-1" and not path("failed").exists():
    path("failed").touch()
    {failure}
"""


def test_on_failure_restarts_in_place_and_counts(make_job: MakeJob, run_local: LocalRun) -> None:
    code = FAIL_ONCE.format(failure="sys.exit(1)")
    result = run_local(make_job(code, workers=2, success_policy="AllWorkers"))
    assert [(replica.restarts, replica.exit_code) for replica in result.replicas] == [(0, 0), (1, 0)]
    assert run_local.statuses() == ["Created", "Running", "Restarting", "Succeeded"]
    assert (run_local.log_dir / "worker-1.log").read_text() == "started\nstarted\n"


def test_exit_code_137_is_restarted_under_exit_code(make_job: MakeJob, run_local: LocalRun) -> None:
    code = FAIL_ONCE.format(failure="os.kill(os.getpid(), signal.SIGKILL)")
    result = run_local(make_job(code, workers=2, success_policy="AllWorkers", restart_policy="ExitCode"))
    assert [(replica.restarts, replica.exit_code) for replica in result.replicas] == [(0, 0), (1, 0)]


def test_the_backoff_limit_ends_the_restarts(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match=r"worker-0: exit code 1, .* reached its back-off limit of 3"):
        run_local(make_job("print('try'); sys.exit(1)", backoff_limit=3))
    assert run_local.lines("worker-0") == ["try"] * 3


def test_always_restarts_even_what_succeeded(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match="back-off limit"):
        run_local(make_job("print('try')", restart_policy="Always", backoff_limit=2))
    assert run_local.lines("worker-0") == ["try"] * 2


def test_a_restart_waits_as_long_as_the_backend_is_told(make_job: MakeJob, run_local: LocalRun) -> None:
    asked: list[tuple[str, int]] = []

    def delay(policy: str, restarts: int) -> float:
        asked.append((policy, restarts))
        return 0.3

    code = """
print(time.time())
tries = path("tries").read_text() if path("tries").exists() else ""
path("tries").write_text(tries + ".")
sys.exit(len(tries) < 1)
"""
    run_local(make_job(code), restart_delay=delay)
    first, second = map(float, run_local.lines("worker-0"))
    assert asked == [("OnFailure", 0)]
    assert second - first > 0.3
