from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.arrays import Arrays, check_arrays
from model.data.doubts import Pixels, list_doubts

Images = NDArray[Any]
GENERATOR = np.random.default_rng(0)
DIGITS = GENERATOR.integers(0, 256, (40, 6, 6)).astype(np.uint8)


def tell(x_train: Images, x_test: Images | None = None, y_train: Any = None) -> list[str]:
    y_train = np.arange(len(x_train)) % 4 if y_train is None else np.array(y_train)
    x_test = x_train[:16] if x_test is None else x_test
    raw = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_train[: len(x_test)]}
    return list_doubts(check_arrays(raw))


def standardise(images: Images) -> Images:
    return np.asarray((images - images.mean()) / images.std())


@pytest.mark.parametrize(
    ("images", "doubt"),
    [
        (DIGITS / 255, "The pixels are between 0 and 1, where the built-in models expect 0 to 255."),
        (DIGITS / 127.5 - 1, "The pixels are between -1 and 1, where the built-in models expect 0 to 255."),
        (DIGITS // 128, "The pixels are between 0 and 1, where the built-in models expect 0 to 255."),
        (DIGITS / 16, "The pixels are between 0 and 15.94, where"),
        (DIGITS * 257.0, "The pixels are between 0 and 6.554e+04, where"),
        (standardise(DIGITS), "The pixels are between -1.7"),
        (np.full((40, 6, 6), 7, np.uint8), "All pixels are 7, so that nothing can be learnt from them. Expected: "),
        (DIGITS * 1.04 - 5, None),
        (DIGITS, None),
    ],
)
def test_pixels_of_another_range_are_told_with_theirs_and_the_expected_one(images: Images, doubt: str | None) -> None:
    told = tell(images)
    assert len(told) == (doubt is not None)
    assert all(sentence.startswith(str(doubt)) for sentence in told)


@pytest.mark.parametrize("images", [DIGITS / 255, DIGITS / 127.5 - 1, DIGITS // 128, DIGITS / 16, DIGITS * 257.0])
def test_the_expression_that_is_told_brings_the_pixels_into_the_expected_range(images: Images) -> None:
    (told,) = tell(images)
    expression = told.rpartition("scaled, or ")[2].removesuffix(".")
    assert tell(eval(expression, {"x": images})) == []


def test_standardised_pixels_are_told_as_such() -> None:
    (told,) = tell(standardise(DIGITS) * 1.0)
    assert told.endswith("give them as they were before they were standardised.")


@pytest.mark.parametrize(
    "prepare",
    [lambda images: images / 255, lambda images: images / 127.5 - 1, standardise, lambda images: 255 - images * 0.2],
)
def test_test_images_that_are_prepared_unlike_the_training_images_are_told(prepare: Any) -> None:
    (told,) = tell(DIGITS * 1.0, prepare(DIGITS[:16] * 1.0))
    assert told.startswith("The test images seem to be prepared unlike the training images: their pixels are ")
    assert "where the training images' are 0 to 255 (mean 13" in told


def test_channels_that_seem_to_come_first_are_told() -> None:
    (told,) = tell(GENERATOR.integers(0, 256, (20, 3, 32, 32)).astype(np.uint8))
    assert told.startswith("Images of 3 x 32 x 32 have 32 channels, since [n, h, w, c] is expected.")


@pytest.mark.parametrize(
    ("labels", "doubt"),
    [
        ([0, 3] * 20, "2 of 4 classes have no training image: 1, 2."),
        ([0, 15] * 20, "14 of 16 classes have no training image: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …."),
    ],
)
def test_classes_without_images_are_told(labels: list[int], doubt: str) -> None:
    assert tell(DIGITS, y_train=labels) == [doubt]


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3), (32, 32, 3), (5, 5, 8)])
def test_usual_images_leave_no_doubt(shape: tuple[int, ...]) -> None:
    images = GENERATOR.integers(0, 256, (20, *shape)).astype(np.uint8)
    assert tell(images) == []
    assert tell(images * 1.0) == []


def test_of_many_images_a_part_that_is_spread_over_them_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.data.doubts._MAX_VALUES", 1000)
    images = np.arange(10_000).reshape(-1, 1, 1, 1) / 1.0
    pixels = Pixels.measure(images)
    assert (pixels.low, pixels.high) == (0, 9999)
    assert pixels.mean == pytest.approx(4999.5, rel=0.01)
    assert pixels.std == pytest.approx(images.std(), rel=0.05)


def make_table(**changes: Any) -> Arrays:
    generator = np.random.default_rng(0)
    raw = {
        "x_train/price": generator.normal(size=200),
        "x_test/price": generator.normal(size=50),
        "x_train/user": np.arange(200),
        "x_test/user": np.arange(50) + 9000,
        "y_train": generator.normal(size=200),
        "y_test": generator.normal(size=50),
    }
    return check_arrays(raw | changes)


def test_a_table_of_standardised_numbers_is_above_doubt() -> None:
    assert list_doubts(make_table()) == []


def test_an_input_that_was_prepared_unlike_in_the_other_split_is_named() -> None:
    (doubt,) = list_doubts(make_table(**{"x_test/price": np.random.default_rng(1).normal(100, 10, 50)}))
    assert doubt.startswith("The test examples seem to be prepared unlike the training examples: x_test/price is ")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.linspace(100_000, 500_000.5, 200), "have a mean of 3e+05 and a standard deviation of 1.16e+05"),
        (np.full(200, 0.25), "All numbers to predict are 0.25"),
    ],
)
def test_numbers_that_are_hard_or_trivial_to_predict_are_told(labels: Any, message: str) -> None:
    (doubt,) = list_doubts(make_table(y_train=labels, y_test=labels[:50]))
    assert message in doubt


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(200, int), "All training examples are of class 0, so that there is nothing to learn"),
        (np.tile([1, 0, 1], (200, 1)), "All training examples are of the same row of labels, so that"),
    ],
)
def test_labels_that_are_all_alike_are_told(labels: Any, message: str) -> None:
    (doubt,) = list_doubts(make_table(y_train=labels, y_test=labels[:50]))
    assert doubt.startswith(message)
