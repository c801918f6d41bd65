"""A labelled image data set, checked: what every source gives and what preparation takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.errors import DatasetError

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
NPZ_FORM = (
    f"an .npz file (a path, or a file, http or https URL) with the arrays {', '.join(NPZ_KEYS)}: "
    "images uint8 or float of shape [n, h, w] or [n, h, w, c], labels integer of shape [n] from 0 on"
)
_NUMBERING = (
    "Number them so: classes, y_train = np.unique(y_train, return_inverse=True); "
    "y_test = np.searchsorted(classes, y_test)"
)
_IMAGE_RANKS = (3, 4)
_LABEL_RANKS = (1, 2)
_LARGEST_LABEL = np.iinfo(np.int32).max
# Numbers without an image cost a logit and a row of every matrix each. So many may be a part of a known set of classes.
_MAX_UNUSED = 100


class Images(Protocol):
    """Images [n, h, w, c] in memory or elsewhere: some of them at a time are an array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As an array's."""

    def __len__(self) -> int:
        """Returns how many they are."""

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        """Returns those of a slice or of an array of indices."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """Checked images [n, h, w, c], uint8 or little-endian float32, and labels [n], little-endian int32.

    Attributes:
        num_classes: One more than the largest training label; classes may be without images.
    """

    x_train: Images
    y_train: NDArray[np.int32]
    x_test: Images
    y_test: NDArray[np.int32]
    num_classes: int


def check_arrays(raw: Mapping[str, NDArray[Any]]) -> Arrays:
    """Returns the arrays under NPZ_KEYS in their one form.

    Raises:
        DatasetError: Which array is not as it should be, what came and what was expected.
    """
    checks = {"x": check_images, "y": check_labels}
    forms = {key: describe_form(raw[key].dtype, raw[key].shape) for key in NPZ_KEYS}
    return assemble({key: checks[key[0]](key, raw[key]) for key in NPZ_KEYS}, forms)


def assemble(checked: Mapping[str, Any], forms: Mapping[str, str]) -> Arrays:
    """Returns arrays that are checked one by one, after a check that they belong together.

    Args:
        checked: The arrays under NPZ_KEYS, each in its one form.
        forms: How they came, for the messages.

    Raises:
        DatasetError: They do not.
    """
    x_train, y_train, x_test, y_test = (checked[key] for key in NPZ_KEYS)
    for split, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        if len(images) != len(labels):
            raise DatasetError(
                f"x_{split} and y_{split} must be of the same length. Received: {len(images)} and {len(labels)}."
            )
    if x_train.shape[1:] != x_test.shape[1:] or x_train.dtype != x_test.dtype:
        raise DatasetError(
            "x_train and x_test must hold images of one shape and type. "
            f"Received: {forms['x_train']} and {forms['x_test']}."
        )
    num_classes = _count_classes(y_train)
    if y_test.max() >= num_classes:
        raise DatasetError(
            f"y_test must hold labels that y_train reaches, 0 to {num_classes - 1}. Received: {y_test.max()}."
        )
    return Arrays(x_train, y_train, x_test, y_test, num_classes)


def check_images(key: str, images: NDArray[Any]) -> NDArray[Any]:
    """Returns images in their one form.

    Raises:
        DatasetError: They are no images, or not finite.
    """
    check_image_form(key, images.dtype, images.shape)
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):
            images = images.astype("<f4", copy=False)
        refuse_not_finite(key, count_not_finite(images))
    return images if images.ndim == max(_IMAGE_RANKS) else images[..., np.newaxis]


def check_image_form(key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Checks what is known of images before they are read.

    Raises:
        DatasetError: They are no images.
    """
    if len(shape) not in _IMAGE_RANKS or 0 in shape:
        raise DatasetError(
            f"{key} must be of shape [n, h, w] or [n, h, w, c], none 0. Received: {describe_form(dtype, shape)}."
        )
    if dtype != np.uint8 and dtype.kind != "f":
        hint = f' If the pixels are from 0 to 255, give {key}.astype("uint8").' if dtype.kind in "biu" else ""
        raise DatasetError(f"{key} must be uint8 or float. Received: {describe_form(dtype, shape)}.{hint}")


def count_not_finite(images: NDArray[Any]) -> int:
    """Returns how many values are infinite or no number."""
    return int(images.size - np.count_nonzero(np.isfinite(images)))


def refuse_not_finite(key: str, count: int) -> None:
    """Refuses images of which some values are not finite as float32.

    Raises:
        DatasetError: `count` is not 0.
    """
    if count:
        raise DatasetError(f"{key} must be finite as float32. Received: {count} values that are not.")


def check_labels(key: str, labels: NDArray[Any]) -> NDArray[np.int32]:
    """Returns class numbers, from integers or from what plainly means them: [n, 1], one-hot, floats without fractions.

    Raises:
        DatasetError: They are no class numbers.
    """
    received = describe_form(labels.dtype, labels.shape)
    if labels.ndim not in _LABEL_RANKS or 0 in labels.shape:
        raise DatasetError(f"{key} must be of shape [n], n at least 1. Received: {received}.")
    if labels.dtype.kind not in "biuf":
        raise DatasetError(f"{key} must be integers, one class number an image. Received: {received}. {_NUMBERING}.")
    if labels.ndim == max(_LABEL_RANKS):
        labels = _flatten_labels(key, labels)
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.floor(labels))).all():
        raise DatasetError(
            f"{key} must be integers, one class number an image. Received: {received} with fractions. {_NUMBERING}."
        )
    if labels.min() < 0 or labels.max() > _LARGEST_LABEL:
        raise DatasetError(
            f"{key} must be numbered from 0 on. Received: {labels.min()} to {labels.max()}. {_NUMBERING}."
        )
    return labels.astype("<i4", copy=False)


def _flatten_labels(key: str, labels: NDArray[Any]) -> NDArray[Any]:
    """Returns labels of shape [n] from a column of them, or from one-hot rows."""
    if labels.shape[1] == 1:
        return labels[:, 0]
    is_one_hot = ((labels == 0) | (labels == 1)).all() and (np.count_nonzero(labels, axis=1) == 1).all()
    if not is_one_hot:
        raise DatasetError(
            f"{key} must be of shape [n], one class number an image, or one-hot. "
            f"Received: {describe_form(labels.dtype, labels.shape)} with rows that are not one-hot. "
            f"If each row has a figure a class, the largest for its own: give {key}.argmax(axis=1)."
        )
    return np.asarray(labels.argmax(axis=1))


def _count_classes(y_train: NDArray[np.int32]) -> int:
    """Returns the number of classes: one more than the largest label."""
    num_classes = int(y_train.max()) + 1
    if num_classes > len(y_train):
        raise DatasetError(
            "y_train must number the classes from 0 on, at least one image a class. "
            f"Received: a label {y_train.max()} with {len(y_train)} images. {_NUMBERING}."
        )
    used = int(np.count_nonzero(np.bincount(y_train)))
    if num_classes - used > max(_MAX_UNUSED, used):
        raise DatasetError(
            "y_train must number the classes from 0 on, most of them with an image. "
            f"Received: {used} different labels up to {y_train.max()}. {_NUMBERING}."
        )
    return num_classes


def describe_form(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Returns an array's type and shape, as the messages tell them."""
    return f"{dtype} {list(shape)}"
