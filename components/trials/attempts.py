"""The attempts at a trial: one that lost a replica or its launcher has no time, and the next begins at step 0.

One that was whole, but disturbed by others on the machine, keeps its time in its note.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.files import write_json

ATTEMPTS_FOLDER = "attempts"


@dataclass(frozen=True)
class Attempt:
    """An attempt at a trial that goes on.

    Attributes:
        name: What its folder in the workspace and its TFJob are called by: no other attempt's checkpoints are taken up.
        earlier: The attempts before it, each with `started_at`, `ended_at` and the `reason` for its end; one that was
            whole but disturbed also with its `train_seconds`.
        note: Where it is noted.
        started_at: Unix time.
    """

    name: str
    earlier: Sequence[dict[str, Any]]
    note: Path
    started_at: float

    @classmethod
    def begin(cls, workspace: Path, trial: str) -> "Attempt":
        """Begins another attempt at a trial.

        Args:
            workspace: Folder that all steps see.
            trial: The trial's name.
        """
        folder = workspace / ATTEMPTS_FOLDER / trial
        folder.mkdir(parents=True, exist_ok=True)
        notes = sorted(folder.iterdir(), key=lambda note: int(note.stem))
        number = len(notes) + 1
        attempt = cls(
            name=trial if number == 1 else f"{trial}-{number}",
            earlier=[json.loads(note.read_text(encoding="utf-8")) for note in notes],
            note=folder / f"{number}.json",
            started_at=time.time(),
        )
        attempt.write("its launcher was lost", ended_at=None)  # what stays where nobody can write more
        return attempt

    def end(self, reason: str, *, train_seconds: float | None = None) -> list[dict[str, Any]]:
        """Notes why it does not count; the seconds that it trained for are those of a whole one.

        Returns:
            All that do not count: those before it, and this one.
        """
        whole = {} if train_seconds is None else {"train_seconds": train_seconds}
        return [*self.earlier, self.write(reason, ended_at=time.time(), **whole)]

    def write(self, reason: str, *, ended_at: float | None, **more: float) -> dict[str, Any]:
        """Writes what the next attempt tells of this one, and returns it."""
        content = {"started_at": self.started_at, "ended_at": ended_at, "reason": reason, **more}
        write_json(self.note, content)
        return content
