"""What a model is to answer, checked: class numbers, rows of 0 and 1, or numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.inputs import convert, count_not_finite, describe_form, refuse_not_finite
from model.errors import DatasetError
from model.objectives import BINARY_CROSS_ENTROPY, LOSSES, LabelKind, find_objective

_NUMBERING = (
    "Number them so: classes, y_train = np.unique(y_train, return_inverse=True); "
    "y_test = np.searchsorted(classes, y_test)"
)
_IF_NUMBERS = "If they are numbers to predict, give --loss mean_squared_error"
_LABEL_RANKS = (1, 2)
_LARGEST_LABEL = np.iinfo(np.int32).max
# Numbers without an example cost a logit and a row of every matrix each. So many may be a part of a known set of
# classes.
_MAX_UNUSED = 100
_SUM_TOLERANCE = 1e-3
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Labels:
    """Checked labels of the two splits that a person gives.

    Attributes:
        kind: What they are.
        train: Class numbers, little-endian int32, shape [n]; rows of 0 and 1, uint8, or numbers, little-endian
            float32, shape [n, k].
        test: As `train`.
        num_labels: Number of classes, one more than the largest training label, or k.
    """

    kind: LabelKind
    train: NDArray[Any]
    test: NDArray[Any]
    num_labels: int


def check_labels(y_train: NDArray[Any], y_test: NDArray[Any], loss: str = "") -> Labels:
    """Returns labels in their one form, which the loss decides, or where there is none `y_train`.

    Args:
        y_train: As they came.
        y_test: As they came.
        loss: A name of `LOSSES`, or nothing.

    Raises:
        DatasetError: They cannot be such labels.
        ConfigError: The loss does not take them.
    """
    both = {"y_train": y_train, "y_test": y_test}
    for key, labels in both.items():
        _check_form(key, labels)
    kind = _find_kind(y_train, loss)
    checks: dict[LabelKind, Any] = {
        "classes": _check_classes,
        "several_hot": _check_rows,
        "numbers": _check_numbers,
    }
    check = checks[kind]
    train, test = (check(key, labels) for key, labels in both.items())
    if kind == "classes":
        num_labels = _count_classes(train)
        if test.max() >= num_labels:
            raise DatasetError(
                f"y_test must hold labels that y_train reaches, 0 to {num_labels - 1}. Received: {test.max()}."
            )
    else:
        num_labels = train.shape[1]
        if test.shape[1] != num_labels:
            forms = (describe_form(labels.dtype, labels.shape) for labels in both.values())
            raise DatasetError(f"y_train and y_test must hold rows of one length. Received: {' and '.join(forms)}.")
    find_objective(loss, kind, num_labels)
    return Labels(kind, train, test, num_labels)


def _check_form(key: str, labels: NDArray[Any]) -> None:
    received = describe_form(labels.dtype, labels.shape)
    if labels.ndim not in _LABEL_RANKS or 0 in labels.shape:
        raise DatasetError(f"{key} must be of shape [n] or [n, k], n at least 1. Received: {received}.")
    if labels.dtype.kind not in "biuf":
        raise DatasetError(f"{key} must be integers, one class number an example. Received: {received}. {_NUMBERING}.")


def _find_kind(labels: NDArray[Any], loss: str) -> LabelKind:
    """Returns the kind that a loss takes of such labels, or where there is none the kind that they plainly are."""
    is_single = labels.ndim == min(_LABEL_RANKS) or labels.shape[1] == 1
    if loss == BINARY_CROSS_ENTROPY:
        return "classes" if is_single else "several_hot"
    if loss:
        (kind,) = LOSSES[loss]
        return kind
    if is_single:
        return "numbers" if _has_fractions(labels) else "classes"
    if _is_binary(labels):
        return "classes" if _is_one_hot(labels) else "several_hot"
    if labels.dtype.kind == "f" and not _are_shares(labels):
        return "numbers"
    return "classes"  # which the check refuses, with what could be meant


def _has_fractions(labels: NDArray[Any]) -> bool:
    return labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.floor(labels))).all()


def _is_binary(labels: NDArray[Any]) -> bool:
    return bool(((labels == 0) | (labels == 1)).all())


def _is_one_hot(labels: NDArray[Any]) -> bool:
    return _is_binary(labels) and bool((np.count_nonzero(labels, axis=1) == 1).all())


def _are_shares(labels: NDArray[Any]) -> bool:
    """Returns whether each row has shares of 1, as a model's probabilities are."""
    return bool((labels >= 0).all() and (np.abs(labels.sum(axis=1) - 1) < _SUM_TOLERANCE).all())


def _check_classes(key: str, labels: NDArray[Any]) -> NDArray[np.int32]:
    """Returns class numbers, from integers or from what plainly means them: [n, 1], one-hot, floats without fractions.

    Raises:
        DatasetError: They are no class numbers.
    """
    received = describe_form(labels.dtype, labels.shape)
    if labels.ndim == max(_LABEL_RANKS):
        labels = _flatten(key, labels)
    if _has_fractions(labels):
        raise DatasetError(
            f"{key} must be integers, one class number an example. Received: {received} with fractions. "
            f"{_NUMBERING}. {_IF_NUMBERS}."
        )
    if labels.min() < 0 or labels.max().item() > _LARGEST_LABEL:
        raise DatasetError(
            f"{key} must be numbered from 0 on. Received: {labels.min()} to {labels.max()}. {_NUMBERING}. "
            f"{_IF_NUMBERS}."
        )
    return labels.astype("<i4", copy=False)


def _flatten(key: str, labels: NDArray[Any]) -> NDArray[Any]:
    """Returns labels of shape [n] from a column of them, or from one-hot rows."""
    if labels.shape[1] == 1:
        return labels[:, 0]
    if not _is_one_hot(labels):
        raise DatasetError(
            f"{key} must be of shape [n], one class number an example, or one-hot. "
            f"Received: {describe_form(labels.dtype, labels.shape)} with rows that are not one-hot. "
            f"If each row has a figure a class, the largest for its own: give {key}.argmax(axis=1). {_IF_NUMBERS}."
        )
    return np.asarray(labels.argmax(axis=1))


def _check_rows(key: str, labels: NDArray[Any]) -> NDArray[np.uint8]:
    if labels.ndim != max(_LABEL_RANKS) or not _is_binary(labels):
        raise DatasetError(
            f"{key} must be rows of 0 and 1, a column for each label, as y_train is. "
            f"Received: {describe_form(labels.dtype, labels.shape)}{_describe_others(labels)}."
        )
    return labels.astype(np.uint8)


def _describe_others(labels: NDArray[Any]) -> str:
    others = np.unique(labels[(labels != 0) & (labels != 1)])[:3].tolist()
    return f" with {', '.join(map(str, others))}" if others else ""


def _check_numbers(key: str, labels: NDArray[Any]) -> NDArray[np.float32]:
    converted = convert(labels.reshape(len(labels), -1), np.dtype("<f4"))
    refuse_not_finite(key, count_not_finite(converted))
    return converted


def _count_classes(y_train: NDArray[np.int32]) -> int:
    """Returns the number of classes: one more than the largest label."""
    num_classes = int(y_train.max()) + 1
    if num_classes > len(y_train):
        raise DatasetError(
            "y_train must number the classes from 0 on, at least one example a class. "
            f"Received: a label {y_train.max()} with {len(y_train)} examples. {_IF_NUMBERS}. {_NUMBERING}."
        )
    used = _count_different(y_train, num_classes)
    if num_classes - used > max(_MAX_UNUSED, used):
        raise DatasetError(
            "y_train must number the classes from 0 on, most of them with an example. "
            f"Received: {used} different labels up to {y_train.max()}. {_IF_NUMBERS}. {_NUMBERING}."
        )
    return num_classes


def _count_different(y_train: NDArray[np.int32], num_classes: int) -> int:
    """Returns how many classes have an example, counted block by block: as indices labels take 8 bytes each."""
    is_used = np.zeros(num_classes, bool)
    for start in range(0, len(y_train), _BLOCK):
        is_used[y_train[start : start + _BLOCK]] = True
    return int(np.count_nonzero(is_used))
