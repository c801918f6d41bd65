"""What the run of a job is on either backend: tried until it has succeeded, stopped however it ends."""

from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from tfjob.backend import Event, JobResult, StatusChanged
from tfjob.errors import JobDeadlineExceeded, TFJobError, quote_lines
from tfjob.job import Job

# How much of a replica's log an error quotes.
QUOTED_LINES = 20

MessageT = TypeVar("MessageT")


class JobRun(Protocol):
    """One run of one job."""

    def run_until_success(self) -> None:
        """Returns when the job has succeeded."""

    def stop(self) -> None:
        """Leaves nothing running."""

    def heed_late_signal(self) -> None:
        """Raises what a signal asks for that came while the job was being stopped."""

    def result(self) -> JobResult:
        """Returns how the job went."""


def see_through(job_run: JobRun, on_event: Callable[[Event], None]) -> JobResult:
    """Returns how a job went, when it has succeeded and is stopped.

    Raises:
        TFJobError: It did not succeed; told as the status Failed before.
    """
    try:
        job_run.run_until_success()
    except TFJobError as error:
        on_event(StatusChanged("Failed", str(error).partition("\n")[0]))
        raise
    finally:
        job_run.stop()
    job_run.heed_late_signal()
    return job_run.result()


def receive(inbox: SimpleQueue[MessageT], seconds: float) -> MessageT | None:
    """Returns the next message, or None if none comes in time."""
    try:
        return inbox.get(timeout=seconds)
    except Empty:
        return None


def deadline_exceeded(job: Job, last_lines: Mapping[str, Iterable[str]]) -> JobDeadlineExceeded:
    """Returns the error of a job that ran too long, with the last lines of each replica that still runs."""
    return JobDeadlineExceeded(
        f"Job {job.name} ran longer than its deadline of {job.active_deadline_seconds:g} s."
        + "".join(quote_lines(replica, tuple(lines)) for replica, lines in last_lines.items())
    )
