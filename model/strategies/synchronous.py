"""Training in step: a single process, or workers that average their gradients by all-reduce."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from model.strategies.step import (
    EVALUATION_BATCH_SIZE,
    apply_momentum,
    count_correct,
    make_group_function,
    map_into_memory,
    read_batch,
    split_contribution,
    sum_over_groups,
)
from model.training import OnStep, Role, State, StepTiming, Task, check_loss

Reduce = Callable[[tf.Tensor], tf.Tensor]


def reduce_nothing(vector: tf.Tensor) -> tf.Tensor:
    """Returns the vector as it is: the sum over a single process."""
    return vector


def connect_all_reduce() -> Reduce:
    """Waits for all workers of TF_CONFIG and returns the function that sums a vector over them.

    The function must be called by all workers in the same order; all get the same bits.
    """
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def sum_in_replica(vector: tf.Tensor) -> tf.Tensor:
        here = tf.identity(vector)  # a function's argument has no device, and the reduction asks for one
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

    def reduce_sum(vector: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(sum_in_replica, args=(vector,)))[0]

    return tf.function(reduce_sum, autograph=False)  # type: ignore[no-any-return]


class SynchronousTrainer:
    """The trainer of every worker of a synchronous training; a single process is one worker that reduces nothing."""

    def __init__(self, task: Task, role: Role, reduce: Reduce) -> None:
        self._task, self._role, self._reduce = task, role, reduce
        self._weights = tf.Variable(task.flat.initial_weights())
        self._velocity = tf.Variable(tf.zeros_like(self._weights))
        self._statistics = tf.Variable(task.flat.initial_statistics())
        self._read = self._make_read()
        self._contribute = self._make_contribute()
        self._update = self._make_update()
        self._count = self._make_count()

    def load(self, state: State) -> int:
        """Takes over the chief's state: the others contribute zeros to a sum."""
        # Two float32 hold a step exactly where one would round it above 2**24.
        steps = np.array(divmod(state.step, 2**12), np.float32)
        vector = np.concatenate([state.weights, state.velocity, state.statistics, steps])
        vector = self._reduce(tf.constant(vector if self._role.is_chief else np.zeros_like(vector))).numpy()
        ends = np.cumsum([len(state.weights), len(state.velocity), len(state.statistics)])
        weights, velocity, moving, steps = np.split(vector, ends)
        self._assign(State(0, weights, velocity, moving))
        return int(steps[0]) * 2**12 + int(steps[1])

    def compile(self) -> None:
        """Makes an update and an evaluation, then restores the state."""
        before = self.read_state()
        self._make_idle_step()
        self._reduce(self._count(0, 1)).numpy()
        self._assign(before)

    def warm_up(self) -> None:
        """Makes an update, then restores the state."""
        before = self.read_state()
        self._make_idle_step()
        self._assign(before)

    def train(self, start: int, stop: int, on_step: OnStep) -> None:
        """Makes the updates from step `start` up to `stop`."""
        task, role = self._task, self._role
        for step in range(start, stop):
            began = time.perf_counter()
            share = task.plan.take(step, role.rank, role.num_workers)
            images, labels = self._read(share.indices, share.shifts)
            read = time.perf_counter()
            contribution = self._contribute(images, labels, task.first_group(step, role.rank))
            contribution[-1].numpy()  # waits for the device, so that the clock is read after the work
            computed = time.perf_counter()
            reduced = self._reduce(contribution)
            reduced[-1].numpy()
            communicated = time.perf_counter()
            loss = float(self._update(reduced, task.learning_rate(step)))
            check_loss(step, loss)
            ended = time.perf_counter()
            parts = {"input_seconds": read - began, "update_seconds": ended - communicated}
            if role.strategy == "all_reduce":
                parts["communication_seconds"] = communicated - computed
            on_step(StepTiming(step, loss, ended - began, parts))

    def count_correct(self) -> int:
        """Returns the correct answers on the validation split, of which each worker computes its share."""
        count = self._task.dataset.split("validation").count
        bounds = np.linspace(0, count, self._role.num_workers + 1, dtype=int)
        first, last = int(bounds[self._role.rank]), int(bounds[self._role.rank + 1])
        correct = tf.zeros([1])
        for start in range(first, last, EVALUATION_BATCH_SIZE):
            correct += self._count(start, min(start + EVALUATION_BATCH_SIZE, last))
        return int(self._reduce(correct).numpy()[0])

    def read_state(self) -> State:
        """Returns weights, velocity and statistics as they are now."""
        return State(0, self._weights.numpy(), self._velocity.numpy(), self._statistics.numpy())

    def _make_idle_step(self) -> None:
        share = self._task.plan.take(0, self._role.rank, self._role.num_workers)
        images, labels = self._read(share.indices, share.shifts)
        self._update(self._reduce(self._contribute(images, labels, 0)), 0.0).numpy()

    def _assign(self, state: State) -> None:
        self._weights.assign(state.weights)
        self._velocity.assign(state.velocity)
        self._statistics.assign(state.statistics)

    def _make_read(self) -> Any:
        task, share_size = self._task, self._task.config.per_replica_batch_size

        def read(indices: tf.Tensor, shifts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return read_batch(task.dataset, indices, shifts, task.config.max_shift)

        signature = [tf.TensorSpec([share_size], tf.int64), tf.TensorSpec([share_size, 2], tf.int32)]
        return tf.function(read, input_signature=signature, autograph=False)

    def _make_contribute(self) -> Any:
        task, share_size = self._task, self._task.config.per_replica_batch_size
        group_function = make_group_function(task.flat, task.config)

        def contribute(images: tf.Tensor, labels: tf.Tensor, first_group: tf.Tensor) -> tf.Tensor:
            values = (self._weights.value(), self._statistics.value())
            return sum_over_groups(group_function, task.config, values, (images, labels), first_group)

        pixels = tf.as_dtype(task.dataset.split("train").images.dtype)
        signature = [
            tf.TensorSpec([share_size, *task.dataset.image_shape], pixels),
            tf.TensorSpec([share_size], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
        return tf.function(contribute, input_signature=signature, autograph=False)

    def _make_update(self) -> Any:
        task = self._task

        def update(total: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
            mean = total / task.config.groups_per_step
            gradient, statistics, loss = split_contribution(mean, task.flat.num_parameters)
            apply_momentum(self._weights, self._velocity, gradient, learning_rate, task.config.momentum)
            self._statistics.assign(statistics)
            return loss

        length = task.flat.num_parameters + len(task.flat.initial_statistics()) + 1
        signature = [tf.TensorSpec([length], tf.float32), tf.TensorSpec([], tf.float32)]
        return tf.function(update, input_signature=signature, autograph=False)

    def _make_count(self) -> Any:
        task = self._task

        def count(start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
            images, labels = map_into_memory(task.dataset.split("validation"))
            values = (self._weights.value(), self._statistics.value())
            return count_correct(task.flat, *values, images[start:stop], labels[start:stop])[tf.newaxis]

        return tf.function(count, input_signature=[tf.TensorSpec([], tf.int32)] * 2, autograph=False)
