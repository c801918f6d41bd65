"""What the trained models confuse: the matrix, and the most frequent confusions with images of them."""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.image import imsave

from comparison.groups import Trials, add_confusion_matrices
from comparison.quality import ConfusionMatrix
from comparison.records import Misclassified

MAX_CONFUSIONS = 6
MAX_IMAGES = 3
_COLOUR_CHANNELS = 3
# Matplotlib leaves out what is None, and says so in no type.
_NO_SOFTWARE: dict[str, Any] = {"Software": None}


@dataclass(frozen=True)
class Confusion:
    """A class that was taken for another one.

    Attributes:
        true_class: What the images show.
        predicted_class: What they were taken for.
        count: How often, in all trials together.
        images: Some of them, as data URIs; none where the records hold none.
    """

    true_class: int
    predicted_class: int
    count: int
    images: tuple[str, ...]


@dataclass(frozen=True)
class HeatCell:
    """A cell of a confusion matrix, with how deep it is coloured: from 0 to 1."""

    count: int
    is_correct: bool
    depth: float


def list_confusions(trials: Trials) -> list[Confusion]:
    """Returns the most frequent confusions of a configuration's models, the most frequent first."""
    matrix = add_confusion_matrices(trials)
    counts = matrix.errors if matrix else {}
    pairs = sorted(counts, key=lambda pair: (-counts[pair], pair))[:MAX_CONFUSIONS]
    return [Confusion(*pair, counts[pair], tuple(map(encode_png, _find_images(trials, *pair)))) for pair in pairs]


def shade_confusion_matrix(matrix: ConfusionMatrix, classes: Sequence[int]) -> list[list[HeatCell]]:
    """Returns the rows of some classes with depths that show the rare errors beside the many hits: roots of shares."""
    most_errors, sums = max(matrix.errors.values(), default=0), matrix.count_true()
    return [
        [
            HeatCell(count, own == true, math.sqrt(count / max(sums[true] if own == true else most_errors, 1)))
            for own, count in zip(classes, row, strict=True)
        ]
        for true, row in zip(classes, matrix.to_rows(classes), strict=True)
    ]


def encode_png(image: Misclassified) -> str:
    """Returns an image as a data URI; of one that is neither grey nor coloured, the first channel."""
    pixels = np.frombuffer(base64.b64decode(image.pixels), dtype=np.uint8).reshape(image.shape)
    file = io.BytesIO()
    shown = pixels if pixels.shape[-1] == _COLOUR_CHANNELS else pixels[..., 0]
    imsave(file, shown, format="png", cmap="gray", vmin=0, vmax=255, metadata=_NO_SOFTWARE)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _find_images(trials: Trials, true_class: int, predicted_class: int) -> Iterable[Misclassified]:
    """Returns images of a confusion, each test image once, however many of the models it misled."""
    found = {
        image.index: image
        for trial in trials
        for image in (trial.misclassified if trial.has_images else None) or ()
        if (image.true_class, image.predicted_class) == (true_class, predicted_class)
    }
    return list(found.values())[:MAX_IMAGES]
