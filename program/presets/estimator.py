"""Estimators and `MonitoredTrainingSession`: what their hooks log."""

import re

from program.lines import COUNT, NUMBER, NUMBER_OR_NAN, parse_number
from program.metric_names import is_metric
from program.told import Told, Value

_STEP = re.compile(rf"(?:^|[\s,:\]])(?:global_)?step = ({COUNT})(?![\w.])")
_SAVED = re.compile(rf"Saving checkpoints for ({COUNT}) into")
_RATE = re.compile(rf"global_step/sec: ({NUMBER})")
_EVALUATED = re.compile(rf"Saving dict for global step {COUNT}: (.*)")
_FINAL_LOSS = re.compile(rf"Loss for final step: ({NUMBER_OR_NAN})")
_NAMED = re.compile(rf"(?<![\w/.-])([A-Za-z_][\w/.-]*) = ({NUMBER_OR_NAN})")


class EstimatorReader:
    """Reads what an Estimator logs in one replica. Its steps are the job's global ones, whoever prints them."""

    def read(self, redraws: list[str], at: float) -> list[Told]:
        """Returns what a line tells; see `Reader`."""
        line = redraws[-1]
        if "step" not in line and "Saving checkpoints" not in line:
            return []
        if evaluated := _EVALUATED.search(line):
            return [Told(at, metrics=_read_metrics(evaluated[1], "eval_"))]
        if saved := _SAVED.search(line):
            return [Told(at, step=int(saved[1]))]
        if step := _STEP.search(line):
            return [Told(at, step=int(step[1]), metrics=_read_metrics(line))]
        if loss := _FINAL_LOSS.search(line):
            return [Told(at, metrics=(Value("loss", parse_number(loss[1])),))]
        rate = _RATE.search(line)
        steps = parse_number(rate[1]) if rate else 0.0
        return [Told(at, seconds_per_step=1 / steps)] if 0 < steps < 1e9 else []  # noqa: PLR2004 - no speed is that high


def _read_metrics(text: str, prefix: str = "") -> tuple[Value, ...]:
    return tuple(Value(prefix + name, parse_number(value)) for name, value in _NAMED.findall(text) if is_metric(name))
