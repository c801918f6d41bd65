import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.arrays import NPZ_KEYS, check_arrays
from model.data.npz import read_npz
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
    assert arrays.num_labels == 4


@pytest.mark.parametrize("dtype", [">f4", "<f8", "<f2"])
def test_float_images_are_kept_as_little_endian_float32(dtype: str) -> None:
    images = np.linspace(0, 1, 20 * 2 * 3 * 3).reshape(20, 2, 3, 3).astype(dtype)
    arrays = check_arrays(make_raw(x_train=images, x_test=images[:8]))
    assert arrays.x_train.dtype.str == "<f4"
    np.testing.assert_array_equal(arrays.x_train, images.astype(np.float32))


def test_a_class_may_be_without_images() -> None:
    assert check_arrays(make_raw(y_train=[0, 9] * 10)).num_labels == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((20, 6), np.uint8)},
            r"one shape and type\. Received: uint8 \[20, 6\] and uint8 \[8, 2, 3\]",
        ),
        (
            {"x_train": np.array(["cat"] * 20)},
            r"x_train must be numbers\. Received: <U3 \[20\], texts\. Number what they",
        ),
        (
            {"x_train": np.zeros((20, 2), complex)},
            r"x_train must be numbers: integers, .* Received: complex128 \[20, 2\]",
        ),
        ({"x_train": np.zeros((20, 2), np.uint64)}, r'Received: uint64 .* give x_train\.astype\("int64"\)\.'),
        ({"x_train": np.zeros((0, 2, 3), np.uint8)}, r"x_train must be .*none 0: .* Received: uint8 \[0, 2, 3\]"),
        ({"x_train": np.zeros((20, 2, 3), np.int64)}, "x_train must be uint8 or float. Received: int64"),
        ({"x_train": np.full((20, 2, 3), np.nan)}, "x_train must be finite as float32. Received: 120 values"),
        ({"x_train": np.full((20, 2, 3), np.inf)}, "x_train must be finite"),
        ({"x_train": np.full((20, 2, 3), 1e300)}, "x_train must be finite as float32"),
        ({"x_test": np.zeros((8, 3, 3), np.uint8)}, r"one shape and type. Received: .*2, 3\] and uint8 \[8, 3, 3\]"),
        ({"x_test": np.zeros((8, 2, 3))}, "one shape and type. Received: uint8 .* and float64"),
        ({"y_train": np.zeros((20, 1, 1), int)}, r"y_train must be of shape \[n\].* Received: int64 \[20, 1, 1\]"),
        ({"y_train": np.full((20, 2), 0.5)}, r"rows that are not one-hot\. .* give y_train\.argmax\(axis=1\)\."),
        ({"y_train": np.full((20, 2), 7)}, "or one-hot. Received: int64 .* give --loss mean_squared_error"),
        (
            {"y_train": np.ones((20, 2), int)},
            r"y_test must be rows of 0 and 1, a column .* Received: int64 \[8\] with 2, 3",
        ),
        ({"y_train": np.zeros(0, int)}, r"y_train must be of shape \[n\] or .*, n at least 1. Received: int64 \[0\]"),
        ({"y_train": np.full(20, np.nan)}, "y_train must be finite as float32. Received: 20 values"),
        ({"y_train": ["cat", "dog"] * 10}, r"y_train must be integers.* classes, y_train = np\.unique\(y_train"),
        ({"x_train": np.zeros((20, 2, 3), int)}, r'give x_train\.astype\("uint8"\)\.'),
        ({"y_train": np.arange(20) - 1}, "y_train must be numbered from 0 on. Received: -1 to 18"),
        ({"y_train": np.full(20, 2**40)}, "y_train must be numbered from 0 on"),
        ({"y_train": np.full(20, 99)}, "at least one example a class. Received: a label 99 with 20 examples"),
        ({"y_train": np.arange(19) % 4}, "x_train and y_train must be of the same length. Received: 20 and 19"),
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
            np.testing.assert_array_equal(arrays.x_train[:], expected.x_train[:])
            np.testing.assert_array_equal(arrays.y_test, expected.y_test)
    assert refused > len(whole) / 6


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(20)[:, np.newaxis] % 4,
        np.eye(4)[np.arange(20) % 4],
        np.eye(4, dtype=bool)[np.arange(20) % 4],
        np.arange(20) % 4.0,
    ],
)
def test_labels_that_plainly_are_class_numbers_are_taken(labels: NDArray[Any]) -> None:
    arrays = check_arrays(make_raw(y_train=labels))
    np.testing.assert_array_equal(arrays.y_train, np.arange(20) % 4)
    assert arrays.y_train.dtype == np.dtype("<i4")


def test_two_classes_may_be_false_and_true() -> None:
    truths = np.arange(20) % 2 == 0
    assert check_arrays(make_raw(y_train=truths, y_test=truths[:8])).num_labels == 2


def test_a_few_classes_of_large_numbers_are_refused_with_how_to_number_them() -> None:
    y_train, y_test = np.array([0, 700, 1400] * 500), np.array([1400, 0])
    raw = make_raw(x_train=np.zeros((1500, 2, 3), np.uint8), x_test=np.zeros((2, 2, 3), np.uint8))
    message = r"Received: 3 different labels up to 1400\. .* Number them so: (.*)\.$"
    with pytest.raises(DatasetError, match=message) as raised:
        check_arrays({**raw, "y_train": y_train, "y_test": y_test})
    how_to = re.search(message, str(raised.value))
    assert how_to is not None
    typed: dict[str, Any] = {"np": np, "y_train": y_train, "y_test": y_test}
    exec(how_to[1], typed)
    assert check_arrays({**raw, **{key: typed[key] for key in ("y_train", "y_test")}}).num_labels == 3


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_images_that_are_read_in_blocks_are_the_whole_ones(
    monkeypatch: pytest.MonkeyPatch, save: Any, dtype: str, order: Literal["C", "F"]
) -> None:
    monkeypatch.setattr("model.data.npz._BLOCK_BYTES", 100)
    raw = make_raw()
    expected = check_arrays({**raw, **{key: raw[key].astype(dtype) for key in ("x_train", "x_test")}})
    buffer = io.BytesIO()
    save(buffer, **{**raw, **{key: raw[key].astype(dtype, order=order) for key in ("x_train", "x_test")}})
    arrays = read_npz(buffer, "own.npz")
    np.testing.assert_array_equal(arrays.x_train[:], expected.x_train[:])
    np.testing.assert_array_equal(arrays.x_test[::-1], expected.x_test[::-1])
    assert arrays.x_train.dtype == expected.x_train.dtype


def test_a_folder_for_temporary_files_that_is_full_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        with pytest.raises(DatasetError, match=r"takes no more \(No space left on device\): set TMPDIR"):
            read(write_npz(make_raw()))


def test_images_that_are_fewer_than_their_header_says_are_refused() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 2, 3)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, array in make_raw().items():
            archive.writestr(f"{key}.npy", header.getvalue() + b"12" if key == "x_train" else write_npy(array))
    with pytest.raises(DatasetError, match=r"own.npz is damaged: x_train ends before its last example"):
        read_npz(buffer, "own.npz")


def write_npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
