import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from comparison.records import RecordError, assemble_record, format_records, read_records, read_run_info, write_text
from tests.comparison.record_factory import make_parts, make_record, make_run_info


def test_a_record_joins_what_training_launch_and_evaluation_measured() -> None:
    record = assemble_record(*make_parts("parameter-server-2w-1ps", trial=1, train_seconds=40.0, n_correct=2950))

    assert (record.configuration, record.trial, record.seed) == ("parameter-server-2w-1ps", 1, 1)
    assert (record.train_seconds, record.total_seconds, record.evaluate_seconds) == (40.0, 55.0, 3.0)
    assert (record.test_n_correct, record.test_n_examples, record.quality.value) == (2950, 3000, 2950 / 3000)
    assert [replica.name for replica in record.replicas] == ["worker-0", "worker-1", "ps-0"]
    assert [replica.cpu_seconds for replica in record.replicas] == [30.0, 30.0, 30.0]
    assert record.cpu_seconds == 90.0
    assert record.peak_rss_bytes == 900 * 2**20 + 1


def test_a_replica_may_say_how_fast_its_core_was() -> None:
    training, launch, evaluation = make_parts()
    training["replicas"][0]["calibration_seconds"] = [1.0, 1]

    assert assemble_record(training, launch, evaluation).replicas[0].calibration_seconds == [1.0, 1.0]
    del training["replicas"][0]["calibration_seconds"]
    assert assemble_record(training, launch, evaluation).replicas[0].calibration_seconds is None


@pytest.mark.parametrize("seconds", [[1.0], [1.0, 0.0], [1.0, 1.0, 1.0]])
def test_a_calibration_is_two_times(seconds: list[float]) -> None:
    training, launch, evaluation = make_parts()
    training["replicas"][0]["calibration_seconds"] = seconds

    with pytest.raises(RecordError, match="calibration_seconds of worker-0 must be two times above 0"):
        assemble_record(training, launch, evaluation)


def test_restarts_of_a_record_are_those_of_all_its_replicas() -> None:
    training, launch, evaluation = make_parts("all-reduce-2w")
    launch["replicas"][0]["restarts"], launch["replicas"][1]["restarts"] = 1, 2

    assert assemble_record(training, launch, evaluation).restarts == 3


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (2, {"dataset_sha256": "e" * 64}, "must have the same dataset_sha256. Received: 'dddd.*' and 'eeee"),
        (2, {"weights_sha256": "e" * 64}, "must have the same weights_sha256"),
        (2, {"trial": 3}, "must have the same trial. Received: 0 and 3"),
        (2, {"configuration": "other"}, "must have the same configuration. Received: 'single' and 'other'"),
        (2, {"split": "validation"}, "of the split 'test'. Received: 'validation'"),
        (2, {"n_correct": 1}, "must count 1 correct of 3000 examples.* Received: 2970 of 3000"),
        (2, {"confusion_matrix": [[1, 2]]}, r"must be square. Received rows of \[2\]"),
        (0, {"schema_version": 2}, "training.json must have schema_version 1. Received: 2"),
        (1, {"schema_version": None}, "launch.json must have schema_version 1. Received: None"),
        (1, {"replicas": []}, r"must list the same replicas.* Received: \[\('worker', 0\)\] and \[\]"),
        (0, {"train_seconds": "60"}, "train_seconds must be float. Received: '60'"),
        (0, {"train_seconds": float("nan")}, "train_seconds must be float. Received: nan"),
        (0, {"train_seconds": 0}, "train_seconds of single must be above 0. Received: 0.0"),
        (0, {"images_per_second": -1.0}, "images_per_second of single must be above 0"),
        (1, {"total_seconds": 0.0}, "total_seconds of single must be above 0"),
        (0, {"steps": True}, "steps must be int. Received: True"),
        (0, {"curve": {}}, r"curve must be list\[.*CurvePoint\]"),
        (0, {"curve": [{"epoch": 1}]}, r"curve\[0\] does not follow the schema. Missing: \['step'"),
    ],
)
def test_files_that_contradict_each_other_or_the_schema_make_no_record(
    file: int, change: dict[str, Any], message: str
) -> None:
    parts = make_parts()
    parts[file].update(change)

    with pytest.raises(RecordError, match=message):
        assemble_record(*parts)


@pytest.mark.parametrize(("file", "key"), [(0, "epochs"), (1, "total_seconds"), (2, "n_correct"), (1, "replicas")])
def test_a_missing_key_is_named(file: int, key: str) -> None:
    parts = make_parts()
    del parts[file][key]

    with pytest.raises(RecordError, match=f"'{key}'"):
        assemble_record(*parts)


def test_what_a_later_writer_adds_to_its_file_does_not_hinder_the_record() -> None:
    training, launch, evaluation = make_parts()

    record = assemble_record({**training, "note": "new"}, launch, evaluation)

    assert record == assemble_record(training, launch, evaluation)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records = [make_record(trial=0), make_record("all-reduce-2w", target_accuracy=None, seconds_to_target=None)]

    write_text(tmp_path / "trials.jsonl", format_records(records))

    assert read_records(tmp_path / "trials.jsonl") == records
    assert [path.name for path in tmp_path.iterdir()] == ["trials.jsonl"]


def test_what_json_cannot_say_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        format_records([replace(make_record(), ended_at=float("inf"))])


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_could_not_be_written_again_is_refused_wherever_it_stands(number: str, tmp_path: Path) -> None:
    line = format_records([make_record()]).replace('"memory_bytes": ', f'"memory_bytes": {number}, "_": ')
    (tmp_path / "trials.jsonl").write_text(line)
    with pytest.raises(RecordError, match=rf"trials\.jsonl:1 is not JSON: {number} is "):
        read_records(tmp_path / "trials.jsonl")


def test_records_of_another_schema_version_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_text(format_records([make_record(), make_record(trial=1, schema_version=7)]))

    with pytest.raises(RecordError, match=r"trials.jsonl:2 must have schema_version 1. Received: 7"):
        read_records(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: .*No such file"),
        ("", "holds no trial"),
        ("\n \n", "holds no trial"),
        ("{", "trials.jsonl:1 is not JSON"),
        ("[1]", "must hold a JSON object. Received: list"),
        ("{}", "lacks 'schema_version'. Received: nothing"),
        ('{"schema_version": 1, "colour": "red"}', r"Missing: \['backend', .*Unknown: \['colour'\]"),
    ],
)
def test_a_file_without_records_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "trials.jsonl"
    if text is not None:
        path.write_text(text)

    with pytest.raises(RecordError, match=message):
        read_records(path)


def test_run_info_keeps_parameters_and_configurations(tmp_path: Path) -> None:
    values = {
        "schema_version": 1,
        "run_id": "run-1",
        "started_at": 1_700_000_000.0,
        "parameters": {"workers": [2], "dataset": "mnist"},
        "configurations": [{"name": "single", "strategy": "single", "num_workers": 1, "num_ps": 0}],
    }
    path = tmp_path / "run.json"
    path.write_text(json.dumps(values))

    run_info = read_run_info(path)

    assert vars(run_info) == values | {"free_cpus": None, "failed_trials": None}


def test_run_info_of_a_version_that_noted_warnings_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(asdict(make_run_info()) | {"warnings": []}))

    assert read_run_info(path) == make_run_info()


def test_run_info_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"schema_version": 2}')

    with pytest.raises(RecordError, match=r"run\.json must have schema_version 1\. Received: 2"):
        read_run_info(path)
