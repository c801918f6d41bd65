"""The seam: what runs a TFJob, what it tells meanwhile, what it returns."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from tfjob.job import Manifest

Status = Literal["Created", "Queued", "Pulling", "Running", "Restarting", "Succeeded", "Failed"]


@dataclass(frozen=True)
class StatusChanged:
    """The job has reached a status; the message says why, or which replica it is about."""

    status: Status
    message: str


@dataclass(frozen=True)
class Warned:
    """Something that the job survives but a reader of its figures should know."""

    message: str


@dataclass(frozen=True)
class LogLine:
    """One line of a replica's log, or a piece of one that is very long.

    Args:
        replica: Whose.
        text: The line without its end; what a progress bar drew over is still in it.
        at: Unix time of the line: of a cluster the log's own, on the node's clock, else when it was read here.
    """

    replica: str
    text: str
    at: float | None = field(default=None, compare=False)


Event = StatusChanged | Warned | LogLine


@dataclass(frozen=True)
class Placement:
    """Where on one machine a job is to run, and how long it may wait there. A cluster places its pods by itself.

    Args:
        first_core: How many cores are passed over before the first that a worker gets, in turn: another for each round
            of a comparison, lest a neighbour on one core always hits the same configuration.
        patience_seconds: How long the job waits, before its clock starts, for others to leave the cores that it will
            use; None: it does not look.
        may_share_gpus: Whether replicas get the same GPU where there are fewer than they ask for.
    """

    first_core: int = 0
    patience_seconds: float | None = None
    may_share_gpus: bool = False


ANYWHERE = Placement()


@dataclass(frozen=True)
class QuietWait:
    """How a job waited for free cores before it began.

    Args:
        waited_seconds: How long; 0 where they were free.
        taken_by: Who took them meanwhile, in words, most first.
    """

    waited_seconds: float
    taken_by: list[str]


@dataclass(frozen=True)
class ReplicaResult:
    """How one replica ended.

    Args:
        name: `worker-0`.
        type: `worker`.
        index: Its index among replicas of the type.
        restarts: How many times it was restarted.
        exit_code: 128 + n after signal n; None when it still ran as the job ended, and was stopped.
        cpus: The cores it was bound to; empty when unbound or unknown.
        started_at: Unix time of its first start.
        ended_at: Unix time of its last end.
        node: The cluster's node that it ran on; None on this machine.
    """

    name: str
    type: str
    index: int
    restarts: int
    exit_code: int | None
    cpus: list[int]
    started_at: float
    ended_at: float
    node: str | None = None


@dataclass(frozen=True)
class JobResult:
    """How a job that succeeded went.

    Args:
        job_name: The job.
        backend: What ran it: `local` or `kubernetes`.
        queue_seconds: From submitting it until its last replica first ran.
        schedule_seconds: The part of it until the last replica had found its node.
        pull_seconds: The longest pull of an image, another part of it.
        total_seconds: From submitting it until it had succeeded.
        contended: Whether replicas asked for more cores than there are.
        warnings: What a reader of its figures should know.
        replicas: Each replica.
        started_at: Unix time at which it was submitted.
        ended_at: Unix time at which it had succeeded.
        boot_id: Which boot of the launching machine its monotonic clock counts from; None where that is not told.
        started_monotonic: When it was submitted, in seconds on that clock, which nobody sets.
        ended_monotonic: When it had succeeded, on the same clock.
        image_digest: The digest of the image that its pods ran, of several images all of them; None on this machine.
        quiet: How it waited for free cores before it was submitted; None where nobody looked.
        isolated: Whether its replicas had a network of their own on this machine; None where a cluster decides that.
        was_ended: Whether it was ended because enough had been measured; what ran then has no exit code.
        gpus_held: The GPUs that its replicas held together, one that they shared counted once.
    """

    job_name: str
    backend: str
    queue_seconds: float
    schedule_seconds: float
    pull_seconds: float
    total_seconds: float
    contended: bool
    warnings: list[str]
    replicas: list[ReplicaResult]
    started_at: float
    ended_at: float
    boot_id: str | None = None
    started_monotonic: float | None = None
    ended_monotonic: float | None = None
    image_digest: str | None = None
    quiet: QuietWait | None = None
    isolated: bool | None = None
    was_ended: bool = False
    gpus_held: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns this result's part of `launch.json`."""
        return asdict(self)


class Backend(Protocol):
    """Something that runs a TFJob."""

    def run(
        self,
        manifest: Manifest,
        *,
        log_dir: Path,
        on_event: Callable[[Event], None],
        placement: Placement = ANYWHERE,
        is_measured: Callable[[], bool] | None = None,
    ) -> JobResult:
        """Returns when the job has succeeded; leaves nothing running, however it ends.

        Args:
            manifest: The TFJob, as `build_manifest` makes it.
            log_dir: Where each replica's log is written, as `<replica>.log`.
            on_event: Called for each change of status, warning and log line as it comes, in the calling thread.
            placement: Which cores of this machine it gets.
            is_measured: Asked twice a second, in the calling thread, whether enough is measured; then the job is ended
                and has succeeded. None: it ends by itself.

        Raises:
            JobFailed: A replica failed and was not restarted.
            JobDeadlineExceeded: The job took longer than it may.
            JobCancelled: The job was stopped from outside.
        """
