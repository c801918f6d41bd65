import json
from dataclasses import asdict
from pathlib import Path

import pytest

from comparison.__main__ import main
from comparison.records import write_records
from tests.comparison.record_factory import make_record, make_run, make_run_info


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    write_records(tmp_path / "trials.jsonl", make_run())
    (tmp_path / "run.json").write_text(json.dumps(asdict(make_run_info())))
    return tmp_path


def test_a_run_is_rebuilt_and_its_answer_printed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir)]) == 0

    output = capsys.readouterr().out
    assert "parameter-server-2w-1ps †" in output
    assert "\nDistributing pays off here: " in output
    assert output.endswith(f"{run_dir / 'report.html'}\n")
    assert (run_dir / "report.html").exists()


def check_refusal(run_dir: Path, capsys: pytest.CaptureFixture[str], message: str) -> None:
    assert main([str(run_dir)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert message in output.err


def test_a_directory_that_is_not_there_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_refusal(tmp_path / "none", capsys, "trials.jsonl cannot be read")


def test_a_run_without_its_plan_is_one_message(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "run.json").unlink()

    check_refusal(run_dir, capsys, "run.json cannot be read")


def test_an_empty_file_is_one_message(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "trials.jsonl").write_text("")

    check_refusal(run_dir, capsys, "holds no trial")


def test_another_schema_version_is_one_message(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(run_dir / "trials.jsonl", [make_record(schema_version=2)])

    check_refusal(run_dir, capsys, "must have schema_version 1. Received: 2.")
