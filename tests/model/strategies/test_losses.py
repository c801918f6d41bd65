from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from model.objectives import find_objective
from model.strategies.losses import find_confidences, make_loss, predict_classes, score_examples

pytestmark = pytest.mark.slow

GENERATOR = np.random.default_rng(0)
OUTPUTS = GENERATOR.normal(0, 3, (16, 3)).astype(np.float32)
NUMBERS = GENERATOR.normal(0, 3, (16, 3)).astype(np.float32)
SEVERAL = GENERATOR.integers(0, 2, (16, 3)).astype(np.uint8)
TWO = GENERATOR.integers(0, 2, 16).astype(np.int32)


@pytest.mark.parametrize(
    ("loss", "kind", "labels", "outputs", "reference"),
    [
        ("mean_squared_error", "numbers", NUMBERS, OUTPUTS, keras.losses.MeanSquaredError()),
        ("mean_absolute_error", "numbers", NUMBERS, OUTPUTS, keras.losses.MeanAbsoluteError()),
        ("huber", "numbers", NUMBERS, OUTPUTS, keras.losses.Huber()),
        ("binary_crossentropy", "several_hot", SEVERAL, OUTPUTS, keras.losses.BinaryCrossentropy(from_logits=True)),
        ("binary_crossentropy", "classes", TWO, OUTPUTS[:, :1], keras.losses.BinaryCrossentropy(from_logits=True)),
    ],
)
def test_a_loss_is_that_of_keras(
    loss: str, kind: Any, labels: NDArray[Any], outputs: NDArray[Any], reference: Any
) -> None:
    objective = find_objective(loss, kind, 2 if kind == "classes" else 3)
    expected = reference(labels.reshape(16, -1).astype(np.float32), outputs)
    received = make_loss(objective, label_smoothing=0.1)(tf.constant(labels), tf.constant(outputs))
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "kind", "labels", "outputs", "reference"),
    [
        ("mean_squared_error", "numbers", NUMBERS, OUTPUTS, keras.metrics.RootMeanSquaredError()),
        ("huber", "numbers", NUMBERS, OUTPUTS, keras.metrics.MeanAbsoluteError()),
        ("", "several_hot", SEVERAL, OUTPUTS, keras.metrics.BinaryAccuracy(threshold=0)),
        ("binary_crossentropy", "classes", TWO, OUTPUTS[:, :1], keras.metrics.BinaryAccuracy(threshold=0)),
    ],
)
def test_a_metric_is_that_of_keras(
    loss: str, kind: Any, labels: NDArray[Any], outputs: NDArray[Any], reference: Any
) -> None:
    objective = find_objective(loss, kind, 2 if kind == "classes" else 3)
    scores = score_examples(objective, tf.constant(labels), tf.constant(outputs)).numpy()
    assert scores.shape == (16,)
    reference.update_state(labels.reshape(16, -1).astype(np.float32), outputs)
    assert objective.metric.of_sum(float(scores.sum()), 16) == pytest.approx(float(reference.result()), rel=1e-5)


def test_one_logit_tells_the_second_class_with_its_confidence() -> None:
    logits = tf.constant([[-2.0], [0.0], [3.0]])
    assert predict_classes(logits).numpy().tolist() == [0, 0, 1]
    np.testing.assert_allclose(find_confidences(logits), [0.880797, 0.5, 0.952574], rtol=1e-5)
