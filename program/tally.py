"""What one replica has told so far, in bounded memory."""

import math
from typing import NamedTuple

from program.lines import make_printable
from program.marks import Mark, Marks
from program.told import Told, Value

_MOST_NAMES, _MOST_POINTS = 64, 400


class Point(NamedTuple):
    """A metric's value on its way."""

    at: float
    step: int | None
    value: float


class Series:
    """A metric's finite values: the last one, and enough of the others for a curve."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._every, self._seen = 1, 0
        self.last: Value | None = None
        self.last_point: Point | None = None
        self.ends_unfinite = False

    def add(self, value: Value, at: float, step: int | None) -> None:
        """Takes a value; one that is not finite is none, but it is remembered that it was the last."""
        self.ends_unfinite = not math.isfinite(value.value)
        if self.ends_unfinite:
            return
        is_again = self.last_point is not None and step is not None and self.last_point.step == step
        self.last, self.last_point = value, Point(at, step, value.value)
        if is_again:  # of a step that is told twice, as a bar's last redraw is, the last value is true
            if self._points and self._points[-1].step == step:
                self._points[-1] = self.last_point
            return
        if self._seen % self._every == 0:
            self._points.append(self.last_point)
            if len(self._points) > _MOST_POINTS:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1

    def list_points(self) -> list[Point]:
        """Returns its curve, the last value included."""
        missing = [self.last_point] if self.last_point and self._points[-1:] != [self.last_point] else []
        return [*self._points, *missing]


class Tally:
    """Everything that one replica told by one source; see `Marks` for the resolution."""

    def __init__(self, resolution_seconds: float = 0.0) -> None:
        self.marks = Marks(resolution_seconds)
        self.series: dict[str, Series] = {}
        self.began_at: float | None = None
        self.ended_at: float | None = None
        self.batch: float | None = None
        self.rate: float | None = None
        self.job_rate: float | None = None
        self.seconds_per_step: float | None = None
        self.counts_examples = False  # in place of steps
        self.examples: float | None = None

    @property
    def tells_steps(self) -> bool:
        """Whether it told of any step."""
        return len(self.marks) > 0

    @property
    def tells_clock(self) -> bool:
        """Whether a length of the training follows from what it told."""
        has_ends = self.began_at is not None and self.ended_at is not None
        return len(self.marks) > 1 or has_ends or self.job_rate is not None or self.rate is not None

    def count_steps(self) -> int | None:
        """Returns the steps from the first that was told to the last; the very first of a training is one of them."""
        if not self.tells_steps or self.counts_examples:
            return None
        return int(self.marks.count_steps()) + (self.marks.first_step == 1)

    def add(self, told: Told) -> None:
        """Takes what was told."""
        if told.event == "begin" and self.began_at is None:
            self.began_at = told.at
        elif told.event == "end":
            self.ended_at = told.at
        self.batch = told.batch or self.batch
        self.rate = told.rate or self.rate
        self.job_rate = told.job_rate or self.job_rate
        self.seconds_per_step = told.seconds_per_step or self.seconds_per_step
        self.examples = told.examples if told.examples is not None else self.examples
        if told.step is not None and not self.counts_examples:
            self.marks.add(Mark(told.step, told.at, self.examples))
        elif told.examples is not None and (self.counts_examples or not self.tells_steps):
            self.counts_examples = True
            self.marks.add(Mark(told.examples, told.at, told.examples))
        for value in told.metrics:
            self._add_metric(value, told)

    def _add_metric(self, value: Value, told: Told) -> None:
        if not value.name.isprintable():  # a name is shown on terminals and in pages
            value = value._replace(name=make_printable(value.name))
        if value.name not in self.series:
            if len(self.series) >= _MOST_NAMES:
                return
            self.series[value.name] = Series()
        step = told.step
        if step is None and self.tells_steps and not self.counts_examples:
            step = int(self.marks.last.step)
        self.series[value.name].add(value, told.at, step)
