"""Anybody's own .npz file, read with no more memory than a few of its images take."""

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
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from model.data.arrays import (
    NPZ_FORM,
    NPZ_KEYS,
    Arrays,
    Images,
    assemble,
    check_image_form,
    check_images,
    check_labels,
    count_not_finite,
    describe_form,
    refuse_not_finite,
)
from model.errors import DatasetError

_BLOCK_BYTES = 2**22
# Of what is read at once: labels, and images that are stored by column. Images by row are copied in blocks.
_MOST_BYTES_AT_ONCE = 2**29
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
class CopiedImages:
    """Images in a file, read when they are asked for: what is mapped into memory would count as taken."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        weakref.finalize(self, self.file.close)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        image_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        chosen = np.arange(len(self))[key]
        content = b"".join(os.pread(self.file.fileno(), image_bytes, index * image_bytes) for index in chosen.tolist())
        return np.frombuffer(content, self.dtype).reshape(len(chosen), *self.shape[1:])


def read_npz(file: BinaryIO, source: str) -> Arrays:
    """Returns the checked arrays of an .npz file; nothing in it is unpickled.

    The images are copied into temporary files, which are gone with them.

    Args:
        file: The file, open and seekable.
        source: What the messages call it.

    Raises:
        DatasetError: It is no .npz, is cut off, lacks an array, or an array is not as it should be.
    """
    try:
        return assemble(*_read_members(file))
    except DatasetError as error:
        raise DatasetError(f"{source}: {error}") from error
    except _DAMAGE as error:
        raise DatasetError(f"{source} is damaged: {error}. Expected {NPZ_FORM}.") from error


def _read_members(file: BinaryIO) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the arrays, each checked by itself, and how they came."""
    if not zipfile.is_zipfile(file):  # False for what cannot be
        raise DatasetError(f"not an .npz file, or its end is missing. Expected {NPZ_FORM}.")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        missing = [key for key in NPZ_KEYS if key not in archive]
        if missing:
            raise DatasetError(
                f"must hold the arrays {', '.join(NPZ_KEYS)}. "
                f"Missing: {', '.join(missing)}. It holds: {', '.join(archive) or 'nothing'}."
            )
        read = {key: (_read_labels if key.startswith("y") else _read_images)(archive, key) for key in NPZ_KEYS}
        return {key: array for key, (array, _) in read.items()}, {key: form for key, (_, form) in read.items()}


def _find_member(archive: Any, key: str) -> str:
    return f"{key}.npy" if f"{key}.npy" in archive.zip.namelist() else key


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
            f"{key} has {num_bytes:,} bytes, and {folder}, to which its images are copied, has room for {free:,}: "
            "set TMPDIR to a folder with room"
        )


def _measure_room(folder: str) -> int:
    return shutil.disk_usage(folder).free


def _read_member(archive: Any, key: str) -> NDArray[Any]:
    name = _find_member(archive, key)
    if (size := archive.zip.getinfo(name).file_size) > _MOST_BYTES_AT_ONCE:
        raise DatasetError(
            f"{key} must have at most {_MOST_BYTES_AT_ONCE:,} bytes, as it is read at once. Received: {size:,} bytes."
        )
    try:
        with archive.zip.open(name) as member:
            shape, _, dtype = _HEADERS[npy.read_magic(member)](member)
            if not dtype.hasobject and not 0 <= _count_bytes(shape, dtype) <= size:
                raise EOFError(f"{key} ends before its last entry")
    except KeyError:  # NumPy says what is wrong with it, or knows it
        pass
    try:
        array = archive[key]
    except ValueError as error:
        raise DatasetError(f"{key} cannot be read as numbers: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DatasetError(f"{key} must be an array in NumPy's format. Received: other content.")
    return array


def _read_labels(archive: Any, key: str) -> tuple[NDArray[Any], str]:
    labels = _read_member(archive, key)
    return check_labels(key, labels), describe_form(labels.dtype, labels.shape)


def _read_images(archive: Any, key: str) -> tuple[Images, str]:
    name = _find_member(archive, key)
    with archive.zip.open(name) as member:
        try:
            shape, is_by_column, dtype = _HEADERS[npy.read_magic(member)](member)
        except (KeyError, ValueError):
            return _load_images(archive, key)  # which says what is wrong with it
        if is_by_column or dtype.hasobject:
            return _load_images(archive, key)
        check_image_form(key, dtype, shape)
        if not 0 < _count_bytes(shape, dtype) <= archive.zip.getinfo(name).file_size:
            raise EOFError(f"{key} ends before its last image")
        _check_room(key, _count_bytes(shape, dtype))
        images = _copy(key, member, dtype, shape)
        while member.read(_BLOCK_BYTES):  # its checksum is compared at its end
            pass
    return images, describe_form(dtype, shape)


def _load_images(archive: Any, key: str) -> tuple[NDArray[Any], str]:
    images = _read_member(archive, key)
    return check_images(key, images), describe_form(images.dtype, images.shape)


def _copy(key: str, member: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> CopiedImages:
    """Returns a copy of images in their one type; not finite ones are refused."""
    stored: np.dtype[Any] = np.dtype(np.uint8 if dtype == np.uint8 else "<f4")
    image_bytes = math.prod(shape[1:]) * dtype.itemsize
    images_per_block, num_not_finite = max(1, _BLOCK_BYTES // image_bytes), 0
    file = tempfile.TemporaryFile(prefix="tfjob-speedup-")  # noqa: SIM115 - it is closed and gone with the images
    images = CopiedImages(file, stored, (*shape[:3], math.prod(shape[3:])))
    for start in range(0, shape[0], images_per_block):
        num_bytes = min(images_per_block, shape[0] - start) * image_bytes
        with np.errstate(over="ignore"):
            block = np.frombuffer(member.read(num_bytes), dtype).astype(stored, copy=False)
        num_not_finite += count_not_finite(block)
        _write(file, block)
    refuse_not_finite(key, num_not_finite)
    return images


def _write(file: IO[bytes], block: NDArray[Any]) -> None:
    try:
        file.write(block.tobytes())
        file.flush()
    except OSError as error:
        raise DatasetError(
            f"its images are copied to {tempfile.gettempdir()}, which takes no more ({error.strerror}): "
            "set TMPDIR to a folder with room"
        ) from error
