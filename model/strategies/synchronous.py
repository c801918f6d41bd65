"""Training in step: a single process, or workers that average their gradients by all-reduce."""

import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from model.frameworks import tf
from model.strategies.block import PROBED_STEPS, Block, choose_steps_per_call, loop_over_steps, take_block
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

# Steps with clocks between their parts, where the timed ones have none.
TRACED_STEPS = 20


def reduce_nothing(vector: tf.Tensor) -> tf.Tensor:
    """Returns the vector as it is: the sum over a single process."""
    return vector


def connect_all_reduce(*, use_nccl: bool) -> Reduce:
    """Waits for all workers of TF_CONFIG and returns the function that sums a vector over them.

    The function must be called by all workers in the same order; all get the same bits.

    Args:
        use_nccl: Whether to ask for NVIDIA's collectives, which the runtime does not choose by itself.
    """
    implementation = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=implementation.NCCL if use_nccl else implementation.AUTO
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    # The strategy takes SIGTERM for the notice of a preemption, which it only passes on: a replica that is asked to end
    # would stay until it is killed. A checkpoint is there whole or not at all, whenever that happens.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return make_reduce(strategy)


def make_reduce(strategy: tf.distribute.Strategy) -> Reduce:
    """Returns the function that sums a vector over the processes of a strategy, each of which may have several devices.

    Each device takes part in the strategy's reduction: a process's first brings the vector, the others bring zeros.
    """
    num_devices = len(strategy.extended.worker_devices)

    def sum_in_replica(vector: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        here = tf.identity(vector)  # a function's argument has no device, and the reduction asks for one
        if num_devices > 1:
            is_first = context.replica_id_in_sync_group % num_devices == 0
            here = tf.where(is_first, here, tf.zeros_like(here))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, here)

    def reduce_sum(vector: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(sum_in_replica, args=(vector,)))[0]

    return tf.function(reduce_sum, autograph=False)  # type: ignore[no-any-return]


class SynchronousTrainer(VariableTrainer):
    """The trainer of every worker of a synchronous training; a single process is one worker that reduces nothing."""

    def __init__(self, task: Task, flat: FlatModel, role: Role, reduce: Reduce, computing: Computing = PLAIN) -> None:
        super().__init__(task, flat, role, computing)
        self._reduce = reduce
        self._group_function = make_group_function(flat, task.config, task.objective, computing)
        self._step, self._block = self._make_step(), self._make_block()

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
        """Makes the updates from step `start` up to `stop`, in calls of several where that is faster."""
        if self._steps_per_call <= 1:
            for step in range(start, stop):
                on_step(self._time_step(step, self._task.learning_rate(step)))
            return
        for first in range(start, stop, self._steps_per_call):
            on_step(self._time_block(first, min(first + self._steps_per_call, stop)))

    def warm_up(self) -> None:
        """Makes the steps of `compile` once more, and settles how many a call makes: the same for all workers."""
        super().warm_up()
        if not self._steps_per_call:
            with self._kept():
                seconds = self._time_block(0, PROBED_STEPS, idle=True).seconds / PROBED_STEPS
            # The sum over the workers is the same number on each of them.
            total = self._reduce(tf.constant([seconds], tf.float32)).numpy()[0]
            self._steps_per_call = choose_steps_per_call(float(total) / self._role.num_workers)

    def trace_steps(self) -> list[StepTiming]:
        """Makes steps one by one for the clocks between their parts, then restores the values; none if all have them.

        All workers take part.
        """
        if self._steps_per_call == 1:
            return []
        with self._kept():
            return [self._time_step(step, 0.0) for step in range(TRACED_STEPS)]

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

    def _time_step(self, step: int, learning_rate: float) -> StepTiming:
        task, role = self._task, self._role
        began = time.perf_counter()
        share = task.plan.take(step, role.rank, role.num_workers)
        group = task.first_group(step, role.rank)
        result = self._step(share.indices, share.shifts, group, learning_rate).numpy()
        loss, read, computed, communicated = result.tolist()
        check_loss(step, loss)
        ended = time.perf_counter()
        parts = {"input_seconds": read - began, "update_seconds": ended - communicated}
        if role.strategy == "all_reduce":
            parts["communication_seconds"] = communicated - computed
        return StepTiming(step, (loss,), ended - began, parts)

    def _time_block(self, start: int, stop: int, *, idle: bool = False) -> StepTiming:
        began = time.perf_counter()
        block = take_block(self._task, self._role, start, stop)
        if idle:
            block = block._replace(rates=np.zeros_like(block.rates))
        losses = self._block(*block).numpy().tolist()
        for step, loss in enumerate(losses, start):
            check_loss(step, loss)
        return StepTiming(start, tuple(losses), time.perf_counter() - began)

    def _make_idle_steps(self) -> None:
        share = self._task.plan.take(0, self._role.rank, self._role.num_workers)
        self._step(share.indices, share.shifts, 0, 0.0).numpy()
        if self._steps_per_call != 1:
            self._time_block(0, PROBED_STEPS, idle=True)

    def _make_idle_scores(self) -> None:
        self._reduce(self._score(0, 1)[tf.newaxis]).numpy()

    def _make_step(self) -> Any:
        """Returns the compiled step: in one call, for each call from Python costs a single node some hundredths of it.

        What it returns is the loss and when the batch was read, the contribution computed and the sum received.
        """
        task, config = self._task, self._task.config

        def step(indices: tf.Tensor, shifts: tf.Tensor, first_group: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
            batch = read_batch(task.dataset, indices, shifts, task.max_shift)
            read, *parts = read_clock_after(*tf.nest.flatten(batch))
            batch = tf.nest.pack_sequence_as(batch, parts)
            total = self._contribute(batch, first_group)
            computed, total = read_clock_after(total)
            communicated, total = read_clock_after(self._reduce(total))
            loss = self._update(total, learning_rate)
            return tf.stack([tf.cast(loss, tf.float64), read, computed, communicated])

        signature = [
            tf.TensorSpec([config.per_replica_batch_size], tf.int64),
            tf.TensorSpec([config.per_replica_batch_size, 2], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.float32),
        ]
        return tf.function(step, input_signature=signature, autograph=False)

    def _make_block(self) -> Any:
        """Returns the compiled function that makes the steps of a block without a wait between them."""
        task = self._task

        def make_steps(indices: tf.Tensor, shifts: tf.Tensor, groups: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
            def read(step: tf.Tensor) -> Any:
                return read_batch(task.dataset, indices[step], shifts[step], task.max_shift)

            def make_step(step: tf.Tensor, batch: Any) -> tf.Tensor:
                return self._update(self._reduce(self._contribute(batch, groups[step])), rates[step])

            return loop_over_steps(tf.size(rates), read, make_step)

        signature = Block.signature(task.config.per_replica_batch_size)
        return tf.function(make_steps, input_signature=signature, autograph=False)

    def _contribute(self, batch: tuple[Any, tf.Tensor], first_group: tf.Tensor) -> tf.Tensor:
        """Returns this worker's part of the sum over all groups, in the graph that calls it."""
        return sum_over_groups(
            self._group_function, self._task.config, self._pull(), batch, first_group, devices=self._computing.devices
        )

    def _update(self, total: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
        """Returns the loss of a step once the values are updated by the sum over all groups; likewise."""
        mean = total / self._task.config.groups_per_step
        gradient, statistics, loss = split_contribution(mean, self._flat.num_parameters)
        pushes = [*self._push(gradient, learning_rate), self._statistics.assign(statistics)]
        with tf.control_dependencies(pushes):
            return tf.identity(loss)


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
