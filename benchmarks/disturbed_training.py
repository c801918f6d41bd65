"""The same stretch of training again and again, each with what disturbed it: what `disturbance` runs as replicas."""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.idle_ring import wait_for_records

# About a second: the median of bursts that far apart is that of the core, not that of one interruption.
CALIBRATION_BURSTS, CALIBRATION_CALLS, CALIBRATION_PAUSE_SECONDS = 9, 15_000, 0.09


def main() -> int:
    """Trains, writes the samples of this replica and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disturbed_training", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the prepared data set")
    parser.add_argument("--trainings", type=int, required=True, help="how many stretches")
    parser.add_argument("--steps", type=int, required=True, help="steps of a stretch")
    parser.add_argument("--output-dir", type=Path, required=True, help="where each worker writes ring-<rank>.json")
    options = parser.parse_args()
    samples, rank, num_workers = measure_trainings(options.data_dir, options.trainings, options.steps)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / f"ring-{rank}.json").write_text(json.dumps(samples), encoding="utf-8")
    wait_for_records(options.output_dir, num_workers)
    return 0


def measure_trainings(data_dir: Path, trainings: int, steps: int) -> tuple[list[dict[str, Any]], int, int]:
    """Returns the figures of each stretch, this replica's rank, and the number of workers."""
    from model.data import PreparedDataset  # noqa: PLC0415 - the parser's errors are told before TensorFlow's import
    from model.strategies import connect  # noqa: PLC0415
    from model.training import Clock, Disturbance, Task, TrainingConfig, parse_tf_config  # noqa: PLC0415

    role = parse_tf_config(os.environ.get("TF_CONFIG"))
    config = TrainingConfig(strategy=role.strategy, num_workers=role.num_workers, epochs=1000)
    task = Task(config, PreparedDataset.open(data_dir))
    trainer = connect(task, role, Clock())
    trainer.compile()
    trainer.warm_up()
    samples = []
    for number in range(trainings):
        disturbance, clock = Disturbance(), Clock()
        before = calibrate()
        with disturbance.measure(), clock.measure("train_seconds"):
            trainer.train(number * steps, (number + 1) * steps, lambda _: None)
        after = calibrate()
        calibration = {"calibration, mean": (before + after) / 2, "calibration, change": after / before - 1}
        samples.append({"train_seconds": clock.seconds["train_seconds"], **disturbance.to_json(), **calibration})
        print(f"training {number + 1} of {trainings}: {samples[-1]['train_seconds']:.1f} s", flush=True)
    return samples, role.rank, role.num_workers


def calibrate() -> float:
    """Returns the seconds of a fixed computation on one core: exponentials of an array in the first cache."""
    values = np.linspace(-1, 1, 4096, dtype=np.float32)
    result = np.empty_like(values)
    seconds = []
    for burst in range(CALIBRATION_BURSTS):
        if burst:
            time.sleep(CALIBRATION_PAUSE_SECONDS)
        began = time.perf_counter()
        for _ in range(CALIBRATION_CALLS):
            np.exp(values, out=result)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
