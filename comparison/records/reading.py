"""How the records of trials come about: joined of what a trial's programs wrote, or read from a run's file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from comparison.quality import MAX_DENSE_CLASSES, check_counts
from comparison.records.parsing import (
    RecordError,
    check_evaluated,
    check_schema_version,
    count_restarts,
    get_field,
    join_replicas,
    parse_object,
    read_json_lines,
)
from comparison.records.trial import Replica, TrialRecord

TRIALS_FILE = "trials.jsonl"


def assemble_record(
    training: Mapping[str, Any], launch: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> TrialRecord:
    """Returns the record of one trial from the contents of its three files.

    Args:
        training: training.json, written by the training's chief.
        launch: launch.json, written by the step that launched the training.
        evaluation: evaluation.json, the entry of the model that this training left.

    Raises:
        RecordError: The three are not about the same trial, data and weights, or one does not follow the schema.
    """
    named = {"training.json": training, "launch.json": launch, "evaluation.json": evaluation}
    for name, contents in named.items():
        check_schema_version(contents, name)
    for key in ("dataset_sha256", "weights_sha256"):
        check_evaluated(key, evaluation, training, "training.json")
    for key in ("configuration", "trial"):
        check_evaluated(key, evaluation, launch, "launch.json")
    if evaluation.get("split") != "test":
        raise RecordError(f"evaluation.json must be of the split 'test'. Received: {evaluation.get('split')!r}.")
    joined = {
        **evaluation,
        **launch,
        **training,
        **_read_counts(evaluation),
        "replicas": join_replicas(training, launch, [field.name for field in fields(Replica)]),
        "restarts": count_restarts(launch),
    }
    expected = {field.name for field in fields(TrialRecord)}
    return _parse_trial({key: joined[key] for key in expected & joined.keys()}, " + ".join(named))


def _read_counts(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how many answers were right, and of how many; nulls where a metric says that answers are not counted."""
    is_counted = evaluation.get("metric") is None or "n_correct" in evaluation
    keys = ("n_correct", "n_examples")
    return {f"test_{key}": get_field(evaluation, key, "evaluation.json") if is_counted else None for key in keys}


def read_records(path: Path) -> list[TrialRecord]:
    """Returns the records of a file of JSON lines, in its order.

    Raises:
        RecordError: The file is missing, empty, or a line of it is not a record of this schema version.
    """
    return [parse_record(values, source) for values, source in read_json_lines(path)]


def parse_record(values: Mapping[str, Any], source: str = "trial record") -> TrialRecord:
    """Returns the record that a JSON object holds.

    Args:
        values: The object, as parsed from JSON.
        source: What the object was read from, for the message of an error.

    Raises:
        RecordError: The object is not a record of this schema version.
    """
    check_schema_version(values, source)
    return _parse_trial(values, source)


def format_records(records: Iterable[TrialRecord]) -> str:
    """Returns the records as JSON lines."""
    return "".join(json.dumps(asdict(record), allow_nan=False) + "\n" for record in records)


# What is calculated with, or compared, of what a host tells of itself.
_HOST: dict[str, type] = {"cores": int, "memory_bytes": int, "cpu_model": str}


def _parse_trial(values: Mapping[str, Any], source: str) -> TrialRecord:
    """Returns the record of an object, checked; a matrix of many classes becomes the counts of what occurred."""
    record = parse_object(TrialRecord, values, source)
    _check_values(record)
    try:
        _check_metric(record)
        confusion = record.confusion
        if confusion is not None:
            confusion.check(record.test_n_correct, record.test_n_examples)
    except ValueError as error:
        raise RecordError(f"{record.configuration}: {error}") from error
    if confusion is None or confusion.num_classes <= MAX_DENSE_CLASSES:
        return record
    return replace(record, confusion_matrix=None, confusion_counts=confusion.to_counts())


def _check_values(record: TrialRecord) -> None:
    """Makes sure that what is calculated with can be.

    Raises:
        RecordError: A time is none, a list is empty, or a value of the host has another type.
    """
    for name in ("train_seconds", "total_seconds", "images_per_second"):
        if (value := getattr(record, name)) <= 0:
            raise RecordError(f"{name} of {record.configuration} must be above 0. Received: {value}.")
    for name, kind in _HOST.items():
        value = record.host.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            expected = f"must be of type {kind.__name__}, or null"
            raise RecordError(f"host.{name} of {record.configuration} {expected}. Received: {value!r:.80}.")
    for replica in record.replicas:
        seconds = replica.calibration_seconds
        if seconds is not None and (len(seconds) != 2 or min(seconds) <= 0):  # noqa: PLR2004 - before and after
            expected = "must be two times above 0, before and after the training"
            raise RecordError(f"calibration_seconds of {replica.name} {expected}. Received: {seconds}.")
    for name in ("curve", "replicas"):
        if not getattr(record, name):
            raise RecordError(f"{name} of {record.configuration} must not be empty. Received: [].")


def _check_metric(record: TrialRecord) -> None:
    """Makes sure that a record speaks of one metric everywhere.

    Raises:
        ValueError: It has none, or what it says of it differs.
    """
    check_counts(record.test_n_correct, record.test_n_examples, record.metric)
    (record.metric or record.quality).check(record.metric_name, record.metric_higher_is_better)
    for point in record.curve:
        point.check()
