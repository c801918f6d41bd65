import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.labels import check_labels
from model.errors import ConfigError, DatasetError

CLASSES = np.arange(20) % 4
SEVERAL = (np.arange(60).reshape(20, 3) % 5 < 2).astype(int)
MSE = "mean_squared_error"


@pytest.mark.parametrize(
    ("labels", "loss", "kind", "form"),
    [
        (CLASSES, "", "classes", ("int32", (20,), 4)),
        (np.eye(4)[CLASSES], "", "classes", ("int32", (20,), 4)),
        (CLASSES.astype(float), "", "classes", ("int32", (20,), 4)),
        (SEVERAL, "", "several_hot", ("uint8", (20, 3), 3)),
        (SEVERAL.astype(bool), "", "several_hot", ("uint8", (20, 3), 3)),
        (SEVERAL.astype(float), "", "several_hot", ("uint8", (20, 3), 3)),
        (np.linspace(-1, 1, 20), "", "numbers", ("float32", (20, 1), 1)),
        (np.linspace(-1, 1, 40).reshape(20, 2), "", "numbers", ("float32", (20, 2), 2)),
        (CLASSES * 1000, MSE, "numbers", ("float32", (20, 1), 1)),
        (CLASSES, "huber", "numbers", ("float32", (20, 1), 1)),
        (np.full((20, 2), 0.5), "mean_absolute_error", "numbers", ("float32", (20, 2), 2)),
        (CLASSES % 2, "binary_crossentropy", "classes", ("int32", (20,), 2)),
        (np.eye(4)[CLASSES], "binary_crossentropy", "several_hot", ("uint8", (20, 4), 4)),
        (np.linspace(-1, 1, 20).astype(">f8"), "", "numbers", ("float32", (20, 1), 1)),
    ],
)
def test_labels_are_what_the_loss_takes_or_what_they_plainly_are(
    labels: NDArray[Any], loss: str, kind: str, form: tuple[Any, ...]
) -> None:
    checked = check_labels(labels, labels[:8], loss)
    assert checked.kind == kind
    assert (checked.train.dtype.name, checked.train.shape, checked.num_labels) == form
    np.testing.assert_array_equal(checked.test, checked.train[:8])


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        (
            np.linspace(0, 1, 20),
            "sparse_categorical_crossentropy",
            r"with fractions\. .* give --loss mean_squared_error",
        ),
        (
            CLASSES * 1000,
            "",
            r"a label 3000 with 20 examples\. If they are numbers to predict, give --loss mean_squared",
        ),
        (SEVERAL * 2, "binary_crossentropy", r"y_train must be rows of 0 and 1, .* Received: int64 \[20, 3\] with 2\."),
        (np.full((20, 2), 0.5), "", r"rows that are not one-hot\. If each row has a figure a class"),
        (np.where(CLASSES, np.nan, 0.5), "", "y_train must be finite as float32. Received: 15 values"),
        (np.full(20, 1e300), MSE, "y_train must be finite as float32"),
        (SEVERAL[:, :, np.newaxis], "", r"y_train must be of shape \[n\] or \[n, k\]"),
        (np.array([{}] * 20), "", r"y_train must be integers, .* Received: object \[20\]"),
        (np.full(20, 1j), MSE, r"Received: complex128 \[20\]"),
        (np.array("2020-01-01", "M8[D]") + np.arange(20), MSE, r"Received: datetime64\[D\] \[20\]"),
    ],
)
def test_labels_that_the_loss_does_not_take_are_refused_with_what_came(
    labels: NDArray[Any], loss: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        check_labels(labels, labels[:8], loss)


def test_test_labels_are_of_the_training_labels_kind() -> None:
    one_hot = np.eye(3, dtype=int)[CLASSES[:8] % 3]
    assert check_labels(SEVERAL, one_hot).test.tolist() == one_hot.tolist()
    with pytest.raises(
        DatasetError, match=r"y_test must be rows of 0 and 1, a column .* Received: float64 \[8\] with 0\."
    ):
        check_labels(SEVERAL, np.linspace(0, 0.5, 8))
    with pytest.raises(DatasetError, match=r"rows of one length\. Received: int64 \[20, 3\] and int64 \[8, 2\]"):
        check_labels(SEVERAL, SEVERAL[:8, :2])
    with pytest.raises(DatasetError, match=r"rows of one length\. Received: float64 \[20\] and float64 \[8, 2\]"):
        check_labels(np.linspace(0, 1, 20), np.full((8, 2), 0.25))


def test_three_classes_are_no_answer_to_a_question_of_two() -> None:
    with pytest.raises(ConfigError, match=r"binary_crossentropy takes two classes, 0 and 1, .* Received: 4 classes"):
        check_labels(CLASSES, CLASSES, "binary_crossentropy")


def test_labels_take_no_more_memory_than_a_few_bytes_each() -> None:
    labels = np.arange(3_000_000, dtype=np.uint8)
    tracemalloc.start()
    try:
        checked = check_labels(labels, labels[:256])
        assert tracemalloc.get_traced_memory()[1] < 3 * checked.train.nbytes
    finally:
        tracemalloc.stop()
    assert checked.num_labels == 256


@pytest.mark.filterwarnings("error")
def test_narrow_floats_are_class_numbers_too() -> None:
    assert check_labels(np.arange(4, dtype=np.float16), np.zeros(1, np.float16)).num_labels == 4
