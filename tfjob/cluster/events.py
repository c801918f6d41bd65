"""What the cluster's events tell of a job. Pure functions on the API's JSON."""

import re
from dataclasses import dataclass

from tfjob.cluster.api import Json

_PULLED_IN = re.compile(r"Successfully pulled image .* in (?P<duration>[0-9][^ ]*)")
_DURATION_PART = re.compile(r"(?P<number>[0-9.]+)(?P<unit>ms|us|µs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class PullBegan:
    """A replica's image is being pulled; the kubelet says which."""

    replica: str
    message: str


@dataclass(frozen=True)
class PullEnded:
    """A replica's image is there; its pull took so many seconds, or None where it was there before."""

    replica: str
    seconds: float | None


@dataclass(frozen=True)
class Trouble:
    """What holds a replica up, a volume or a secret that is missing say, or, without a replica, the making of pods."""

    replica: str
    message: str


def read_event(event: Json, job_name: str) -> PullBegan | PullEnded | Trouble | None:
    """Returns what an event tells of a job; None where that is nothing, or where it is about something else."""
    about, reason, message = event["involvedObject"], event.get("reason", ""), event.get("message", "")
    is_warning = event.get("type") == "Warning"
    kind, name = about.get("kind"), about.get("name", "")
    if kind == "TFJob" and name == job_name:
        # The operator reports a replica's end as a warning, too; pods tell more of that.
        return Trouble("", message) if is_warning and reason.startswith("FailedCreate") else None
    prefix, replica = name[: len(job_name) + 1], name[len(job_name) + 1 :]
    if kind != "Pod" or prefix != f"{job_name}-" or not replica:
        return None
    if reason == "Pulling":
        return PullBegan(replica, message)
    if reason == "Pulled":
        return PullEnded(replica, parse_pull_seconds(message))
    # Of a node that cannot be found the pod itself tells.
    return Trouble(replica, message) if is_warning and reason != "FailedScheduling" else None


def parse_pull_seconds(message: str) -> float | None:
    """Returns the seconds that the kubelet says an image's pull took; None for other messages.

    Source: `Successfully pulled image "x" in 1m2.5s (1m3s including waiting). Image size: …`, kubernetes
    pkg/kubelet/images/image_manager.go.
    """
    found = _PULLED_IN.match(message)
    if found is None:
        return None
    parts = _DURATION_PART.finditer(found["duration"])
    return sum(float(part["number"]) * _SECONDS[part["unit"]] for part in parts)
