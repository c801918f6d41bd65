from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model.data.dataset import PreparedDataset
from model.strategies.block import (
    CALL_SECONDS,
    MOST_STEPS,
    Block,
    choose_steps_per_call,
    loop_over_steps,
    take_asynchronous_block,
    take_block,
)
from model.training.config import TrainingConfig
from model.training.role import Role
from model.training.task import Task

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(0.0, MOST_STEPS), (1e-6, MOST_STEPS), (0.003, 64), (0.01, 25), (0.1, 2), (0.3, 1), (60.0, 1)],
)
def test_a_call_takes_about_a_quarter_of_a_second_where_its_steps_allow(seconds: float, steps: int) -> None:
    assert choose_steps_per_call(seconds) == steps
    assert steps in (1, MOST_STEPS) or abs(steps * seconds - CALL_SECONDS) <= seconds


def test_a_block_holds_what_each_of_its_steps_would_be_given(noise: PreparedDataset) -> None:
    groups: dict[str, Any] = {"same_batch_norm": True, "batch_norm_group_size": 4}
    task = Task(TrainingConfig(strategy="all_reduce", num_workers=2, global_batch_size=16, epochs=2, **groups), noise)
    role = Role("all_reduce", "worker", 1, num_workers=2, num_ps=0)
    block = take_block(task, role, 2, 7)  # over the end of an epoch, which has four steps
    for own, step in zip(zip(*block, strict=True), range(2, 7), strict=True):
        share = task.plan.take(step, 1, 2)
        expected: tuple[Any, ...] = (*share, task.first_group(step, 1), np.float32(task.learning_rate(step)))
        for received, value in zip(own, expected, strict=True):
            np.testing.assert_array_equal(received, value)
    arrays: tuple[Any, ...] = block
    for array, spec in zip(arrays, Block.signature(num_images=8), strict=True):
        assert spec.dtype == array.dtype
        assert spec.shape.is_compatible_with(array.shape)
    alone = take_asynchronous_block(task, 2, 1, 2, 7)
    np.testing.assert_array_equal(alone.rates, [np.float32(task.learning_rate(step) / 2) for step in range(2, 7)])
    for name in ("indices", "shifts", "groups"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(block, name))


@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_each_turn_computes_on_the_batch_of_its_step_and_reads_the_next(num_steps: int) -> None:
    seen = tf.Variable([], shape=[None], dtype=tf.int32)

    def make_step(step: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([seen.assign(tf.concat([seen, [step]], 0))]):
            return tf.cast(batch, tf.float32) + 0.5

    run = tf.function(lambda count: loop_over_steps(count, lambda step: 10 * step, make_step), autograph=False)
    assert run(tf.constant(num_steps)).numpy().tolist() == [10 * step + 0.5 for step in range(num_steps)]
    assert seen.numpy().tolist() == list(range(num_steps))
