"""What a model is given, checked: images, or any array of numbers, one for all inputs or several by name."""

import re
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.errors import DatasetError

_IMAGE_RANKS = (3, 4)
# What follows the slash in x_train/title: a layer of Keras and a file are named so.
# It is part of a file's name.
_LONGEST_NAME = 200
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_LONGEST_NAME - 1}}}")
_NARROW_BYTES = 4
_T = TypeVar("_T")


class Examples(Protocol):
    """An array of shape [n, …] in memory or elsewhere: some of its rows at a time are an array."""

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


# The one input of a model (Examples), or its inputs by name (dict[str, Examples]): whoever uses them knows which.
Inputs = Any


def list_inputs(inputs: _T | dict[str, _T]) -> dict[str, _T]:
    """Returns inputs by name, the one without a name under an empty one."""
    return inputs if isinstance(inputs, dict) else {"": inputs}


def find_input_keys(keys: Iterable[str]) -> dict[str, list[str]]:
    """Returns the keys of the inputs of each split: `x_train` alone, or `x_train/NAME` for each of several.

    Args:
        keys: Those of all arrays that came.

    Raises:
        DatasetError: A split has none, or one both with and without a name; or the splits have others.
    """
    present = list(keys)
    found = {x: [key for key in present if key == x or key.startswith(f"{x}/")] for x in ("x_train", "x_test")}
    for x, own in found.items():
        if x in own and len(own) > 1:
            raise DatasetError(
                f"must hold {x}, or one {x}/NAME for each input of the model, and not both. Received: {', '.join(own)}."
            )
        for key in own:
            if key != x and not _NAME.fullmatch(key.partition("/")[2]):
                raise DatasetError(
                    f"An input's name must be of letters, digits, _, . and -, at most {_LONGEST_NAME}, as in {x}/title."
                    f" Received: {key:.300}."
                )
    train, test = ({key.partition("/")[2] for key in own} for own in found.values())
    if train and test and train != test:
        only = [f"x_train/{name}" for name in sorted(train - test)] + [
            f"x_test/{name}" for name in sorted(test - train)
        ]
        raise DatasetError(
            "must hold the same inputs in x_train and in x_test. "
            f"Only in one of the two: {', '.join(key.removesuffix('/') for key in only)}."
        )
    return {x: sorted(own) for x, own in found.items()}


def gather_inputs(keys: Iterable[str], arrays: dict[str, Any]) -> Any:
    """Returns the inputs of a split: the one array without a name, or those with one by name."""
    named = {key.partition("/")[2]: arrays[key] for key in keys}
    return named.get("", named)


def plan_input(key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Returns the type and shape that an input is kept in, from what is known before it is read.

    An array without a name of 3 or 4 axes is images, which get a channel where they have none. All else is kept as it
    is, but for [n], which becomes [n, 1].

    Raises:
        DatasetError: It cannot be an input.
    """
    if not shape or 0 in shape:
        raise DatasetError(
            f"{key} must be of shape [n, …], none 0: images [n, h, w] or [n, h, w, c], rows [n, k], or others. "
            f"Received: {describe_form(dtype, shape)}."
        )
    stored = _choose_dtype(key, dtype, shape)
    is_images = "/" not in key and len(shape) in _IMAGE_RANKS
    if is_images and stored.kind == "i":
        raise DatasetError(
            f"{key} must be uint8 or float. Received: {describe_form(dtype, shape)}. If the pixels are from 0 to 255, "
            f'give {key}.astype("uint8"). If they are no images, give the array a name: {key}/NAME.'
        )
    if len(shape) == 1 or (is_images and len(shape) == min(_IMAGE_RANKS)):
        shape = (*shape, 1)
    return stored, shape


def _choose_dtype(key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.dtype[Any]:
    if dtype == np.uint8 or dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f":
        return np.dtype("<f4")
    if dtype.kind == "i" or (dtype.kind == "u" and dtype.itemsize <= _NARROW_BYTES):
        is_narrow = dtype.itemsize < _NARROW_BYTES or (dtype.kind == "i" and dtype.itemsize == _NARROW_BYTES)
        return np.dtype("<i4" if is_narrow else "<i8")
    received = describe_form(dtype, shape)
    if dtype.kind in "US":
        raise DatasetError(
            f"{key} must be numbers. Received: {received}, texts. Number what they are made of: "
            f"vocabulary, numbers = np.unique({key}, return_inverse=True) for whole texts; for words see "
            "docs/bring-your-own.md."
        )
    hint = f' If they are below 2**63, give {key}.astype("int64").' if dtype.kind == "u" else ""
    raise DatasetError(f"{key} must be numbers: integers, uint8 or float. Received: {received}.{hint}")


def check_input(key: str, values: NDArray[Any]) -> NDArray[Any]:
    """Returns an input in the form that it is kept in.

    Raises:
        DatasetError: It cannot be one, or is not finite.
    """
    dtype, shape = plan_input(key, values.dtype, values.shape)
    converted = convert(values, dtype)
    refuse_not_finite(key, count_not_finite(converted))
    return converted.reshape(shape)


def convert(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns values as another type; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


def count_not_finite(values: NDArray[Any]) -> int:
    """Returns how many values are infinite or no number."""
    return int(values.size - np.count_nonzero(np.isfinite(values))) if values.dtype.kind == "f" else 0


def refuse_not_finite(key: str, count: int) -> None:
    """Refuses an input of which some values are not finite as float32.

    Raises:
        DatasetError: `count` is not 0.
    """
    if count:
        raise DatasetError(f"{key} must be finite as float32. Received: {count} values that are not.")


def describe_form(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Returns an array's type and shape, as the messages tell them."""
    return f"{dtype} {list(shape)}"
