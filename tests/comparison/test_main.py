import io
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from comparison.__main__ import main
from comparison.records import format_records
from tests.comparison.record_factory import delay, make_record, make_run, make_run_info


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "trials.jsonl").write_text(format_records(make_run()))
    (tmp_path / "run.json").write_text(json.dumps(asdict(make_run_info())))
    return tmp_path


def test_a_run_is_rebuilt_and_its_answer_printed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir)]) == 0

    output = capsys.readouterr().out
    assert "parameter-server-2w-1ps †" in output
    assert "\nDistributing pays off here: " in output
    assert "\nForecast: 2 workers are recommended for all-reduce: " in output
    assert "\nRead with care: the report has 2 warnings.\n" in output
    assert output.endswith(f"{run_dir / 'report.html'}\n")
    assert (run_dir / "report.html").exists()


def write_run(run_dir: Path, run_id: str, factor: float = 1.0, **changes: Any) -> Path:
    records = [
        delay(replace(own, run_id=run_id, train_seconds=factor * own.train_seconds, **changes), 1e6 * len(run_id))
        for own in make_run()
    ]
    (run_dir / run_id).mkdir()
    (run_dir / run_id / "trials.jsonl").write_text(format_records(records))
    plan = make_run_info(run_id=run_id, parameters={"factor": factor})
    (run_dir / run_id / "run.json").write_text(json.dumps(asdict(plan)))
    return run_dir / run_id


def test_a_report_in_chinese_stands_beside_the_english_one(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "report.html").write_text("English")

    assert main([str(run_dir), "--lang", "zh"]) == 0

    page = (run_dir / "report.zh.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "在此环境下，分布式训练划算：all-reduce（2 个工作节点）的训练速度是单节点的 1.67 倍" in page
    assert '<a href="#forecast">预测</a>：all-reduce建议用 2 个工作节点：速度为单节点的 ' in page
    assert "Where the time went" not in page
    assert "分布式训练划算" in (run_dir / "comparison.zh.md").read_text(encoding="utf-8")
    assert (run_dir / "report.html").read_text() == "English"
    assert capsys.readouterr().out.endswith(f"{run_dir / 'report.zh.html'}\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "gbk"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_terminal_that_cannot_show_all_of_it_costs_no_report(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, language: str
) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding, write_through=True))
    assert main([str(run_dir), "--lang", language]) == 0
    assert "1.67".encode(encoding) in shown.getvalue()


def test_two_runs_are_compared_in_the_terminal_and_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [write_run(tmp_path, "slow"), write_run(tmp_path, "quick", 0.5)]

    assert main([*map(str, runs), "--output", str(tmp_path / "two.html")]) == 0

    output = capsys.readouterr().out
    assert output.startswith("# Run slow against run quick\n\nOf 3 configurations, 3 trained faster in the second run")
    assert "| single" in output
    assert output.endswith(f"{tmp_path / 'two.html'}\n")
    assert "Of 3 configurations, 3 trained faster" in (tmp_path / "two.html").read_text(encoding="utf-8")


def test_runs_of_different_data_are_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path, "ours"), write_run(tmp_path, "theirs", dataset_sha256="e" * 64)]

    assert main([*map(str, runs)]) == 2

    message = "error: Two runs can be compared only with the same dataset_sha256. Received: dddd"
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b", "c"], "one run to rebuild or two to compare are expected. Received: 3."),
        (["a", "--output", "x.html"], "--output is for two runs"),
        (["a", "b", "--output", "x.pdf"], "--output must end with .html or .md. Received: x.pdf."),
    ],
)
def test_arguments_that_make_no_sense_are_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert message in capsys.readouterr().err


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
    (run_dir / "trials.jsonl").write_text(format_records([make_record(schema_version=2)]))

    check_refusal(run_dir, capsys, "must have schema_version 1. Received: 2.")
