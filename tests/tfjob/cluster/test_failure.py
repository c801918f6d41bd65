import re
from typing import Any

import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import end_json, ended, evicted, running, taken, waiting
from tfjob.cluster.pods import read_pod
from tfjob.errors import JobFailed, JobRestartedTooOften, ReplicaLost
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
    last = re.escape(f"was given up: worker-1 ended ({OUT_OF_MEMORY}), and it was not to be restarted\nworker-1 logged")
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
    words = r"worker-0: its pod .* ran short of memory.* \(Evicted: The node was low on resource: memory\)\."
    with pytest.raises(ReplicaLost, match=words):
        single()


@pytest.mark.parametrize("policy", ["ExitCode", "Never"])
@pytest.mark.parametrize(
    ("reason", "message", "cause"),
    [
        (
            "PreemptionByScheduler",
            "preempting to accommodate a higher priority pod",
            "a pod of a higher priority took its place (PreemptionByScheduler: preempting to accommodate a higher pri",
        ),
        ("EvictionByEvictionAPI", "", "it was evicted, as a drain of its node or an autoscaler does"),
        ("DeletionByTaintManager", "", "its node was tainted: it did not answer any more, or was taken back (spot)"),
        ("", "", "somebody or something in the cluster deleted it: a person, a drain, an autoscaler"),
    ],
)
def test_a_replica_whose_pod_was_taken_is_named_and_not_the_survivor(
    policy: str, reason: str, message: str, cause: str, run: ClusterRun
) -> None:
    run.change(restart_policy=policy)
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-1", "step 7")
    run.say(taken(running("worker-1"), at=9, reason=reason, message=message))
    run.say(taken(ended("worker-1", 137, at=14), at=9, reason=reason, message=message))
    run.say(ended("worker-0", 138, at=10))
    run.cluster.say_job("Failed", message="TFJob mnist has failed because 1 Worker replica(s) failed.")
    with pytest.raises(ReplicaLost) as caught:
        run()
    assert f"mnist failed: worker-1: its pod mnist-worker-1 on node node-1 was taken: {cause}" in str(caught.value)
    assert str(caught.value).endswith("Last lines of worker-1:\n  step 7")
    assert caught.value.replica == "worker-1"
    assert run.cluster.jobs == {}


def test_a_pod_that_was_deleted_by_force_is_named_too(run: ClusterRun) -> None:
    run.change(restart_policy="ExitCode")
    run.say(running("worker-0"), running("worker-1"))
    run.cluster.say("pods", running("worker-1"), "DELETED")
    run.say(ended("worker-0", 138, at=10))
    run.cluster.say_job("Failed")
    with pytest.raises(ReplicaLost, match="worker-1: its pod mnist-worker-1 on node node-1 was taken: somebody or"):
        run()


@pytest.mark.parametrize("seconds_ahead", [0, 45])
def test_a_replica_that_failed_before_the_operator_deleted_the_others_is_to_blame_whatever_its_nodes_clock_says(
    run: ClusterRun, seconds_ahead: int
) -> None:
    run.change(restart_policy="ExitCode")
    run.say(running("worker-0"), running("worker-1"))
    run.say(ended("worker-1", 3, at=10 + seconds_ahead), taken(running("worker-0"), at=10))
    run.cluster.say("pods", taken(running("worker-0"), at=10), "DELETED")
    run.cluster.say_job("Failed")
    with pytest.raises(JobFailed, match="worker-1: exit code 3, restart policy ExitCode") as caught:
        run()
    assert not isinstance(caught.value, ReplicaLost)


def test_a_pod_that_was_deleted_before_another_failed_is_to_blame(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.say(taken(running("worker-0"), at=10), ended("worker-1", 3, at=12), taken(ended("worker-0", 143, at=14), at=10))
    run.cluster.say_job("Failed")
    with pytest.raises(ReplicaLost, match="worker-0: its pod mnist-worker-0 on node node-1 was taken"):
        run()


def test_pods_that_the_operator_deleted_for_a_limit_of_its_own_were_not_taken(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.say(*(taken(ended(name, 143, at=10), at=10) for name in ("worker-0", "worker-1")))
    run.cluster.say_job("Failed", message="TFJob mnist has failed because it has reached the specified backoff limit")
    with pytest.raises(JobFailed, match="the job: TFJob mnist has failed because it has reached the specified backoff"):
        run()


def test_pods_that_a_queue_took_back_and_gave_again_are_no_failure(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.say(taken(running("worker-1"), at=10))
    run.cluster.say("pods", taken(running("worker-1"), at=10), "DELETED")
    run.say(running("worker-1", uid="second", second=20))
    run.say(ended("worker-0"), ended("worker-1", uid="second", second=20, at=30))
    run.cluster.say_job("Succeeded")
    assert [replica.restarts for replica in run().replicas] == [0, 1]


@pytest.mark.parametrize(
    ("pod", "is_taken"),
    [
        (taken(running("worker-0"), at=9), True),
        (taken(ended("worker-0", 143, at=9), at=9), True),
        (taken(ended("worker-0", 137, at=14), at=9), True),
        (taken(ended("worker-0", 138, at=9), at=9), False),  # it asked to be restarted, and the operator does so
        (taken(ended("worker-0", at=14), at=9), False),
        (ended("worker-0", 143), False),
    ],
)
def test_a_pod_was_taken_where_its_deletion_came_before_its_end(pod: dict[str, Any], is_taken: bool) -> None:
    assert read_pod(pod).is_taken is is_taken
