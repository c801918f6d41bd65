"""A labelled data set, checked: what every source gives and what preparation takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from model.data.inputs import (
    Examples,
    Inputs,
    check_input,
    describe_form,
    find_input_keys,
    gather_inputs,
    list_inputs,
)
from model.data.labels import Labels, check_labels
from model.errors import DatasetError
from model.objectives import LabelKind

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
NPZ_FORM = (
    "an .npz file, or a folder of .npy files (a path, or a file, http, https, gs or s3 URL) with the arrays "
    f"{', '.join(NPZ_KEYS)}: images uint8 or float of shape [n, h, w] or [n, h, w, c], or other numbers of shape "
    "[n, …], for several inputs of a model as x_train/NAME and x_test/NAME; labels integer of shape [n] from 0 on, "
    "rows of 0 and 1, or floats to predict"
)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Checked inputs, uint8, or little-endian int32, int64 or float32, and their labels as `Labels` has them.

    Attributes:
        x_train: One input of shape [n, …], images as [n, h, w, c]; or the inputs by name.
        x_test: As `x_train`.
        num_labels: Number of classes, one more than the largest training label, some of which may be without examples;
            or of the values in an example's label.
    """

    x_train: Inputs
    y_train: NDArray[Any]
    x_test: Inputs
    y_test: NDArray[Any]
    num_labels: int
    label_kind: LabelKind


def check_arrays(raw: Mapping[str, NDArray[Any]], loss: str = "") -> Arrays:
    """Returns the arrays under NPZ_KEYS, or under x_train/NAME and x_test/NAME, in their one form.

    Args:
        raw: What came.
        loss: What the labels are for; nothing leaves that to them.

    Raises:
        DatasetError: Which array is not as it should be, what came and what was expected.
    """
    keys = find_keys(raw)
    inputs: dict[str, Examples] = {key: check_input(key, raw[key]) for own in keys.values() for key in own}
    forms = {key: describe_form(raw[key].dtype, raw[key].shape) for key in inputs}
    return assemble(keys, inputs, forms, check_labels(raw["y_train"], raw["y_test"], loss))


def find_keys(present: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the keys of the inputs of each split, after a check that nothing is missing.

    Raises:
        DatasetError: Something is.
    """
    keys = find_input_keys(present)
    if missing := [key for key in NPZ_KEYS if not keys.get(key, key in present)]:
        raise DatasetError(
            f"must hold the arrays {', '.join(NPZ_KEYS)}. "
            f"Missing: {', '.join(missing)}. It holds: {', '.join(present) or 'nothing'}."
        )
    return keys


def assemble(
    keys: Mapping[str, list[str]], inputs: dict[str, Examples], forms: Mapping[str, str], labels: Labels
) -> Arrays:
    """Returns arrays that are checked one by one, after a check that they belong together.

    Args:
        keys: Those of the inputs of each split.
        inputs: Each in its one form.
        forms: How they came, for the messages.
        labels: Those of both splits.

    Raises:
        DatasetError: They do not.
    """
    for split, own in (("train", labels.train), ("test", labels.test)):
        for key in keys[f"x_{split}"]:
            if len(inputs[key]) != len(own):
                raise DatasetError(
                    f"{key} and y_{split} must be of the same length. Received: {len(inputs[key])} and {len(own)}."
                )
    for train, test in zip(keys["x_train"], keys["x_test"], strict=True):
        if inputs[train].shape[1:] != inputs[test].shape[1:] or inputs[train].dtype != inputs[test].dtype:
            raise DatasetError(
                f"{train} and {test} must hold examples of one shape and type. "
                f"Received: {forms[train]} and {forms[test]}."
            )
    x_train, x_test = (gather_inputs(keys[x], inputs) for x in ("x_train", "x_test"))
    return Arrays(x_train, labels.train, x_test, labels.test, labels.num_labels, labels.kind)


def list_pairs(arrays: Arrays) -> list[tuple[str, Examples, Examples]]:
    """Returns each input of both splits with its name, which is empty where there is but one."""
    test = list_inputs(arrays.x_test)
    return [(name, own, test[name]) for name, own in list_inputs(arrays.x_train).items()]
