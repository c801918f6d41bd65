"""Which figures explain a disturbed training: their correlation with its time, beside work that comes and goes.

`python -m benchmarks.disturbance` (some minutes) trains the same stretch again and again, each replica on a core of its
own. On the first of these cores another process is busy now and then. Each time the replicas add up what they put on
record of their disturbances, and time a fixed computation before and after, which was once on record as the calibration
of a core. Of several replicas the figure of the one that was disturbed most counts: all wait for the slowest.
"""

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.prepare import prepare
from model.training import add_others
from tfjob.launch import run_job
from tfjob.local import LocalBackend
from tfjob.manifest import build_manifest
from tfjob.settings import of_env
from tfjob.spec import ReplicaSpec

IMAGES = 12_000
STAY_SECONDS = 6.0
Sample = Mapping[str, float | None]


def main() -> int:
    """Trains beside the other process, prints the figures and their correlations and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disturbance", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="replicas; more than one reduce (default: 1)")
    parser.add_argument("--trainings", type=int, default=16, help="how many stretches (default: 16)")
    parser.add_argument("--steps", type=int, default=150, help="steps of a stretch (default: 150)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare("mnist", Path(folder) / "data", max_train_images=IMAGES)
        with start_neighbour(min(os.sched_getaffinity(0))):
            run_trainings(Path(folder), options.workers, options.trainings, options.steps)
        replicas = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("ring-*.json"))]
    samples = [join_replicas(own) for own in zip(*replicas, strict=True)]
    print(describe_samples(samples))
    print(describe_correlations(samples))
    return 0


def run_trainings(folder: Path, workers: int, trainings: int, steps: int) -> None:
    """Runs the replicas, each of which leaves its samples in the folder, where the data are."""
    arguments = {"data-dir": folder / "data", "output-dir": folder, "trainings": trainings, "steps": steps}
    options = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    manifest = build_manifest(
        "disturbed",
        image="none",
        command=("python", "-m", "benchmarks.disturbed_training", *options),
        replicas={"Worker": ReplicaSpec(count=workers)},
        restart_policy="Never",
        active_deadline_seconds=3600,
        success_policy="AllWorkers" if workers > 1 else "",
        overlays=[of_env({"TF_CPP_MIN_LOG_LEVEL": "2"})],
    )
    run_job(manifest, log_dir=folder / "logs", backend=LocalBackend(), report=_tell)


@contextlib.contextmanager
def start_neighbour(core: int) -> Iterator[None]:
    """Runs on a core, as long as the context lasts, what comes and goes."""
    program = f"from benchmarks.disturbance import come_and_go; come_and_go({core})"
    neighbour = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def come_and_go(core: int) -> None:
    """Is busy for some seconds and away for some, for ever."""
    os.sched_setaffinity(0, {core})
    draw = random.Random(0)  # noqa: S311 - nothing secret
    while True:
        time.sleep(draw.expovariate(1 / STAY_SECONDS))
        leaves = time.monotonic() + draw.expovariate(1 / STAY_SECONDS)
        while time.monotonic() < leaves:
            pass


def join_replicas(replicas: Sequence[Mapping[str, Any]]) -> Sample:
    """Returns one training's figures: the chief's time, and of all else the most that a replica has."""
    own = [dict(replica) for replica in replicas]
    add_others(own)
    known = {name: [value for replica in own if (value := replica[name]) is not None] for name in own[0]}
    return {name: max(values, default=None) for name, values in known.items()} | {
        "train_seconds": own[0]["train_seconds"]
    }


def correlate(samples: Sequence[Sample], figure: str) -> float | None:
    """Returns the correlation of a figure with the training time; None where it was not measured or never changed.

    Source: Pearson's coefficient.
    """
    seconds, values = ([sample[name] for sample in samples] for name in ("train_seconds", figure))
    if None in values or len(set(values)) == 1:
        return None
    return float(np.corrcoef(np.array([seconds, values], dtype=float))[0, 1])


def describe_samples(samples: Sequence[Sample]) -> str:
    """Returns a Markdown table with a row for each training."""
    head, line = "| " + " | ".join(samples[0]) + " |", "|---" * len(samples[0]) + "|"
    rows = ["| " + " | ".join(_format(value, 3) for value in sample.values()) + " |" for sample in samples]
    return "\n".join([head, line, *rows, ""])


def describe_correlations(samples: Sequence[Sample]) -> str:
    """Returns a Markdown table of the correlations of all figures with the training time."""
    figures = [name for name in samples[0] if name != "train_seconds"]
    rows = [f"| {figure} | {_format(correlate(samples, figure), 2)} |" for figure in figures]
    return "\n".join(["| figure | correlation with the training time |", "|---|---|", *rows])


def _format(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
