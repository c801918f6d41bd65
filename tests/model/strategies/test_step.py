from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from model.data.dataset import PreparedDataset
from model.networks.registry import build_model
from model.objectives import Objective
from model.strategies.computing import PLAIN, Computing
from model.strategies.losses import smoothed_cross_entropy
from model.strategies.step import (
    FlatModel,
    apply_momentum,
    crop_shifted,
    make_group_function,
    map_into_memory,
    read_batch,
    read_range,
    split_contribution,
    sum_over_groups,
    sum_scores,
)
from model.training.config import Precision, TrainingConfig

pytestmark = pytest.mark.slow

SHAPE, CLASSES = (8, 8, 1), 3
OBJECTIVE = Objective("sparse_categorical_crossentropy", "classes", CLASSES)
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (16, *SHAPE), np.uint8)
LABELS = GENERATOR.integers(0, CLASSES, 16).astype(np.int32)
Array = NDArray[Any]
Model = tuple[str, dict[str, Any]]

RESNET: Model = ("resnet8", {"width": 2})
DROPOUT: Model = ("tests.model.builders:dropout", {})
BATCH_NORM: Model = ("tests.model.builders:batch_norm", {})


def build(model: Model = RESNET) -> FlatModel:
    keras.utils.set_random_seed(0)
    return FlatModel.wrap(build_model(model[0], SHAPE, CLASSES, model[1]))


def make_config(num_workers: int = 1, **settings: Any) -> TrainingConfig:
    groups = {"same_batch_norm": True, "batch_norm_group_size": 4}
    return make_whole_config(num_workers, **groups, **settings)


def make_whole_config(num_workers: int = 1, **settings: Any) -> TrainingConfig:
    return TrainingConfig(strategy="all_reduce", num_workers=num_workers, global_batch_size=16, **settings)


def contribute(flat: FlatModel, config: TrainingConfig, first_group: int = 0, images: Array = IMAGES) -> Array:
    function = make_group_function(flat, config, OBJECTIVE)
    values = (tf.constant(flat.initial_weights()), tf.constant(flat.initial_statistics()))
    total = np.zeros(0)
    for rank in range(config.num_workers):
        size = config.per_replica_batch_size
        batch = tuple(tf.constant(a[rank * size : (rank + 1) * size]) for a in (images, LABELS))
        share = sum_over_groups(function, config, values, batch, first_group + rank * config.groups_per_replica)
        total = share.numpy() if not rank else total + share.numpy()
    mean: Array = total / config.groups_per_step
    return mean


def flatten(arrays: list[Any]) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays])


def test_the_vectors_go_into_the_model_and_come_back() -> None:
    flat = build()
    generator = np.random.default_rng(1)
    weights = generator.normal(size=flat.num_parameters).astype(np.float32)
    statistics = generator.normal(size=len(flat.initial_statistics())).astype(np.float32)
    flat.assign(weights, statistics)
    assert flat.initial_weights().tobytes() == weights.tobytes()
    assert flat.initial_statistics().tobytes() == statistics.tobytes()
    assert flat.num_parameters == sum(v.numpy().size for v in flat.model.trainable_variables)


def test_a_model_without_state_has_empty_statistics() -> None:
    flat = build(("tests.model.builders:dense", {}))
    assert flat.initial_statistics().shape == (0,)
    assert contribute(flat, make_config()).shape == (flat.num_parameters + 1,)


def test_state_that_a_mean_over_workers_makes_no_sense_of_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"must be float32 or a Keras SeedGenerator's\. Received: .*count of type int32"
    ):
        build(("tests.model.builders:counting", {}))


def test_inference_is_that_of_the_keras_model() -> None:
    flat = build()
    flat.assign(flat.initial_weights(), np.abs(flat.initial_statistics() + np.float32(0.5)))
    logits, statistics = flat.call(flat.initial_weights(), flat.initial_statistics(), IMAGES, group=None)
    np.testing.assert_allclose(logits, flat.model(IMAGES.astype(np.float32), training=False), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(statistics, flat.initial_statistics())


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "XLA"])
def test_a_groups_contribution_is_keras_gradient_statistics_and_loss(jit_compile: bool) -> None:
    flat = build()
    config = TrainingConfig(global_batch_size=16, weight_decay=0.01, label_smoothing=0.2, max_shift=0)
    received = contribute_whole(flat, config, replace(PLAIN, jit_compile=jit_compile))
    model = flat.model
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    with tf.GradientTape() as tape:
        loss = cross_entropy(keras.ops.one_hot(LABELS, CLASSES), model(IMAGES.astype(np.float32), training=True))
        kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
        objective = loss + 0.01 / 2 * sum(keras.ops.sum(v**2) for v in kernels)
    gradient = flatten(tape.gradient(objective, [v.value for v in model.trainable_variables]))
    updated = flatten([v.numpy() for v in model.non_trainable_variables])
    for part, expected in zip(received, (gradient, updated, loss), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.1), ("float16", 0.01)])
def test_in_half_precision_the_gradient_is_that_of_float32_but_for_rounding(
    precision: Precision, tolerance: float
) -> None:
    exact, *_ = contribute_whole(build(), make_config())
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        flat = build()
    finally:
        keras.config.set_dtype_policy(policy)
    gradient, statistics, loss = contribute_whole(flat, make_config(), replace(PLAIN, precision=precision))
    assert {part.dtype for part in (gradient, statistics, loss)} == {np.dtype("float32")}
    assert np.linalg.norm(gradient - exact) < tolerance * np.linalg.norm(exact)
    assert np.abs(gradient - exact).max() > 0


def contribute_whole(
    flat: FlatModel, config: TrainingConfig, computing: Computing = PLAIN
) -> tuple[Array, Array, Array]:
    function = make_group_function(flat, config, OBJECTIVE, computing)
    values = (tf.constant(flat.initial_weights()), tf.constant(flat.initial_statistics()))
    contribution = function(*values, tf.constant(IMAGES), tf.constant(LABELS), tf.constant(0))
    gradient, statistics, loss = split_contribution(contribution, flat.num_parameters)
    return gradient.numpy(), statistics.numpy(), loss.numpy()


def test_weight_decay_pulls_at_kernels_only() -> None:
    flat = build(BATCH_NORM)
    with_decay, without = (contribute_whole(flat, make_config(weight_decay=decay))[0] for decay in (0.5, 0.0))
    masks = [np.full(v.numpy().size, "kernel" in v.path) for v in flat.model.trainable_variables]
    np.testing.assert_allclose(with_decay - without, 0.5 * np.concatenate(masks) * flat.initial_weights(), atol=1e-5)
    assert 0 < flat.weight_decay_mask.sum() < flat.num_parameters


@pytest.mark.parametrize("num_workers", [2, 4])
@pytest.mark.parametrize("model", [BATCH_NORM, DROPOUT], ids=["batch norm", "dropout"])
def test_workers_together_compute_what_one_would(model: Model, num_workers: int) -> None:
    flat = build(model)
    alone, together = contribute(flat, make_config(1), 12), contribute(flat, make_config(num_workers), 12)
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_each_group_and_each_step_draws_a_dropout_of_its_own() -> None:
    flat = build(DROPOUT)
    same_images = np.repeat(IMAGES[:1], 16, axis=0)
    losses = [contribute(flat, make_config(), first_group, same_images)[-1] for first_group in (0, 0, 1, 4)]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_statistics_are_the_mean_of_the_groups_own() -> None:
    flat = build(BATCH_NORM)
    moved = contribute(flat, make_config(2))[flat.num_parameters : -1]
    groups = IMAGES.astype(np.float64).reshape(4, -1)  # 4 groups of 4 images, one channel
    expected = [0.25 * groups.mean(axis=1).mean(), 0.75 + 0.25 * groups.var(axis=1).mean()]
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_by_default_statistics_are_the_mean_of_the_workers_own_over_their_whole_shares(num_workers: int) -> None:
    flat = build(BATCH_NORM)
    moved = contribute(flat, make_whole_config(num_workers))[flat.num_parameters : -1]
    shares = IMAGES.astype(np.float64).reshape(num_workers, -1)
    expected = [0.25 * shares.mean(axis=1).mean(), 0.75 + 0.25 * shares.var(axis=1).mean()]
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


def test_by_default_each_step_and_worker_draws_a_dropout_of_its_own() -> None:
    flat, config = build(DROPOUT), make_whole_config(2)
    function = make_group_function(flat, config, OBJECTIVE)
    values = (tf.constant(flat.initial_weights()), tf.constant(flat.initial_statistics()))
    share = tf.constant(IMAGES[:8]), tf.constant(LABELS[:8])
    losses = {float(sum_over_groups(function, config, values, share, number)[-1]) for number in (0, 1, 2, 3)}
    assert len(losses) == 4


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_that_of_keras(label_smoothing: float) -> None:
    logits = np.random.default_rng(2).normal(0, 5, (16, CLASSES)).astype(np.float32)
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    expected = reference(keras.ops.one_hot(LABELS, CLASSES), logits)
    np.testing.assert_allclose(smoothed_cross_entropy(LABELS, logits, label_smoothing), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("max_shift", [0, 1, 3])
def test_an_image_is_moved_by_its_own_shift_and_padded_with_zeros(max_shift: int, dtype: type) -> None:
    images: Array = np.random.default_rng(3).integers(1, 256, (49, 5, 6, 2)).astype(dtype)
    shifts = np.indices((7, 7)).reshape(2, -1).T.astype(np.int32) % (2 * max_shift + 1)
    moved = crop_shifted(tf.constant(images), tf.constant(shifts), max_shift).numpy()
    padded = np.pad(images, [(0, 0), (max_shift, max_shift), (max_shift, max_shift), (0, 0)])
    for image, (row, column), received in zip(padded, shifts, moved, strict=True):
        np.testing.assert_array_equal(received, image[row : row + 5, column : column + 6])
    assert moved.dtype == dtype


def test_a_shift_in_the_middle_leaves_the_image_where_it_is() -> None:
    shifts = np.full((16, 2), 2, np.int32)
    np.testing.assert_array_equal(crop_shifted(tf.constant(IMAGES), tf.constant(shifts), 2), IMAGES)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_is_mapped_as_it_is_on_disk(noise: PreparedDataset, split: str) -> None:
    images, labels = map_into_memory(noise.split(split))
    np.testing.assert_array_equal(images, noise.split(split).images)
    np.testing.assert_array_equal(labels, noise.split(split).labels)


def test_a_range_ends_where_the_split_does(noise: PreparedDataset) -> None:
    test = noise.split("test")
    images, labels = read_range(test, 5, 500)
    np.testing.assert_array_equal(images, test.images[5:])
    np.testing.assert_array_equal(labels, test.labels[5:])


def test_a_batch_holds_the_images_of_its_indices_in_their_order(noise: PreparedDataset) -> None:
    indices, shifts = np.array([63, 0, 5, 5]), np.array([[1, 1], [1, 1], [1, 1], [0, 2]], np.int32)
    images, labels = read_batch(noise, tf.constant(indices), tf.constant(shifts), max_shift=1)
    train = noise.split("train")
    np.testing.assert_array_equal(labels, train.labels[indices])
    np.testing.assert_array_equal(images[:3], train.images[indices[:3]])
    np.testing.assert_array_equal(images[3, 1:, :-1], train.images[5, :-1, 1:])


def test_correct_answers_are_counted() -> None:
    flat = build()
    values = (flat.initial_weights(), flat.initial_statistics())
    answers = flat.model(IMAGES.astype(np.float32), training=False).numpy().argmax(axis=1)
    assert sum_scores(flat, OBJECTIVE, values, (IMAGES, answers.astype(np.int32))) == 16
    assert sum_scores(flat, OBJECTIVE, values, (IMAGES, (answers + 1).astype(np.int32) % CLASSES)) == 0


def test_the_update_is_nesterovs() -> None:
    generator = np.random.default_rng(4)
    weights, velocity = generator.normal(size=(2, 9)).astype(np.float32)
    expected_weights, expected_velocity = weights.astype(np.float64), velocity.astype(np.float64)
    variables = tf.Variable(weights), tf.Variable(velocity)
    for rate in (0.3, 0.1, 0.0):
        gradient = generator.normal(size=9).astype(np.float32)
        apply_momentum(*variables, tf.constant(gradient), rate, 0.9)
        expected_velocity = 0.9 * expected_velocity + gradient
        expected_weights -= rate * (gradient + 0.9 * expected_velocity)
    np.testing.assert_allclose(variables[0], expected_weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variables[1], expected_velocity, rtol=1e-5, atol=1e-6)


def test_the_update_is_that_of_keras_sgd() -> None:
    generator = np.random.default_rng(5)
    start = generator.normal(size=9).astype(np.float32)
    own, velocity, theirs = tf.Variable(start), tf.Variable(np.zeros(9, np.float32)), keras.Variable(start)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        gradient = tf.constant(generator.normal(size=9).astype(np.float32))
        apply_momentum(own, velocity, gradient, 0.1, 0.9)
        optimizer.apply([gradient], [theirs])
    np.testing.assert_allclose(own, theirs.numpy(), rtol=1e-5, atol=1e-6)
