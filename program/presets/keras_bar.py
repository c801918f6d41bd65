r"""Keras' progress bar: verbose 1, drawn anew with `\r` and `\b`, and verbose 2, a line an epoch; Keras 1, 2 and 3."""

import re

from program.lines import COUNT, NUMBER_OR_NAN, parse_number
from program.metric_names import is_metric
from program.told import Told, Value

_HEADER = re.compile(rf"(?:^|\s)Epoch ({COUNT})/({COUNT})\s*$")
_BAR = re.compile(rf"(?<![\w/.])({COUNT})/({COUNT}|Unknown)(?= {{0,3}}(?:\[[=>. ]|━|- \d|\d{{1,9}}(?:s|ms|us|:\d)))")
_STEP_TIME = re.compile(r"(?<![\w.])(\d{1,9}(?:\.\d{1,9})?)(us|ms|s|min|h)/(step|sample)")
_BARE_EPOCH = re.compile(r"^ - (\d{1,9})s(?: (\d{1,9})(us|ms|s)/(?:step|sample))? - ")
_NUMBER = re.compile(NUMBER_OR_NAN)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


class KerasReader:
    """Reads what `fit` and `evaluate` print in one replica.

    Only the last redraw of a line is true, and metrics only of an epoch's last: before it a bar of several workers
    shows sums. A bar without `Epoch 1/5` above it is `evaluate`'s, so that its metrics are named `eval_…` and its
    steps are none of the training.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._begun_at: float | None = None  # of an epoch without a bar as yet
        self._total: int | None = None
        self._done = 0  # steps of the epochs before this one
        self._current = 0
        self._is_closed = True

    def read(self, redraws: list[str], at: float) -> list[Told]:
        """Returns what a line tells; see `Reader`."""
        header = next((match for redraw in redraws if "Epoch" in redraw and (match := _HEADER.search(redraw))), None)
        if header:
            self._epoch, self._begun_at, self._is_closed = int(header[1]), at, False
            self._done, self._current = self._done + self._current, 0
            return []
        if not any("/" in redraw or " - " in redraw for redraw in redraws):
            return []
        bars = [match for redraw in redraws if (match := _BAR.search(redraw))]
        if bars:
            return self._read_bar(bars[0], bars[-1], bars[-1].string[bars[-1].end() :], at)
        return self._read_bare_epoch(redraws[-1], at)

    def _read_bar(self, first: re.Match[str], bar: re.Match[str], rest: str, at: float) -> list[Told]:
        current, total = int(bar[1]), None if bar[2] == "Unknown" else int(bar[2])
        if total is not None and current > total:
            return []
        is_full = total is None or current == total
        metrics = _read_metrics(rest) if is_full else ()
        if self._epoch is None or (self._is_closed and not self._is_last_redraw(first, total, rest)):
            return [Told(at, metrics=_rename(metrics))] if metrics else []
        timed = _STEP_TIME.search(rest)
        counts_samples = timed is not None and timed[3] == "sample"
        if total is not None:
            self._done = (self._epoch - 1) * total
        told = []
        if self._begun_at is not None:
            told.append(_count(self._begun_at, self._done, counts_samples=counts_samples))
            self._begun_at = None
        seconds = float(timed[1]) * _SECONDS[timed[2]] if timed and is_full and not counts_samples else None
        told.append(
            _count(at, self._done + current, counts_samples=counts_samples, metrics=metrics, seconds_per_step=seconds)
        )
        self._current, self._total = current, total
        self._is_closed = is_full and total is not None
        return told

    def _is_last_redraw(self, first: re.Match[str], total: int | None, rest: str) -> bool:
        """Returns whether a full epoch's bar comes once more: so it does after the validation, where it is a piece."""
        is_verbose_1 = not rest.lstrip().startswith("-")
        return is_verbose_1 and total is not None and total == self._total and first[1] == first[2]

    def _read_bare_epoch(self, text: str, at: float) -> list[Told]:
        """An epoch's line of old: ` - 5s - loss: 0.3`, without a number of steps."""
        if self._is_closed or not _BARE_EPOCH.match(text):
            return []
        self._is_closed = True
        return [Told(at, metrics=_read_metrics(text))]


def _count(
    at: float,
    count: int,
    *,
    counts_samples: bool,
    metrics: tuple[Value, ...] = (),
    seconds_per_step: float | None = None,
) -> Told:
    if counts_samples:
        return Told(at, examples=float(count), metrics=metrics)
    return Told(at, step=count, metrics=metrics, seconds_per_step=seconds_per_step)


def _read_metrics(rest: str) -> tuple[Value, ...]:
    values = []
    for part in rest.split(" - "):
        name, colon, figure = part.rpartition(": ")
        if colon and (number := _NUMBER.match(figure.lstrip())) and is_metric(name := name.strip()):
            values.append(Value(name, parse_number(number[0])))
    return tuple(values)


def _rename(metrics: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(Value(f"eval_{metric.name}", metric.value) for metric in metrics)
