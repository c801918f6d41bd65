"""Several steps in one call: on an accelerator a call a step would spend its time on calls and waits."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.frameworks import tf
from model.training import Role, Task

# How long a call should take: long beside what a call costs, short beside what a person waits for.
CALL_SECONDS = 0.25
MOST_STEPS = 64
# Steps of the call that tells how long one takes.
PROBED_STEPS = 4


class Block(NamedTuple):
    """What one worker needs for steps that follow each other.

    Attributes:
        indices: Of each step's images, int64, shape [steps, n].
        shifts: Of these, int32, shape [steps, n, 2].
        groups: Number of the first of the worker's groups in each step, int32, shape [steps].
        rates: Learning rate of each step, float32, shape [steps].
    """

    indices: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    rates: npt.NDArray[np.float32]

    @staticmethod
    def signature(num_images: int) -> list[tf.TensorSpec]:
        """Returns the types and shapes of any number of steps.

        Args:
            num_images: Images of a step.
        """
        return [
            tf.TensorSpec([None, num_images], tf.int64),
            tf.TensorSpec([None, num_images, 2], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.float32),
        ]


def take_block(task: Task, role: Role, start: int, stop: int) -> Block:
    """Returns what a worker needs for the steps from `start` up to `stop`.

    Args:
        task: What is trained.
        role: The worker's.
        start: The first step.
        stop: The one after the last.
    """
    steps = range(start, stop)
    return _stack(task, steps, role.rank, role.num_workers, [task.learning_rate(step) for step in steps])


def take_asynchronous_block(task: Task, num_workers: int, rank: int, start: int, stop: int) -> Block:
    """Returns the same for a worker whose updates are its own: each with its part of the learning rate.

    Args:
        task: What is trained.
        num_workers: How many share a batch.
        rank: Which share is taken.
        start: The first step.
        stop: The one after the last.
    """
    steps = range(start, stop)
    return _stack(task, steps, rank, num_workers, [task.learning_rate(step) / num_workers for step in steps])


def _stack(task: Task, steps: range, rank: int, num_workers: int, rates: Sequence[float]) -> Block:
    shares = [task.plan.take(step, rank, num_workers) for step in steps]
    return Block(
        np.stack([share.indices for share in shares]),
        np.stack([share.shifts for share in shares]),
        np.array([task.first_group(step, rank) for step in steps], np.int32),
        np.array(rates, np.float32),
    )


def choose_steps_per_call(seconds_per_step: float) -> int:
    """Returns how many steps make a call of about `CALL_SECONDS`: one where steps are long, `MOST_STEPS` at most."""
    return max(1, min(MOST_STEPS, round(CALL_SECONDS / max(seconds_per_step, CALL_SECONDS / MOST_STEPS))))


def loop_over_steps(
    num_steps: tf.Tensor, read: Callable[[tf.Tensor], Any], make_step: Callable[[tf.Tensor, Any], tf.Tensor]
) -> tf.Tensor:
    """Returns what each step gives, stacked; built into the graph that calls it.

    Each turn of the loop reads the batch of the next step, which waits for nothing of its own step: so an accelerator
    computes while the processor reads. The last turn reads its own batch once more, and nobody takes that.

    Args:
        num_steps: How many, int32.
        read: Reads the batch of a step, from 0.
        make_step: Makes a step with its batch; all that it changes is changed once what it returns is there.
    """
    results = tf.TensorArray(tf.float32, size=num_steps, element_shape=[])

    def turn(step: tf.Tensor, batch: Any, results: tf.TensorArray) -> tuple[tf.Tensor, Any, tf.TensorArray]:
        upcoming = read(tf.minimum(step + 1, num_steps - 1))
        return step + 1, upcoming, results.write(step, make_step(step, batch))

    first = tf.constant(0)
    loop = tf.while_loop(lambda step, *_: step < num_steps, turn, (first, read(first), results), parallel_iterations=1)
    return loop[-1].stack()
