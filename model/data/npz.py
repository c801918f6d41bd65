"""Anybody's own arrays, in an .npz file or a folder of .npy files, read with no more memory than some examples take."""

import contextlib
import lzma
import math
import os
import shutil
import struct
import tempfile
import tokenize
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from model.data.arrays import NPZ_FORM, Arrays, assemble, find_keys
from model.data.inputs import (
    Examples,
    check_input,
    convert,
    count_not_finite,
    describe_form,
    plan_input,
    refuse_not_finite,
)
from model.data.labels import check_labels
from model.errors import ConfigError, DatasetError

_BLOCK_BYTES = 2**22
# Of what is read at once: labels, and inputs that are stored by column. Those by row are read in blocks.
_MOST_BYTES_AT_ONCE = 2**29
# What an entry takes at least once it is read: a byte of a label becomes a class number of four.
_LEAST_ENTRY_BYTES = 4
# What zipfile and NumPy raise for bytes that nobody wrote so; Python's own reader reads the headers of arrays.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    EOFError,
    OSError,
    RuntimeError,
    ArithmeticError,
    LookupError,
    MemoryError,
    SyntaxError,
    TypeError,
    ValueError,
)
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, eq=False)
class StoredExamples:
    """Examples in a file, read when they are asked for: what is mapped into memory would count as taken.

    Attributes:
        file: Where their bytes are, row by row.
        stored: The type that they have there.
        dtype: The type that they are read as.
        shape: Likewise.
        offset: Where in the file they begin.
    """

    file: IO[bytes]
    stored: np.dtype[Any]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int = 0

    def __post_init__(self) -> None:
        weakref.finalize(self, self.file.close)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        size = math.prod(self.shape[1:]) * self.stored.itemsize
        chosen = np.arange(len(self))[key]
        content = b"".join(os.pread(self.file.fileno(), size, self.offset + index * size) for index in chosen.tolist())
        return convert(np.frombuffer(content, self.stored), self.dtype).reshape(len(chosen), *self.shape[1:])


class Store(Protocol):
    """Named arrays, each in NumPy's format."""

    def list_sizes(self) -> Mapping[str, int]:
        """Returns the bytes of each array with its header, by key."""

    def open(self, key: str) -> IO[bytes]:
        """Returns an array's bytes, its header first."""

    def keep(self, key: str, file: IO[bytes], stored: np.dtype[Any], form: "Form") -> StoredExamples:
        """Returns the examples in `file`, whose header is read and whose values were not."""


class Form(NamedTuple):
    """The type and shape that an input is kept in."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class ZipStore:
    """The members of an .npz file. Examples are copied into temporary files, which are gone with them."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        names = [name for name in archive.namelist() if not name.endswith("/")]
        self._members = {name.removesuffix(".npy"): name for name in names}

    def list_sizes(self) -> Mapping[str, int]:
        """Returns the bytes of each member, by its key."""
        return {key: self._archive.getinfo(name).file_size for key, name in self._members.items()}

    def open(self, key: str) -> IO[bytes]:
        """Returns a member's bytes."""
        return self._archive.open(self._members[key])

    def keep(self, key: str, file: IO[bytes], stored: np.dtype[Any], form: Form) -> StoredExamples:
        """Returns a copy of the examples in their one type; not finite ones are refused."""
        count, size = form.shape[0], math.prod(form.shape[1:]) * stored.itemsize
        _check_room(key, count * size)
        per_block, num_not_finite = max(1, _BLOCK_BYTES // size), 0
        copy = tempfile.TemporaryFile(prefix="tfjob-speedup-")  # noqa: SIM115 - it is closed and gone with the examples
        examples = StoredExamples(copy, form.dtype, *form)
        for start in range(0, count, per_block):
            content = file.read(min(per_block, count - start) * size)
            block = convert(np.frombuffer(content, stored), form.dtype)
            num_not_finite += count_not_finite(block)
            _write(copy, block)
        refuse_not_finite(key, num_not_finite)
        while file.read(_BLOCK_BYTES):  # its checksum is compared at its end
            pass
        return examples


class FolderStore:
    """The .npy files below a folder, x_train/title.npy for the key x_train/title. Examples are read where they are."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*.npy") if path.is_file())
        self._paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}

    def list_sizes(self) -> Mapping[str, int]:
        """Returns the bytes of each file, by its key."""
        return {key: path.stat().st_size for key, path in self._paths.items()}

    def open(self, key: str) -> IO[bytes]:
        """Returns a file's bytes."""
        return self._paths[key].open("rb")

    def keep(self, key: str, file: IO[bytes], stored: np.dtype[Any], form: Form) -> StoredExamples:
        """Returns the examples in the file itself; not finite ones are refused."""
        examples = StoredExamples(self.open(key), stored, *form, file.tell())
        size = math.prod(form.shape[1:]) * stored.itemsize
        per_block = max(1, _BLOCK_BYTES // size)
        if form.dtype.kind == "f":
            starts = range(0, len(examples), per_block)
            refuse_not_finite(key, sum(count_not_finite(examples[start : start + per_block]) for start in starts))
        return examples


def read_npz(file: BinaryIO, source: str, loss: str = "") -> Arrays:
    """Returns the checked arrays of an .npz file; nothing in it is unpickled.

    Args:
        file: The file, open and seekable.
        source: What the messages call it.
        loss: What the labels are for; nothing leaves that to them.

    Raises:
        DatasetError: It is no .npz, is cut off, lacks an array, or an array is not as it should be.
    """
    with _told_of(source):
        if not zipfile.is_zipfile(file):  # False for what cannot be
            raise DatasetError(f"not an .npz file, or its end is missing. Expected {NPZ_FORM}.")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            return _read(ZipStore(archive), loss)


def read_folder(folder: Path, source: str, loss: str = "") -> Arrays:
    """Returns the checked arrays of a folder of .npy files; nothing in it is unpickled.

    Args:
        folder: The folder, which must stay as long as the arrays are used.
        source: What the messages call it.
        loss: What the labels are for; nothing leaves that to them.

    Raises:
        DatasetError: It lacks an array, or one is cut off or not as it should be.
    """
    with _told_of(source):
        return _read(FolderStore(folder), loss)


@contextlib.contextmanager
def _told_of(source: str) -> Iterator[None]:
    """Turns what reading raises into one sentence that names the source."""
    try:
        yield
    except (ConfigError, DatasetError) as error:
        raise DatasetError(f"{source}: {error}") from error
    except _DAMAGE as error:
        raise DatasetError(f"{source} is damaged: {error}. Expected {NPZ_FORM}.") from error


def _read(store: Store, loss: str) -> Arrays:
    sizes = store.list_sizes()
    keys = find_keys(sizes)
    read = {key: _read_input(store, key, sizes[key]) for own in keys.values() for key in own}
    y_train, y_test = (_read_whole(store, key, sizes[key]) for key in ("y_train", "y_test"))
    inputs = {key: examples for key, (examples, _) in read.items()}
    forms = {key: form for key, (_, form) in read.items()}
    return assemble(keys, inputs, forms, check_labels(y_train, y_test, loss))


def _read_input(store: Store, key: str, size: int) -> tuple[Examples, str]:
    """Returns an input in its one form, and how it came."""
    with store.open(key) as file:
        try:
            shape, is_by_column, stored = _HEADERS[npy.read_magic(file)](file)
        except (KeyError, ValueError):
            return _load_input(store, key, size)  # which says what is wrong with it
        if is_by_column or stored.hasobject:
            return _load_input(store, key, size)
        form = Form(*plan_input(key, stored, shape))
        if not 0 < _count_bytes(shape, stored) <= size:
            raise EOFError(f"{key} ends before its last example")
        return store.keep(key, file, stored, form), describe_form(stored, shape)


def _load_input(store: Store, key: str, size: int) -> tuple[NDArray[Any], str]:
    values = _read_whole(store, key, size)
    return check_input(key, values), describe_form(values.dtype, values.shape)


def _read_whole(store: Store, key: str, size: int) -> NDArray[Any]:
    _check_size(key, size)
    with store.open(key) as file:
        if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
            raise DatasetError(f"{key} must be an array in NumPy's format. Received: other content.")
    try:
        with store.open(key) as file:
            shape, _, dtype = _HEADERS[npy.read_magic(file)](file)
            if not dtype.hasobject and not 0 <= _count_bytes(shape, dtype) <= size:
                raise EOFError(f"{key} ends before its last entry")
            _check_size(key, math.prod(shape) * _LEAST_ENTRY_BYTES)
    except KeyError:  # NumPy says what is wrong with it, or knows it
        pass
    with store.open(key) as file:
        try:
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        except ValueError as error:
            raise DatasetError(f"{key} cannot be read as numbers: {error}") from error
        while file.read(_BLOCK_BYTES):  # a checksum is compared at the end
            pass
    return array


def _check_size(key: str, num_bytes: int) -> None:
    """Makes sure that what is read at once is not too much.

    Raises:
        DatasetError: It is.
    """
    if num_bytes > _MOST_BYTES_AT_ONCE:
        raise DatasetError(
            f"{key} must have at most {_MOST_BYTES_AT_ONCE:,} bytes, as it is read at once. Received: {num_bytes:,} "
            "bytes. An input may have more where it is stored by row: numpy.ascontiguousarray."
        )


def _count_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Returns the bytes that a header declares; below 0 for what no array has."""
    return math.prod(shape) * dtype.itemsize if all(length >= 0 for length in shape) else -1


def _check_room(key: str, num_bytes: int) -> None:
    """Makes sure that there is room for what a header declares, which may be a thousand times what came.

    Raises:
        DatasetError: There is none.
    """
    folder = tempfile.gettempdir()
    if num_bytes > (free := _measure_room(folder)):
        raise DatasetError(
            f"{key} has {num_bytes:,} bytes, and {folder}, to which its examples are copied, has room for {free:,}: "
            "set TMPDIR to a folder with room"
        )


def _measure_room(folder: str) -> int:
    return shutil.disk_usage(folder).free


def _write(file: IO[bytes], block: NDArray[Any]) -> None:
    try:
        file.write(block.tobytes())
        file.flush()
    except OSError as error:
        raise DatasetError(
            f"its examples are copied to {tempfile.gettempdir()}, which takes no more ({error.strerror}): "
            "set TMPDIR to a folder with room"
        ) from error
