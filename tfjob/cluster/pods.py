"""What a replica's pod tells about itself. Pure functions on the API's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubeflow.training.constants.constants import REPLICA_INDEX_LABEL, REPLICA_TYPE_LABEL

from tfjob.spec import CONTAINER_NAME

# A pod in one of these can only start after somebody changed the job or the cluster.
HOPELESS_REASONS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
# These pass in a cluster that is still warming up, or not at all.
DOUBTFUL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
    }
)
OUT_OF_MEMORY = "OOMKilled"
# Why a kubelet ends pods for its node's sake.
_TAKEN = frozenset({"Evicted", "NodeShutdown", "Terminated", "NodeLost", "Preempting"})
_KILLED = (None, 137, 143)


@dataclass(frozen=True)
class Pod:
    """A replica's pod at one moment. Times are Unix times in whole seconds, which is all that Kubernetes keeps.

    Args:
        name: The pod's name.
        uid: Tells it from a later one of the same name.
        job_uid: The job that it belongs to.
        replica: `worker-0`.
        phase: Pending, Running, Succeeded, Failed or Unknown.
        created_at: When the operator made it.
        scheduled_at: When it was placed; None before.
        waiting_reason: Why it does not run yet: `ContainerCreating`, `ErrImagePull`, `Unschedulable` …; or empty.
        waiting_message: What kubelet or scheduler say about that.
        started_at: When its container started; None before.
        ended_at: When its container ended; None before.
        exit_code: The container's exit code; None before, and when it never ran.
        reason: Why it ended: `OOMKilled`, `Error`, `Evicted`, `Completed`; or empty.
        message: Further words about its end.
        restarts: How often the kubelet restarted the container in place.
        exit_code_before: The exit code of the container's run before this one; None without one.
        reason_before: Why that run ended; or empty.
        held_by: The other containers that still run though its own has ended.
        node: The node that it was placed on; or empty.
        image_digest: The digest of the image that its container runs; or empty before it has one.
        deleted_at: When somebody asked for its deletion; None while nobody has.
        disruption: Why the cluster takes it away, as Kubernetes names it: `EvictionByEvictionAPI` …; or empty.
    """

    name: str
    uid: str
    job_uid: str
    replica: str
    phase: str
    created_at: float
    scheduled_at: float | None
    waiting_reason: str
    waiting_message: str
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    reason: str
    message: str
    restarts: int
    exit_code_before: int | None
    reason_before: str
    held_by: tuple[str, ...]
    node: str
    image_digest: str
    deleted_at: float | None
    disruption: str

    @property
    def has_started(self) -> bool:
        """Whether its container runs or has run."""
        return self.started_at is not None

    @property
    def has_ended(self) -> bool:
        """Whether its container will not run again."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_running(self) -> bool:
        """Whether its container runs, and nobody has asked for its end."""
        return self.has_started and not self.has_ended and self.ended_at is None and self.deleted_at is None

    @property
    def has_succeeded(self) -> bool:
        """Whether its container has, even where others keep the pod running."""
        return self.phase == "Succeeded" or (bool(self.held_by) and self.exit_code == 0)

    @property
    def has_failed(self) -> bool:
        """Whether its container has, even where others keep the pod running."""
        return self.phase == "Failed" or (bool(self.held_by) and self.exit_code not in (None, 0))

    @property
    def is_taken(self) -> bool:
        """Whether it was taken from outside before its container had ended by itself."""
        if self.phase != "Succeeded" and (self.disruption or self.reason in _TAKEN):
            return True
        if self.phase == "Succeeded" or self.deleted_at is None:
            return False
        # Who ends by SIGTERM does so in the very second. The operator deletes pods that have ended, too.
        is_at_once = self.ended_at == self.deleted_at and self.exit_code in _KILLED
        return self.ended_at is None or self.ended_at > self.deleted_at or is_at_once

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the kernel ended it for its memory limit."""
        return self.reason == OUT_OF_MEMORY


def read_pod(pod: Mapping[str, Any]) -> Pod:
    """Returns what the JSON of a replica's pod says."""
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata["labels"]
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    is_scheduled = scheduled.get("status") == "True"
    container = _find_container(status)
    state = container.get("state", {})
    waiting, running, terminated = (state.get(key, {}) for key in ("waiting", "running", "terminated"))
    before = container.get("lastState", {}).get("terminated", {})
    disruption = conditions.get("DisruptionTarget", {})
    held_by = _list_running(status) if terminated and status.get("phase") == "Running" else ()
    # Restarted in place, it waits again; its earlier run tells that it did start.
    terminated = terminated or before
    is_unschedulable = scheduled.get("status") == "False"
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        job_uid=next((owner["uid"] for owner in metadata.get("ownerReferences", ()) if owner.get("controller")), ""),
        replica=f"{labels[REPLICA_TYPE_LABEL]}-{labels[REPLICA_INDEX_LABEL]}",
        phase=status.get("phase", "Pending"),
        created_at=_unix_time(metadata["creationTimestamp"]) or 0.0,
        scheduled_at=_unix_time(scheduled.get("lastTransitionTime")) if is_scheduled else None,
        waiting_reason=scheduled.get("reason", "") if is_unschedulable else waiting.get("reason", ""),
        waiting_message=scheduled.get("message", "") if is_unschedulable else waiting.get("message", ""),
        started_at=_unix_time(running.get("startedAt") or terminated.get("startedAt")),
        ended_at=None if running else _unix_time(terminated.get("finishedAt")),
        exit_code=None if running else terminated.get("exitCode"),
        reason=terminated.get("reason") or status.get("reason", ""),
        message=terminated.get("message") or status.get("message") or disruption.get("message", ""),
        restarts=container.get("restartCount", 0),
        exit_code_before=before.get("exitCode"),
        reason_before=before.get("reason", ""),
        held_by=held_by,
        node=pod.get("spec", {}).get("nodeName", ""),
        image_digest=parse_digest(container.get("imageID", "")),
        deleted_at=_read_deletion(metadata),
        disruption=disruption.get("reason", "") if disruption.get("status") == "True" else "",
    )


def read_conditions(job: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Returns a TFJob's conditions by their types: their order means nothing."""
    return {condition["type"]: condition for condition in job.get("status", {}).get("conditions") or ()}


def has_condition(job: Mapping[str, Any], condition: str) -> bool:
    """Returns whether a condition of a TFJob is true."""
    return bool(read_conditions(job).get(condition, {}).get("status") == "True")


def parse_digest(image_id: str) -> str:
    """Returns the digest in a kubelet's `imageID`, whose form is the runtime's own.

    Source: `docker.io/library/x@sha256:…` of an image that was pulled, `docker-pullable://` before it under Docker, and
    `sha256:…`, perhaps after `docker://`, of one that was only ever on the node; kubernetes
    pkg/kubelet/kuberuntime/convert.go.
    """
    return image_id.rpartition("@")[2].rpartition("/")[2]


def _find_container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = status.get("containerStatuses", ())
    return next((container for container in containers if container["name"] == CONTAINER_NAME), {})


def _read_deletion(metadata: Mapping[str, Any]) -> float | None:
    """Returns when a pod's deletion was asked for: its timestamp is when its time to end in is over."""
    until = _unix_time(metadata.get("deletionTimestamp"))
    return None if until is None else until - (metadata.get("deletionGracePeriodSeconds") or 0)


def _list_running(status: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the containers that run, but for those that the kubelet ends itself once the others have ended."""
    containers = status.get("containerStatuses", ())
    return tuple(container["name"] for container in containers if container.get("state", {}).get("running"))


def _unix_time(timestamp: str | None) -> float | None:
    return None if timestamp is None else datetime.fromisoformat(timestamp).timestamp()
