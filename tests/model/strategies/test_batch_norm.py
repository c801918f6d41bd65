import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from model.strategies.batch_norm import fused_batch_norm
from model.strategies.step import FlatModel

pytestmark = pytest.mark.slow

Layer = keras.layers.BatchNormalization
PLAIN = Layer.call
Array = NDArray[Any]


class Subclass(keras.layers.BatchNormalization):  # type: ignore[misc]
    pass


def freeze(layer: Any) -> Any:
    layer.trainable = False
    return layer


def draw(*shape: int, mean: float = 0.0, scale: float = 1.0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(mean, scale, shape).astype(np.float32))


def build(layer: Any, images: tf.Tensor) -> Any:
    layer.build(images.shape)
    generator = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return layer


def trace(layer: Any, images: tf.Tensor, jit_compile: bool = False, **options: Any) -> Any:
    weights = [variable.value for variable in layer.trainable_variables]

    def step(images: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = [v.value for v in layer.trainable_variables], [v.value for v in layer.non_trainable_variables]
            outputs, updated = layer.stateless_call(*values, images, **options)
            loss = tf.reduce_sum(tf.sin(outputs))
        return [outputs, *updated], tape.gradient(loss, [images, *weights])

    function = tf.function(step, autograph=False, jit_compile=jit_compile or None)
    return function.get_concrete_function(tf.TensorSpec(images.shape, images.dtype))


def evaluate(function: Any, images: tf.Tensor) -> list[Array]:
    return [part.numpy() for parts in function(images) for part in parts]


def run(layer: Any, images: tf.Tensor) -> list[Array]:
    return evaluate(trace(layer, images, training=True), images)


def is_fused(function: Any) -> bool:
    return "FusedBatchNormV3" in {operation.type for operation in function.graph.get_operations()}


SHAPES = [(16, 7, 5, 3), (4, 1, 1, 8), (1, 9, 9, 1)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"scale": False},
    {"center": False, "axis": 3},
    {"momentum": 0.5, "epsilon": 1e-5},
    {"epsilon": 0.5},
]
XLA = [(OPTIONS[0], shape, True) for shape in SHAPES[:2]]


@pytest.mark.parametrize(
    ("options", "shape", "jit_compile"), [*itertools.product(OPTIONS, SHAPES, [False]), *XLA], ids=str
)
def test_outputs_statistics_and_gradients_are_those_of_keras_own(
    options: dict[str, Any], shape: tuple[int, ...], jit_compile: bool
) -> None:
    images = draw(*shape, mean=1.0)
    layer, exact = build(Layer(**options), images), build(Layer(**options, dtype="float64"), images)
    with fused_batch_norm():
        expected = run(exact, tf.cast(images, tf.float64))  # as Keras computes it, but for the rounding
        function = trace(layer, images, jit_compile=jit_compile, training=True)
    assert is_fused(function)
    received = evaluate(function, images)
    for part, reference in zip(received, expected, strict=True):
        np.testing.assert_allclose(part, reference, rtol=1e-4, atol=1e-5 * np.abs(reference).max())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_in_half_precision_the_moments_are_those_of_float32_and_all_else_is_keras_own_but_for_its_rounding(
    precision: str,
) -> None:
    images = tf.cast(draw(16, 7, 5, 3, mean=1.0), precision)
    layer = build(Layer(dtype=f"mixed_{precision}"), images)
    expected = run(layer, images)
    with fused_batch_norm():
        function = trace(layer, images, training=True)
    assert is_fused(function)
    outputs, mean, variance, *gradients = evaluate(function, images)
    np.testing.assert_allclose(mean, expected[1], rtol=1e-5)
    np.testing.assert_allclose(variance, expected[2], rtol=1e-5)
    epsilon = {"bfloat16": 2**-7, "float16": 2**-10}[precision]
    for part, reference in zip([outputs, *gradients], [expected[0], *expected[3:]], strict=True):
        exact = reference.astype(np.float32)
        np.testing.assert_allclose(part.astype(np.float32), exact, atol=4 * epsilon * np.abs(exact).max())


def test_pixels_far_from_zero_are_normalised_as_well() -> None:
    images = draw(16, 8, 8, 3, mean=1000.0)
    layer = build(Layer(momentum=0.0), images)
    with fused_batch_norm():
        outputs, mean, variance, *_ = run(layer, images)
    exact = images.numpy().astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=(0, 1, 2)), rtol=1e-4)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("pixel", [0.0, 255.0])
def test_a_batch_of_a_single_value_a_channel_has_no_variance(pixel: float) -> None:
    images = tf.fill([1, 1, 1, 4], pixel)
    layer = build(Layer(momentum=0.0), images)
    with fused_batch_norm():
        outputs, mean, variance, *_ = run(layer, images)
    np.testing.assert_allclose(outputs.ravel(), layer.beta.numpy(), atol=1e-6)
    assert (mean.tolist(), variance.tolist()) == ([pixel] * 4, [0.0] * 4)


@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        (Subclass(), (4, 3, 3, 2), tf.float32),
        (freeze(Layer()), (4, 3, 3, 2), tf.float32),
        (Layer(synchronized=True), (4, 3, 3, 2), tf.float32),
        (Layer(axis=1), (4, 3, 3, 2), tf.float32),
        (Layer(), (4, 2), tf.float32),
        (Layer(), (4, 3, 3, 3, 2), tf.float32),
        (Layer(renorm=True), (4, 3, 3, 2), tf.float32),
        (Layer(dtype="bfloat16"), (4, 3, 3, 2), tf.bfloat16),
    ],
    ids=["a subclass", "frozen", "synchronized", "channels first", "no images", "volumes", "renorm", "half weights"],
)
def test_what_the_operation_would_compute_otherwise_is_left_to_keras(
    layer: Any, shape: tuple[int, ...], dtype: tf.DType
) -> None:
    images = tf.cast(draw(*shape), dtype)
    build(layer, images)
    expected = run(layer, images)
    with fused_batch_norm():
        function = trace(layer, images, training=True)
    assert not is_fused(function)
    received = evaluate(function, images)
    for part, reference in zip(received, expected, strict=True):
        np.testing.assert_array_equal(part, reference)


def test_inference_and_masks_are_left_to_keras() -> None:
    images = draw(4, 3, 3, 2)
    layer = build(Layer(), images)
    with fused_batch_norm():
        assert not is_fused(trace(layer, images, training=False))
        assert not is_fused(trace(layer, images, training=True, mask=tf.ones([4, 3, 3], tf.bool)))


def test_keras_own_layers_are_as_they_were_afterwards_even_after_an_error() -> None:
    def fail() -> None:
        with fused_batch_norm():
            assert Layer.call is not PLAIN
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert Layer.call is PLAIN


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras does so
def test_layers_deep_inside_a_persons_own_model_are_fused_and_its_file_is_plain_keras(tmp_path: Path) -> None:
    images = draw(4, 6, 6, 2)
    inner = keras.Sequential([keras.Input((6, 6, 2)), Layer(), keras.layers.Conv2D(3, 3), Layer()])
    flat = FlatModel.wrap(keras.Sequential([keras.Input((6, 6, 2)), inner, keras.layers.GlobalMaxPool2D()]))
    call = tf.function(flat.call, autograph=False)
    values = tf.constant(flat.initial_weights()), tf.constant(flat.initial_statistics())
    graph = call.get_concrete_function(*values, images, tf.constant(0)).graph
    assert sum(operation.type == "FusedBatchNormV3" for operation in graph.get_operations()) == 2
    flat.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={}, safe_mode=True)
    names = [type(layer) for layer in loaded.layers[0].layers]
    assert names == [Layer, keras.layers.Conv2D, Layer]
    for saved, own in itertools.zip_longest(loaded.get_weights(), flat.model.get_weights()):
        np.testing.assert_array_equal(saved, own)
