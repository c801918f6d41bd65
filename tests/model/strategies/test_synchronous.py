import time
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.data.dataset import PreparedDataset
from model.errors import TrainingDiverged
from model.networks.registry import build_model
from model.strategies.computing import PLAIN
from model.strategies.step import FlatModel
from model.strategies.synchronous import TRACED_STEPS, SynchronousTrainer, read_clock_after, reduce_nothing
from model.training.config import TrainingConfig
from model.training.role import Role
from model.training.task import StepTiming, Task

pytestmark = pytest.mark.slow

SINGLE = Role("single", "worker", 0, num_workers=1, num_ps=0)


@pytest.fixture(scope="module")
def task(noise: PreparedDataset) -> Task:
    config = TrainingConfig(
        global_batch_size=16, same_batch_norm=True, batch_norm_group_size=8, epochs=4, learning_rate=0.01
    )
    return Task(config, noise)


@pytest.fixture(scope="module")
def flat() -> FlatModel:
    return FlatModel.wrap(build_model("tests.model.builders:batch_norm", (8, 8, 1), 3, {}))


@pytest.fixture
def trainer(task: Task, flat: FlatModel) -> SynchronousTrainer:
    return SynchronousTrainer(task, flat, SINGLE, reduce_nothing)


def digest(trainer: SynchronousTrainer) -> tuple[str, bytes]:
    values = trainer.read_values()
    return values.sha256, values.velocity.tobytes()


def test_it_starts_with_the_models_own_weights_and_at_rest(flat: FlatModel, trainer: SynchronousTrainer) -> None:
    values = trainer.read_values()
    np.testing.assert_array_equal(values.weights, flat.initial_weights())
    np.testing.assert_array_equal(values.statistics, flat.initial_statistics())
    assert not values.velocity.any()


def test_compiling_and_warming_up_leave_the_state_as_it_was(trainer: SynchronousTrainer) -> None:
    trainer.train(0, 3, lambda timing: None)
    before = digest(trainer)
    trainer.compile()
    trainer.warm_up()
    assert digest(trainer) == before


def test_every_step_is_reported_once_and_in_order(trainer: SynchronousTrainer) -> None:
    timings: list[StepTiming] = []
    trainer.train(2, 6, timings.append)
    assert [timing.step for timing in timings] == [2, 3, 4, 5]
    assert all(set(timing.parts) == {"input_seconds", "update_seconds"} for timing in timings)
    assert all(0 < sum(timing.parts.values()) < timing.seconds for timing in timings)


@pytest.mark.parametrize("groups", [{}, {"same_batch_norm": True, "batch_norm_group_size": 8}], ids=["whole", "groups"])
@pytest.mark.parametrize("model", ["dropout", "batch_norm", "convolution"])
def test_steps_in_one_call_are_the_steps_of_single_calls_to_the_bit(
    noise: PreparedDataset, model: str, groups: dict[str, Any]
) -> None:
    config = TrainingConfig(global_batch_size=16, epochs=4, learning_rate=0.01, **groups)
    flat = FlatModel.wrap(build_model(f"tests.model.builders:{model}", (8, 8, 1), 3, {}))
    results = []
    for steps_per_call in (1, 3):
        task = Task(replace(config, steps_per_call=steps_per_call), noise)
        trainer, timings = SynchronousTrainer(task, flat, SINGLE, reduce_nothing), list[StepTiming]()
        trainer.train(1, 9, timings.append)
        results.append(([loss for timing in timings for loss in timing.losses], digest(trainer)))
    assert [(timing.step, timing.last_step) for timing in timings] == [(1, 3), (4, 6), (7, 8)]
    assert results[0] == results[1]


def test_the_parts_of_steps_in_one_call_are_traced_apart_and_leave_no_trace(task: Task, flat: FlatModel) -> None:
    several = replace(task, config=replace(task.config, steps_per_call=4))
    trainer = SynchronousTrainer(several, flat, SINGLE, reduce_nothing)
    before = digest(trainer)
    trainer.compile()
    trainer.warm_up()
    traced = trainer.trace_steps()
    assert digest(trainer) == before
    assert len(traced) == TRACED_STEPS
    assert all(set(timing.parts) == {"input_seconds", "update_seconds"} for timing in traced)
    assert trainer.describe_computing()["steps_per_call"] == 4
    alone = SynchronousTrainer(task, flat, SINGLE, reduce_nothing)
    assert alone.trace_steps() == []
    assert alone.describe_computing()["steps_per_call"] == 1


def test_on_a_gpu_the_workers_agree_on_how_many_steps_a_call_makes(task: Task, flat: FlatModel) -> None:
    heard: list[tuple[int, ...]] = []

    def reduce(vector: tf.Tensor) -> tf.Tensor:
        if not tf.executing_eagerly():
            return vector
        heard.append(tuple(vector.shape))
        return vector + 0.15  # what another worker needs for a step

    computing, role = replace(PLAIN, gpus=1), Role("all_reduce", "worker", 0, num_workers=2, num_ps=0)
    shared = replace(task, config=replace(task.config, strategy="all_reduce", num_workers=2))
    trainer = SynchronousTrainer(shared, flat, role, reduce, computing)
    trainer.compile()
    trainer.train(0, 1, lambda timing: None)  # before it is known, one by one
    trainer.warm_up()
    assert heard[-1] == (1,)
    assert 1 < trainer.describe_computing()["steps_per_call"] <= 3


def test_by_default_a_single_process_trains_as_keras_does_on_whole_batches(noise: PreparedDataset) -> None:
    config = TrainingConfig(global_batch_size=16, weight_decay=0.0, label_smoothing=0.1, max_shift=0)
    task = Task(config, noise)
    losses: list[float] = []
    flat = FlatModel.wrap(build_model("tests.model.builders:convolution", (8, 8, 1), 3, {}))
    reference = keras.models.clone_model(flat.model)
    reference.set_weights(flat.model.get_weights())
    trainer = SynchronousTrainer(task, flat, SINGLE, reduce_nothing)
    trainer.train(0, 6, lambda timing: losses.extend(timing.losses))
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    train, variables = noise.split("train"), [v.value for v in reference.trainable_variables]
    velocities = [np.zeros(v.shape, np.float32) for v in variables]
    for step, loss in enumerate(losses):
        indices, rate = task.plan.take(step).indices, task.learning_rate(step)
        with tf.GradientTape() as tape:
            logits = reference(train.images[indices].astype(np.float32), training=True)
            expected = cross_entropy(keras.ops.one_hot(train.labels[indices], 3), logits)
        assert loss == pytest.approx(float(expected), rel=1e-4)
        for i, gradient in enumerate(tape.gradient(expected, variables)):
            velocities[i] = config.momentum * velocities[i] + gradient.numpy()
            variables[i].assign_sub(rate * (gradient + config.momentum * velocities[i]))
    values = trainer.read_values()
    flat.assign(values.weights, values.statistics)
    for received, whole in zip(flat.model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(received, whole, rtol=1e-3, atol=1e-5)


def test_the_clock_in_a_graph_is_read_after_the_work_and_gives_it_on() -> None:
    def measure(size: tf.Tensor) -> list[tf.Tensor]:
        began, size = read_clock_after(size)
        return [began, *read_clock_after(size, tf.linalg.matmul(*[tf.ones([size, size])] * 2))]

    function, size = tf.function(measure, autograph=False), tf.constant(1500)
    function(size)  # which traces it
    shares = []
    for _ in range(5):
        before = time.perf_counter()
        began, ended, size, product = function(size)
        after = time.perf_counter()
        assert before < began < ended < after
        shares.append((ended - began) / (after - before))
    assert max(shares) > 0.5  # the product's time is between the two; another program may take some before and after
    assert (size, product.shape, product[7, 7]) == (1500, (1500, 1500), 1500)


def test_training_in_two_parts_is_training_in_one(task: Task, flat: FlatModel, trainer: SynchronousTrainer) -> None:
    trainer.train(0, 10, lambda timing: None)
    first = SynchronousTrainer(task, flat, SINGLE, reduce_nothing)
    first.train(0, 6, lambda timing: None)
    second = SynchronousTrainer(task, flat, SINGLE, reduce_nothing)
    assert second.load(first.read_values(), 6) == 6
    second.train(6, 10, lambda timing: None)
    assert digest(second) == digest(trainer)


@pytest.mark.parametrize("step", [0, 1, 4095, 4096, 2**24 + 1, 10**9 + 7])
def test_a_step_survives_the_way_through_float32(trainer: SynchronousTrainer, step: int) -> None:
    assert trainer.load(trainer.read_values(), step) == step


def test_a_worker_that_is_not_the_chief_adds_nothing_to_the_state(task: Task, flat: FlatModel) -> None:
    role = Role("all_reduce", "worker", 1, num_workers=2, num_ps=0)
    sent: list[np.ndarray] = []

    def receive_from_chief(vector: tf.Tensor) -> tf.Tensor:
        sent.append(vector.numpy())
        return tf.ones_like(vector)

    worker = SynchronousTrainer(task, flat, role, receive_from_chief)
    assert worker.load(worker.read_values(), 9) == 4097
    assert not sent[0].any()
    assert np.unique(worker.read_values().weights).tolist() == [1]


@pytest.mark.parametrize("num_workers", [1, 2, 3, 7])
def test_each_validation_image_is_counted_by_one_worker(task: Task, flat: FlatModel, num_workers: int) -> None:
    counts: list[float] = []
    for index in range(num_workers):
        role = Role("all_reduce", "worker", index, num_workers, num_ps=0)
        counts.append(SynchronousTrainer(task, flat, role, reduce_nothing).sum_scores())
    assert sum(counts) == SynchronousTrainer(task, flat, SINGLE, reduce_nothing).sum_scores()


def test_weights_that_are_no_numbers_stop_the_training_at_their_step(trainer: SynchronousTrainer) -> None:
    values = trainer.read_values()
    trainer.load(values._replace(weights=np.full_like(values.weights, np.nan)), 5)
    with pytest.raises(TrainingDiverged, match="The loss became nan at step 5"):
        trainer.train(5, 7, lambda timing: None)


def test_a_loss_that_is_no_number_is_told_with_its_step_in_a_call_of_several(noise: PreparedDataset) -> None:
    config = TrainingConfig(global_batch_size=16, epochs=9, learning_rate=1e9, warmup_fraction=0.0)
    flat = FlatModel.wrap(build_model("tests.model.builders:dense", (8, 8, 1), 3, {}))
    told = []
    for steps_per_call in (1, 16):
        task = Task(replace(config, steps_per_call=steps_per_call), noise)
        trainer = SynchronousTrainer(task, flat, SINGLE, reduce_nothing)
        with pytest.raises(TrainingDiverged) as raised:
            trainer.train(0, task.total_steps, lambda timing: None)
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert "at step 0." not in told[0]
