"""Asynchronous training: workers push gradients to parameter servers whenever they have one."""

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from model.frameworks import tf
from model.strategies.block import PROBED_STEPS, Block, choose_steps_per_call, take_asynchronous_block
from model.strategies.calls import Calls
from model.strategies.computing import PLAIN, Computing, count_gpus
from model.strategies.exchange import add_to_first, describe_exchange, make_pull_push, read_first, read_time_after
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

# Worker functions wait for the server's own threads: with one inter-op thread, as a replica that sees one CPU gets,
# a job hangs without a word.
_SERVER_THREADS = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=4)
# Results that the coordinator has not looked at yet, a worker; enough to keep it busy, few enough to stop soon.
_IN_FLIGHT_PER_WORKER = 8
# Of the steps that are left a call makes this part at most.
_CALLS_LEFT = 4


def serve(role: Role, is_finished: Callable[[], bool]) -> None:
    """Runs the server of a worker or a parameter server until the chief says that the training is finished.

    Args:
        role: This replica's.
        is_finished: Whether the chief is done.

    Raises:
        ConfigError: As `count_gpus`: what the chief has settled holds for all.
    """
    count_gpus()
    cluster = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
    server = tf.distribute.Server(
        cluster,
        job_name=role.task_type,
        task_index=role.task_index,
        protocol="grpc",
        config=_SERVER_THREADS,
        start=True,
    )
    while not is_finished():
        time.sleep(0.1)
    del server


def connect_servers() -> tf.distribute.ParameterServerStrategy:
    """Waits for the workers and parameter servers of TF_CONFIG and returns the strategy that reaches them."""
    return tf.distribute.ParameterServerStrategy(tf.distribute.cluster_resolver.TFConfigClusterResolver())


class ParameterServerTrainer(VariableTrainer):
    """The chief's trainer: it hands out work, the workers compute, the parameter servers update.

    A worker's update uses its share of the global batch, so the learning rate is that of the global batch divided by
    the number of workers (the linear scaling rule), and so is its step of the statistics' moving average.

    Source: Li et al. 2014, OSDI, for the architecture; Goyal et al. 2017, arXiv:1706.02677, section 2.1, for the rule.
    """

    def __init__(
        self,
        task: Task,
        flat: FlatModel,
        role: Role,
        strategy: tf.distribute.ParameterServerStrategy,
        computing: Computing = PLAIN,
    ) -> None:
        self._calls = Calls(strategy)
        with strategy.scope():
            super().__init__(task, flat, role, computing, role.num_ps)
        self._compute_and_push, self._compute_and_push_all = self._make_compute_and_push()

    def load(self, values: Values, step: int) -> int:
        """Writes the values to the parameter servers and returns the step."""
        self._assign(values)
        return step

    def train(self, start: int, stop: int, on_step: OnStep) -> None:
        """Makes the updates of the global batches from `start` up to `stop`, one by each worker for each."""
        num_workers = self._role.num_workers
        pending: collections.deque[tuple[int, Any]] = collections.deque()
        for steps in cut_calls(start, stop, self._steps_per_call or 1):
            pending += [(steps.start, self._hand_out(rank, steps)) for rank in range(num_workers)]
            while len(pending) > _IN_FLIGHT_PER_WORKER * num_workers:
                self._report(*pending.popleft(), on_step)
        self._calls.join()
        while pending:
            self._report(*pending.popleft(), on_step)

    def warm_up(self) -> None:
        """Makes the steps of `compile` once more, and settles how many a call makes."""
        super().warm_up()
        if not self._steps_per_call:
            with self._kept():
                results = self._hand_out_idle(range(PROBED_STEPS))
                seconds = [row[1] for result in results for row in self._calls.fetch(result)]
            self._steps_per_call = choose_steps_per_call(float(np.median(seconds)))

    def trace_steps(self) -> list[StepTiming]:
        """Returns nothing: a worker's graph tells the parts of each step."""
        return []

    def sum_scores(self) -> float:
        """Returns the sum of the scores on the validation split, computed by the workers."""
        count = self._task.dataset.split("validation").count
        results = [
            self._calls.schedule(self._score, start, min(start + EVALUATION_BATCH_SIZE, count))
            for start in range(0, count, EVALUATION_BATCH_SIZE)
        ]
        self._calls.join()
        return float(sum(float(self._calls.fetch(result)) for result in results))

    def time_exchange(self) -> dict[str, Any]:
        """Returns what a pull and a push cost, of one worker after another; the values stay as they were.

        That of one element sends as many messages as a step: one element of each slice of the weights.
        """
        length = self._flat.num_parameters + len(self._flat.initial_statistics())
        functions = {
            1: make_pull_push(self._pull_first, self._push_first),
            length: make_pull_push(self._pull, self._push_all),
        }

        def exchange(num_elements: int) -> float:
            result = self._calls.schedule(functions[num_elements], 0.0)
            self._calls.join()
            return float(self._calls.fetch(result))

        with self._kept():
            for function in functions.values():  # an idle worker takes the next, and is busy if it compiles
                for _ in range(2 * self._role.num_workers):
                    self._calls.schedule(function, 0.0)
                self._calls.join()
            return describe_exchange("pull_push", length, exchange)

    def _pull_first(self) -> list[tf.Tensor]:
        return [read_first(part) for part in self._weights]

    def _push_first(self, updates: Sequence[tf.Tensor]) -> list[tf.Operation]:
        return [add_to_first(part, update) for part, update in zip(self._weights, updates, strict=True)]

    def _push_all(self, updates: Sequence[tf.Tensor]) -> list[tf.Operation]:
        gradient, statistics = updates
        return [*self._push(gradient, tf.constant(0.0)), self._statistics.assign_add(statistics)]

    def _make_idle_steps(self) -> None:
        self._hand_out_idle(range(1))
        if self._steps_per_call != 1:
            self._hand_out_idle(range(PROBED_STEPS))

    def _make_idle_scores(self) -> None:
        for _ in range(2 * self._role.num_workers):
            self._calls.schedule(self._score, 0, 1)
        self._calls.join()

    def _hand_out(self, rank: int, steps: range, *, idle: bool = False) -> Any:
        """Returns what is to come of a worker's shares of these steps; an idle one changes no weights."""
        block = take_asynchronous_block(self._task, self._role.num_workers, rank, steps.start, steps.stop)
        if idle:
            block = block._replace(rates=np.zeros_like(block.rates))
        if len(steps) == 1:
            return self._calls.schedule(self._compute_and_push, *(part[0] for part in block))
        return self._calls.schedule(self._compute_and_push_all, *block)

    def _hand_out_idle(self, steps: range) -> list[Any]:
        """Hands out two calls for each worker: an idle one takes the next, and is busy if it compiles."""
        results = [self._hand_out(0, steps, idle=True) for _ in range(2 * self._role.num_workers)]
        self._calls.join()
        return results

    def _report(self, first: int, result: Any, on_step: OnStep) -> None:
        rows = np.reshape(self._calls.fetch(result), [-1, 4]).tolist()
        worker = _find_worker(result)
        for step, row in enumerate(rows, first):
            loss, seconds, input_seconds, communication_seconds = row
            check_loss(step, loss)
            parts = {"input_seconds": input_seconds, "communication_seconds": communication_seconds}
            on_step(StepTiming(step, (loss,), seconds, parts, worker))

    def _make_compute_and_push(self) -> tuple[Any, Any]:
        """Returns the worker's function of a step, and that of several: what each gives is a row a step."""
        task, config, flat = self._task, self._task.config, self._flat
        group_function = make_group_function(flat, config, task.objective, self._computing)

        def compute_and_push(
            indices: tf.Tensor, shifts: tf.Tensor, first_group: tf.Tensor, learning_rate: tf.Tensor
        ) -> tf.Tensor:
            began = tf.timestamp()
            with tf.control_dependencies([began]):
                weights, statistics = self._pull()
            pulled = read_time_after(weights, statistics)
            with tf.control_dependencies([pulled]):
                batch = read_batch(task.dataset, indices, shifts, task.max_shift)
            read = read_time_after(*tf.nest.flatten(batch))
            with tf.control_dependencies([read]):
                batch = tf.nest.map_structure(tf.identity, batch)
            total = sum_over_groups(
                group_function, config, (weights, statistics), batch, first_group, devices=self._computing.devices
            )
            gradient, updated, loss = split_contribution(total / config.groups_per_replica, flat.num_parameters)
            computed = read_time_after(gradient, updated)
            with tf.control_dependencies([computed]):
                pushes = self._push(gradient, learning_rate)
                pushes.append(self._statistics.assign_add((updated - statistics) / config.num_workers))
            ended = read_time_after(*pushes)
            communication = (pulled - began) + (ended - computed)
            return tf.stack([tf.cast(loss, tf.float64), ended - began, read - pulled, communication])

        signature = [
            tf.TensorSpec([config.per_replica_batch_size], tf.int64),
            tf.TensorSpec([config.per_replica_batch_size, 2], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.float32),
        ]

        def compute_and_push_all(*block: tf.Tensor) -> tf.Tensor:
            num_steps = tf.size(block[-1])
            rows = tf.TensorArray(tf.float64, size=num_steps, element_shape=[4])

            def turn(step: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                return step + 1, rows.write(step, compute_and_push(*(part[step] for part in block)))

            loop = tf.while_loop(lambda step, _: step < num_steps, turn, (tf.constant(0), rows), parallel_iterations=1)
            return loop[1].stack()

        several = Block.signature(config.per_replica_batch_size)
        return (
            tf.function(compute_and_push, input_signature=signature, autograph=False),
            tf.function(compute_and_push_all, input_signature=several, autograph=False),
        )


def cut_calls(start: int, stop: int, most: int) -> Iterator[range]:
    """Yields the steps from `start` up to `stop`, call by call: the fewer are left, the fewer make a call.

    At the end a worker that has no call left waits for those that have: for a step or so, not for a long call.

    Args:
        start: The first step.
        stop: The one after the last.
        most: Steps of a call at most.

    Source: guided self-scheduling, Polychronopoulos & Kuck 1987, IEEE Transactions on Computers 36 (12).
    """
    while start < stop:
        count = min(most, max(1, (stop - start) // _CALLS_LEFT))
        yield range(start, start + count)
        start += count


def _find_worker(result: Any) -> str | None:
    """Returns the replica that computed a fetched result; None if this TensorFlow no longer tells.

    Only the device of the values as the worker left them says so, and no public method gives those.
    """
    device = tf.DeviceSpec.from_string(getattr(getattr(result, "_values", None), "device", ""))
    return None if device.task is None else f"{device.job}-{device.task}"
