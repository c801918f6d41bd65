import re
from typing import Any

import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import end_json, ended, evicted, running, waiting
from tfjob.errors import JobFailed, JobRestartedTooOften
from tfjob.launch import run_job
from tfjob.spec import ReplicaSpec

OUT_OF_MEMORY = "OOMKilled: it needed more than its memory limit 1Gi; give it more"
KILLED_BEFORE: dict[str, Any] = {"restarts": 1, "last_state": {"terminated": end_json(137, reason="OOMKilled")}}


def test_a_replica_that_is_out_of_memory_ends_the_job_with_its_limit(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-1", "allocating")
    run.say(ended("worker-1", 137, reason="OOMKilled"))
    run.log("worker-1", "last words", 4)
    with pytest.raises(JobFailed) as caught:
        run()
    assert str(caught.value) == (
        f"Job mnist failed: worker-1: {OUT_OF_MEMORY}.\nLast lines of worker-1:\n  allocating\n  last words"
    )
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", 137)
    assert run.cluster.jobs == {}


def test_a_replica_that_is_restarted_in_place_for_its_memory_ends_the_job_too(run: ClusterRun) -> None:
    run.pass_seconds("allocating anew", 5)
    run.say(running("worker-0"), running("worker-1"))
    run.say(waiting("worker-1", "CrashLoopBackOff", phase="Running", **KILLED_BEFORE))
    run.log("worker-1", "allocating anew")
    with pytest.raises(JobFailed, match=f"worker-1: {OUT_OF_MEMORY}"):
        run()


@pytest.mark.parametrize("policy", ["OnFailure", "Always"])
def test_a_replica_that_runs_again_after_it_was_out_of_memory_ends_the_job_as_a_restart(
    run: ClusterRun, policy: str
) -> None:
    run.change(restart_policy=policy)
    # The log of the container that runs again has no end; its peer's tells that the patience for it is over.
    run.pass_seconds("waiting for my peer", 5)
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-1", "allocating")
    run.say(running("worker-1", second=20, **KILLED_BEFORE))
    run.log("worker-0", "waiting for my peer", 25)
    with pytest.raises(JobFailed) as caught:
        run()
    assert str(caught.value) == (f"Job mnist failed: worker-1: {OUT_OF_MEMORY}.\nLast lines of worker-1:\n  allocating")
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", 137)
    assert run.statuses() == ["Created", "Running", "Restarting", "Failed"]
    assert f"worker-1 ended ({OUT_OF_MEMORY}); restart 1" in run.messages()
    assert run.cluster.jobs == {}


def test_a_restart_for_memory_that_is_one_too_many_is_told_with_its_limit(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.say(running("worker-1", second=20, **KILLED_BEFORE))
    last = re.escape(f"given up after 0 restarts. The last: worker-1 ended ({OUT_OF_MEMORY}); restart 1")
    with pytest.raises(JobRestartedTooOften, match=last):
        run_job(run.manifest, log_dir=run.log_dir, backend=run.backend(), report=lambda _: None, max_restarts=0)
    assert run.cluster.jobs == {}


def test_a_replica_without_a_limit_was_killed_for_the_memory_of_its_node(single: ClusterRun) -> None:
    single.change(replicas={"Worker": ReplicaSpec()})
    single.say(running("worker-0"), ended("worker-0", 137, reason="OOMKilled"))
    with pytest.raises(JobFailed, match="OOMKilled: it needed more than the memory of its node; give it more"):
        single()


def test_the_replica_that_failed_first_is_told_with_its_last_lines(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-1", "Traceback")
    run.log("worker-1", "ValueError: wrong", 4)
    run.say(ended("worker-1", 2, at=10), ended("worker-0", 1, at=11))
    run.cluster.say_job("Failed", message="TFJob mnist has failed")
    with pytest.raises(JobFailed) as caught:
        run()
    assert str(caught.value) == (
        "Job mnist failed: worker-1: exit code 2, restart policy OnFailure.\n"
        "Last lines of worker-1:\n  Traceback\n  ValueError: wrong"
    )
    assert run.statuses() == ["Created", "Running", "Failed"]


def test_a_replica_that_only_lost_its_peer_is_not_blamed(run: ClusterRun) -> None:
    run.change(restart_policy="ExitCode")
    run.say(running("worker-0"), running("worker-1"))
    run.say(ended("worker-0", 138, at=10), ended("worker-1", 3, at=10))
    run.cluster.say_job("Failed")
    with pytest.raises(JobFailed, match="worker-1: exit code 3, restart policy ExitCode"):
        run()


def test_a_failure_of_which_no_pod_is_left_is_told_in_the_operators_words(run: ClusterRun) -> None:
    run.pass_seconds("last", 1)
    run.say(running("worker-0"))
    run.log("worker-0", "first")
    run.cluster.say_job("Failed", message="TFJob mnist has failed because it has reached the backoff limit ")
    for second in range(4, 9):
        run.log("worker-0", "last", second)
    with pytest.raises(JobFailed, match=r"the job: TFJob mnist has failed because it has reached the backoff limit\."):
        run()


def test_what_is_heard_of_a_job_before_its_pods_is_no_less_told(single: ClusterRun) -> None:
    single.cluster.say_job("Failed")
    single.say(ended("worker-0", 2))
    single.log("worker-0", "Traceback")
    with pytest.raises(JobFailed, match=r"worker-0: exit code 2(.|\n)*Traceback"):
        single()


def test_a_replica_that_was_evicted_for_good_says_why(single: ClusterRun) -> None:
    single.say(evicted("worker-0"))
    single.cluster.say_job("Failed")
    with pytest.raises(JobFailed, match=r"worker-0: Evicted The node was low on resource: memory\., restart policy"):
        single()
