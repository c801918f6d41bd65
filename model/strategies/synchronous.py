"""Training in step: a single process, or workers that average their gradients by all-reduce."""

import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from model.frameworks import tf
from model.strategies.computing import PLAIN, Computing
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
    # The strategy takes SIGTERM for the notice of a preemption, which it only passes on: a replica that is asked to end
    # would stay until it is killed. A checkpoint is there whole or not at all, whenever that happens.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def sum_in_replica(vector: tf.Tensor) -> tf.Tensor:
        here = tf.identity(vector)  # a function's argument has no device, and the reduction asks for one
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

    def reduce_sum(vector: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(sum_in_replica, args=(vector,)))[0]

    return tf.function(reduce_sum, autograph=False)  # type: ignore[no-any-return]


class SynchronousTrainer(VariableTrainer):
    """The trainer of every worker of a synchronous training; a single process is one worker that reduces nothing."""

    def __init__(self, task: Task, flat: FlatModel, role: Role, reduce: Reduce, computing: Computing = PLAIN) -> None:
        super().__init__(task, flat, role, computing)
        self._reduce = reduce
        self._step = self._make_step()

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
            group, rate = task.first_group(step, role.rank), task.learning_rate(step)
            loss, read, computed, communicated = self._step(share.indices, share.shifts, group, rate).numpy().tolist()
            check_loss(step, loss)
            ended = time.perf_counter()
            parts = {"input_seconds": read - began, "update_seconds": ended - communicated}
            if role.strategy == "all_reduce":
                parts["communication_seconds"] = communicated - computed
            on_step(StepTiming(step, loss, ended - began, parts))

    def sum_scores(self) -> float:
        """Returns the sum of the scores on the validation split, of which each worker computes its share."""
        count = self._task.dataset.split("validation").count
        bounds = np.linspace(0, count, self._role.num_workers + 1, dtype=int)
        first, last = int(bounds[self._role.rank]), int(bounds[self._role.rank + 1])
        total = tf.zeros([1])
        for start in range(first, last, EVALUATION_BATCH_SIZE):
            total += self._score(start, min(start + EVALUATION_BATCH_SIZE, last))
        return float(self._reduce(total).numpy()[0])

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
        self._step(share.indices, share.shifts, 0, 0.0).numpy()

    def _make_idle_scores(self) -> None:
        self._reduce(self._score(0, 1)[tf.newaxis]).numpy()

    def _make_step(self) -> Any:
        """Returns the compiled step: in one call, for each call from Python costs a single node some hundredths of it.

        What it returns is the loss and when the batch was read, the contribution computed and the sum received.
        """
        task, flat, config = self._task, self._flat, self._task.config
        group_function = make_group_function(flat, config, task.objective, self._computing)

        def step(indices: tf.Tensor, shifts: tf.Tensor, first_group: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
            batch = read_batch(task.dataset, indices, shifts, task.max_shift)
            read, *parts = read_clock_after(*tf.nest.flatten(batch))
            batch = tf.nest.pack_sequence_as(batch, parts)
            total = sum_over_groups(group_function, config, self._pull(), batch, first_group)
            computed, total = read_clock_after(total)
            communicated, total = read_clock_after(self._reduce(total))
            mean = total / config.groups_per_step
            gradient, statistics, loss = split_contribution(mean, flat.num_parameters)
            pushes = [*self._push(gradient, learning_rate), self._statistics.assign(statistics)]
            with tf.control_dependencies(pushes):
                return tf.stack([tf.cast(loss, tf.float64), read, computed, communicated])

        signature = [
            tf.TensorSpec([config.per_replica_batch_size], tf.int64),
            tf.TensorSpec([config.per_replica_batch_size, 2], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.float32),
        ]
        return tf.function(step, input_signature=signature, autograph=False)


def read_clock_after(*tensors: tf.Tensor) -> list[tf.Tensor]:
    """Returns the time when the tensors were computed, on the clock of `time.perf_counter`, and the tensors after that.

    The clock gets a number of the last tensor, so that on an accelerator it waits until the work is done. TensorFlow's
    own clock is no choice: it can be set, and refuses to run where operations must be deterministic.
    """
    with tf.control_dependencies(tensors):
        number = tf.reshape(tensors[-1], [-1])[-1]
        now = tf.numpy_function(lambda _: time.perf_counter(), [number], tf.float64)
    now.set_shape([])
    with tf.control_dependencies([now]):
        return [now, *(tf.identity(tensor) for tensor in tensors)]
