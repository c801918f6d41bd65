"""What all-reduce costs workers that do not compete for cores: what the replicas of `forecast_at_four` run.

Each worker sleeps for as long as it would compute, by durations that were measured alone on a core, and then takes part
in the training's own collective. A sleeping worker needs no core, so that more of them than there are cores meet as
they would on machines of their own; only the collective itself shares the cores.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

PATIENCE_SECONDS = 30.0


def main() -> int:
    """Takes so many steps with the others, writes their durations and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle_ring", description=__doc__)
    parser.add_argument("--computing", type=Path, required=True, help="what benchmarks.computing wrote")
    parser.add_argument("--batch-size", type=int, required=True, help="images of a step of one worker")
    parser.add_argument("--steps", type=int, required=True, help="steps that count")
    parser.add_argument("--output-dir", type=Path, required=True, help="where each worker writes ring-<rank>.json")
    options = parser.parse_args()
    computing = json.loads(options.computing.read_text(encoding="utf-8"))
    task = json.loads(os.environ["TF_CONFIG"])
    rank, num_workers = task["task"]["index"], len(task["cluster"]["worker"])
    record = run_ring(rank, computing["seconds"][str(options.batch_size)], computing["vector_length"], options.steps)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / f"ring-{rank}.json").write_text(json.dumps(record), encoding="utf-8")
    wait_for_records(options.output_dir, num_workers)
    return 0


def run_ring(rank: int, seconds: list[float], vector_length: int, steps: int) -> dict[str, list[float]]:
    """Returns how long each step of this worker slept, and how long it then communicated.

    Args:
        rank: Of this worker; each draws durations of its own.
        seconds: Durations of computing to draw from.
        vector_length: Numbers in the vector that is summed.
        steps: How many steps.
    """
    import tensorflow as tf  # noqa: PLC0415 - the parser's errors are told before TensorFlow's seconds of import

    from benchmarks.computing import FIRST_STEPS  # noqa: PLC0415
    from model.strategies import connect_all_reduce  # noqa: PLC0415

    reduce = connect_all_reduce()
    vector = tf.zeros([vector_length])
    drawn = np.random.default_rng(rank).choice(seconds, FIRST_STEPS + steps).tolist()
    computing, communicating = [], []
    for duration in drawn:
        began = time.perf_counter()
        time.sleep(duration)
        computed = time.perf_counter()
        reduce(vector)[-1].numpy()
        communicated = time.perf_counter()
        computing.append(computed - began)
        communicating.append(communicated - computed)
    return {"computing_seconds": computing[FIRST_STEPS:], "communication_seconds": communicating[FIRST_STEPS:]}


def wait_for_records(output_dir: Path, num_workers: int) -> None:
    """Waits until all workers have written: the first to leave would take those down that still receive its bytes.

    Raises:
        TimeoutError: One has not, in time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(list(output_dir.glob("ring-*.json"))) < num_workers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"All {num_workers} workers must write to {output_dir} within {PATIENCE_SECONDS:g} s.")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
