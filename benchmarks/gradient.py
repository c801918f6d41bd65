"""Images per second of the gradient computation on one core: as a graph and with XLA, by size of the BatchNorm group.

The variants take turns, so that a machine whose speed drifts slows all of them alike.
"""

import argparse
import os
import statistics
import time
from dataclasses import replace
from typing import Any

ROUNDS = 9
SECONDS_PER_TURN = 1.0

for _name, _value in (("TF_CPP_MIN_LOG_LEVEL", "2"), ("TF_NUM_INTEROP_THREADS", "2")):
    os.environ[_name] = _value
for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ[_name] = "1"


def main() -> None:
    """Prints a Markdown table."""
    argparse.ArgumentParser(prog="python -m benchmarks.gradient", description=__doc__).parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    variants = [(jit_compile, size) for jit_compile in (False, True) for size in (32, 64, 128)]
    steps = {variant: make_step(*variant) for variant in variants}
    compile_seconds = {variant: measure_seconds(step) for variant, step in steps.items()}
    rates: dict[tuple[bool, int], list[float]] = {variant: [] for variant in variants}
    for _ in range(ROUNDS):
        for variant, step in steps.items():
            rates[variant].append(measure_rate(step, variant[1]))
    print("| gradient of resnet8, stem stride 2 | group | first call, s | images/s, median | min | max |")
    print("|---|---|---|---|---|---|")
    for jit_compile, size in variants:
        values = rates[jit_compile, size]
        first = compile_seconds[jit_compile, size]
        name = "XLA" if jit_compile else "graph"
        print(
            f"| {name} | {size} | {first:.2f} | {statistics.median(values):,.0f} "
            f"| {min(values):,.0f} | {max(values):,.0f} |"
        )


def make_step(jit_compile: bool, group_size: int) -> Any:
    """Returns a function that computes one group's gradient of a fresh resnet8 on random pixels."""
    import numpy as np  # noqa: PLC0415 - after the environment is set
    import tensorflow as tf  # noqa: PLC0415

    from model.frameworks import keras  # noqa: PLC0415
    from model.networks import build_model  # noqa: PLC0415
    from model.objectives import find_objective  # noqa: PLC0415
    from model.strategies import PLAIN, FlatModel, make_group_function  # noqa: PLC0415
    from model.training import TrainingConfig  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    flat = FlatModel.wrap(build_model("resnet8", (28, 28, 1), 10, {"stem_stride": 2}))
    config, computing = TrainingConfig(global_batch_size=group_size), replace(PLAIN, jit_compile=jit_compile)
    function = make_group_function(flat, config, find_objective("", "classes", 10), computing)
    generator = np.random.default_rng(0)
    images = tf.constant(generator.integers(0, 256, (group_size, 28, 28, 1), dtype=np.uint8))
    labels = tf.constant(generator.integers(0, 10, group_size, dtype=np.int32))
    weights, moving = tf.constant(flat.initial_weights()), tf.constant(flat.initial_statistics())
    return lambda: function(weights, moving, images, labels, tf.constant(0)).numpy()


def measure_seconds(step: Any) -> float:
    """Returns the seconds of one call."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def measure_rate(step: Any, group_size: int) -> float:
    """Returns the images per second over `SECONDS_PER_TURN`."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS_PER_TURN:
        step()
        calls += 1
    return calls * group_size / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
