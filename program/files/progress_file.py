"""A progress file: JSON lines that a program, or the one-file helper in it, writes; docs/schemas.md defines them."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from program.files.growing import GrowingFile
from program.told import Told, Value

_MOST_LINE = 2**16
_MOST_LEFT, _TAIL = 2**26, 2**20
_MOST_COUNT = 2.0**53
_CUT, _UNKNOWN = "are cut or are no JSON objects", "lack what docs/schemas.md asks for"


class ProgressFile:
    """Reads one replica's file as it grows; whatever is no line of the schema is counted and passed over.

    Args:
        path: The file; its name without the ending is the replica's.
    """

    def __init__(self, path: Path) -> None:
        self.replica = path.stem
        self.speaks_for_all = False
        self._file = GrowingFile(path)
        self._rest = b""
        self._is_too_long = False
        self._examples: float | None = None
        self._faults: Counter[str] = Counter()
        self._skipped = 0

    def read(self, most_bytes: int) -> list[Told]:
        """Returns what the new lines tell."""
        data = self._file.read(most_bytes)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._is_too_long and lines:
            self._is_too_long, lines = False, lines[1:]
        if len(self._rest) > _MOST_LINE:
            self._rest, self._is_too_long = b"", True
            self._faults[_CUT] += 1
        return [told for line in lines if line.strip() and (told := self._parse(line))]

    def finish(self, most_bytes: int) -> Iterator[Told]:
        """Yields what is left, however much: of a huge file only its end, and its last line if it was not cut."""
        skipped = self._file.skip_to_end(_TAIL) if self._count_left() > _MOST_LEFT else 0
        if skipped:
            self._rest, self._is_too_long = b"", True  # reading goes on in the midst of a line
            self._skipped += skipped
        offset = -1
        while self._file.offset != offset:
            offset = self._file.offset
            yield from self.read(most_bytes)
        last, self._rest = self._rest, b""
        if last.strip() and not self._is_too_long and (told := self._parse(last)):
            yield told

    def list_notes(self) -> list[str]:
        """Returns what a reader of the figures should know of this file."""
        name = self._file.path.name
        notes = [
            f"{name}: {count:,} of its lines {fault}; they were passed over." for fault, count in self._faults.items()
        ]
        if self._skipped:
            notes.append(f"{name} is so large that {self._skipped / 2**20:,.0f} MiB of it were left out.")
        return notes

    def _count_left(self) -> int:
        try:
            return self._file.path.stat().st_size - self._file.offset
        except OSError:
            return 0

    def _parse(self, line: bytes) -> Told | None:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):  # not UTF-8 is a ValueError as well
            self._faults[_CUT] += 1
            return None
        told = self._read_event(values) if isinstance(values, dict) else None
        if told is None:
            self._faults[_UNKNOWN if isinstance(values, dict) else _CUT] += 1
        return told

    def _read_event(self, values: dict[str, Any]) -> Told | None:
        at = _read_number(values.get("time"))
        if at is None or at < 0:
            return None
        match values.get("event"):
            case "begin":
                self.speaks_for_all = self.speaks_for_all or values.get("scope") == "job"
                return Told(at, event="begin")
            case "end":
                return Told(at, event="end")
            case "step":
                return self._read_step(values, at)
            case "metric":
                return _read_metric(values, at)
            case _:
                return None

    def _read_step(self, values: dict[str, Any], at: float) -> Told | None:
        step, examples = _read_number(values.get("step")), _read_number(values.get("examples"))
        if step is None or not 0 <= step <= _MOST_COUNT or (examples is not None and not 0 <= examples <= _MOST_COUNT):
            return None
        if examples is not None:
            self._examples = (self._examples or 0.0) + examples
        return Told(at, step=int(step), examples=self._examples)


def _read_metric(values: dict[str, Any], at: float) -> Told | None:
    name, value, count = values.get("name"), values.get("value"), _read_number(values.get("n"))
    if not isinstance(name, str) or not name.strip() or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    is_counted = count is not None and 1 <= count <= _MOST_COUNT and count == int(count)
    metric = Value(name.strip()[:100], _to_float(value), int(count) if is_counted and count is not None else None)
    return Told(at, metrics=(metric,))


def _read_number(value: object) -> float | None:
    """Returns a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = _to_float(value)
    return number if math.isfinite(number) else None


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
