"""When which step was told: all that a clock needs, in bounded memory; and the rule that finds the warm-up."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, quantiles
from typing import NamedTuple

# The first marks are kept as they are, for the warm-up is among them; of the later ones every second one goes when
# there are too many.
_FIRST, _MOST = 256, 8192
# A step is like the others where it takes between two thirds of and one and a half times what they take.
_TOLERANCE = 1.5
_IN_A_ROW = 3
_MOST_SECONDS = 1e11


class Mark(NamedTuple):
    """So many steps were done, and so many examples, at `at`."""

    step: float
    at: float
    examples: float | None = None


@dataclass(frozen=True)
class Span:
    """The measured part of a training: from the end of the warm-up to the last step that was told."""

    begin: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end.at - self.begin.at

    @property
    def steps(self) -> float:
        """Steps in it."""
        return self.end.step - self.begin.step


class Marks:
    """The marks of one replica, in the order of both step and time.

    A step that was told already is passed over; where the count goes back, as after a restart from a checkpoint, time
    runs on and steps count again once they are new.

    Args:
        resolution_seconds: Marks that come as closely one after another are one, the last of them: output that is held
            back comes in blocks, and its lines' times say nothing.
    """

    def __init__(self, resolution_seconds: float = 0.0) -> None:
        self._marks: list[Mark] = []
        self._resolution_seconds = resolution_seconds
        self._block_at = 0.0
        self._last_step: float | None = None
        self._is_thinned = False
        self.first_step: float | None = None
        self.went_back = 0

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def first(self) -> Mark:
        """The first mark."""
        return self._marks[0]

    @property
    def last(self) -> Mark:
        """The last mark."""
        return self._marks[-1]

    def count_steps(self) -> float:
        """Returns the steps from the first that was told to the last."""
        return 0.0 if self.first_step is None else self.last.step - self.first_step

    def add(self, mark: Mark) -> None:
        """Takes a mark."""
        if not 0 <= mark.at < _MOST_SECONDS:
            return
        if self._last_step is not None and mark.step < self._last_step:
            self.went_back += 1
        self._last_step = mark.step
        if self._marks and (mark.step <= self.last.step or mark.at < self.last.at):
            return
        if self.first_step is None:
            self.first_step = mark.step
        if self._marks and mark.at - self._block_at < self._resolution_seconds:
            self._marks[-1] = mark
            return
        self._block_at = mark.at
        self._marks.append(mark)
        if len(self._marks) > _MOST:
            self._is_thinned = True
            *rest, last = self._marks[_FIRST:]
            self._marks[_FIRST:] = [*rest[1::2], last]

    def find_span(self) -> Span | None:
        """Returns the measured part, None where there are not two marks.

        The warm-up is found from the times between marks, each divided by its steps. What is usual is the median of
        those in the later half. The first time is warm-up always, where there are two or more, for the first step
        traces and compiles; then all until three in a row lie between two thirds of and one and a half times the
        usual. At most half of the times are warm-up.
        """
        if len(self._marks) < 2:  # noqa: PLR2004 - a time lies between two
            return None
        times = self._list_times()
        usual = median(times[len(times) // 2 :])
        is_usual = [usual / _TOLERANCE <= time <= usual * _TOLERANCE for time in times]
        most = len(times) // 2
        first = min(1, most)
        while first < most and not all(is_usual[first : first + _IN_A_ROW]):
            first += 1
        return Span(self._marks[first], self.last)

    def find_nearest(self, at: float) -> Mark:
        """Returns the mark that is nearest in time."""
        return min(self._marks, key=lambda mark: abs(mark.at - at))

    def find_step(self, step: float) -> Mark:
        """Returns the mark that is nearest by its step."""
        return min(self._marks, key=lambda mark: abs(mark.step - step))

    def describe_times(self, span: Span) -> dict[str, float] | None:
        """Returns statistics of the seconds a step took, in a span; None where fewer than two times are known."""
        begin = self._marks.index(span.begin)
        times = self._list_times(begin)
        if len(times) < 2:  # noqa: PLR2004 - of one time there are no statistics
            return None
        hundredths = quantiles(times, n=100, method="inclusive")
        return {
            "n": float(len(times)),
            "mean": fmean(times),
            "median": median(times),
            "p90": hundredths[89],
            "p99": hundredths[98],
        }

    def is_of_single_steps(self) -> bool:
        """Returns whether the times are those of single steps, not means over several."""
        return not self._is_thinned and all(after.step - before.step == 1 for before, after in pairwise(self._marks))

    def _list_times(self, begin: int = 0) -> list[float]:
        return [(b.at - a.at) / (b.step - a.step) for a, b in pairwise(self._marks[begin:])]
