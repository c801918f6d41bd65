"""What a strategy's own exchange of values costs, timed by itself: no computation, and nobody to wait for.

One element tells the latency, the vector of a step what its length adds. Both are timed before the training's clock
begins, and leave the values as they were.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from model.frameworks import tf

REPEATS = 20
# The first ones trace, compile and open connections.
DISCARDED = 5

Exchange = Callable[[int], float]


def describe_exchange(operation: str, num_elements: int, exchange: Exchange) -> dict[str, Any]:
    """Returns the `collective` of the record: the medians of exchanges of one element and of the vector of a step.

    Args:
        operation: What an exchange is.
        num_elements: Length of the vector.
        exchange: Makes an exchange of so many elements, and returns its seconds. All workers that take part call it
            equally often, in the same order.
    """
    seconds = {
        length: statistics.median([exchange(length) for _ in range(DISCARDED + REPEATS)][DISCARDED:])
        for length in (1, num_elements)
    }
    return {
        "operation": operation,
        "repeats": REPEATS,
        "num_elements": num_elements,
        "one_element_seconds": seconds[1],
        "vector_seconds": seconds[num_elements],
    }


def make_pull_push(
    pull: Callable[[], Sequence[tf.Tensor]], push: Callable[[Sequence[tf.Tensor]], Sequence[tf.Operation]]
) -> Any:
    """Returns the function of a worker that pulls, pushes what it has pulled times its argument, and says how long.

    What is pulled must be used: a graph's optimizer leaves out the transfer of what is only waited for. So it becomes
    the update, by a factor that only the caller knows, in the place of a step's computation and off the clock like it.

    Args:
        pull: Reads from the servers, in the graph that calls it.
        push: Likewise updates the servers by as many tensors as were pulled.
    """

    def pull_push(factor: tf.Tensor) -> tf.Tensor:
        began = tf.timestamp()
        with tf.control_dependencies([began]):
            parts = pull()
        pulled = read_time_after(*parts)
        with tf.control_dependencies([pulled]):
            updates = [part * factor for part in parts]
        computed = read_time_after(*updates)
        with tf.control_dependencies([computed]):
            pushes = push(updates)
        return (pulled - began) + (read_time_after(*pushes) - computed)

    return tf.function(pull_push, input_signature=[tf.TensorSpec([], tf.float32)], autograph=False)


def read_first(variable: tf.Variable) -> tf.Tensor:
    """Returns a variable's first element, shape [1], which is taken out where the variable lives."""
    return tf.raw_ops.ResourceGather(resource=variable.handle, indices=[0], dtype=tf.float32)


def add_to_first(variable: tf.Variable, update: tf.Tensor) -> tf.Operation:
    """Returns the operation that adds to a variable's first element, where the variable lives."""
    return tf.raw_ops.ResourceScatterAdd(resource=variable.handle, indices=[0], updates=update)


def read_time_after(*results: Any) -> tf.Tensor:
    """Returns the time, in seconds, at which all results are there."""
    with tf.control_dependencies(results):
        return tf.timestamp()
