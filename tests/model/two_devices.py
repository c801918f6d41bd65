"""Computes a worker's contribution on one device and on two, and sums a vector over two, in a process of its own.

TensorFlow makes a machine's devices once: two of them, each a part of the processor, must be asked for before.
"""

import json
from collections.abc import Sequence
from typing import Any

from model.frameworks import tf
from model.strategies.step import make_group_function, sum_over_groups
from model.strategies.synchronous import make_reduce
from tests.model.strategies.test_step import IMAGES, LABELS, OBJECTIVE, build, make_config, make_whole_config

DEVICES = ("/device:CPU:0", "/device:CPU:1")


def main() -> None:
    """Prints what was computed as JSON."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * len(DEVICES)
    )
    reduce = make_reduce(tf.distribute.MirroredStrategy([*DEVICES]))
    halves = make_whole_config(2)
    told = {
        "dealt": {str(len(own)): contribute(make_config(), own) for own in ((), DEVICES, DEVICES * 3)},
        "whole": contribute(make_whole_config(), DEVICES),
        "halves": [contribute(halves, (), rank) for rank in range(halves.num_workers)],
        "sum": reduce(tf.constant([1.0, 2.0])).numpy().tolist(),
    }
    print(json.dumps(told))


def contribute(config: Any, devices: Sequence[str], rank: int = 0) -> list[float]:
    """Returns the sum of the contributions of a worker's groups, computed in a graph as a step does it."""
    flat = build()
    function = make_group_function(flat, config, OBJECTIVE)
    values = (tf.constant(flat.initial_weights()), tf.constant(flat.initial_statistics()))
    size = config.per_replica_batch_size
    own = slice(rank * size, (rank + 1) * size)

    def sum_groups() -> tf.Tensor:
        batch = (tf.constant(IMAGES[own]), tf.constant(LABELS[own]))
        return sum_over_groups(function, config, values, batch, tf.constant(0), devices=devices)

    contribution: list[float] = tf.function(sum_groups, autograph=False)().numpy().tolist()
    return contribution


if __name__ == "__main__":
    main()
