"""Data in a store of objects, gs:// or s3://, by fsspec and with the credentials that this machine or pod has."""

import importlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Protocol

from model.data.fetch import SourceError

# What fsspec needs for each scheme beside itself.
REMOTE_SCHEMES = {"gs": "gcsfs", "s3": "s3fs"}
_CHUNK_BYTES = 2**20


class ObjectStore(Protocol):
    """What is used of a file system of fsspec's."""

    def open(self, path: str, mode: str) -> IO[bytes]:
        """Returns an object's content."""

    def find(self, path: str, *, detail: bool) -> dict[str, dict[str, Any]]:
        """Returns all objects below a path, each with its `size`."""


# Gives the store of a URL, and the path in it.
OpenStore = Callable[[str], tuple[ObjectStore, str]]


def open_store(url: str) -> tuple[ObjectStore, str]:
    """Returns the store of a URL, and the path in it.

    Raises:
        SourceError: A package is missing, or no credentials are found.
    """
    scheme = url.partition(":")[0]
    try:
        fsspec = importlib.import_module("fsspec")
        store, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        packages = f"fsspec and {REMOTE_SCHEMES[scheme]}"
        raise SourceError(
            f"{scheme}:// needs the Python packages {packages} where the data are prepared: in this environment (pip "
            f"install {packages.replace(' and', '')}), or in the image. Missing: {error}"
        ) from error
    except Exception as error:  # each store has errors of its own
        raise SourceError(describe_failure(error)) from error
    return store, path


def fetch_object(url: str, file: BinaryIO, *, open_store: OpenStore) -> None:
    """Writes the content of an object to `file`.

    Raises:
        SourceError: It cannot be had.
    """
    store, path = open_store(url)
    _copy(store, path, file)


def fetch_folder(url: str, folder: Path, *, open_store: OpenStore) -> None:
    """Writes the .npy files below a URL into `folder`, laid out as there.

    Raises:
        SourceError: There is none, they cannot be had, or there is no room for them.
    """
    store, root = open_store(url)
    try:
        found = store.find(root, detail=True)
    except Exception as error:  # each store has errors of its own
        raise SourceError(describe_failure(error)) from error
    sizes = {path: int(entry.get("size") or 0) for path, entry in sorted(found.items()) if path.endswith(".npy")}
    if not sizes:
        raise SourceError(f"there is no .npy file below it, but {len(found)} others")
    targets = {path: folder / _find_below(root, path) for path in sizes}
    free = shutil.disk_usage(folder).free
    if sum(sizes.values()) > free:
        raise SourceError(
            f"it has {sum(sizes.values()):,} bytes, and {tempfile.gettempdir()} has room for {free:,}: set TMPDIR to a "
            "folder with room"
        )
    for path, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            _copy(store, path, file)


def _find_below(root: str, path: str) -> PurePosixPath:
    """Returns where an object lies below the folder; its key is any text, and may lead elsewhere as a path.

    Raises:
        SourceError: It does.
    """
    try:
        below = PurePosixPath(path).relative_to(root)
    except ValueError:
        below = PurePosixPath("..")
    if ".." in below.parts or "\0" in path:
        raise SourceError(f"it holds {path!r:.300}, which is not below it as a path")
    return below


def _copy(store: ObjectStore, path: str, file: IO[bytes]) -> None:
    try:
        with store.open(path, "rb") as content:
            shutil.copyfileobj(content, file, _CHUNK_BYTES)
        file.flush()
    except Exception as error:  # each store has errors of its own
        raise SourceError(describe_failure(error)) from error


def describe_failure(error: Exception) -> str:
    """Returns what a store said, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
