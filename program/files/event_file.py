"""TensorBoard's event files, read without TensorFlow: scalars with their step and time."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from program.files.growing import GrowingFile
from program.files.wire import iterate_fields, mask_crc, unpack_float
from program.metric_names import is_metric
from program.told import Told, Value

_HEADER, _CRC = struct.Struct("<QI"), struct.Struct("<I")
# A longer record is a graph or a picture, and passed over; the checksum of what is read would cost more than it tells.
_MOST_RECORD, _MOST_CHECKED = 2**16, 512
_MOST_LENGTH = 2**40
_REPLICA = re.compile(r"(?:^|-)(chief|master|worker|ps|evaluator)-(\d{1,6})(?:\.|$)")
_EPOCH_TAG = re.compile(r"^epoch_(.+)$|^(?:batch_|evaluation_)(.+?)(?:_vs_iterations)?$")
_FLOAT, _DOUBLE, _INT32, _INT64 = 1, 2, 3, 9


class _Scalar(NamedTuple):
    tag: str
    value: float


class EventFile:
    """Reads one event file as it grows.

    Args:
        path: The file, named `events.out.tfevents.<time>.<host>…`.
        folder: The folder that is followed: what lies between says what the metrics are of, e.g. `validation`.

    Attributes:
        replica: Who wrote it, as far as the host's name tells; else None.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._file = GrowingFile(path)
        self._rest = b""
        self._to_skip = 0
        self._is_broken = False
        parts = path.name.split(".tfevents.", 1)[-1].split(".", 1)
        match = _REPLICA.search(parts[1]) if len(parts) > 1 else None
        self.replica = f"{match[1]}-{match[2]}" if match else None
        names = {name.lower() for name in path.relative_to(folder).parts[:-1]}
        self._prefix = next(
            (prefix for prefix, is_of in _PREFIXES.items() if any(name.startswith(is_of) for name in names)), ""
        )

    def read(self, most_bytes: int) -> list[Told]:
        """Returns what the new records tell; one that is not written to its end waits."""
        if self._is_broken:
            return []
        data = self._rest + self._file.read(most_bytes)
        place, told = 0, []
        while not self._is_broken:
            if self._to_skip:
                step = min(self._to_skip, len(data) - place)
                place, self._to_skip = place + step, self._to_skip - step
            if len(data) - place < _HEADER.size:
                break
            length, crc = _HEADER.unpack_from(data, place)
            if length > _MOST_LENGTH or crc != mask_crc(data[place : place + 8]):
                self._is_broken = True
            elif length > _MOST_RECORD:
                self._to_skip = _HEADER.size + length + _CRC.size
            elif len(data) - place < _HEADER.size + length + _CRC.size:
                break
            else:
                record = data[place + _HEADER.size :][:length]
                place += _HEADER.size + length
                if length <= _MOST_CHECKED and _CRC.unpack_from(data, place)[0] != mask_crc(record):
                    self._is_broken = True
                elif found := self._parse(record):
                    told.append(found)
                place += _CRC.size
        self._rest = data[place:]
        return told

    def finish(self, most_bytes: int) -> Iterator[Told]:
        """Yields what is left."""
        offset = -1
        while self._file.offset != offset and not self._is_broken:
            offset = self._file.offset
            yield from self.read(most_bytes)

    def list_notes(self) -> list[str]:
        """Returns what a reader of the figures should know of this file."""
        return [f"{self._file.path.name} is damaged; what follows the damage was not read."] if self._is_broken else []

    def _parse(self, record: bytes) -> Told | None:
        """Returns what an `Event` tells: its wall_time (field 1), step (2) and summary's scalars (5)."""
        at, step, scalars = 0.0, 0, []
        try:
            for field, value in iterate_fields(record):
                if field == 1:
                    at = unpack_float(value)
                elif field == 2 and isinstance(value, int):  # noqa: PLR2004
                    step = value if value < 2**63 else 0
                elif field == 5 and isinstance(value, bytes):  # noqa: PLR2004
                    scalars = [s for number, part in iterate_fields(value) if number == 1 and (s := _read_value(part))]
        except ValueError:
            return None
        if not scalars or not 0 < at < 1e11:  # noqa: PLR2004 - a time of this millennium
            return None
        tags = [(_EPOCH_TAG.match(scalar.tag), scalar) for scalar in scalars]
        metrics = []
        for match, scalar in tags:
            name = self._prefix + ((match[1] or match[2]) if match else scalar.tag)
            if is_metric(scalar.tag) and is_metric(name):
                metrics.append(Value(name, scalar.value))
        # Keras' `epoch_…` tags count epochs; a validation's and an evaluation's steps are no steps of the training.
        counts_steps = not self._prefix and not all(s.tag.startswith(("epoch_", "evaluation_")) for s in scalars)
        return Told(at, step=step if counts_steps else None, metrics=tuple(metrics))


_PREFIXES = {"val_": ("validation", "val"), "eval_": ("eval", "test")}


def _read_value(data: int | bytes) -> _Scalar | None:
    """Returns a `Summary.Value`'s tag (field 1) and scalar: `simple_value` (2), or a tensor (8) of no dimension."""
    if isinstance(data, int):
        return None
    tag, number = "", None
    for field, value in iterate_fields(data):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")[:100]
        elif field == 2:  # noqa: PLR2004
            number = unpack_float(value)
        elif field == 8 and isinstance(value, bytes):  # noqa: PLR2004
            number = _read_tensor(value)
    return _Scalar(tag, number) if tag and number is not None else None


def _read_tensor(data: bytes) -> float | None:
    """Returns a `TensorProto`'s one number: dtype (field 1), shape (2), content (4), float, double and int values."""
    kind, number = 0, None
    for field, value in iterate_fields(data):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 2 and value:  # noqa: PLR2004 - a shape with dimensions
            return None
        elif field == 4 and isinstance(value, bytes):  # noqa: PLR2004
            number = _unpack_content(kind, value)
        elif field in {5, 6}:
            number = unpack_float(value)
        elif field in {7, 10} and isinstance(value, int):
            number = float(value if value < 2**63 else value - 2**64)
    return number if kind in {_FLOAT, _DOUBLE, _INT32, _INT64} else None


def _unpack_content(kind: int, content: bytes) -> float | None:
    form = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q"}.get(kind)
    if form is None or len(content) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, content)[0])
