import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from model.data.arrays import check_arrays
from model.data.dataset import PreparedDataset, write_dataset
from model.errors import EvaluationError
from model.evaluate import (
    MAX_MISCLASSIFIED,
    Evaluator,
    confusion_matrix,
    describe_confusions,
    make_thumbnail,
    pack_bits,
    select_misclassified,
)
from model.networks.registry import build_model
from model.strategies.step import FlatModel
from model.training.state import hash_weights
from tests.model.replicas import Job, read_schema

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluation(singles: list[Job], mnist: PreparedDataset) -> dict[str, Any]:
    return Evaluator(mnist).evaluate(singles[0].output_dir / "model.keras", singles[0].training)


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    labels, predicted = np.array([0, 0, 1, 2, 2, 2], np.int32), np.array([0, 1, 1, 0, 2, 2])
    assert confusion_matrix(labels, predicted, 4).tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


def test_a_confusion_matrix_of_many_classes_counts_each_image_once() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 200, (2, 1000))
    matrix = confusion_matrix(labels.astype(np.uint8), predicted, 200)
    assert matrix.sum() == 1000
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(labels, minlength=200))


def test_the_first_image_is_the_highest_bit_of_the_first_byte() -> None:
    assert pack_bits(np.array([True, *[False] * 7, False, True, True])) == base64.b64encode(b"\x80\x60").decode()


def test_of_many_classes_only_the_confusions_that_occurred_are_listed() -> None:
    labels, predicted = np.array([5, 0, 5, 5, 700], np.int32), np.array([5, 1, 5, 2, 700])
    counts = [[0, 1, 1], [5, 2, 1], [5, 5, 2], [700, 700, 1]]
    assert describe_confusions(labels, predicted, 701) == {"confusion_counts": counts}
    assert [*describe_confusions(labels[:4], predicted[:4], 100)] == ["confusion_matrix"]


SAVING = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"  # Keras does so


def save_dense(
    dataset: PreparedDataset, path: Path, factor: float = 1.0, num_outputs: int | None = None
) -> dict[str, Any]:
    num_outputs = num_outputs or dataset.num_labels
    model = build_model("tests.model.builders:dense", dataset.input_shape, num_outputs, {})
    for variable in model.variables:
        variable.assign(variable * factor)
    model.save(path)
    flat = FlatModel.wrap(model)
    return {
        "dataset_sha256": dataset.sha256,
        "model": "tests.model.builders:dense",
        "model_arguments": "{}",
        "weights_sha256": hash_weights(flat.initial_weights(), flat.initial_statistics()),
    }


@pytest.mark.filterwarnings(SAVING)
@pytest.mark.parametrize(
    ("loss", "labels", "num_outputs"),
    [
        ("binary_crossentropy", np.arange(40) % 2, 1),
        ("", (np.arange(120).reshape(40, 3) % 5 < 2).astype(int), 3),
        ("", np.linspace(-1, 1, 40), 1),
        ("mean_absolute_error", np.arange(80).reshape(40, 2), 2),
    ],
)
def test_rows_are_judged_by_what_their_labels_ask_for(
    tmp_path: Path, loss: str, labels: np.ndarray[Any, Any], num_outputs: int
) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    raw: dict[str, Any] = {"x_train": rows, "y_train": labels, "x_test": rows, "y_test": labels}
    dataset = write_dataset(check_arrays(raw, loss), tmp_path / "data", name="rows", source="test")
    training = save_dense(dataset, tmp_path / "model.keras", num_outputs=num_outputs) | {"loss_name": loss}
    evaluation = Evaluator(dataset).evaluate(tmp_path / "model.keras", training)
    outputs = keras.saving.load_model(tmp_path / "model.keras").predict(rows, batch_size=40, verbose=0)
    targets, metric = labels.reshape(40, -1), evaluation["metric"]
    if dataset.label_kind == "numbers":
        errors = np.abs(outputs - targets)
        expected = errors.mean() if loss else np.sqrt((errors**2).mean())
    else:
        expected = ((outputs > 0) == targets).mean()
    assert metric["value"] == pytest.approx(float(expected), rel=1e-5)
    is_of_classes = dataset.label_kind == "classes"
    assert metric["num_examples"] == (40 if is_of_classes else None)
    assert ("n_correct" in evaluation, "confusion_matrix" in evaluation) == (is_of_classes, is_of_classes)
    assert "misclassified" not in evaluation


@pytest.mark.filterwarnings(SAVING)
def test_the_record_of_many_classes_is_small(tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (1400, 4, 4)).astype(np.uint8), np.arange(1400) % 700
    raw: dict[str, Any] = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    dataset = write_dataset(check_arrays(raw), tmp_path / "data", name="many", source="test")
    evaluation = Evaluator(dataset).evaluate(tmp_path / "model.keras", save_dense(dataset, tmp_path / "model.keras"))
    counts = np.array(evaluation["confusion_counts"])
    assert "confusion_matrix" not in evaluation
    assert (counts[:, 2].sum(), counts[counts[:, 0] == counts[:, 1], 2].sum()) == (1400, evaluation["n_correct"])
    assert len(json.dumps(evaluation)) < 50_000


@pytest.mark.filterwarnings(SAVING)
def test_a_model_whose_weights_are_no_numbers_leaves_a_record_that_can_be_read(
    noise: PreparedDataset, tmp_path: Path
) -> None:
    training = save_dense(noise, tmp_path / "model.keras", factor=math.nan)
    evaluation = Evaluator(noise).evaluate(tmp_path / "model.keras", training)
    assert {own["confidence"] for own in evaluation["misclassified"]} == {0.0}
    json.dumps(evaluation, allow_nan=False)


def test_the_answers_are_those_of_the_saved_model_in_keras(
    evaluation: dict[str, Any], singles: list[Job], mnist: PreparedDataset
) -> None:
    model = keras.saving.load_model(singles[0].output_dir / "model.keras")
    test = mnist.split("test")
    predicted = model.predict(np.asarray(test.images, np.float32), batch_size=64, verbose=0).argmax(axis=1)
    assert evaluation["n_correct"] == int((predicted == test.labels).sum())
    expected = [
        [int(((test.labels == row) & (predicted == column)).sum()) for column in range(10)] for row in range(10)
    ]
    assert evaluation["confusion_matrix"] == expected
    bits = np.unpackbits(np.frombuffer(base64.b64decode(evaluation["wrong_images"]), np.uint8))
    np.testing.assert_array_equal(bits[: test.count], predicted != test.labels)
    assert not bits[test.count :].any()


def test_the_trace_is_what_is_correct_and_each_test_image_counts(
    evaluation: dict[str, Any], mnist: PreparedDataset
) -> None:
    matrix = np.array(evaluation["confusion_matrix"])
    assert evaluation["n_correct"] == np.trace(matrix)
    assert evaluation["n_examples"] == matrix.sum() == 10_000
    assert matrix.sum(axis=1).tolist() == np.bincount(mnist.split("test").labels).tolist()
    assert evaluation["n_correct"] / evaluation["n_examples"] > 0.6


def test_it_has_the_keys_of_the_schema_but_those_of_the_step_that_calls_it(evaluation: dict[str, Any]) -> None:
    keys = set(re.findall(r'"(\w+)": ', read_schema("evaluation.json")))
    assert {*evaluation, *evaluation["metric"]} == keys - {"configuration", "trial"}


def test_misclassified_images_are_those_of_the_most_frequent_confusions(
    evaluation: dict[str, Any], mnist: PreparedDataset
) -> None:
    matrix, test = np.array(evaluation["confusion_matrix"]), mnist.split("test")
    shown = evaluation["misclassified"]
    assert 0 < len(shown) <= MAX_MISCLASSIFIED
    counts = [matrix[own["true_class"], own["predicted_class"]] for own in shown]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == np.max(matrix - np.diag(np.diag(matrix)))
    for own in shown:
        assert test.labels[own["index"]] == own["true_class"] != own["predicted_class"]
        assert 0.1 < own["confidence"] <= 1
        pixels = np.frombuffer(base64.b64decode(own["pixels"]), np.uint8).reshape(own["shape"])
        np.testing.assert_array_equal(pixels, test.images[own["index"]])


def test_of_each_confusion_the_most_confident_answer_is_selected() -> None:
    labels, predicted = np.array([0, 1, 1, 1, 2]), np.array([0, 2, 2, 0, 1])
    assert select_misclassified(labels, predicted, np.array([0.9, 0.5, 0.8, 0.7, 0.6])) == [2, 3, 4]


def test_no_more_than_a_dozen_wrong_answers_are_selected() -> None:
    labels = np.arange(40)
    assert len(select_misclassified(labels, labels + 1, np.full(40, 0.5))) == MAX_MISCLASSIFIED
    assert select_misclassified(labels, labels, np.full(40, 0.5)) == []


def test_a_thumbnail_of_a_small_image_is_the_image_and_of_a_large_one_every_nth_pixel() -> None:
    image = np.arange(100 * 60 * 3, dtype=np.uint16).astype(np.uint8).reshape(100, 60, 3)
    np.testing.assert_array_equal(make_thumbnail(image), image[::4, ::4])
    np.testing.assert_array_equal(make_thumbnail(image[:32, :32]), image[:32, :32])


def test_a_thumbnail_of_numbers_is_stretched_to_bytes() -> None:
    assert make_thumbnail(np.array([[[-1.0], [0.0], [1.0]]], np.float32)).ravel().tolist() == [0, 128, 255]
    assert make_thumbnail(np.zeros((1, 2, 1), np.float32)).ravel().tolist() == [0, 0]


def test_the_evaluation_names_the_data_and_the_weights(evaluation: dict[str, Any], singles: list[Job]) -> None:
    training = singles[0].training
    assert evaluation["split"] == "test"
    assert evaluation["evaluate_seconds"] > 0
    assert evaluation["dataset_sha256"] == training["dataset_sha256"]
    assert evaluation["weights_sha256"] == training["weights_sha256"]


def test_the_models_of_all_strategies_can_be_evaluated_one_after_another(
    singles: list[Job], all_reduces: list[Job], parameter_server: Job, mnist: PreparedDataset
) -> None:
    evaluator = Evaluator(mnist)
    for job in (singles[0], all_reduces[0], parameter_server, singles[1]):
        evaluation = evaluator.evaluate(job.output_dir / "model.keras", job.training)
        assert evaluation["weights_sha256"] == job.training["weights_sha256"]
        assert evaluation["n_correct"] > 360


def test_a_model_of_another_data_set_is_refused(singles: list[Job], noise: PreparedDataset) -> None:
    with pytest.raises(EvaluationError, match=rf"was trained on the data .* Received: the data {noise.sha256}"):
        Evaluator(noise).evaluate(singles[0].output_dir / "model.keras", singles[0].training)


def test_weights_that_the_training_did_not_end_with_are_refused(
    singles: list[Job], parameter_server: Job, mnist: PreparedDataset
) -> None:
    received, expected = singles[0].training["weights_sha256"], parameter_server.training["weights_sha256"]
    with pytest.raises(EvaluationError, match=rf"must hold the weights {expected} .*\. Received: {received}\."):
        Evaluator(mnist).evaluate(singles[0].output_dir / "model.keras", parameter_server.training)
