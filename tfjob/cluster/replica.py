"""A replica on a cluster, as its pods come and go: whether it waits, for what, how long it may, and how it ended."""

import threading
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tfjob.backend import ReplicaResult
from tfjob.cluster.pods import DOUBTFUL_REASONS, HOPELESS_REASONS, Pod
from tfjob.job import Replica
from tfjob.job_run import QUOTED_LINES
from tfjob.policy import RETRYABLE_EXIT_CODE, outcome_of_exit

_DOUBT_PATIENCE_SECONDS = 60.0
# Of the containers of a pod some may end a little later than the others.
HOLD_PATIENCE_SECONDS = 30.0
# A kubelet looks at its containers once a second, and tells a moment later; its timestamps are whole seconds.
_REPORT_SECONDS = 3.0


@dataclass
class ReplicaRun:
    """A replica and how it is doing.

    Args:
        replica: The replica.
        log_path: File of its log.
        waiting_since: Since when it waits for a container that runs, on the backend's clock.
        pod: Its newest pod as it was last seen; None before the first.
        has_ended: Set when that pod has ended.
        is_gone: Whether that pod went before it had ended.
        is_aftermath: Whether that pod is only deleted because another replica has failed.
        doubt_since: Since when it waits for what may never come; None when it does not.
        held_since: Since when its pod runs on though its container has ended; None when it does not.
        trouble: What an event said last of what holds it up.
        waited_for: What its pod waited for last: reason and details, which nobody says of a pod that is ended.
        restarts: How often it was restarted.
        started_at: Unix time of its first start, by its node's clock; None before.
        waited_at: Unix time, by the launcher's clock, at which it was last seen not to have started; 0 where never.
        seen_at: Likewise, at which it was first seen to have started.
        scheduled_at: Unix time at which its first pod was placed; None before.
        pull_seconds: How long its image's pull took.
        last_lines: The end of its log.
    """

    replica: Replica
    log_path: Path
    waiting_since: float
    pod: Pod | None = None
    has_ended: threading.Event = field(default_factory=threading.Event)
    is_gone: bool = False
    is_aftermath: bool = False
    doubt_since: float | None = None
    held_since: float | None = None
    trouble: str = ""
    waited_for: tuple[str, str] = ("", "")
    restarts: int = 0
    started_at: float | None = None
    waited_at: float = 0.0
    seen_at: float | None = None
    scheduled_at: float | None = None
    pull_seconds: float = 0.0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=QUOTED_LINES))

    @property
    def has_started(self) -> bool:
        """Whether its container runs or has run."""
        return self.pod is not None and self.pod.has_started

    @property
    def is_waiting(self) -> bool:
        """Whether its container is still to start: one that was evicted before is the operator's to decide over."""
        return self.pod is None or not (self.pod.has_started or self.pod.has_ended)

    @property
    def is_hopeless(self) -> bool:
        """Whether it waits for what cannot come."""
        return self.pod is not None and self.pod.waiting_reason in HOPELESS_REASONS

    @property
    def is_restarted(self) -> bool:
        """Whether the operator answers this end with a new pod; it takes one without an exit code as killed."""
        code = self.pod.exit_code if self.pod else None
        is_killed = code is None or outcome_of_exit("ExitCode", code) == "restart"
        return self.replica.restart_policy == "ExitCode" and is_killed

    @property
    def is_survivor(self) -> bool:
        """Whether it only broke off, as one does that lost its peer: the code says so where restarts are meant."""
        asks = self.pod is not None and self.pod.exit_code == RETRYABLE_EXIT_CODE
        return self.is_restarted or (asks and self.replica.restart_policy != "Never")

    @property
    def is_lost(self) -> bool:
        """Whether its pod was taken from outside: by a drain, an eviction, a preemption, a deletion."""
        return self.pod is not None and not self.is_aftermath and (self.is_gone or self.pod.is_taken)

    @property
    def began_at(self) -> float | None:
        """Unix time of its first start as the launcher's clock has it: a node's may be a minute ahead, or behind."""
        if self.started_at is None or self.seen_at is None:
            return None
        return min(max(self.started_at, self.waited_at - _REPORT_SECONDS), self.seen_at)

    def take_pod(self, pod: Pod, unix_time: float) -> bool:
        """Takes down what its newest pod says, and returns whether that runs a container that did not run before.

        Args:
            pod: The pod.
            unix_time: When that is seen, by the launcher's clock.
        """
        before, self.pod = self.pod, pod
        self.scheduled_at = self.scheduled_at or pod.scheduled_at
        if not pod.has_ended:
            self.waited_for = (pod.waiting_reason, pod.waiting_message)
        if not pod.has_started:
            self.waited_at = unix_time if self.seen_at is None else self.waited_at
            return False
        self.seen_at = self.seen_at or unix_time
        self.started_at = self.started_at or pod.started_at
        return before is None or before.uid != pod.uid or not before.has_started

    def note_waiting(self, pod: Pod, now: float) -> None:
        """Takes down since when there is doubt whether a pod will ever start, or ever end."""
        self.doubt_since = (self.doubt_since or now) if pod.waiting_reason in DOUBTFUL_REASONS else None
        self.held_since = (self.held_since or now) if pod.held_by else None

    def is_held(self, now: float, patience_seconds: float) -> bool:
        """Returns whether its pod runs on after its container ended, and not just for a moment."""
        return self.held_since is not None and now >= self.held_since + patience_seconds

    def waits_until(self, pending_seconds: float) -> float:
        """Returns when waiting for its start ends: sooner where what it waits for may never come."""
        limits = [self.waiting_since + pending_seconds]
        if self.doubt_since is not None:
            limits.append(self.doubt_since + _DOUBT_PATIENCE_SECONDS)
        return min(limits)

    def describe_waiting(self) -> str:
        """Returns why it does not run yet, or never ran."""
        if self.pod is None:
            return f"{self.replica.name} has no pod yet"
        reason, message = self.waited_for
        detail = message or self.trouble
        return f"{self.replica.name}: {reason or self.pod.phase}" + (f": {detail}" if detail else "")

    def result(self, stopped_at: float = 0.0) -> ReplicaResult:
        """Returns how it went.

        Args:
            stopped_at: Unix time at which the job was over: what still ran was ended then.
        """
        pod = self.pod
        started_at = self.started_at or 0.0
        ended_at = pod.ended_at if pod else None
        return ReplicaResult(
            name=self.replica.name,
            type=self.replica.type.lower(),
            index=self.replica.index,
            restarts=self.restarts,
            exit_code=pod.exit_code if pod else None,
            cpus=[],
            started_at=started_at,
            ended_at=max(started_at, stopped_at if ended_at is None and self.has_started else ended_at or 0.0),
            node=(pod.node if pod else "") or None,
        )


class Waits(NamedTuple):
    """How many seconds a job waited for the last of its replicas: for its start, its node, its image."""

    queue_seconds: float
    schedule_seconds: float
    pull_seconds: float


def measure_waits(runs: Collection[ReplicaRun], submitted_at: float, total_seconds: float) -> Waits:
    """Returns how long a job waited that was submitted at a Unix time, and took so many seconds.

    A pod's timestamps are whole seconds, so the first seconds may seem to come before the submission. They are by the
    clocks of others: what they say counts as far as the launcher saw it happen.
    """
    queue_seconds = min(max(0.0, _find_latest(run.began_at for run in runs) - submitted_at), total_seconds)
    schedule_seconds = _find_latest(run.scheduled_at for run in runs) - submitted_at
    return Waits(
        queue_seconds=queue_seconds,
        schedule_seconds=min(max(0.0, schedule_seconds), queue_seconds),
        pull_seconds=max(run.pull_seconds for run in runs),
    )


def _find_latest(moments: Iterable[float | None]) -> float:
    return max((moment for moment in moments if moment is not None), default=0.0)
