"""Orbit's controller, and the time history of the programs that are built on it."""

import re

from program.lines import COUNT, NUMBER, NUMBER_OR_NAN, parse_number
from program.metric_names import is_metric
from program.told import Told, Value

_STEP = re.compile(rf"(?<!\w)(train|eval)\s*\|\s*step:\s*({COUNT})\s*\|(.*)", re.DOTALL)
_RATE = re.compile(rf"steps/sec:\s*({NUMBER})")
_HISTORY = re.compile(rf"({NUMBER}) examples/second between steps ({COUNT}) and ({COUNT})")
# A value may stand in an array's or a tensor's clothes.
_NAMED = re.compile(rf"""['"]([\w/ .:-]{{1,100}})['"]:\s*(?:[\w.]{{1,40}}\()?({NUMBER_OR_NAN})""")
_MOST_LINES = 200


class OrbitReader:
    """Reads the controller's lines in one replica. Its steps are the job's; what `output:` shows may take lines."""

    def __init__(self) -> None:
        self._prefix: str | None = None  # of the metrics in an output that has not ended
        self._step: int | None = None
        self._lines = 0

    def read(self, redraws: list[str], at: float) -> list[Told]:
        """Returns what a line tells; see `Reader`."""
        line = redraws[-1]
        if "step" in line and (match := _STEP.search(line)):
            kind, step, rest = match[1], int(match[2]), match[3]
            rate = _RATE.search(rest)
            speed = parse_number(rate[1]) if rate else 0.0
            metrics = self._read_output(rest.partition("output:")[2], "eval_" if kind == "eval" else "")
            if "output:" not in rest:
                self._prefix = None
            if kind == "eval":
                return [Told(at, metrics=metrics)] if metrics else []
            return [Told(at, step=step, metrics=metrics, seconds_per_step=1 / speed if speed > 0 else None)]
        if "examples/second" in line and (history := _HISTORY.search(line)):
            return [Told(at, step=int(history[3]), job_rate=parse_number(history[1]))]
        if self._prefix is not None:
            metrics = self._read_output(line, self._prefix)
            return [Told(at, metrics=metrics)] if metrics else []
        return []

    def _read_output(self, text: str, prefix: str) -> tuple[Value, ...]:
        self._lines = self._lines + 1 if self._prefix is not None else 0
        has_ended = "}" in text or self._lines > _MOST_LINES
        self._prefix = None if has_ended else prefix
        return tuple(
            Value(prefix + name, parse_number(value)) for name, value in _NAMED.findall(text) if is_metric(name)
        )
