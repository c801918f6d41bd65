"""What trained models are judged by on the test split, which nothing else reads: accuracy and confusions, or errors."""

import base64
import functools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model.data import PreparedDataset
from model.errors import EvaluationError
from model.files import SCHEMA_VERSION
from model.frameworks import tf
from model.objectives import Metric, Objective, find_objective
from model.strategies import (
    EVALUATION_BATCH_SIZE,
    FlatModel,
    find_confidences,
    predict_classes,
    read_range,
    sum_scores,
    wrap_model,
)
from model.training import hash_weights

SPLIT = "test"
# One image for each of the most frequent confusions: enough to look at, and a dozen kilobytes a model.
MAX_MISCLASSIFIED = 12
MAX_SIDE_PIXELS = 32
# Of more classes only the confusions that occurred are listed: of a million cells of 1,000 classes, almost all are 0.
MAX_DENSE_CLASSES = 100
_MAX_BYTE = 255


class Evaluator:
    """Evaluates models on one data set; models of the same architecture share one compiled function."""

    def __init__(self, dataset: PreparedDataset) -> None:
        self._dataset = dataset
        self._build = functools.cache(self._build_predict)

    def evaluate(self, model_path: Path, training: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the model's part of `evaluation.json`.

        Args:
            model_path: The trained model, as `model.train` saved it.
            training: The content of its `training.json`.

        Raises:
            EvaluationError: The model or the data are not those of the training.
        """
        if training["dataset_sha256"] != self._dataset.sha256:
            raise EvaluationError(
                f"{model_path} was trained on the data {training['dataset_sha256']}. "
                f"Received: the data {self._dataset.sha256} to evaluate it on."
            )
        began = time.perf_counter()
        objective = find_objective_of(training, self._dataset)
        flat, predict = self._build(training["model"], training["model_arguments"], objective)
        flat.model.load_weights(model_path)
        weights, statistics = flat.initial_weights(), flat.initial_statistics()
        sha256 = hash_weights(weights, statistics)
        if sha256 != training["weights_sha256"]:
            raise EvaluationError(
                f"{model_path} must hold the weights {training['weights_sha256']} that its training ended with. "
                f"Received: {sha256}."
            )
        split = self._dataset.split(SPLIT)
        batches = [
            [part.numpy() for part in predict(weights, statistics, start)]
            for start in range(0, split.count, EVALUATION_BATCH_SIZE)
        ]
        if objective.is_classification:
            predicted, confidences = map(np.concatenate, zip(*batches, strict=True))
            judged = describe_answers(self._dataset, predicted, confidences)
            value: float = judged["n_correct"] / split.count
        else:
            judged, value = {}, objective.metric.of_sum(math.fsum(float(total) for (total,) in batches), split.count)
        return {
            "schema_version": SCHEMA_VERSION,
            "split": SPLIT,
            "metric": {
                "name": objective.metric.name,
                "value": value,
                "higher_is_better": objective.metric.higher_is_better,
                "num_examples": split.count if objective.is_classification else None,
            },
            **judged,
            "evaluate_seconds": time.perf_counter() - began,
            "evaluated_at": time.time(),
            "dataset_sha256": self._dataset.sha256,
            "weights_sha256": sha256,
        }

    def _build_predict(
        self, model: str, model_arguments: str, objective: Objective
    ) -> tuple[FlatModel, Callable[..., Any]]:
        dataset = self._dataset
        flat = wrap_model(model, json.loads(model_arguments), dataset, objective)

        def predict(weights: tf.Tensor, statistics: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, ...]:
            batch = read_range(dataset.split(SPLIT), start, start + EVALUATION_BATCH_SIZE)
            if not objective.is_classification:
                return (sum_scores(flat, objective, (weights, statistics), batch),)
            logits, _ = flat.call(weights, statistics, batch[0], group=None)
            return predict_classes(logits), find_confidences(logits)

        lengths = (flat.num_parameters, len(flat.initial_statistics()))
        signature = [*(tf.TensorSpec([length], tf.float32) for length in lengths), tf.TensorSpec([], tf.int32)]
        return flat, tf.function(predict, input_signature=signature, autograph=False)


def find_objective_of(training: Mapping[str, Any], dataset: PreparedDataset) -> Objective:
    """Returns what a training made small, by its training.json; older ones had class labels, and do not tell."""
    return find_objective(training.get("loss_name", ""), dataset.label_kind, dataset.num_labels)


def describe_answers(
    dataset: PreparedDataset, predicted: np.ndarray[Any, Any], confidences: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Returns what `evaluation.json` has of right and wrong answers; pictures of wrong ones where they are images.

    Args:
        dataset: The prepared data.
        predicted: Predicted classes of the test split, shape [n].
        confidences: Probability that each predicted class was given, shape [n]; of weights that are no numbers, none.
    """
    split, confidences = dataset.split(SPLIT), np.nan_to_num(confidences)
    labels = np.asarray(split.labels)
    answers = {
        "n_correct": int(np.count_nonzero(labels == predicted)),
        "n_examples": split.count,
        **describe_confusions(labels, predicted, dataset.num_labels),
        "wrong_images": pack_bits(labels != predicted),
    }
    if not dataset.is_images:
        return answers
    shown = [
        _describe_misclassified(index, labels, predicted, confidences, split.images[index])
        for index in select_misclassified(labels, predicted, confidences)
    ]
    return answers | {"misclassified": shown}


def describe_metric(metric: Mapping[str, Any]) -> str:
    """Returns the name and value of an evaluation's `metric`."""
    return Metric(metric["name"], metric["higher_is_better"]).describe(metric["value"])


def describe_confusions(
    labels: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], num_classes: int
) -> dict[str, Any]:
    """Returns `confusion_matrix`, or of many classes `confusion_counts`: `[true, predicted, count]` of each pair."""
    if num_classes <= MAX_DENSE_CLASSES:
        return {"confusion_matrix": confusion_matrix(labels, predicted, num_classes).tolist()}
    pairs, counts = np.unique(np.stack([labels, predicted], axis=1), axis=0, return_counts=True)
    return {"confusion_counts": np.column_stack([pairs, counts]).tolist()}


def pack_bits(bits: np.ndarray[Any, Any]) -> str:
    """Returns booleans, shape [n], in base64 of a bit for each, the first in the highest bit of the first byte."""
    return base64.b64encode(np.packbits(bits).tobytes()).decode("ascii")


def confusion_matrix(labels: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], num_classes: int) -> Any:
    """Returns the counts by true class (rows) and predicted class (columns), int64, shape [classes, classes].

    Args:
        labels: True classes, shape [n].
        predicted: Predicted classes, shape [n].
        num_classes: Number of classes.
    """
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def select_misclassified(
    labels: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], confidences: np.ndarray[Any, Any]
) -> list[int]:
    """Returns the indices of wrong answers worth seeing: of each of the most frequent confusions, the most confident.

    Args:
        labels: True classes, shape [n].
        predicted: Predicted classes, shape [n].
        confidences: Probability that each predicted class was given, shape [n].
    """
    wrong = np.flatnonzero(labels != predicted).tolist()
    counts = Counter((int(labels[index]), int(predicted[index])) for index in wrong)
    by_confidence = sorted(wrong, key=lambda index: (-confidences[index], index))
    most_confident = {(int(labels[index]), int(predicted[index])): index for index in reversed(by_confidence)}
    most_frequent = sorted(counts, key=lambda pair: (-counts[pair], pair))[:MAX_MISCLASSIFIED]
    return [most_confident[pair] for pair in most_frequent]


def make_thumbnail(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns an image as bytes, uint8, no side longer than `MAX_SIDE_PIXELS`: of a larger one, every nth pixel.

    Args:
        image: Shape [height, width, channels]; one that is not uint8 is stretched from its least to its largest value.
    """
    stride = -(-max(image.shape[:2]) // MAX_SIDE_PIXELS)
    pixels = np.asarray(image)[::stride, ::stride]
    if pixels.dtype != np.uint8:
        span = np.ptp(pixels)
        pixels = np.rint((pixels - pixels.min()) * (_MAX_BYTE / span if span else 0)).astype(np.uint8)
    return pixels


def _describe_misclassified(
    index: int,
    labels: np.ndarray[Any, Any],
    predicted: np.ndarray[Any, Any],
    confidences: np.ndarray[Any, Any],
    image: np.ndarray[Any, Any],
) -> dict[str, Any]:
    thumbnail = make_thumbnail(image)
    return {
        "index": index,
        "true_class": int(labels[index]),
        "predicted_class": int(predicted[index]),
        "confidence": float(confidences[index]),
        "shape": list(thumbnail.shape),
        "pixels": base64.b64encode(thumbnail.tobytes()).decode("ascii"),
    }
