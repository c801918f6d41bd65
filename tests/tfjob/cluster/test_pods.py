import pytest

from tests.tfjob.fake_cluster import end_json, ended, evicted, job_json, pod_json, running, unschedulable, waiting
from tfjob.cluster.api import Json
from tfjob.cluster.pods import (
    DOUBTFUL_REASONS,
    HOPELESS_REASONS,
    parse_digest,
    read_conditions,
    read_pod,
)

NOON = 1795435200.0  # 2026-11-23T12:00:00Z
# As a kubelet of 1.34 gave it, shortened to what a replica's pod has of its own.
REAL = {
    "metadata": {
        "name": "mnist-worker-1",
        "uid": "5d0b0f5e-2a53-4a9c-9d3a-0a52ad3a1e51",
        "creationTimestamp": "2026-11-23T12:00:00Z",
        "labels": {
            "training.kubeflow.org/job-name": "mnist",
            "training.kubeflow.org/operator-name": "tfjob-controller",
            "training.kubeflow.org/replica-index": "1",
            "training.kubeflow.org/replica-type": "worker",
        },
        "ownerReferences": [
            {
                "apiVersion": "kubeflow.org/v1",
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": "TFJob",
                "name": "mnist",
                "uid": "a2b5",
            }
        ],
    },
    "spec": {"nodeName": "node-1"},
    "status": {
        "phase": "Failed",
        "conditions": [
            {"type": "PodReadyToStartContainers", "status": "False", "lastTransitionTime": "2026-11-23T12:00:12Z"},
            {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-23T12:00:01Z"},
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-23T12:00:01Z"},
        ],
        "containerStatuses": [
            {"name": "istio-proxy", "restartCount": 4, "state": {"running": {"startedAt": "2026-11-23T12:00:02Z"}}},
            {
                "name": "tensorflow",
                "image": "registry.example/tfjob-speedup:1",
                "imageID": "registry.example/tfjob-speedup@sha256:9f0c",
                "restartCount": 0,
                "lastState": {},
                "state": {
                    "terminated": {
                        "containerID": "containerd://5f3c",
                        "exitCode": 3,
                        "finishedAt": "2026-11-23T12:00:11Z",
                        "reason": "Error",
                        "startedAt": "2026-11-23T12:00:03Z",
                    }
                },
            },
        ],
        "startTime": "2026-11-23T12:00:01Z",
    },
}


def test_a_pod_is_read_whole() -> None:
    pod = read_pod(REAL)
    assert (pod.name, pod.uid, pod.job_uid) == ("mnist-worker-1", "5d0b0f5e-2a53-4a9c-9d3a-0a52ad3a1e51", "a2b5")
    assert (pod.replica, pod.phase) == ("worker-1", "Failed")
    assert (pod.created_at, pod.scheduled_at, pod.started_at, pod.ended_at) == (NOON, NOON + 1, NOON + 3, NOON + 11)
    assert (pod.node, pod.image_digest) == ("node-1", "sha256:9f0c")
    assert (pod.exit_code, pod.reason, pod.restarts) == (3, "Error", 0)
    assert (pod.exit_code_before, pod.reason_before) == (None, "")
    assert pod.has_started
    assert pod.has_ended
    assert not pod.is_out_of_memory


def test_a_pod_of_no_scheduler_yet_is_just_pending() -> None:
    pod = read_pod(pod_json("worker-0", is_scheduled=False))
    assert (pod.phase, pod.waiting_reason, pod.scheduled_at) == ("Pending", "", None)
    assert not pod.has_started
    assert not pod.has_ended


def test_a_pod_without_any_status_is_pending() -> None:
    pod = read_pod({name: part for name, part in pod_json("worker-0").items() if name != "status"})
    assert (pod.phase, pod.started_at, pod.exit_code) == ("Pending", None, None)


def test_a_pod_that_finds_no_node_says_why() -> None:
    pod = read_pod(unschedulable("worker-0"))
    assert (pod.waiting_reason, pod.waiting_message) == (
        "Unschedulable",
        "0/1 nodes are available: 1 Insufficient cpu.",
    )
    assert pod.scheduled_at is None


def test_a_pod_whose_container_is_being_created_was_scheduled_but_has_not_started() -> None:
    pod = read_pod(waiting("worker-0", "ContainerCreating"))
    assert (pod.waiting_reason, pod.waiting_message, pod.scheduled_at) == ("ContainerCreating", "", NOON)
    assert not pod.has_started


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ErrImagePull", "doubtful"),
        ("ImagePullBackOff", "doubtful"),
        ("CreateContainerConfigError", "doubtful"),
        ("InvalidImageName", "hopeless"),
        ("ErrImageNeverPull", "hopeless"),
        ("ContainerCreating", "usual"),
        ("CrashLoopBackOff", "usual"),
    ],
)
def test_reasons_to_wait_are_told_apart(reason: str, kind: str) -> None:
    reason = read_pod(waiting("worker-0", reason, "words")).waiting_reason
    assert (reason in DOUBTFUL_REASONS, reason in HOPELESS_REASONS) == (kind == "doubtful", kind == "hopeless")


def test_a_running_pod_has_no_end() -> None:
    pod = read_pod(running("worker-0"))
    assert (pod.started_at, pod.ended_at, pod.exit_code, pod.reason) == (NOON + 2, None, None, "")
    assert not pod.has_ended


def test_a_completed_pod_has_the_exit_code_0() -> None:
    pod = read_pod(ended("worker-0"))
    assert (pod.phase, pod.exit_code, pod.reason, pod.ended_at) == ("Succeeded", 0, "Completed", NOON + 10)
    assert pod.has_ended


def test_a_pod_that_was_out_of_memory_says_so() -> None:
    pod = read_pod(ended("worker-0", 137, reason="OOMKilled"))
    assert (pod.exit_code, pod.is_out_of_memory) == (137, True)


def test_an_evicted_pod_without_a_container_status_has_ended_without_an_exit_code() -> None:
    pod = read_pod(evicted("worker-0"))
    assert (pod.exit_code, pod.reason, pod.message) == (None, "Evicted", "The node was low on resource: memory.")
    assert pod.has_ended
    assert not pod.has_started


def test_a_container_that_was_restarted_in_place_runs_and_tells_how_it_ended_before() -> None:
    pod = read_pod(running("worker-0", restarts=1, last_state={"terminated": end_json(1)}))
    assert (pod.restarts, pod.exit_code, pod.ended_at) == (1, None, None)
    assert (pod.exit_code_before, pod.reason_before) == (1, "Error")
    assert pod.has_started


def test_a_container_that_waits_for_its_restart_counts_as_started() -> None:
    last_state: Json = {"terminated": end_json(1)}
    pod = read_pod(waiting("worker-0", "CrashLoopBackOff", phase="Running", restarts=1, last_state=last_state))
    assert (pod.waiting_reason, pod.started_at, pod.exit_code) == ("CrashLoopBackOff", NOON + 2, 1)
    assert not pod.has_ended


def test_a_container_that_was_out_of_memory_stays_so_after_its_restart_in_place() -> None:
    last_state = {"terminated": end_json(137, reason="OOMKilled")}
    assert read_pod(running("worker-0", restarts=1, last_state=last_state)).is_out_of_memory


def test_conditions_are_known_by_their_types() -> None:
    assert read_conditions(job_json("Created", "Running"))["Running"]["status"] == "True"


@pytest.mark.parametrize("job", [{}, {"status": {}}, {"status": {"conditions": None}}])
def test_a_job_that_the_operator_has_not_touched_has_no_conditions(job: Json) -> None:
    assert read_conditions(job) == {}


@pytest.mark.parametrize(
    ("image_id", "digest"),
    [
        ("docker.io/library/busybox@sha256:9ae9", "sha256:9ae9"),
        ("registry.example:5000/team/tfjob-speedup@sha256:9ae9", "sha256:9ae9"),
        ("docker-pullable://busybox@sha256:9ae9", "sha256:9ae9"),
        ("docker://sha256:9ae9", "sha256:9ae9"),
        ("sha256:9ae9", "sha256:9ae9"),
        ("", ""),
    ],
)
def test_the_digest_of_a_containers_image_is_read_in_each_runtimes_form(image_id: str, digest: str) -> None:
    assert parse_digest(image_id) == digest
