"""tf_cnn_benchmarks: speeds as averages since its own clock began, each worker's own and the whole job's total."""

import re

from program.lines import COUNT, NUMBER, NUMBER_OR_NAN, parse_number
from program.told import Told, Value

_STEP = re.compile(rf"(?<![\w.])({COUNT})\s+images/sec: ({NUMBER}) \+/- [^)]{{0,80}}\)(?:\s+({NUMBER_OR_NAN}))?")
_TOTAL = re.compile(rf"total images/sec: ({NUMBER})")
_BATCH = re.compile(rf"Batch size:\s+({COUNT}) global")
_ACCURACY = re.compile(rf"Accuracy @ (\d) = ({NUMBER})")
_EXAMPLES = re.compile(rf"\[({COUNT}) examples\]")


class BenchmarkReader:
    """Reads what one worker of tf_cnn_benchmarks prints; its own warm-up is over before the first of these lines."""

    def read(self, redraws: list[str], at: float) -> list[Told]:
        """Returns what a line tells; see `Reader`."""
        line = redraws[-1]
        if "images/sec" in line:
            if total := _TOTAL.search(line):
                return [Told(at, job_rate=parse_number(total[1]))]
            if step := _STEP.search(line):
                loss = (Value("loss", parse_number(step[3])),) if step[3] else ()
                return [Told(at, step=int(step[1]), rate=parse_number(step[2]), metrics=loss)]
        elif "Batch size" in line and (batch := _BATCH.search(line)):
            return [Told(at, batch=float(batch[1]))]
        elif "Accuracy @" in line:
            examples = _EXAMPLES.search(line)
            count = int(examples[1]) if examples else None
            metrics = [Value(f"eval_top_{k}_accuracy", parse_number(v), count) for k, v in _ACCURACY.findall(line)]
            return [Told(at, metrics=tuple(metrics))] if metrics else []
        return []
