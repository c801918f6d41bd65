"""Training in step: a single process, or workers that average their gradients by all-reduce."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from model.frameworks import tf
from model.strategies.exchange import describe_exchange
from model.strategies.step import (
    EVALUATION_BATCH_SIZE,
    FlatModel,
    make_group_function,
    read_batch,
    split_contribution,
    sum_over_groups,
)
from model.strategies.trainer import VariableTrainer
from model.training import OnStep, Role, StepTiming, Task, Values, check_loss

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


class SynchronousTrainer(VariableTrainer):
    """The trainer of every worker of a synchronous training; a single process is one worker that reduces nothing."""

    def __init__(self, task: Task, flat: FlatModel, role: Role, reduce: Reduce) -> None:
        super().__init__(task, flat, role)
        self._reduce = reduce
        self._read = self._make_read()
        self._contribute = self._make_contribute()
        self._update = self._make_update()

    def load(self, values: Values, step: int) -> int:
        """Takes over the chief's values and step: the others contribute zeros to a sum."""
        # Two float32 hold a step exactly where one would round it above 2**24.
        steps = np.array(divmod(step, 2**12), np.float32)
        vector = np.concatenate([*values, steps])
        vector = self._reduce(tf.constant(vector if self._role.is_chief else np.zeros_like(vector))).numpy()
        *parts, steps = np.split(vector, np.cumsum([len(part) for part in values]))
        self._assign(Values(*parts))
        return int(steps[0]) * 2**12 + int(steps[1])

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

    def time_exchange(self) -> dict[str, Any] | None:
        """Returns what a reduction costs; all workers take part. None of a single process, which exchanges nothing."""
        if self._role.strategy != "all_reduce":
            return None
        length = self._flat.num_parameters + len(self._flat.initial_statistics()) + 1
        return describe_exchange("all_reduce", length, self._time_reduction)

    def _time_reduction(self, num_elements: int) -> float:
        vector = tf.zeros([num_elements])
        began = time.perf_counter()
        self._reduce(vector)[-1].numpy()
        return time.perf_counter() - began

    def _make_idle_steps(self) -> None:
        share = self._task.plan.take(0, self._role.rank, self._role.num_workers)
        images, labels = self._read(share.indices, share.shifts)
        self._update(self._reduce(self._contribute(images, labels, 0)), 0.0).numpy()

    def _make_idle_counts(self) -> None:
        self._reduce(self._count(0, 1)[tf.newaxis]).numpy()

    def _make_read(self) -> Any:
        task, share_size = self._task, self._task.config.per_replica_batch_size

        def read(indices: tf.Tensor, shifts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return read_batch(task.dataset, indices, shifts, task.config.max_shift)

        signature = [tf.TensorSpec([share_size], tf.int64), tf.TensorSpec([share_size, 2], tf.int32)]
        return tf.function(read, input_signature=signature, autograph=False)

    def _make_contribute(self) -> Any:
        task, share_size = self._task, self._task.config.per_replica_batch_size
        group_function = make_group_function(self._flat, task.config)

        def contribute(images: tf.Tensor, labels: tf.Tensor, first_group: tf.Tensor) -> tf.Tensor:
            return sum_over_groups(group_function, task.config, self._pull(), (images, labels), first_group)

        pixels = tf.as_dtype(task.dataset.split("train").images.dtype)
        signature = [
            tf.TensorSpec([share_size, *task.dataset.image_shape], pixels),
            tf.TensorSpec([share_size], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
        return tf.function(contribute, input_signature=signature, autograph=False)

    def _make_update(self) -> Any:
        config, flat = self._task.config, self._flat

        def update(total: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
            mean = total / config.groups_per_step
            gradient, statistics, loss = split_contribution(mean, flat.num_parameters)
            self._push(gradient, learning_rate)
            self._statistics.assign(statistics)
            return loss

        length = flat.num_parameters + len(flat.initial_statistics()) + 1
        signature = [tf.TensorSpec([length], tf.float32), tf.TensorSpec([], tf.float32)]
        return tf.function(update, input_signature=signature, autograph=False)
