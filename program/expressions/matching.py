"""Lines are collected, and matched a batch at a time by the process of `matcher`."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from program.expressions.expression import Expression

_MOST_LINES, _MOST_CHARACTERS = 1000, 2**20
# What the matcher's own clock should never let happen: it was stopped, or starved for so long.
_PATIENCE_SECONDS = 60.0


class Own(NamedTuple):
    """What was found in one line: the text of the group of each expression that matched, by name."""

    replica: str
    at: float
    texts: dict[str, str]


class Matching:
    """Matches expressions against lines; one that takes longer than a second of the CPU is dropped, and told once.

    The matches of a line come with the batch that it is in: from `hear` when the batch is full, else from `flush`.
    """

    def __init__(self, expressions: Sequence[Expression], patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._expressions = list(expressions)
        self._patience_seconds = patience_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[tuple[str, float, str]] = []
        self._characters = 0
        self.notes: list[str] = []

    def hear(self, replica: str, at: float, line: str) -> list[Own]:
        """Takes a line, and returns the matches of a batch where it fills one."""
        if not self._expressions:
            return []
        self._waiting.append((replica, at, line))
        self._characters += len(line)
        return self.flush() if len(self._waiting) >= _MOST_LINES or self._characters > _MOST_CHARACTERS else []

    def flush(self) -> list[Own]:
        """Returns the matches of all lines that wait."""
        batch, self._waiting, self._characters = self._waiting, [], 0
        if not batch or not self._expressions:
            return []
        try:
            found, slow = self._ask([line for _, _, line in batch])
        except (OSError, ValueError):  # the process is gone, stopped, or no longer answers
            self.close()
            self._drop([expression.name for expression in self._expressions])
            return []
        self._drop(slow)
        return [Own(*batch[index][:2], texts) for index, texts in found]

    def close(self) -> None:
        """Ends the process."""
        if self._process:
            process, self._process = self._process, None
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream:
                    with suppress(OSError):  # what was not written is of no use any more
                        stream.close()
            process.wait()

    def __del__(self) -> None:
        self.close()

    def _drop(self, names: list[str]) -> None:
        self._expressions = [expression for expression in self._expressions if expression.name not in names]
        self.notes += [
            f"The regular expression of {name!r} took longer than a second for a thousand lines and was dropped: "
            "nested repetitions such as (a+)+ take for ever on a line that nearly matches."
            for name in names
        ]

    def _ask(self, lines: list[str]) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
        process = self._process or self._start()
        assert process.stdin  # noqa: S101 - it was opened as a pipe
        assert process.stdout  # noqa: S101
        self._write(process.stdin, lines)
        found, slow = json.loads(_read_line(process.stdout, self._patience_seconds))
        return found, slow

    def _start(self) -> subprocess.Popen[bytes]:
        matcher = Path(__file__).with_name("matcher.py")
        self._process = subprocess.Popen(
            [sys.executable, "-E", "-S", "-B", str(matcher)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin  # noqa: S101
        patterns = [[expression.name, expression.pattern, expression.group] for expression in self._expressions]
        self._write(self._process.stdin, patterns)
        return self._process

    @staticmethod
    def _write(stream: IO[bytes], value: object) -> None:
        stream.write(json.dumps(value).encode() + b"\n")
        stream.flush()


def _read_line(stream: IO[bytes], patience_seconds: float) -> bytes:
    """Returns the next line; TimeoutError where it does not come, ValueError where the stream ends."""
    deadline = time.monotonic() + patience_seconds
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not parts or not parts[-1].endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError("the process that matches regular expressions does not answer")
            part = os.read(stream.fileno(), 2**16)
            if not part:
                raise ValueError("the process that matches regular expressions has ended")
            parts.append(part)
    return b"".join(parts)
