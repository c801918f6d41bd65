"""A replica's signs to the launcher: that its process lives, and where in the training it is.

docs/schemas.md defines the files. A sign that cannot be written is left out: it is no reason to end a training.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from os import environ
from pathlib import Path

from model.training.role import Role

SIGNS_VARIABLE = "TFJOB_SPEEDUP_SIGNS"
# Of the steps between two places so many seconds go by without a word: a step is not to wait for a volume.
STEP_SECONDS = 5.0
_STATES = {"T": "stopped"}


def find_signs_folder(environment: Mapping[str, str] = environ) -> Path | None:
    """Returns where the launcher looks for signs; None where nobody does."""
    return Path(environment[SIGNS_VARIABLE]) if environment.get(SIGNS_VARIABLE) else None


def name_life(folder: Path | None, role: Role) -> Path | None:
    """Returns the file in which the process beside a replica tells that it lives."""
    return folder and folder / f"{role.name}.life"


def write_sign(path: Path, text: str) -> None:
    """Writes a sign, in place: a network file system shows another file of the same name late."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")


def describe_process(pid: int, root: Path = Path("/")) -> str:
    """Returns whether a process runs or is stopped, and its seconds: of CPU time, and ready and waiting for a core.

    Source: proc_pid_stat(5), what follows the name, which may hold anything; and the kernel's sched-stats.rst, the
    second figure of schedstat, which counts a thread.
    """
    with suppress(OSError, ValueError, IndexError):
        fields = (root / f"proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        waited = sum(_read_waited(thread) for thread in (root / f"proc/{pid}/task").glob("*"))
        return f"{_STATES.get(fields[0], 'running')} {seconds:.2f} {waited / 1e9:.2f}"
    return f"running {time.monotonic():.2f}"  # who cannot be looked at is not taken for idle


def _read_waited(thread: Path) -> int:
    with suppress(OSError, ValueError, IndexError):  # it has ended, or the kernel does not count
        return int((thread / "schedstat").read_bytes().split()[1])
    return 0


class Signs:
    """Tells the launcher where a replica is.

    Args:
        folder: Where; None to tell nothing.
        role: This replica's.
        clock: Monotonic seconds.
    """

    def __init__(self, folder: Path | None, role: Role, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = folder and folder / f"{role.name}.place"
        self._clock, self._next_at = clock, 0.0

    def tell(self, place: str) -> None:
        """Tells a place in the training; its first word says what kind of place."""
        if self._path is not None:
            write_sign(self._path, place)
            self._next_at = self._clock() + STEP_SECONDS

    def note_step(self, step: int) -> None:
        """Tells now and then which step is done, from 0."""
        if self._path is not None and self._clock() >= self._next_at:
            self.tell(f"training, step {step + 1} done")
