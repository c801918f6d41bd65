import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import ended, pod_event, running, unschedulable, waiting
from tfjob.backend import Warned
from tfjob.cluster.advice import advise
from tfjob.errors import JobNotStarted
from tfjob.spec import ReplicaSpec

FEWER = "fewer workers, less cpus_per_replica or memory_per_replica, or more nodes"


def hear_after(run: ClusterRun, seconds: float) -> None:
    """Lets the launcher hear of something that is no matter, and time pass then."""
    run.pass_seconds("Pulling", seconds)
    run.cluster.say("events", pod_event("worker-0", "Pulling", f"after {len(run.cluster.calls)}"))


def warnings(run: ClusterRun) -> list[str]:
    return [event.message for event in run.events if isinstance(event, Warned)]


def test_what_a_replica_waits_for_is_told_after_a_minute_with_what_may_help(run: ClusterRun) -> None:
    run.say(unschedulable("worker-0"), running("worker-1"))
    hear_after(run, 61)
    run.say(running("worker-0"))
    run.succeed()
    run()
    (warning,) = warnings(run)
    assert warning == (
        "1 of 2 replicas of job mnist has not started after 61 s: worker-0: Unschedulable: 0/1 nodes are available: "
        f"1 Insufficient cpu. What may help: {FEWER}. The job is given up after 600 s"
    )


def test_what_is_waited_for_is_repeated_rarely(single: ClusterRun) -> None:
    single.say(unschedulable("worker-0"))
    single.pass_seconds("Pulling", 30)
    for number in range(20):
        single.cluster.say("events", pod_event("worker-0", "Pulling", f"attempt {number}"))
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single(pending_seconds=3600.0)
    assert [message.partition(" s:")[0].rpartition(" ")[2] for message in warnings(single)] == ["60", "360"]


def test_a_job_that_starts_within_a_minute_is_told_nothing(run: ClusterRun) -> None:
    run.say(unschedulable("worker-0"), running("worker-1"))
    hear_after(run, 59)
    run.say(running("worker-0"))
    run.succeed()
    run()
    assert warnings(run) == []


def test_a_queue_that_does_not_admit_a_job_is_told_after_a_minute(single: ClusterRun) -> None:
    single.pass_seconds("Queued", 61)
    single.cluster.say_job(suspend=True)
    single.cluster.say_job(suspend=False)
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    (warning,) = warnings(single)
    assert warning == (
        "job mnist still waits for its queue to admit it; what it waits for: "
        "kubectl --namespace default describe workloads"
    )


def test_an_image_that_cannot_be_pulled_ends_the_job_with_what_may_help(single: ClusterRun) -> None:
    single.say(waiting("worker-0", "ErrImagePull", "no such host"))
    hear_after(single, 61)
    with pytest.raises(JobNotStarted, match=r"worker-0: ErrImagePull: no such host\. What may help: see that the imag"):
        single()


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ("worker-0 has no pod yet", "see whether the training operator runs: kubectl get deployments --all-namespaces"),
        ("worker-0 has no pod yet | worker-1: Unschedulable: 1 Insufficient cpu.", FEWER),
        ("worker-0: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "fewer gpus_per_replica"),
        ("worker-0: Unschedulable: pod has unbound immediate PersistentVolumeClaims.", "--workspace-storage-class"),
        ('worker-0: Pending: storageclass.storage.k8s.io "nfs" not found', "--workspace-storage-class"),
        ("worker-0: Unschedulable: 1 node(s) had untolerated taint {spot: }.", "job_settings: tolerations"),
        ("worker-0: Unschedulable: 1 node(s) didn't match Pod's node affinity/selector.", "--show-labels"),
        ("exceeded quota: team | worker-0 has no pod yet", "kubectl --namespace ns describe resourcequotas"),
        (
            'worker-0: ContainerCreating: secret "x" not found',
            "describe pods --selector training.kubeflow",
        ),
    ],
)
def test_what_may_help_goes_by_the_clusters_own_words(reasons: str, words: str) -> None:
    assert words in advise(reasons, "ns", "j")


def test_of_many_replicas_that_do_not_start_the_one_that_cannot_comes_first(run: ClusterRun) -> None:
    run.change(replicas={"Worker": ReplicaSpec(count=64)})
    run.say(*(unschedulable(f"worker-{index}") for index in range(50)))
    run.say(waiting("worker-50", "InvalidImageName", "couldn't parse image name"))
    with pytest.raises(JobNotStarted) as caught:
        run()
    assert str(caught.value).startswith(
        "Job mnist did not start within 0 s. worker-50: InvalidImageName: couldn't parse image name | worker-0: "
    )
    assert " | … 61 more. What may help: see that the image's name is right" in str(caught.value)


def test_of_many_replicas_that_wait_a_few_are_named(run: ClusterRun) -> None:
    run.change(replicas={"Worker": ReplicaSpec(count=8)})
    run.say(running("worker-7"))
    hear_after(run, 61)
    run.say(*(running(f"worker-{index}") for index in range(7)))
    run.say(*(ended(f"worker-{index}") for index in range(8)))
    run.cluster.say_job("Succeeded")
    run()
    assert "worker-2 has no pod yet | … 4 more. What may help: see whether the training operator" in warnings(run)[0]
