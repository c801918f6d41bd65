"""How long a worker computes for a step, alone on a core: what a replica of `forecast_at_four` runs.

The steps are those of the training program, without other replicas; their durations go to a JSON file.
"""

import argparse
import json
import sys
from pathlib import Path

# Left out: what the first steps cost in caches and allocations is no step's.
FIRST_STEPS = 5


def main() -> int:
    """Trains so many steps, writes their durations and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.computing", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the prepared data set")
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True, help="images of a step, one after another")
    parser.add_argument(
        "--group-size", type=int, required=True, help="images that BatchNorm normalises together; 0: all"
    )
    parser.add_argument("--steps", type=int, required=True, help="steps that count")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file")
    options = parser.parse_args()
    measured = [
        measure_steps(options.data_dir, size, options.group_size, options.steps) for size in options.batch_sizes
    ]
    seconds = {size: own for size, (own, _) in zip(options.batch_sizes, measured, strict=True)}
    options.output.write_text(json.dumps({"seconds": seconds, "vector_length": measured[0][1]}), encoding="utf-8")
    return 0


def measure_steps(data_dir: Path, batch_size: int, group_size: int, steps: int) -> tuple[list[float], int]:
    """Returns the durations of so many steps, and the length of the vector that workers would exchange in each."""
    from model.data import PreparedDataset  # noqa: PLC0415
    from model.strategies import connect  # noqa: PLC0415 - the parser's errors are told before TensorFlow's import
    from model.training import Clock, StepTiming, Task, TrainingConfig, parse_tf_config  # noqa: PLC0415

    groups = {"same_batch_norm": group_size > 0, "batch_norm_group_size": group_size}
    config = TrainingConfig(global_batch_size=batch_size, **groups)
    trainer = connect(Task(config, PreparedDataset.open(data_dir)), parse_tf_config(None), Clock())
    seconds: list[float] = []

    def record(timing: StepTiming) -> None:
        seconds.append(timing.seconds)

    trainer.warm_up()
    trainer.train(0, FIRST_STEPS + steps, record)
    values = trainer.read_values()
    return seconds[FIRST_STEPS:], len(values.weights) + len(values.statistics) + 1


if __name__ == "__main__":
    sys.exit(main())
