"""What preflight is asked, and what it answers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    FAILED = "FAILED"
    WARNING = "warning"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        status: How it came out.
        what: What was looked at.
        detail: What was seen.
        fix: A command that mends it, or None.
    """

    status: Status
    what: str
    detail: str
    fix: str | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to look at.

    Args:
        namespace: Where runs are.
        service_account: Whose rights count; None: those of who asks.
        image: The image of steps and replicas, or None.
        storage_class: That of the workspace; None: the cluster's default.
        access_mode: That of the workspace.
        queue: Kueue's LocalQueue, or None.
        gpus: NVIDIA GPUs of each replica.
        kfp_endpoint: Where Kubeflow Pipelines answers, or None.
        is_trying: Whether a pod and a claim may be made for a moment.
        timeout_seconds: How long each of them may take.
    """

    namespace: str = "kubeflow"
    service_account: str | None = None
    image: str | None = None
    storage_class: str | None = None
    access_mode: str = "ReadWriteMany"
    queue: str | None = None
    gpus: int = 0
    kfp_endpoint: str | None = None
    is_trying: bool = False
    timeout_seconds: float = 180.0


class Outcome(NamedTuple):
    """What a check found, without its name."""

    status: Status
    detail: str
    fix: str | None = None
