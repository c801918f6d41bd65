import io
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.arrays import NPZ_KEYS, check_arrays, list_doubts, read_npz
from model.errors import DatasetError


def make_raw(**changes: Any) -> dict[str, NDArray[Any]]:
    raw: dict[str, NDArray[Any]] = {
        "x_train": np.arange(20 * 6, dtype=np.uint8).reshape(20, 2, 3),
        "y_train": np.arange(20, dtype=np.int64) % 4,
        "x_test": np.arange(8 * 6, dtype=np.uint8).reshape(8, 2, 3),
        "y_test": np.arange(8, dtype=np.int64) % 4,
    }
    return {**raw, **{key: np.asarray(value) for key, value in changes.items()}}


def write_npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def read(content: bytes) -> None:
    read_npz(io.BytesIO(content), "own.npz")


def test_images_get_a_channel_axis_and_labels_become_int32() -> None:
    arrays = read_npz(io.BytesIO(write_npz(make_raw())), "own.npz")
    assert arrays.x_train.shape == (20, 2, 3, 1)
    assert arrays.x_train.dtype == np.uint8
    assert arrays.y_train.dtype == np.dtype("<i4")
    assert arrays.num_classes == 4


@pytest.mark.parametrize("dtype", [">f4", "<f8", "<f2"])
def test_float_images_are_kept_as_little_endian_float32(dtype: str) -> None:
    images = np.linspace(0, 1, 20 * 2 * 3 * 3).reshape(20, 2, 3, 3).astype(dtype)
    arrays = check_arrays(make_raw(x_train=images, x_test=images[:8]))
    assert arrays.x_train.dtype.str == "<f4"
    np.testing.assert_array_equal(arrays.x_train, images.astype(np.float32))


def test_a_class_may_be_without_images() -> None:
    assert check_arrays(make_raw(y_train=[0, 9] * 10)).num_classes == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((20, 6), np.uint8)}, r"x_train must be of shape .* Received: uint8 \[20, 6\]"),
        ({"x_train": np.zeros((0, 2, 3), np.uint8)}, r"x_train must be .*none 0. Received: uint8 \[0, 2, 3\]"),
        ({"x_train": np.zeros((20, 2, 3), np.int64)}, "x_train must be uint8 or float. Received: int64"),
        ({"x_train": np.full((20, 2, 3), np.nan)}, "x_train must be finite as float32. Received: 120 values"),
        ({"x_train": np.full((20, 2, 3), np.inf)}, "x_train must be finite"),
        ({"x_train": np.full((20, 2, 3), 1e300)}, "x_train must be finite as float32"),
        ({"x_test": np.zeros((8, 3, 3), np.uint8)}, r"one shape and type. Received: .*2, 3\] and uint8 \[8, 3, 3\]"),
        ({"x_test": np.zeros((8, 2, 3))}, "one shape and type. Received: uint8 .* and float64"),
        ({"y_train": np.zeros((20, 1), int)}, r"y_train must be of shape \[n\].* Received: int64 \[20, 1\]"),
        ({"y_train": np.zeros(0, int)}, r"y_train must be of shape \[n\], n at least 1. Received: int64 \[0\]"),
        ({"y_train": np.zeros(20)}, "y_train must be integers.* Received: float64"),
        ({"y_train": np.zeros(20, bool)}, "y_train must be integers.* Received: bool"),
        ({"y_train": np.arange(20) - 1}, "y_train must be numbered from 0 on. Received: -1 to 18"),
        ({"y_train": np.full(20, 2**40)}, "y_train must be numbered from 0 on"),
        ({"y_train": np.full(20, 99)}, "at least one image a class. Received: a label 99 with 20 images"),
        ({"y_train": np.zeros(19, int)}, "x_train and y_train must be of the same length. Received: 20 and 19"),
        ({"y_test": np.zeros(9, int)}, "x_test and y_test must be of the same length. Received: 8 and 9"),
        ({"y_test": np.full(8, 4)}, "y_test must hold labels that y_train reaches, 0 to 3. Received: 4"),
        ({"y_train": np.array([{}] * 20)}, "y_train cannot be read as numbers: Object arrays"),
    ],
)
def test_an_unfit_array_is_refused_with_what_came(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=rf"own.npz: .*{message}"):
        read(write_npz(make_raw(**changes)))


@pytest.mark.parametrize("key", NPZ_KEYS)
def test_a_missing_array_is_named(key: str) -> None:
    raw = make_raw()
    del raw[key]
    with pytest.raises(DatasetError, match=f"Missing: {key}. It holds: {', '.join(raw)}"):
        read(write_npz(raw))


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps([1]), write_npz(make_raw())[:-100]])
def test_what_is_no_npz_is_refused_with_the_form_expected(content: bytes) -> None:
    with pytest.raises(DatasetError, match=r"own.npz: not an .npz file, or its end is missing. Expected an .npz file"):
        read(content)


def test_a_single_npy_file_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    with pytest.raises(DatasetError, match=r"not an .npz file"):
        read(buffer.getvalue())


def test_no_damaged_byte_is_taken_for_data_or_ends_in_another_error() -> None:
    whole = write_npz(make_raw())
    expected = read_npz(io.BytesIO(whole), "own.npz")
    refused = 0
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        try:
            arrays = read_npz(io.BytesIO(damaged), "own.npz")
        except DatasetError:
            refused += 1
        else:
            np.testing.assert_array_equal(arrays.x_train, expected.x_train)
            np.testing.assert_array_equal(arrays.y_test, expected.y_test)
    assert refused > len(whole) / 6


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        (
            {"x_train": np.zeros((20, 3, 32, 32), np.uint8), "x_test": np.zeros((8, 3, 32, 32), np.uint8)},
            "Images of 3 x 32 x 32 have 32 channels, since [n, h, w, c] is expected.",
        ),
        (
            {"x_train": np.full((20, 2, 3), 0.5), "x_test": np.full((8, 2, 3), 0.5)},
            "The pixels are between -1 and 1, where the built-in models expect 0 to 255.",
        ),
        ({"y_train": [0, 3] * 10}, "2 of 4 classes have no training image: 1, 2."),
        ({"y_train": [0, 15] * 10}, "14 of 16 classes have no training image: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …."),
    ],
)
def test_what_is_often_a_slip_is_told(changes: dict[str, Any], doubt: str) -> None:
    (told,) = list_doubts(check_arrays(make_raw(**changes)))

    assert told.startswith(doubt)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3), (32, 32, 3), (5, 5, 8)])
def test_usual_images_leave_no_doubt(shape: tuple[int, ...]) -> None:
    images = np.full((20, *shape), 255, np.uint8)

    assert list_doubts(check_arrays(make_raw(x_train=images, x_test=images[:8]))) == []
    assert list_doubts(check_arrays(make_raw(x_train=images * 1.0, x_test=images[:8] * 1.0))) == []
