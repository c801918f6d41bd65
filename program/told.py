"""What a program tells, in one shape, whoever told it: a line of a log, an event file or a progress file."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

# Who told it, beside a preset's name and a person's own expressions.
PROGRESS_FILE, TENSORBOARD = "progress file", "tensorboard"


class Value(NamedTuple):
    """A metric's value; `num_examples`: of how many examples it is a share, where that is told."""

    name: str
    value: float
    num_examples: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a replica told, at `at` (seconds since the epoch).

    Args:
        at: When.
        event: Whether the training begins or ends here.
        step: Steps done so far, as the program counts them.
        examples: Examples trained on so far by this replica, or by those that it speaks for.
        metrics: Values of metrics.
        batch: Examples in a step of this replica.
        rate: The program's own figure of this replica's examples a second, an average since its clock began.
        job_rate: Likewise of the whole job.
        seconds_per_step: The program's own figure, of the time since its first step.
    """

    at: float
    event: Literal["begin", "end"] | None = None
    step: int | None = None
    examples: float | None = None
    metrics: tuple[Value, ...] = ()
    batch: float | None = None
    rate: float | None = None
    job_rate: float | None = None
    seconds_per_step: float | None = None


class Reader(Protocol):
    """Reads what one replica prints; it remembers what came before."""

    def read(self, redraws: list[str], at: float) -> list[Told]:
        """Returns what a line of a log tells.

        Args:
            redraws: What stood in the line at first and, where it was drawn anew, what stands in it in the end.
            at: When it was printed, in seconds since the epoch.
        """
