"""The launcher's sign of life, which replicas watch: one that dies without a word leaves nothing running."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

BEAT_SECONDS = 5.0


class Heartbeat:
    """Renews a file's content every few seconds while its block runs.

    Args:
        path: A file that all replicas see.
        beat_seconds: How often.
    """

    def __init__(self, path: Path, beat_seconds: float = BEAT_SECONDS) -> None:
        self._path, self._beat_seconds = path, beat_seconds
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._write(0)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._has_ended.set()
        self._thread.join()

    def _beat(self) -> None:
        count = 0
        while not self._has_ended.wait(self._beat_seconds):
            count += 1
            try:
                self._write(count)
            except OSError as error:  # a volume out of reach for a while is no reason to stop trying
                print(f"Warning: the heartbeat {self._path} could not be renewed: {error}", flush=True)

    def _write(self, count: int) -> None:
        # In place: a network file system shows another file of the same name late.
        self._path.write_text(f"{count}\n", encoding="utf-8")
