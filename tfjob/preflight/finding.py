"""What preflight is asked, and what it answers."""

from dataclasses import dataclass
from enum import StrEnum


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
        detail: What was seen.
        fix: A command that mends it or shows more; None where there is none.
        what: The check's name; empty where the list of checks gives it.
    """

    status: Status
    detail: str
    fix: str | None = None
    what: str = ""


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
        is_trying: Whether a TFJob may be run for a moment.
    """

    namespace: str = "kubeflow"
    service_account: str | None = None
    image: str | None = None
    storage_class: str | None = None
    access_mode: str = "ReadWriteMany"
    queue: str | None = None
    gpus: int = 0
    is_trying: bool = False
