"""`name=value`, as Katib's collector reads it: `loss=0.3 accuracy=0.97`; and the metric a person names, as text."""

import re

from program.lines import COUNT, NUMBER_OR_NAN, parse_number
from program.metric_names import RATE_NAMES, STEP_NAMES, find_direction, is_metric
from program.told import Told, Value

# The name begins where a word does, so that a long word is looked at once.
_NAMED = re.compile(rf"(?<![\w|/.-])([A-Za-z_][\w|/.-]{{0,99}})\s{{0,8}}=\s{{0,8}}({NUMBER_OR_NAN}\s?%?)(?!\w|\.\w)")
_COUNT = re.compile(COUNT)


class NameValueReader:
    """Reads pairs in one replica's lines.

    Args:
        metric: The metric that a person names: it is found as `metric: 0.97` too, but never as the end of another
            name: `Accuracy:` is not in `Test Accuracy:`.
        takes_all: Whether every name is a metric's; else only those whose direction is known, since programs print
            their settings in the same way.
    """

    def __init__(self, metric: str, *, takes_all: bool) -> None:
        self._metric, self._takes_all = metric, takes_all
        self._named = (
            re.compile(rf"({re.escape(metric)})\s{{0,8}}[:=]\s{{0,8}}({NUMBER_OR_NAN}\s?%?)(?!\w|\.\w)")
            if metric
            else None
        )

    def read(self, redraws: list[str], at: float) -> list[Told]:
        """Returns what a line tells; see `Reader`."""
        line = redraws[-1]
        pairs = _NAMED.findall(line) if "=" in line else []
        metrics = [Value(name, parse_number(value)) for name, value in pairs if self._is_metric(name)]
        if self._named and self._metric in line and not any(value.name == self._metric for value in metrics):
            metrics += [
                Value(self._metric, parse_number(match[2]))
                for match in self._named.finditer(line)
                if stands_alone(line, match.start())
            ]
        step = next((int(value) for name, value in pairs if name in STEP_NAMES and _COUNT.fullmatch(value)), None)
        rate = next((parse_number(value) for name, value in pairs if name.lower() in RATE_NAMES), None)
        return [Told(at, step=step, rate=rate, metrics=tuple(metrics))] if metrics or step is not None or rate else []

    def _is_metric(self, name: str) -> bool:
        if name == self._metric:
            return True
        return is_metric(name) and (self._takes_all or find_direction(name) is not None)


def stands_alone(line: str, start: int) -> bool:
    """Returns whether what begins at a place of a line is no end of a longer name: no word stands right before it."""
    before = line[:start]
    stripped = before.rstrip()
    if not stripped or stripped.endswith(("INFO", "WARNING", "DEBUG")):
        return True
    if len(before) - len(stripped) > 1:  # columns
        return True
    last = stripped[-1]
    return not (last.isalpha() or last in "_-/." or (before == stripped and last.isalnum()))
