"""The losses and what models are judged by, in TensorFlow: outputs in, a loss and a score of each example out."""

from collections.abc import Callable

from model.frameworks import tf
from model.objectives import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, Objective

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# Beyond this error Huber's loss grows as the error, not as its square; Keras' own default.
_HUBER_DELTA = 1.0


def make_loss(objective: Objective, label_smoothing: float) -> Loss:
    """Returns the function of labels and a model's outputs, shape [batch, outputs], to their mean loss.

    Args:
        objective: What is made small.
        label_smoothing: Probability mass spread over all classes; of class numbers alone.
    """
    if objective.loss == CROSS_ENTROPY:
        return lambda labels, outputs: smoothed_cross_entropy(labels, outputs, label_smoothing)
    losses: dict[str, Loss] = {
        BINARY_CROSS_ENTROPY: tf.nn.sigmoid_cross_entropy_with_logits,
        "mean_squared_error": lambda labels, outputs: tf.square(outputs - labels),
        "mean_absolute_error": lambda labels, outputs: tf.abs(outputs - labels),
        "huber": lambda labels, outputs: huber(outputs - labels),
    }
    element_wise = losses[objective.loss]
    return lambda labels, outputs: tf.reduce_mean(element_wise(as_rows(labels), outputs))


def smoothed_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Returns the mean cross-entropy of `logits` against labels mixed with the uniform distribution.

    Args:
        labels: Classes, int32, shape [batch].
        logits: Shape [batch, classes].
        label_smoothing: Probability mass spread over all classes.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    picked = tf.gather(log_probabilities, labels, axis=1, batch_dims=1)
    smooth = tf.reduce_mean(log_probabilities, axis=1)
    return -tf.reduce_mean((1 - label_smoothing) * picked + label_smoothing * smooth)


def huber(errors: tf.Tensor) -> tf.Tensor:
    """Returns e² / 2 of errors up to 1, and |e| - 1/2 of larger ones.

    Source: Huber 1964, Annals of Mathematical Statistics 35, section 7.
    """
    size = tf.abs(errors)
    near = tf.minimum(size, _HUBER_DELTA)
    return near * (size - 0.5 * near)


def score_examples(objective: Objective, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Returns the score of each example, of whose mean the metric is made, float32, shape [batch].

    Args:
        objective: What decides the metric.
        labels: As they are stored.
        outputs: The model's, shape [batch, outputs].
    """
    if objective.is_classification:
        return tf.cast(predict_classes(outputs, labels.dtype) == labels, tf.float32)
    rows = as_rows(labels)
    if objective.label_kind == "several_hot":
        return tf.reduce_mean(tf.cast((outputs > 0) == (rows > 0), tf.float32), axis=1)
    errors = tf.abs(outputs - rows)
    return tf.reduce_mean(tf.square(errors) if objective.metric.is_root else errors, axis=1)


def predict_classes(logits: tf.Tensor, dtype: tf.DType = tf.int64) -> tf.Tensor:
    """Returns the likeliest class of each example, shape [batch]; of one logit it is that of class 1."""
    if logits.shape[1] == 1:
        return tf.cast(logits[:, 0] > 0, dtype)
    return tf.argmax(logits, axis=1, output_type=dtype)


def find_confidences(logits: tf.Tensor) -> tf.Tensor:
    """Returns the probability that the likeliest class of each example was given, shape [batch]."""
    if logits.shape[1] == 1:
        return tf.sigmoid(tf.abs(logits[:, 0]))
    return tf.reduce_max(tf.nn.softmax(logits), axis=1)


def as_rows(labels: tf.Tensor) -> tf.Tensor:
    """Returns labels as float32 of shape [batch, k]."""
    numbers = tf.cast(labels, tf.float32)
    return numbers if len(numbers.shape) > 1 else numbers[:, tf.newaxis]
