import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import JOB, ended, job_event, pod_event, pod_json, running, unschedulable, waiting
from tfjob.errors import JobNotStarted
from tfjob.job import FOREIGN_ANNOTATION
from tfjob.settings import Overlay


def test_an_image_that_is_missing_ends_the_job_after_a_minute_of_doubt(single: ClusterRun) -> None:
    pull_errors = [
        waiting("worker-0", reason, f"x:1: not found ({reason})") for reason in ("ErrImagePull", "ImagePullBackOff")
    ]
    single.say(pull_errors[0])
    single.pass_seconds("Pulling", 31)
    for attempt in range(2):
        single.cluster.say("events", pod_event("worker-0", "Pulling", f"attempt {attempt}"))
        single.say(pull_errors[1])
    with pytest.raises(JobNotStarted, match=r"within 62 s. worker-0: ImagePullBackOff: x:1: not found"):
        single()
    assert single.statuses() == ["Created", "Pulling", "Pulling", "Failed"]
    assert single.cluster.jobs == {}


def test_an_image_that_comes_within_a_minute_is_no_failure(single: ClusterRun) -> None:
    single.pass_seconds("Pulling", 59)
    single.pass_seconds("hello", 120)
    single.say(waiting("worker-0", "ErrImagePull", "connection reset"))
    single.cluster.say("events", pod_event("worker-0", "Pulling", "again"))
    single.say(running("worker-0"))
    single.log("worker-0", "hello")
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().total_seconds == 179.0


def test_an_image_whose_name_is_invalid_ends_the_job_at_once(single: ClusterRun) -> None:
    single.say(waiting("worker-0", "InvalidImageName", "couldn't parse image name"))
    with pytest.raises(JobNotStarted, match=r"within 0 s. worker-0: InvalidImageName: couldn't parse image name"):
        single()


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ('violates PodSecurity "restricted"', "run in a namespace that admits the pods"),
        ("maximum cpu usage per Container is 2, but limit is 4", "--namespace default describe limitranges"),
        ("memory max limit to request ratio per Pod is 2, but provided ratio is 3", "describe limitranges"),
        ("failed quota: team: must specify limits.memory for: tensorflow", "memory_per_replica"),
        ("no PriorityClass with name batch was found", "kubectl get priorityclasses"),
    ],
)
def test_pods_that_are_refused_for_what_they_are_end_the_job_at_once(
    refusal: str, advice: str, single: ClusterRun
) -> None:
    single.cluster.say("events", job_event("FailedCreatePod", f'pods "x" is forbidden: {refusal}'))
    with pytest.raises(JobNotStarted) as caught:
        single()
    assert f'within 0 s. pods "x" is forbidden: {refusal} | worker-0 has no pod yet. What may' in str(caught.value)
    assert advice in str(caught.value)


def test_a_quota_that_is_used_up_is_waited_for(single: ClusterRun) -> None:
    single.cluster.say("events", job_event("FailedCreatePod", "exceeded quota: team"))
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().job_name == JOB


def test_a_pod_that_finds_no_node_is_waited_for_as_long_as_was_said(run: ClusterRun) -> None:
    run.pass_seconds("Queued", 120)
    run.say(unschedulable("worker-1"))
    with pytest.raises(JobNotStarted) as caught:
        run(pending_seconds=120.0)
    assert str(caught.value) == (
        "Job mnist did not start within 120 s. worker-0 has no pod yet | "
        "worker-1: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu. "
        "What may help: fewer workers, less cpus_per_replica or memory_per_replica, or more nodes"
    )


def test_what_a_replica_waited_for_is_told_of_a_job_that_ended_without_it(run: ClusterRun) -> None:
    run.change(overlays=[Overlay(job={"metadata": {"annotations": {FOREIGN_ANNOTATION: "true"}}})])
    run.say(running("worker-0"), unschedulable("worker-1"), ended("worker-0"), pod_json("worker-1", "Failed"))
    run.cluster.say_job("Succeeded")
    never_ran = r"It ended without a replica that never ran \| worker-1: Unschedulable: 0/1 nodes are available"
    with pytest.raises(JobNotStarted, match=never_ran):
        run()


def test_what_events_say_of_a_pod_that_is_being_created_is_told(single: ClusterRun) -> None:
    single.pass_seconds("Pulling", 600)
    single.say(waiting("worker-0", "ContainerCreating"))
    single.cluster.say("events", pod_event("worker-0", "FailedMount", 'secret "x" not found', "Warning"))
    single.cluster.say("events", pod_event("worker-0", "Pulling", "x"))
    with pytest.raises(JobNotStarted, match='worker-0: ContainerCreating: secret "x" not found'):
        single()


def test_the_time_to_wait_for_a_node_begins_with_the_admission(single: ClusterRun) -> None:
    single.pass_seconds("Queued", 700)
    single.cluster.say_job(suspend=True)
    single.cluster.say_job(suspend=False)
    single.say(pod_json("worker-0"), running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().total_seconds == 700.0
