"""What the run of a job is on either backend: tried until it has succeeded, stopped however it ends."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ClassVar, Generic, TypeVar

from tfjob.backend import Event, JobResult, StatusChanged
from tfjob.errors import JobDeadlineExceeded, TFJobError, quote_lines
from tfjob.job import Job, Manifest, read_job
from tfjob.launcher import Signalled, signals_to
from tfjob.policy import has_succeeded
from tfjob.signs import LOOK_SECONDS, SIGNS_VARIABLE, Life, SignWatch, Suspicion

# How much of a replica's log an error quotes.
QUOTED_LINES = 20
# Of the logs of many replicas together.
_QUOTED_TOGETHER = 4 * QUOTED_LINES
# A training that was asked to end while it trains may have much to put away; all-reduce programs do not even listen.
MEASURED_GRACE_SECONDS = 10.0
_MEASURED_LOOK_SECONDS = 0.5
# No timer of the system's takes infinity.
_LONGEST_WAIT_SECONDS = 3600.0

MessageT = TypeVar("MessageT")


def is_success(job: Job, done: Collection[str]) -> bool:
    """Returns whether a job has succeeded, as its success policy has it.

    Args:
        job: The job.
        done: The names of its replicas that have succeeded.
    """
    is_done = {
        kind: [replica.name in done for replica in job.replicas if replica.type == kind]
        for kind in dict.fromkeys(replica.type for replica in job.replicas)
    }
    return has_succeeded(is_done, job.success_policy)


@dataclass(kw_only=True)
class JobRun(ABC, Generic[MessageT]):
    """One run of one job. Everything happens in the calling thread, in the order of messages in the inbox.

    Args:
        manifest: The job.
        log_dir: Where each replica's log is written.
        on_event: Told of what happens.
        clock: Monotonic seconds.
        is_measured: Whether enough is measured; see `Backend.run`.
    """

    manifest: Manifest
    log_dir: Path
    on_event: Callable[[Event], None]
    clock: Callable[[], float]
    is_measured: Callable[[], bool] | None = None
    inbox: SimpleQueue[MessageT | Signalled] = field(default_factory=SimpleQueue)
    late_signal: Signalled | None = None
    sees_itself: ClassVar[bool]
    total_seconds: float = 0.0
    was_ended: bool = False
    next_look: float = 0.0
    next_measured_look: float = 0.0

    def __post_init__(self) -> None:
        self.job = read_job(self.manifest)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        folders = {replica.env[SIGNS_VARIABLE] for replica in self.job.replicas if SIGNS_VARIABLE in replica.env}
        self.signs_folder = Path(folders.pop()) if folders else None
        names = [replica.name for replica in self.job.replicas]
        self.signs = SignWatch(self.signs_folder, names, sees_itself=self.sees_itself)
        self.start_clock()

    def start_clock(self) -> None:
        """Takes down that the job is submitted now."""
        self.submitted_at = time.time()
        self.submitted = self.next_look = self.next_measured_look = self.clock()

    @abstractmethod
    def read_lives(self) -> Mapping[str, Life]:
        """Returns what is seen of the processes of replicas that run, by replica."""

    def take_look(self) -> Suspicion | None:
        """Returns what is to be suspected of the replicas; looks every few seconds, however often it is asked."""
        now = self.clock()
        if now < self.next_look:
            return None
        self.next_look = now + LOOK_SECONDS
        return self.signs.look(self.read_lives(), now)

    def name_quiet_peers(self, replica: str) -> str:
        """Returns who is stopped or silent as a replica ends, which may well have lost it; nothing where nobody is.

        Who ends first is not who is to blame: TensorFlow gives a silent peer up in 10 to 20 s, and tells its address.
        """
        self.signs.look(self.read_lives(), self.clock())
        quiet = self.signs.describe_quiet(replica, self.clock())
        return quiet and f"; {quiet}"

    @abstractmethod
    def run_until_success(self) -> None:
        """Returns when the job has succeeded."""

    @abstractmethod
    def stop(self) -> None:
        """Leaves nothing running."""

    @abstractmethod
    def result(self) -> JobResult:
        """Returns how the job went."""

    def see_through(self) -> JobResult:
        """Returns how the job went, when it has succeeded and is stopped.

        Raises:
            TFJobError: It did not succeed; told as the status Failed before.
        """
        with signals_to(self.inbox.put):
            try:
                self.run_until_success()
            except TFJobError as error:
                self.on_event(StatusChanged("Failed", str(error).partition("\n")[0]))
                raise
            finally:
                self.stop()
            while (message := self.receive(0.0)) is not None:
                self.hear_while_stopping(message)
            if self.late_signal is not None:
                self.late_signal.raise_as_error(self.job.name)
            return self.result()

    def receive(self, seconds: float) -> MessageT | Signalled | None:
        """Returns the next message, or None if none comes in time."""
        try:
            return self.inbox.get(timeout=min(seconds, _LONGEST_WAIT_SECONDS))
        except Empty:
            return None

    def look_whether_measured(self) -> bool:
        """Returns whether the job is to be ended because enough is measured, which is asked twice a second."""
        if self.is_measured is None or self.clock() < self.next_measured_look:
            return False
        self.next_measured_look = self.clock() + _MEASURED_LOOK_SECONDS
        if self.is_measured():
            self.was_ended = True
            self.total_seconds = self.clock() - self.submitted
        return self.was_ended

    def describe_success(self) -> str:
        """Returns how the job came to its good end."""
        how = "is measured, and is ended, after" if self.was_ended else "succeeded in"
        return f"job {self.job.name} {how} {self.total_seconds:.1f} s"

    def moments_to_look(self, *, has_signs: bool) -> list[float]:
        """Returns when to look next, if ever, on the clock: at the replicas' signs, and whether enough is measured."""
        looks = [self.next_look] if has_signs else []
        return looks if self.is_measured is None else [*looks, self.next_measured_look]

    def hear_while_stopping(self, message: MessageT | Signalled) -> None:
        """Takes a message that comes while the job is being stopped: a signal is heeded after that."""
        if isinstance(message, Signalled):
            self.late_signal = message

    def deadline_exceeded(self, last_lines: Mapping[str, Iterable[str]]) -> JobDeadlineExceeded:
        """Returns the error of a job that ran too long: where each replica that runs is, and its last lines."""
        now = self.clock()
        seen = {replica: self.signs.describe(replica, now) for replica in last_lines}
        told = "; ".join(f"{replica}: {text}" for replica, text in seen.items() if text)
        each = max(1, _QUOTED_TOGETHER // max(1, len(last_lines)))
        return JobDeadlineExceeded(
            f"Job {self.job.name} ran longer than its deadline of {self.job.active_deadline_seconds:g} s."
            + (f" Seen last: {told}." if told else "")
            + "".join(quote_lines(replica, tuple(lines)[-each:]) for replica, lines in last_lines.items())
        )
