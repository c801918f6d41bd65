"""Files of measurements, read as what a schema says: what does not follow it is refused, with what came."""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

SCHEMA_VERSION = 1
_ADVICE = "Where another version of this project wrote it, that version reads it."

# What this project writes nests less deeply, and counts less far: in bytes, seconds and the like.
_MOST_LEVELS, _MOST = 32, 2**63

_Parsed = TypeVar("_Parsed")


class RecordError(ValueError):
    """A file of measurements is missing, contradicts another one or does not follow the schema."""


def write_text(path: Path, text: str) -> None:
    """Replaces a file's contents at once, so that no reader ever sees half of it, and none is left.

    Raises:
        OSError: It cannot be written: what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Returns a file's text.

    Raises:
        RecordError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error


def read_json_lines(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Returns the object of each line of a file of trials, and where it stands.

    Raises:
        RecordError: The file is missing or empty, or a line of it is no JSON object.
    """
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), start=1) if line.strip()]
    if not lines:
        raise RecordError(f"{path} holds no trial. Expected: one JSON object a line, one line a trial.")
    return [(load_json(line, f"{path}:{number}"), f"{path}:{number}") for number, line in lines]


def load_json(text: str, source: str) -> dict[str, Any]:
    """Returns the JSON object in a text.

    Raises:
        RecordError: There is none.
    """
    try:
        values = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float)
        is_too_deep = _is_deeper(values, _MOST_LEVELS)
    except RecursionError:
        is_too_deep = True
    except ValueError as error:
        raise RecordError(f"{source} is not JSON: {error}") from error
    if is_too_deep:
        raise RecordError(f"{source} must nest at most {_MOST_LEVELS} levels deep.")
    if not isinstance(values, dict):
        raise RecordError(f"{source} must hold a JSON object. Received: {type(values).__name__}.")
    if _ESCAPED.search(text):
        _check_texts(values, source)
    return values


# What json.loads makes a NUL or half of a pair of surrogates of: nothing that can be written to a file or a page.
_ESCAPED = re.compile(r"\\u(0000|[dD][89a-fA-F])")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # what json.loads makes of 1e999, and cannot write again
        raise ValueError(f"{text:.40} is beyond what a number can be")
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    items: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(item, levels - 1) for item in items if isinstance(item, dict | list))


def _check_texts(value: Any, source: str) -> None:
    """Makes sure that every text can be written.

    Raises:
        RecordError: One cannot.
    """
    if isinstance(value, str) and _UNWRITABLE.search(value):
        raise RecordError(f"{source} must have texts without NUL and with whole characters. Received: {value!a:.200}.")
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            _check_texts(item, source)


def get_field(values: Mapping[str, Any], key: str, source: str) -> Any:
    """Returns a field of an object read from `source`.

    Raises:
        RecordError: It lacks it.
    """
    if key not in values:
        raise RecordError(f"{source} lacks {key!r}. Received: {', '.join(map(str, values)) or 'nothing'}.")
    return values[key]


def check_schema_version(values: Mapping[str, Any], source: str) -> None:
    """Checks that values read from `source` are of this schema version.

    Raises:
        RecordError: They are of another.
    """
    version = get_field(values, "schema_version", source)
    if version != SCHEMA_VERSION:
        raise RecordError(f"{source} must have schema_version {SCHEMA_VERSION}. Received: {version!r}. {_ADVICE}")


def check_evaluated(key: str, evaluation: Mapping[str, Any], other: Mapping[str, Any], name: str) -> None:
    """Checks that evaluation.json says the same as another file of its trial.

    Raises:
        RecordError: They do not.
    """
    received = get_field(other, key, name), get_field(evaluation, key, "evaluation.json")
    if received[0] != received[1]:
        raise RecordError(
            f"{name} and evaluation.json must have the same {key}. Received: {received[0]!r} and {received[1]!r}."
        )


def count_restarts(launch: Mapping[str, Any]) -> int:
    """Returns how often the replicas of launch.json were restarted.

    Raises:
        RecordError: That is no whole number.
    """
    restarts = [get_field(replica, "restarts", "launch.json") for replica in _list_replicas(launch, "launch.json")]
    if any(type(count) is not int for count in restarts):
        raise RecordError(f"restarts in launch.json must be whole numbers. Received: {restarts!r:.200}.")
    return sum(restarts)


def join_replicas(training: Mapping[str, Any], launch: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """Returns what training.json and launch.json say of each replica, those fields of it that are named.

    Raises:
        RecordError: They are not about the same replicas.
    """
    measured = {_identify(replica): replica for replica in _list_replicas(training, "training.json")}
    launched = {_identify(replica): replica for replica in _list_replicas(launch, "launch.json")}
    if not launched or measured.keys() != launched.keys():
        raise RecordError(
            "training.json and launch.json must list the same replicas, and at least one. "
            f"Received: {sorted(measured)} and {sorted(launched)}."
        )
    expected = {*names}
    joined = [{**measured[identity], **replica} for identity, replica in launched.items()]
    return [{key: replica[key] for key in expected & replica.keys()} for replica in joined]


def _list_replicas(values: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    replicas = get_field(values, "replicas", source)
    if not (isinstance(replicas, list) and all(isinstance(replica, dict) for replica in replicas)):
        raise RecordError(f"replicas in {source} must be a list of objects. Received: {replicas!r:.200}.")
    return replicas


def _identify(replica: Mapping[str, Any]) -> tuple[str, int]:
    kind, index = get_field(replica, "type", "a replica"), get_field(replica, "index", "a replica")
    if not isinstance(kind, str) or type(index) is not int:
        raise RecordError(f"type and index of a replica must be text and a number. Received: {kind!r}, {index!r}.")
    return kind, index


def parse_object(kind: type[_Parsed], values: Any, source: str) -> _Parsed:
    """Returns a dataclass from a JSON object that has its fields; those with a default may be absent.

    Raises:
        RecordError: It does not follow the schema; the message names where, with `source` before it.
    """
    if not isinstance(values, Mapping):
        raise RecordError(f"{source} must be a JSON object. Received: {values!r}.")
    types = get_type_hints(kind)
    optional = {field.name for field in fields(kind) if field.default is not MISSING}  # type: ignore[arg-type]
    missing, unknown = sorted(types.keys() - optional - values.keys()), sorted(values.keys() - types.keys())
    if missing or unknown:
        raise RecordError(f"{source} does not follow the schema. Missing: {missing}. Unknown: {unknown}. {_ADVICE}")
    given = [name for name in types if name in values]
    return kind(**{name: _parse_value(types[name], values[name], f"{source}: {name}") for name in given})


def _parse_value(kind: Any, value: Any, source: str) -> Any:
    """Returns a JSON value, checked against an annotation of a dataclass."""
    if is_dataclass(kind) and isinstance(kind, type):
        return parse_object(kind, value, source)
    if get_origin(kind) is UnionType:
        return None if value is None else _parse_value(get_args(kind)[0], value, source)
    if get_origin(kind) is list and isinstance(value, list):
        return [_parse_value(get_args(kind)[0], item, f"{source}[{index}]") for index, item in enumerate(value)]
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _parse_value(get_args(kind)[1], item, f"{source}[{key}]") for key, item in value.items()}
    if not _is_scalar(kind, value):
        raise RecordError(f"{source} must be {kind.__name__ if isinstance(kind, type) else kind}. Received: {value!r}.")
    return float(value) if kind is float else value


def _is_scalar(kind: Any, value: Any) -> bool:
    if kind in (int, float):
        kinds: tuple[type[Any], ...] = (int,) if kind is int else (int, float)
        return type(value) in kinds and -_MOST <= value <= _MOST  # nan is on neither side
    return kind is Any or type(value) is kind
