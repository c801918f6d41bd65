"""Which figures explain a disturbed training: their correlation with its time, beside work that comes and goes.

`python -m benchmarks.disturbance` (three to five minutes) trains the same stretch again and again on one core, on which
another process is busy now and then. Each time it adds up what a replica records of its disturbances, and times a fixed
computation before and after, which was once on record as the calibration of a core.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

# About a second: the median of bursts that far apart is that of the core, not that of one interruption.
CALIBRATION_BURSTS, CALIBRATION_CALLS, CALIBRATION_PAUSE_SECONDS = 9, 15_000, 0.09
# As the launcher gives them to a replica of one core.
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}
STAY_SECONDS = 6.0


def main() -> int:
    """Trains beside the other process, prints the figures and their correlations and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disturbance", description=__doc__)
    parser.add_argument("--trainings", type=int, default=16, help="how many stretches (default: 16)")
    parser.add_argument("--steps", type=int, default=150, help="steps of a stretch (default: 150)")
    options = parser.parse_args()
    os.environ.update(THREADS)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the other process inherits it
    with tempfile.TemporaryDirectory() as folder, start_neighbour():
        samples = measure_trainings(Path(folder), options.trainings, options.steps)
    print(describe_samples(samples))
    print(describe_correlations(samples))
    return 0


def measure_trainings(folder: Path, trainings: int, steps: int) -> list[dict[str, float | None]]:
    """Returns the seconds of each training, and the figures beside it.

    Args:
        folder: Where the data go.
        trainings: How many stretches of the same training.
        steps: The length of each.
    """
    from model.prepare import prepare  # noqa: PLC0415 - the threads must be set before TensorFlow is imported
    from model.strategies import connect  # noqa: PLC0415
    from model.training import Clock, Disturbance, Task, TrainingConfig, add_others, parse_tf_config  # noqa: PLC0415

    task = Task(TrainingConfig(epochs=1000), prepare("mnist", folder / "data", max_train_images=12_000))
    trainer = connect(task, parse_tf_config(None), Clock())
    trainer.compile()
    trainer.warm_up()
    samples: list[dict[str, float | None]] = []
    for number in range(trainings):
        disturbance, clock = Disturbance(), Clock()
        before = calibrate()
        with disturbance.measure(), clock.measure("train_seconds"):
            trainer.train(number * steps, (number + 1) * steps, lambda _: None)
        after = calibrate()
        figures = disturbance.to_json()
        add_others([figures])
        calibration = {"calibration, mean": (before + after) / 2, "calibration, change": after / before - 1}
        samples.append({"train_seconds": clock.seconds["train_seconds"], **figures, **calibration})
    return samples


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


@contextlib.contextmanager
def start_neighbour() -> Iterator[None]:
    """Runs beside the context what comes and goes, on the cores of this process."""
    neighbour = subprocess.Popen(
        [sys.executable, "-c", "from benchmarks.disturbance import come_and_go; come_and_go()"]
    )
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def come_and_go() -> None:
    """Is busy for some seconds and away for some, for ever."""
    draw = random.Random(0)  # noqa: S311 - nothing secret
    while True:
        time.sleep(draw.expovariate(1 / STAY_SECONDS))
        leaves = time.monotonic() + draw.expovariate(1 / STAY_SECONDS)
        while time.monotonic() < leaves:
            pass


def correlate(samples: Sequence[Mapping[str, float | None]], figure: str) -> float | None:
    """Returns the correlation of a figure with the training time; None where it was not measured or never changed.

    Source: Pearson's coefficient.
    """
    seconds, values = ([sample[name] for sample in samples] for name in ("train_seconds", figure))
    if None in values or len(set(values)) == 1:
        return None
    return float(np.corrcoef(np.array([seconds, values], dtype=float))[0, 1])


def describe_samples(samples: Sequence[Mapping[str, float | None]]) -> str:
    """Returns a Markdown table with a row for each training."""
    head, line = "| " + " | ".join(samples[0]) + " |", "|---" * len(samples[0]) + "|"
    rows = ["| " + " | ".join(_format(value, 3) for value in sample.values()) + " |" for sample in samples]
    return "\n".join([head, line, *rows, ""])


def describe_correlations(samples: Sequence[Mapping[str, float | None]]) -> str:
    """Returns a Markdown table of the correlations of all figures with the training time."""
    figures = [name for name in samples[0] if name != "train_seconds"]
    rows = [f"| {figure} | {_format(correlate(samples, figure), 2)} |" for figure in figures]
    return "\n".join(["| figure | correlation with the training time |", "|---|---|", *rows])


def _format(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
