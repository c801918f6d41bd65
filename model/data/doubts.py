"""What is allowed in a data set and yet often a slip."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.arrays import Arrays, list_pairs
from model.data.inputs import Examples

_USUAL_CHANNELS = (1, 3, 4)
_MAX_LISTED = 10
# Pixels that are looked at: enough for what is said of them, and 8 MiB as they are computed with.
_MAX_VALUES, _NUM_RUNS = 2**20, 64
_BRIGHTEST = 255
# Interpolation overshoots a little; and in a whole data set some pixel is brighter than half.
_SLACK, _DARKEST_MAXIMUM = 25, 128
# How far the test images' mean may be from the training images', in standard deviations, and these, as a factor.
_MAX_MEAN_SHIFT, _MAX_STD_FACTOR = 1.0, 3.0
_STANDARD_MEAN, _STANDARD_STD = 0.5, (0.5, 2.0)
_IMAGE_RANK = 4
# Numbers to predict that are spread further make gradients too large for the usual learning rates.
_WIDEST_LABELS = 10.0


@dataclass(frozen=True)
class Pixels:
    """The range, mean and standard deviation of the pixels of a data set's images, or of a part spread over it."""

    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def measure(cls, images: Examples) -> "Pixels":
        """Returns those of images of shape [n, h, w, c]."""
        sample = _sample(images)
        return cls(float(sample.min()), float(sample.max()), float(sample.mean()), float(sample.std()))

    def __str__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g} (mean {self.mean:.3g}, standard deviation {self.std:.3g})"


def list_doubts(arrays: Arrays) -> list[str]:
    """Returns what is allowed and yet often a slip, a sentence each."""
    doubts = [*_doubt_inputs(arrays), _doubt_labels(arrays), _doubt_classes(arrays), _doubt_numbers(arrays)]
    return [doubt for doubt in doubts if doubt]


def _doubt_inputs(arrays: Arrays) -> list[str | None]:
    doubts = []
    for name, own, other in list_pairs(arrays):
        train, test = Pixels.measure(own), Pixels.measure(other)
        if not name and len(own.shape) == _IMAGE_RANK:
            doubts += [_doubt_shape(own.shape), _doubt_range(train), _doubt_test(train, test)]
        elif own.dtype.kind == "f":
            doubts.append(_doubt_other_test(f"x_train/{name}" if name else "x_train", train, test))
    return doubts


def _doubt_shape(images_shape: tuple[int, ...]) -> str | None:
    _, height, _, channels = images_shape
    if height >= channels or height not in _USUAL_CHANNELS:
        return None
    shape = " x ".join(map(str, images_shape[1:]))
    return (
        f"Images of {shape} have {channels} channels, since [n, h, w, c] is expected. If the channels come first, give "
        "x.transpose(0, 2, 3, 1)."
    )


def _doubt_range(train: Pixels) -> str | None:
    low, high = train.low, train.high
    if low == high:
        return f"All pixels are {low:.4g}, so that nothing can be learnt from them. Expected: images from 0 to 255."
    if low >= -_SLACK and _DARKEST_MAXIMUM <= high <= _BRIGHTEST + _SLACK:
        return None
    is_centred = low < 0 and max(-low, high) > 1  # not just scaled to -1 to 1
    if is_centred and abs(train.mean) < _STANDARD_MEAN and _STANDARD_STD[0] < train.std < _STANDARD_STD[1]:
        give = "them as they were before they were standardised"
    else:
        moved = "x" if low >= 0 else f"(x + {-low:.4g})"
        give = f"them before they are scaled, or {moved} * (255 / {high - min(low, 0):.4g})"
    return (
        f"The pixels are between {low:.4g} and {high:.4g}, where the built-in models expect 0 to 255. Unless a model "
        f"of your own takes them as they are, give {give}."
    )


def _doubt_test(train: Pixels, test: Pixels) -> str | None:
    if not _are_unlike(train, test):
        return None
    return (
        f"The test images seem to be prepared unlike the training images: their pixels are {test}, where the training "
        f"images' are {train}. A model that has learnt these gets the others wrong: scale x_test as x_train."
    )


def _doubt_other_test(key: str, train: Pixels, test: Pixels) -> str | None:
    if not _are_unlike(train, test):
        return None
    return (
        f"The test examples seem to be prepared unlike the training examples: {key.replace('train', 'test', 1)} is "
        f"{test}, where {key} is {train}. Scale both by the same numbers."
    )


def _are_unlike(train: Pixels, test: Pixels) -> bool:
    is_shifted = abs(test.mean - train.mean) > _MAX_MEAN_SHIFT * max(train.std, test.std)
    narrow, wide = sorted((train.std, test.std))
    return is_shifted or wide > _MAX_STD_FACTOR * narrow


def _doubt_labels(arrays: Arrays) -> str | None:
    """Doubts labels that are all alike; numbers to predict have a sentence of their own."""
    first = arrays.y_train[0]
    if arrays.label_kind == "numbers" or not (arrays.y_train == first).all():
        return None
    alike = f"class {first}" if arrays.label_kind == "classes" else "the same row of labels"
    return f"All training examples are of {alike}, so that there is nothing to learn, and accuracies say nothing."


def _doubt_classes(arrays: Arrays) -> str | None:
    if arrays.label_kind != "classes":
        return None
    missing = np.flatnonzero(np.bincount(arrays.y_train, minlength=arrays.num_labels) == 0).tolist()
    if not missing:
        return None
    listed = ", ".join(map(str, missing[:_MAX_LISTED])) + (", …" if len(missing) > _MAX_LISTED else "")
    return f"{len(missing)} of {arrays.num_labels} classes have no training image: {listed}."


def _doubt_numbers(arrays: Arrays) -> str | None:
    if arrays.label_kind != "numbers":
        return None
    spread, mean = float(arrays.y_train.std()), float(arrays.y_train.mean())
    if spread == 0:
        return f"All numbers to predict are {mean:.4g}, so that there is nothing to learn."
    if max(spread, abs(mean)) <= _WIDEST_LABELS:
        return None
    return (
        f"The numbers to predict have a mean of {mean:.4g} and a standard deviation of {spread:.4g}: the loss may grow "
        "beyond all bounds. Scale y_train and y_test by the same numbers, or let the model's last layer do so "
        "(Rescaling), or lower the learning rate."
    )


def _sample(images: Examples) -> NDArray[np.float64]:
    """Returns some of the images, in runs spread over all of them."""
    count = max(1, _MAX_VALUES // math.prod(images.shape[1:]))
    if len(images) <= count:
        return images[:].astype(np.float64)
    length = -(-count // _NUM_RUNS)
    starts = np.linspace(0, len(images) - length, min(_NUM_RUNS, count), dtype=int)
    return np.concatenate([images[start : start + length] for start in starts]).astype(np.float64)
