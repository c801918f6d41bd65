import json
import shutil
from pathlib import Path

import pytest
from kfp import dsl

from comparison.records import RecordError
from comparison.report import Analysis
from components.comparison_files import compare_trials, show_confusions
from components.planning.names import list_trials
from components.planning.programs.own_loop import read_trials
from components.trials.left_out import leave_out
from tests.comparison.record_factory import make_parts, make_record
from tests.components.plan_factory import find_place, make_plan
from tests.components.trial_folders import write_evaluations, write_trial

TRIALS = [("single", 1), ("all-reduce-2w", 1), ("single", 2), ("all-reduce-2w", 2)]


def write_run(folder: Path) -> list[Path]:
    for name, trial in TRIALS:
        write_trial(folder / f"round-{trial}" / name, name, trial)
    write_evaluations(folder / "evaluations", TRIALS)
    make_plan(strategies=["all_reduce"]).write(folder / "run.json")
    return [folder / "round-1", folder / "round-2"]


def test_a_trials_three_files_become_one_record(tmp_path: Path) -> None:
    records = read_trials(list_trials(write_run(tmp_path)), tmp_path / "evaluations")
    assert sorted(records, key=lambda record: (record.trial, record.strategy == "all_reduce")) == [
        make_record(name, trial) for name, trial in TRIALS
    ]


def test_a_trial_without_an_evaluation_is_named(tmp_path: Path) -> None:
    trained = write_run(tmp_path)
    write_evaluations(tmp_path / "evaluations", TRIALS[:-1])
    with pytest.raises(RecordError, match="lacks the evaluation of all-reduce-2w, trial 2"):
        read_trials(list_trials(trained), tmp_path / "evaluations")


def test_an_evaluation_of_other_weights_is_refused(tmp_path: Path) -> None:
    write_trial(tmp_path / "trained" / "single", "single", 1)
    evaluation = make_parts("single", 1)[2] | {"weights_sha256": "0" * 64}
    (tmp_path / "evaluations").write_text(json.dumps(evaluation))
    with pytest.raises(RecordError, match="must have the same weights_sha256"):
        read_trials(list_trials([tmp_path / "trained"]), tmp_path / "evaluations")


def test_each_file_of_the_comparison_goes_where_it_was_asked_for(tmp_path: Path) -> None:
    trained = write_run(tmp_path)
    outputs = {
        "report.html": "deep/report",
        "comparison.csv": "table",
        "trials.jsonl": "trials",
        "recommendation.json": "answer",
    }
    compare_trials(
        tmp_path / "run.json",
        trained,
        tmp_path / "evaluations",
        {name: str(tmp_path / path) for name, path in outputs.items()},
    )
    assert (tmp_path / "deep" / "report").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "table").read_text().startswith("configuration,strategy,")
    assert json.loads((tmp_path / "answer").read_text())["configuration"] == "all-reduce-2w"
    assert len((tmp_path / "trials").read_text().splitlines()) == len(TRIALS)


def test_the_confusions_of_a_strategy_are_the_sums_over_its_trials(tmp_path: Path) -> None:
    shown_by = {name: dsl.ClassificationMetrics() for name in ("single", "all_reduce", "parameter_server")}
    show_confusions(make_plan(), write_run(tmp_path), tmp_path / "evaluations", shown_by)
    matrix = shown_by["single"].metadata["confusionMatrix"]
    assert [row["row"] for row in matrix["rows"]] == [[1940, 60, 0], [0, 2000, 0], [0, 0, 2000]]
    assert [entry["displayName"] for entry in matrix["annotationSpecs"]] == ["0", "1", "2"]
    assert "confusionMatrix" in shown_by["all_reduce"].metadata
    assert shown_by["parameter_server"].metadata == {}


def test_of_many_classes_the_dashboard_gets_the_most_confused_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = write_run(tmp_path)
    hits = [[name, name, 2] for name in range(1300)]
    errors = [[name, (7 * name) % 1300, 1] for name in range(1, 401)]
    evaluations = [json.loads(line) for line in (tmp_path / "evaluations").read_text().splitlines()]
    for evaluation in evaluations:
        del evaluation["confusion_matrix"]
        evaluation |= {"confusion_counts": [*hits, *errors], "n_correct": 2600, "n_examples": 3000}
    (tmp_path / "evaluations").write_text("\n".join(map(json.dumps, evaluations)))
    metrics = dsl.ClassificationMetrics()
    show_confusions(make_plan(), trained, tmp_path / "evaluations", {"single": metrics})
    matrix = metrics.metadata["confusionMatrix"]
    assert len(matrix["rows"]) == len(matrix["annotationSpecs"]) == 20
    assert len(json.dumps(metrics.metadata)) < 2**18
    told = "single: the 20 most confused classes are shown, 1,280 more are left out.\n"
    assert told in capsys.readouterr().out


def test_the_attempts_before_the_one_that_counts_are_in_its_record(tmp_path: Path) -> None:
    write_trial(tmp_path / "trained" / "single", "single", 1)
    write_evaluations(tmp_path / "evaluations", [("single", 1)])
    attempt = {"started_at": 1.0, "ended_at": None, "reason": "its launcher was lost"}
    path = tmp_path / "trained" / "single" / "launch.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"earlier_attempts": [attempt]}))

    (record,) = read_trials(list_trials([tmp_path / "trained"]), tmp_path / "evaluations")

    assert record.earlier_attempts == [attempt]
    assert make_record("single", 1).earlier_attempts is None  # a record of an earlier version


# Two attempts at a trial of which none counts.
LOST = [{"started_at": start, "ended_at": start + 25.0, "reason": "lacks a record"} for start in (100.0, 200.0)]


def test_a_trial_that_was_left_out_is_missed_in_the_log_and_in_the_report_and_no_row_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = write_run(tmp_path)
    shutil.rmtree(tmp_path / "round-2" / "all-reduce-2w")
    place = find_place(make_plan(strategies=["all_reduce"]), "all-reduce-2w", 2)
    leave_out(tmp_path / "round-2" / "all-reduce-2w", place, "Job a succeeded, but lacks a record.\nLast lines", LOST)
    outputs = {name: str(tmp_path / name) for name in ("report.html", "comparison.csv", "trials.jsonl")}

    analysis = compare_trials(tmp_path / "run.json", trained, tmp_path / "evaluations", outputs)

    assert isinstance(analysis, Analysis)
    assert len(analysis.trials) == 3
    assert "Left out: all-reduce-2w, trial 2. Job a succeeded, but lacks a record." in capsys.readouterr().out
    assert analysis.warnings[0] == (
        "all-reduce-2w: trial 2 is left out, because its record was not whole even when it was repeated. Job a "
        "succeeded, but lacks a record."
    )
    assert any("every planned trial there" in warning for warning in analysis.warnings)
    assert any("attempts that were lost or repeated (2) took 50 s" in warning for warning in analysis.warnings)
    assert "trial 2 is left out" in (tmp_path / "report.html").read_text()
