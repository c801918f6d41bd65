import os
import signal
from typing import Any

import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import (
    AWAY,
    JOB,
    JOB_UID,
    end_json,
    ended,
    evicted,
    job_json,
    pod_json,
    running,
    waiting,
)
from tfjob.backend import LogLine, Warned
from tfjob.errors import (
    JobCancelled,
    JobFailed,
    JobNotStarted,
    JobRestartedTooOften,
)

EVICTED = (
    "its pod mnist-worker-0 on node node-1 was taken: its node ran short of memory, disk or processes, or shuts down "
    "(Evicted: The node was low on resource: memory)"
)


def test_an_evicted_replica_is_left_to_the_operator(run: ClusterRun) -> None:
    run.change(restart_policy="ExitCode")
    run.pass_seconds("hello", 700)  # longer than a pod may be pending
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "hello")
    run.say(evicted("worker-0"), running("worker-0", uid="second", second=20))
    run.say(ended("worker-0", uid="second", second=20, at=30), ended("worker-1"))
    run.cluster.say_job("Succeeded")
    assert [replica.restarts for replica in run().replicas] == [1, 0]
    assert f"worker-0 ended ({EVICTED}); restart 1" in run.messages()


def test_a_restart_counts_once_its_new_pod_has_come(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "first")
    run.say(ended("worker-0", 138))
    run.cluster.say("pods", ended("worker-0", 138), "DELETED")
    run.say(pod_json("worker-0", uid="second", second=20), running("worker-0", uid="second", second=20))
    run.log("worker-0", "second", 25)
    run.cluster.say("mnist-worker-0", None)
    run.say(ended("worker-0", uid="second", second=20, at=30), ended("worker-1"))
    run.log("worker-0", "last words", 26)
    run.cluster.say_job("Succeeded")
    result = run()
    assert [replica.restarts for replica in result.replicas] == [1, 0]
    assert run.statuses() == ["Created", "Running", "Restarting", "Succeeded"]
    assert "worker-0 ended (exit code 138); restart 1" in run.messages()
    assert (run.log_dir / "worker-0.log").read_text() == "first\nsecond\nlast words\n"


def test_each_restart_in_place_is_told(single: ClusterRun) -> None:
    single.say(running("worker-0"))
    for restarts, code in ((1, 1), (2, 9)):
        single.say(running("worker-0", restarts=restarts, last_state={"terminated": end_json(code)}))
    single.say(ended("worker-0", restarts=2))
    single.cluster.say_job("Succeeded")
    assert single().replicas[0].restarts == 2
    assert single.messages()[2:4] == [
        "worker-0 ended (exit code 1); restart 1",
        "worker-0 ended (exit code 9); restart 2",
    ]


def test_a_restart_that_is_too_many_deletes_the_job(single: ClusterRun) -> None:
    def give_up() -> None:
        raise JobRestartedTooOften(JOB, 0, "worker-0 ended")

    single.on("Restarting", give_up)
    single.say(running("worker-0"), running("worker-0", uid="second", second=20))
    with pytest.raises(JobRestartedTooOften):
        single()
    assert single.cluster.jobs == {}


def test_a_failed_job_is_kept_on_request_and_what_still_runs_is_ended(run: ClusterRun) -> None:
    run.say(waiting("worker-0", "InvalidImageName"))
    with pytest.raises(JobNotStarted):
        run(keep_failed=True)
    ((_, patch),) = run.cluster.called("patch_job")
    assert patch == {"metadata": {"uid": JOB_UID}, "spec": {"runPolicy": {"activeDeadlineSeconds": 1}}}
    assert run.cluster.called("delete_job") == []
    assert run.messages()[-1] == (
        "job mnist is kept for 86400 s; look at it with: kubectl --namespace default describe tfjob mnist"
    )


def test_a_job_that_the_operator_has_failed_is_kept_as_it_is(single: ClusterRun) -> None:
    single.say(running("worker-0"), ended("worker-0", 2))
    single.cluster.say_job("Failed")
    with pytest.raises(JobFailed):
        single(keep_failed=True)
    assert single.cluster.called("patch_job") == []
    assert JOB in single.cluster.jobs


def test_replicas_of_a_kept_job_that_could_not_be_ended_are_told(run: ClusterRun) -> None:
    run.cluster.fail("patch_job", AWAY, times=1000)
    run.say(waiting("worker-0", "InvalidImageName"))
    with pytest.raises(JobNotStarted):
        run(keep_failed=True)
    assert "the replicas of job mnist could not be ended, and may still run" in run.messages()


def test_a_job_that_succeeded_is_not_kept(single: ClusterRun) -> None:
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single(keep_failed=True)
    assert single.cluster.jobs == {}


@pytest.mark.parametrize("keep_failed", [False, True])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, JobCancelled), (signal.SIGINT, KeyboardInterrupt)])
def test_a_cancelled_job_is_deleted_even_where_failed_ones_are_kept(
    number: signal.Signals, error: type[BaseException], keep_failed: bool, run: ClusterRun, interruptible: None
) -> None:
    run.on("hello", lambda: os.kill(os.getpid(), number))
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "hello")
    with pytest.raises(error):
        run(keep_failed=keep_failed)
    assert run.cluster.jobs == {}
    assert run.cluster.called("delete_job") == [[JOB, "job-1"]]


def test_a_signal_while_a_succeeded_job_is_deleted_is_heeded_after(single: ClusterRun, interruptible: None) -> None:
    single.on("Succeeded", lambda: os.kill(os.getpid(), signal.SIGTERM))
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    with pytest.raises(JobCancelled, match="Job mnist was cancelled: this process received SIGTERM"):
        single()
    assert single.cluster.jobs == {}


def test_a_signal_while_the_api_server_is_away_ends_the_submission(run: ClusterRun, interruptible: None) -> None:
    def ask_to_end(_manifest: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AWAY

    run.cluster.create_job = ask_to_end  # type: ignore[assignment, method-assign]
    with pytest.raises(JobCancelled):
        run()
    assert run.cluster.called("delete_job") == []


@pytest.mark.parametrize("others", [{}, {"another": job_json(uid="another")}])
def test_a_job_that_was_deleted_before_anybody_watched_it_is_cancelled(
    others: dict[str, Any], single: ClusterRun
) -> None:
    def replace() -> None:
        single.cluster.jobs = others

    single.on("Created", replace)
    with pytest.raises(JobCancelled, match="Job mnist was deleted by somebody else"):
        single()


@pytest.mark.parametrize("keep_failed", [False, True])
def test_a_job_that_somebody_else_deleted_is_cancelled(keep_failed: bool, single: ClusterRun) -> None:
    single.cluster.jobs["old"] = job_json(uid="job-0")
    single.say(running("worker-0"))
    single.cluster.say("tfjobs", job_json(uid="job-0"), "DELETED")
    single.log("worker-0", "still here")
    single.cluster.say("tfjobs", single.cluster.jobs.clear)
    single.cluster.say("tfjobs", job_json("Running"), "DELETED")
    with pytest.raises(JobCancelled, match="Job mnist was deleted by somebody else"):
        single(keep_failed=keep_failed)
    assert LogLine("worker-0", "still here") in single.events
    assert not [event for event in single.events if isinstance(event, Warned)]
