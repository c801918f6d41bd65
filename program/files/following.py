"""Finds the files below a folder, and reads what is new in each."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from program.files.event_file import EventFile
from program.files.progress_file import ProgressFile
from program.told import PROGRESS_FILE, TENSORBOARD, Told

# Where the replicas' progress files lie, so that no other file of that ending is taken for one.
PROGRESS_FOLDER = "tfjob-speedup-progress"
_MOST_BYTES = 2**22
_MOST_FILES, _MOST_ENTRIES = 256, 20_000


class FileTold(NamedTuple):
    """What a file told; the replica is None where an event file's name does not say whose it is."""

    source: str
    replica: str | None
    file: str
    told: Told


class Following:
    """Reads the progress files (`*.jsonl`) and TensorBoard's event files below folders, as they come and grow."""

    def __init__(self) -> None:
        self._files: dict[Path, ProgressFile | EventFile] = {}
        self._has_left_out = False

    def read(self, folder: Path) -> Iterator[FileTold]:
        """Yields what is new below a folder since the last call, a few MiB of each file at most."""
        for path in self._find(folder):
            if path not in self._files:
                if len(self._files) >= _MOST_FILES:
                    self._has_left_out = True
                    continue
                self._files[path] = ProgressFile(path) if path.suffix == ".jsonl" else EventFile(path, folder)
            file = self._files[path]
            for told in file.read(_MOST_BYTES):
                yield _name(path, file, told)

    def finish(self) -> Iterator[FileTold]:
        """Yields all that is left."""
        for path, file in self._files.items():
            for told in file.finish(_MOST_BYTES):
                yield _name(path, file, told)

    def list_spokesmen(self) -> list[str]:
        """Returns the replicas whose progress file counts the whole job's examples."""
        return [file.replica for file in self._files.values() if isinstance(file, ProgressFile) and file.speaks_for_all]

    def list_notes(self) -> list[str]:
        """Returns what a reader of the figures should know of the files."""
        notes = [note for file in self._files.values() for note in file.list_notes()]
        if self._has_left_out:
            notes.append(f"There are more than {_MOST_FILES} progress and event files; the others were not read.")
        return notes

    @staticmethod
    def _find(folder: Path) -> Iterator[Path]:
        # First, for a training may leave more files than are looked at.
        yield from sorted(folder.glob(f"{PROGRESS_FOLDER}/*.jsonl"))
        entries = 0
        for root, folders, names in os.walk(folder):
            folders.sort()
            yield from (Path(root, name) for name in sorted(names) if ".tfevents." in name)
            if Path(root).name == PROGRESS_FOLDER and Path(root).parent != folder:
                yield from (Path(root, name) for name in sorted(names) if name.endswith(".jsonl"))
            entries += len(names) + len(folders)
            if entries > _MOST_ENTRIES:
                return


def _name(path: Path, file: ProgressFile | EventFile, told: Told) -> FileTold:
    source = PROGRESS_FILE if isinstance(file, ProgressFile) else TENSORBOARD
    return FileTold(source, file.replica, str(path), told)
