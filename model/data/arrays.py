"""A labelled image data set in memory, checked: what every source gives and what preparation takes."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from model.errors import DatasetError

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
NPZ_FORM = (
    f"an .npz file (a path, or a file, http or https URL) with the arrays {', '.join(NPZ_KEYS)}: "
    "images uint8 or float of shape [n, h, w] or [n, h, w, c], labels integer of shape [n] from 0 on"
)
_IMAGE_RANKS = (3, 4)
_USUAL_CHANNELS = (1, 3, 4)
_MAX_LISTED = 10
_LARGEST_LABEL = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Arrays:
    """Checked images [n, h, w, c], uint8 or little-endian float32, and labels [n], little-endian int32.

    Attributes:
        num_classes: One more than the largest training label; classes may be without images.
    """

    x_train: NDArray[Any]
    y_train: NDArray[np.int32]
    x_test: NDArray[Any]
    y_test: NDArray[np.int32]
    num_classes: int


def check_arrays(raw: Mapping[str, NDArray[Any]]) -> Arrays:
    """Returns the arrays under NPZ_KEYS in their one form.

    Raises:
        DatasetError: Which array is not as it should be, what came and what was expected.
    """
    x_train, y_train = _check_images("x_train", raw["x_train"]), _check_labels("y_train", raw["y_train"])
    x_test, y_test = _check_images("x_test", raw["x_test"]), _check_labels("y_test", raw["y_test"])
    for split, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        if len(images) != len(labels):
            raise DatasetError(
                f"x_{split} and y_{split} must be of the same length. Received: {len(images)} and {len(labels)}."
            )
    if x_train.shape[1:] != x_test.shape[1:] or x_train.dtype != x_test.dtype:
        raise DatasetError(
            "x_train and x_test must hold images of one shape and type. "
            f"Received: {_describe(raw['x_train'])} and {_describe(raw['x_test'])}."
        )
    num_classes = int(y_train.max()) + 1
    if num_classes > len(y_train):
        raise DatasetError(
            "y_train must number the classes from 0 on, at least one image a class. "
            f"Received: a label {y_train.max()} with {len(y_train)} images."
        )
    if y_test.max() >= num_classes:
        raise DatasetError(
            f"y_test must hold labels that y_train reaches, 0 to {num_classes - 1}. Received: {y_test.max()}."
        )
    return Arrays(x_train, y_train, x_test, y_test, num_classes)


def list_doubts(arrays: Arrays) -> list[str]:
    """Returns what is allowed and yet often a slip, a sentence each."""
    doubts = []
    _, height, _, channels = arrays.x_train.shape
    if height < channels and height in _USUAL_CHANNELS:
        shape = " x ".join(map(str, arrays.x_train.shape[1:]))
        doubts.append(
            f"Images of {shape} have {channels} channels, since [n, h, w, c] is expected. If the channels come first, "
            "give x.transpose(0, 2, 3, 1)."
        )
    if arrays.x_train.dtype.kind == "f" and -1 <= arrays.x_train.min() <= arrays.x_train.max() <= 1:
        doubts.append(
            "The pixels are between -1 and 1, where the built-in models expect 0 to 255. Unless a model of your own "
            "takes them as they are, give them before they are scaled."
        )
    histogram = np.bincount(arrays.y_train, minlength=arrays.num_classes)
    if missing := np.flatnonzero(histogram == 0).tolist():
        listed = ", ".join(map(str, missing[:_MAX_LISTED])) + (", …" if len(missing) > _MAX_LISTED else "")
        doubts.append(f"{len(missing)} of {arrays.num_classes} classes have no training image: {listed}.")
    return doubts


def read_npz(file: BinaryIO, source: str) -> Arrays:
    """Returns the checked arrays of an .npz file; nothing in it is unpickled.

    Args:
        file: The file, open and seekable.
        source: What the messages call it.

    Raises:
        DatasetError: It is no .npz, is cut off, lacks an array, or an array is not as it should be.
    """
    try:
        return check_arrays(_read_members(file))
    except DatasetError as error:
        raise DatasetError(f"{source}: {error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise DatasetError(f"{source} is damaged: {error}. Expected {NPZ_FORM}.") from error


def _read_members(file: BinaryIO) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(file):
        raise DatasetError(f"not an .npz file, or its end is missing. Expected {NPZ_FORM}.")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        missing = [key for key in NPZ_KEYS if key not in archive]
        if missing:
            raise DatasetError(
                f"must hold the arrays {', '.join(NPZ_KEYS)}. "
                f"Missing: {', '.join(missing)}. It holds: {', '.join(archive) or 'nothing'}."
            )
        return {key: _read_member(archive, key) for key in NPZ_KEYS}


def _read_member(archive: Mapping[str, Any], key: str) -> NDArray[Any]:
    try:
        array = archive[key]
    except ValueError as error:
        raise DatasetError(f"{key} cannot be read as numbers: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DatasetError(f"{key} must be an array in NumPy's format. Received: other content.")
    return array


def _check_images(key: str, images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim not in _IMAGE_RANKS or 0 in images.shape:
        raise DatasetError(f"{key} must be of shape [n, h, w] or [n, h, w, c], none 0. Received: {_describe(images)}.")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DatasetError(f"{key} must be uint8 or float. Received: {_describe(images)}.")
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):
            images = images.astype("<f4", copy=False)
        if not np.isfinite(images).all():
            count = images.size - np.count_nonzero(np.isfinite(images))
            raise DatasetError(f"{key} must be finite as float32. Received: {count} values that are not.")
    return images if images.ndim == max(_IMAGE_RANKS) else images[..., np.newaxis]


def _check_labels(key: str, labels: NDArray[Any]) -> NDArray[np.int32]:
    if labels.ndim != 1 or labels.size == 0:
        raise DatasetError(f"{key} must be of shape [n], n at least 1. Received: {_describe(labels)}.")
    if labels.dtype.kind not in "iu":
        raise DatasetError(f"{key} must be integers, one class number an image. Received: {_describe(labels)}.")
    if labels.min() < 0 or labels.max() > _LARGEST_LABEL:
        raise DatasetError(f"{key} must be numbered from 0 on. Received: {labels.min()} to {labels.max()}.")
    return labels.astype("<i4", copy=False)


def _describe(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
