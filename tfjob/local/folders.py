"""A working folder of its own for each replica of a person's program.

Such a program writes where it likes: `./logs`, `./ckpt`. The next trial must not find that, two replicas must not meet
there, and the person's own files must stay as they are. Yet `data/train.csv` has to be where it always is. So a replica
runs in a view of the person's folder: folders are new ones, small files are copies, and large files, hidden ones and
environments are links. What a program makes or changes there goes with the trial, but for what it writes into a large
file that was there before.
"""

import os
import shutil
import tempfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

# What is looked at of a folder, and copied of it: enough for anybody's sources, too little to wait for.
MAX_ENTRIES = 5_000
MAX_COPIED_FILE_BYTES = 1 << 20
MAX_COPIED_BYTES = 64 << 20
# Folders of a program's environment, which no training writes to.
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
_LINKED_FOLDERS = frozenset({"node_modules", "site-packages"})


@dataclass(frozen=True)
class Folders:
    """Where a replica works, and where it keeps what is temporary."""

    work: Path
    temporary: Path


class FolderMaker:
    """Makes the folders of one job's replicas, and takes them away.

    Args:
        source: The person's folder.
        target: Folder for the replicas' views of it, which is made; it may be inside the person's folder.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._temporary: Path | None = None

    def make(self, replica: str) -> Folders:
        """Returns a replica's folders, new ones."""
        if self._temporary is None:
            # Short, and not within the target: a socket's path may have about a hundred characters.
            self._temporary = Path(tempfile.mkdtemp(prefix="tfjob-"))
        folders = Folders(self._target / replica, self._temporary / replica)
        shutil.rmtree(folders.work, ignore_errors=True)
        folders.temporary.mkdir(parents=True, exist_ok=True)
        make_view(self._source, folders.work, hidden=self._target)
        return folders

    def remove(self) -> None:
        """Deletes all folders. Links go, what they lead to stays."""
        for folder in (self._target, self._temporary):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def make_view(source: Path, target: Path, hidden: Path) -> None:
    """Fills a folder with a view of another.

    Args:
        source: The folder to see.
        target: The folder to make.
        hidden: A folder whose ancestors below the source are seen as empty: a run's results are no input of its trials.
    """
    source, hidden = source.resolve(), hidden.resolve()
    entries_left, bytes_left = MAX_ENTRIES, MAX_COPIED_BYTES
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = deque([(source, target)])
    while waiting:
        folder, view = waiting.popleft()
        entries = _list_entries(folder, None if folder == source else entries_left)
        if entries is None:
            view.symlink_to(folder)
            continue
        view.mkdir()
        entries_left -= len(entries)
        for entry in entries:
            path, place = Path(entry.path), view / entry.name
            if hidden.is_relative_to(path):
                place.mkdir()
            elif _is_linked(entry):
                place.symlink_to(path)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((path, place))
            else:
                bytes_left -= _copy_or_link(path, place, bytes_left)


def _list_entries(folder: Path, limit: int | None) -> list[os.DirEntry[str]] | None:
    """Returns what is in a folder; None where it is more than a limit, or cannot be read."""
    try:
        with os.scandir(folder) as found:
            entries = list(islice(found, None if limit is None else max(0, limit) + 1))
    except OSError:
        return None
    return None if limit is not None and len(entries) > limit else entries


def _is_linked(entry: os.DirEntry[str]) -> bool:
    is_plain = entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
    if entry.name.startswith(".") or entry.name in _LINKED_FOLDERS or not is_plain:
        return True
    return entry.is_dir() and any(os.path.lexists(os.path.join(entry.path, name)) for name in _ENVIRONMENTS)  # noqa: PTH118 - a path for each of thousands of entries takes its time


def _copy_or_link(path: Path, place: Path, left: int) -> int:
    """Copies a small file, links another; returns the bytes that were copied."""
    with suppress(OSError):  # one that cannot be read, or has just gone, is linked: its reader shall hear why
        size = path.stat().st_size
        if size <= min(MAX_COPIED_FILE_BYTES, left):
            shutil.copy2(path, place)
            return size
    place.unlink(missing_ok=True)
    place.symlink_to(path)
    return 0
