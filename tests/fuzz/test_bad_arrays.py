"""Archives of arrays that nobody wrote so: each is refused in words, and none takes more memory than is allowed."""

import io
import warnings
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data import npz
from model.data.npz import read_npz
from model.errors import DatasetError
from tests.fuzz.wild import fuzz


def write_npz(**changes: Any) -> bytes:
    arrays: dict[str, Any] = {
        "x_train": np.zeros((6, 4, 4), np.uint8),
        "y_train": np.arange(6) % 2,
        "x_test": np.ones((2, 4, 4), np.float64),
        "y_test": np.arange(2),
    }
    file = io.BytesIO()
    np.savez(file, **(arrays | changes))
    return file.getvalue()


WHOLE = write_npz()
BYTES = [b"((((", b"[" * 99, b"'O'", b"-1", b"9" * 30, b"\xff" * 8]


@fuzz
@given(st.data())
def test_an_npz_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.binary(max_size=4) | st.sampled_from(BYTES))
        content[start : start + data.draw(st.sampled_from([0, len(new)]))] = new
        if not content:
            return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of headers that Python 2 wrote
        try:
            read_npz(io.BytesIO(bytes(content)), "a.npz")
        except DatasetError:
            return


HEADERS = (
    "(" * 200,
    "{'descr': '|O', 'fortran_order': False, 'shape': (6,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-6, 4, 4)}",
    "{'descr': '|u1', 'fortran_order': True, 'shape': (99999999999999999999,)}",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (4000000000,)}",
    "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (6,)}",
    "{'descr': 7, 'fortran_order': None, 'shape': None}",
    "{'descr': '<U4000000000', 'fortran_order': False, 'shape': (6,)}",
    "\0",
)


@pytest.mark.parametrize("key", ["x_train", "y_train"])
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("version", [1, 2, 3, 9])
def test_a_header_that_declares_what_is_not_there_is_refused(key: str, header: str, version: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as whole, zipfile.ZipFile(packed, "w") as archive:
        for name in whole.namelist():
            content = whole.read(name)
            if name == f"{key}.npy":
                length = len(header).to_bytes(2 if version == 1 else 4, "little")
                content = b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + bytes(96)
            archive.writestr(name, content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DatasetError):
            read_npz(io.BytesIO(packed.getvalue()), "a.npz")


def test_what_would_be_read_at_once_must_not_be_large_however_small_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "_MOST_BYTES_AT_ONCE", 1_000)
    with pytest.raises(DatasetError, match=r"y_train must have at most 1,000 bytes.* Received: 800,128 bytes"):
        read_npz(io.BytesIO(write_npz(y_train=np.zeros(100_000, np.int64))), "a.npz")


def test_what_is_read_at_once_counts_as_large_as_it_will_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "_MOST_BYTES_AT_ONCE", 3_000)
    with pytest.raises(DatasetError, match=r"y_train must have at most 3,000 bytes.* Received: 4,000 bytes"):
        read_npz(io.BytesIO(write_npz(y_train=np.zeros(1_000, np.uint8))), "a.npz")


def test_images_that_the_temporary_folder_has_no_room_for_are_refused_before_they_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(npz, "_measure_room", lambda _: 95)
    with pytest.raises(DatasetError, match=r"x_train has 96 bytes, and .*has room for 95: set TMPDIR"):
        read_npz(io.BytesIO(WHOLE), "a.npz")
