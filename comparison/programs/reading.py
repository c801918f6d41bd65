"""Records of a person's program as files: read, checked and written; whoever wrote them, nothing in them is trusted."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from comparison.programs.record import ProgramReplica, ProgramTrial
from comparison.records import RecordError, check_schema_version, load_json, parse_object, read_json_lines, read_text

# What tells a record of a person's program from one of this project's own loop.
_PROGRAM = "program"
PROGRAMS = ("command", "tfjob")
_LEVELS = range(3)
# No program that is worth a comparison is faster, and ratios of such figures stay numbers.
_SHORTEST_SECONDS = 1e-6
# A row, a column and a line of a legend must have room for it.
_LONGEST_NAME = 200
_LEAST: Mapping[str, float] = {
    **dict.fromkeys(("job_seconds", "total_seconds", "train_seconds"), _SHORTEST_SECONDS),
    **dict.fromkeys(("trial", "round", "place", "num_workers", "global_batch_size", "per_replica_batch_size"), 1),
    **dict.fromkeys(("num_ps", "steps", "restarts", "cpus_per_replica", "queue_seconds", "schedule_seconds"), 0),
    **dict.fromkeys(("pull_seconds", "warmup_seconds"), 0),
    "examples_per_second": 1e-9,
    "examples": 1e-6,
}
# 0 where nothing was told, or a single step.
_IF_ANY = frozenset({"train_seconds", "examples_per_second", "examples"})


def is_of_programs(path: Path) -> bool:
    """Returns whether a file of trial records is about a person's program, by its first record.

    Raises:
        RecordError: The file cannot be read, or its first record is no JSON object.
    """
    first = next((line for line in read_text(path).splitlines() if line.strip()), "{}")
    return _PROGRAM in load_json(first, str(path))


def read_program_trials(path: Path) -> list[ProgramTrial]:
    """Returns the records of a file of JSON lines, in its order, or the one of a trial's own file.

    Raises:
        RecordError: The file is missing, empty, or does not hold records of this schema version.
    """
    text = read_text(path)
    if text.lstrip().startswith("{\n"):  # one record over several lines
        return [parse_program_trial(load_json(text, str(path)), str(path))]
    return [parse_program_trial(values, source) for values, source in read_json_lines(path)]


def parse_program_trial(values: Mapping[str, Any], source: str = "trial record") -> ProgramTrial:
    """Returns the record that a JSON object holds.

    Args:
        values: The object, as parsed from JSON.
        source: What the object was read from, for the message of an error.

    Raises:
        RecordError: The object is not a record of this schema version, or its figures cannot be.
    """
    check_schema_version(values, source)
    if _PROGRAM not in values:
        raise RecordError(
            f"{source} is a record of this project's own training loop, or lacks {_PROGRAM!r}. Expected: {PROGRAMS}. "
            "Records of both kinds make no comparison."
        )
    trial = parse_object(ProgramTrial, values, source)
    _check_figures(trial, source)
    for replica in trial.replicas:
        _check_replica(replica, source)
    return trial


def format_program_trials(records: Iterable[ProgramTrial]) -> str:
    """Returns the records as JSON lines."""
    return "".join(json.dumps(asdict(record), allow_nan=False) + "\n" for record in records)


def _check_figures(trial: ProgramTrial, source: str) -> None:
    """Makes sure of what every analysis relies on.

    Raises:
        RecordError: A figure cannot be.
    """
    if trial.program not in PROGRAMS:
        raise RecordError(f"{source}: program must be one of {', '.join(PROGRAMS)}. Received: {trial.program!r:.200}.")
    if trial.level not in _LEVELS:
        raise RecordError(f"{source}: level must be 0, 1 or 2. Received: {trial.level}.")
    for name in ("configuration", "baseline", "unit"):
        _check_name(getattr(trial, name), f"{source}: {name}")
    for name, least in _LEAST.items():
        value = getattr(trial, name)
        if name not in _IF_ANY or value != 0:
            _check_least(value, least, f"{source}: {name}")
    for name, seconds in (trial.step_seconds or {}).items():
        _check_least(seconds, 0, f"{source}: step_seconds[{name!r:.200}]")
    for metric in trial.metrics:
        _check_name(metric.name, f"{source}: name of a metric")
        _check_least(metric.num_examples, 1, f"{source}: num_examples of {metric.name!r:.200}")
    if not trial.replicas:
        raise RecordError(f"{source}: replicas must list one replica at least. Received: none.")


def _check_replica(replica: ProgramReplica, source: str) -> None:
    for name in ("restarts", "steps", "examples", "cpu_seconds", "waited_seconds"):
        value = getattr(replica, name)
        least = _LEAST[name] if name in _IF_ANY and value else 0
        _check_least(value, least, f"{source}: {name} of {replica.name!r:.200}")


def _check_name(name: str, what: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME:
        expected = f"must be a name of at most {_LONGEST_NAME} letters"
        raise RecordError(f"{what} {expected}. Received: {name!r:.300}.")


def _check_least(value: float | None, least: float, name: str) -> None:
    if value is not None and not (math.isfinite(value) and value >= least):
        raise RecordError(f"{name} must be at least {least:g}. Received: {value}.")
