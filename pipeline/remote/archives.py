"""Unpacking a folder that a server sends as one .tar.gz: a megabyte of it may unpack to a terabyte, or to no end.

Memory is bounded by what may describe an entry, the disk by what is kept free of it.
"""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path

from pipeline.remote.server import ServerError
from pipeline.streams import describe_storage_error

# Of a disk that results are written to.
KEPT_FREE_BYTES = 1 << 26
_MOST_ENTRIES = 100_000
# Of what stands before an entry's content: 512, and a few hundred more where its name is long.
_MOST_BYTES_BEFORE = 1 << 20
_BROKEN = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, ArithmeticError, LookupError, RecursionError)


class _Granted(gzip.GzipFile):
    """The unpacked bytes, of which `tarfile` gets what it was granted: it reads what describes an entry at once."""

    granted = 0

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self.granted:
            raise tarfile.ReadError("what describes an entry is too large")
        self.granted -= size
        return super().read(size)


def check_room(folder: Path, num_bytes: int = 0) -> None:
    """Makes sure that some room is left on a folder's disk after so many bytes more.

    Raises:
        ServerError: There would be none.
    """
    free = shutil.disk_usage(folder).free
    if num_bytes > free - KEPT_FREE_BYTES:
        needed = f"it has {num_bytes:,} bytes more, and " if num_bytes else ""
        raise ServerError(
            f"there is no room for it: {needed}{folder} has {free:,} free, of which {KEPT_FREE_BYTES:,} are left alone"
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a folder's archive.

    Args:
        archive: What the dashboard sent.
        folder: Folder to make.

    Raises:
        ServerError: It is no archive, or not a whole one, or there is no room for it.
        OSError: The disk takes no more.
    """
    try:
        folder.mkdir()
        _unpack(archive, folder)
    except ServerError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except _BROKEN as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and describe_storage_error(error):
            raise
        raise ServerError(f"no whole .tar.gz came ({error or type(error).__name__})") from error


def _unpack(archive: Path, folder: Path) -> None:
    with _Granted(archive) as content:
        content.granted = _MOST_BYTES_BEFORE
        with tarfile.open(fileobj=content, mode="r:") as packed:
            num_entries = 0
            while (entry := packed.next()) is not None:
                num_entries += 1
                if num_entries > _MOST_ENTRIES:
                    raise tarfile.ReadError(f"it has more than {_MOST_ENTRIES:,} entries")
                check_room(folder, entry.size)
                content.granted = entry.size
                packed.extract(entry, folder, filter=_take_plain)
                packed.members.clear()  # type: ignore[attr-defined]  # else it keeps them all; typeshed lacks it
                content.granted = _MOST_BYTES_BEFORE


def _take_plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Lets files and folders through that stay inside; a store has no links, which could lead out once moved."""
    if not (member.isreg() or member.isdir()):
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, folder)
