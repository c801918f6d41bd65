"""Accuracy and confusion matrix of trained models on the test split, which nothing else reads."""

import functools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model.dataset import PreparedDataset
from model.errors import EvaluationError
from model.registry import build_model
from model.state import hash_weights
from model.step import EVALUATION_BATCH_SIZE, FlatModel, map_into_memory

SCHEMA_VERSION = 1
SPLIT = "test"


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
        flat, predict = self._build(training["model"], training["model_arguments"])
        flat.model.load_weights(model_path)
        weights, statistics = flat.initial_weights(), flat.initial_statistics()
        sha256 = hash_weights(weights, statistics)
        if sha256 != training["weights_sha256"]:
            raise EvaluationError(
                f"{model_path} must hold the weights {training['weights_sha256']} that its training ended with. "
                f"Received: {sha256}."
            )
        split = self._dataset.split(SPLIT)
        starts = range(0, split.count, EVALUATION_BATCH_SIZE)
        predicted = np.concatenate([predict(weights, statistics, start).numpy() for start in starts])
        confusion = confusion_matrix(np.asarray(split.labels), predicted, self._dataset.num_classes)
        return {
            "schema_version": SCHEMA_VERSION,
            "split": SPLIT,
            "n_correct": int(np.trace(confusion)),
            "n_examples": split.count,
            "confusion_matrix": confusion.tolist(),
            "evaluate_seconds": time.perf_counter() - began,
            "evaluated_at": time.time(),
            "dataset_sha256": self._dataset.sha256,
            "weights_sha256": sha256,
        }

    def _build_predict(self, model: str, model_arguments: str) -> tuple[FlatModel, Callable[..., Any]]:
        dataset = self._dataset
        arguments = json.loads(model_arguments)
        flat = FlatModel.wrap(build_model(model, dataset.image_shape, dataset.num_classes, arguments))

        def predict(weights: tf.Tensor, statistics: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
            images, _ = map_into_memory(dataset.split(SPLIT))
            logits, _ = flat.call(weights, statistics, images[start : start + EVALUATION_BATCH_SIZE], group=None)
            return tf.argmax(logits, axis=1)

        lengths = (flat.num_parameters, len(flat.initial_statistics()))
        signature = [*(tf.TensorSpec([length], tf.float32) for length in lengths), tf.TensorSpec([], tf.int32)]
        return flat, tf.function(predict, input_signature=signature, autograph=False)


def confusion_matrix(labels: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], num_classes: int) -> Any:
    """Returns the counts by true class (rows) and predicted class (columns), int64, shape [classes, classes].

    Args:
        labels: True classes, shape [n].
        predicted: Predicted classes, shape [n].
        num_classes: Number of classes.
    """
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
