import base64
import io

import numpy as np
import pytest
from PIL import Image

from comparison.quality import ConfusionMatrix
from comparison.records import Misclassified
from comparison.report.misclassified import (
    MAX_CONFUSIONS,
    MAX_IMAGES,
    encode_png,
    list_confusions,
    shade_confusion_matrix,
)
from tests.comparison.record_factory import make_record


def make_image(index: int, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Misclassified:
    encoded = base64.b64encode(pixels.tobytes()).decode()
    return Misclassified(index, 0, 1, 0.9, list(pixels.shape), encoded)


def decode(uri: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    scheme, _, content = uri.partition(",")
    assert scheme == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def test_a_grey_image_keeps_its_pixels() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 51

    np.testing.assert_array_equal(decode(encode_png(make_image(0, pixels))), np.repeat(pixels, 3, axis=2))


def test_a_coloured_image_keeps_its_colours() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20

    np.testing.assert_array_equal(decode(encode_png(make_image(0, pixels))), pixels)


def test_of_other_channels_the_first_is_shown() -> None:
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)

    np.testing.assert_array_equal(decode(encode_png(make_image(0, pixels)))[..., 0], pixels[..., 0])


def test_the_most_frequent_confusions_of_all_trials_come_first() -> None:
    matrices = [[[960, 30, 10], [0, 1000, 0], [40, 0, 960]], [[990, 0, 10], [0, 1000, 0], [10, 0, 990]]]
    trials = [make_record("single", trial, confusion_matrix=matrix) for trial, matrix in enumerate(matrices)]

    confusions = list_confusions(trials)

    assert [(own.true_class, own.predicted_class, own.count) for own in confusions] == [
        (2, 0, 50),
        (0, 1, 30),
        (0, 2, 20),
    ]
    assert len(confusions) <= MAX_CONFUSIONS
    assert all(own.images == () for own in confusions)


def test_an_image_that_misled_several_models_is_shown_once_and_few_are_shown() -> None:
    images = [make_image(index, np.full((2, 2, 1), index, np.uint8)) for index in range(MAX_IMAGES + 2)]
    trials = [make_record("single", trial, misclassified=images[trial:]) for trial in range(2)]

    [confusion] = list_confusions(trials)

    assert confusion.images == tuple(map(encode_png, images[:MAX_IMAGES]))


def test_errors_are_shaded_by_the_most_frequent_one() -> None:
    cells = shade_confusion_matrix(ConfusionMatrix.from_rows([[96, 4], [1, 9]]), [0, 1])

    assert [[cell.is_correct for cell in row] for row in cells] == [[True, False], [False, True]]
    assert [cells[0][1].depth, cells[1][0].depth] == [1.0, 0.5]
    assert cells[0][0].depth == pytest.approx(0.96**0.5)


def test_a_flawless_matrix_can_be_shaded() -> None:
    flawless = ConfusionMatrix.from_rows([[3, 0], [0, 3]])

    assert [[cell.depth for cell in row] for row in shade_confusion_matrix(flawless, [0, 1])] == [[1, 0], [0, 1]]


def test_the_cells_of_a_few_classes_are_shaded_as_among_all() -> None:
    matrix = ConfusionMatrix.from_rows([[8, 0, 2], [0, 10, 0], [1, 0, 9]])

    assert shade_confusion_matrix(matrix, [0])[0][0].depth == pytest.approx(0.8**0.5)
