import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.compare import compare
from tests.comparison.record_factory import make_parts
from tests.components.plan_factory import make_plan
from tests.components.trial_folders import write_evaluations, write_trial

TRIALS = [("single", 1), ("all-reduce-2w", 1)]
OUTPUTS = {
    "report": dsl.HTML,
    "summary": dsl.Markdown,
    "metrics": dsl.Metrics,
    "single_confusion": dsl.ClassificationMetrics,
    "all_reduce_confusion": dsl.ClassificationMetrics,
    "parameter_server_confusion": dsl.ClassificationMetrics,
    "table": dsl.Dataset,
    "trials": dsl.Dataset,
}


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Any]:
    make_plan(strategies=["all_reduce"], trials=1).write(tmp_path / "run_info")
    write_trial(tmp_path / "baseline" / "single", "single", 1)
    write_trial(tmp_path / "distributed" / "all-reduce-2w", "all-reduce-2w", 1, train_seconds=36.0)
    write_evaluations(tmp_path / "evaluations", TRIALS)
    return {
        "run_info": dsl.Artifact(uri=str(tmp_path / "run_info")),
        "baselines": [dsl.Model(uri=str(tmp_path / "baseline"))],
        "distributed": [dsl.Model(uri=str(tmp_path / "distributed"))],
        "evaluations": dsl.Dataset(uri=str(tmp_path / "evaluations")),
        **{name: kind(uri=str(tmp_path / "out" / name)) for name, kind in OUTPUTS.items()},
    }


def test_the_step_writes_report_table_and_records_and_prints_the_answer(
    tmp_path: Path, artifacts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    compare.python_func(**artifacts)
    records = [json.loads(line) for line in (tmp_path / "out" / "trials").read_text().splitlines()]
    assert [(record["configuration"], record["trial"]) for record in records] == TRIALS
    assert (tmp_path / "out" / "table").read_text().count("\n") == 1 + len(TRIALS)
    for name in ("report", "summary"):
        assert "all-reduce-2w" in (tmp_path / "out" / name).read_text()
    printed = capsys.readouterr().out
    assert "all-reduce-2w" in printed
    assert "\nForecast: " in printed
    assert "Read with care" not in printed


def test_the_dashboard_gets_a_few_metrics_and_a_matrix_for_each_trained_strategy(artifacts: dict[str, Any]) -> None:
    compare.python_func(**artifacts)
    assert artifacts["metrics"].metadata.keys() == {
        "test_accuracy_single",
        "speedup_all_reduce_2w",
        "test_accuracy_all_reduce_2w",
    }
    rows = artifacts["all_reduce_confusion"].metadata["confusionMatrix"]["rows"]
    assert rows == [{"row": [970, 30, 0]}, {"row": [0, 1000, 0]}, {"row": [0, 0, 1000]}]
    assert artifacts["parameter_server_confusion"].metadata == {}


def test_metadata_stay_below_what_a_server_takes_however_many_classes_there_are(
    tmp_path: Path, artifacts: dict[str, Any]
) -> None:
    counts = [[name, name, 2] for name in range(1300)] + [[name, (7 * name) % 1300, 1] for name in range(1, 401)]
    evaluations = [make_parts(*trial)[2] | {"n_correct": 2600, "n_examples": 3000} for trial in TRIALS]
    for evaluation in evaluations:
        del evaluation["confusion_matrix"]
    lines = [json.dumps(evaluation | {"confusion_counts": counts}) for evaluation in evaluations]
    (tmp_path / "evaluations").write_text("\n".join(lines))

    compare.python_func(**artifacts)

    logged = artifacts["single_confusion"].metadata["confusionMatrix"]
    assert len(logged["rows"]) == len(logged["annotationSpecs"]) < 100
    assert all(len(json.dumps(own.metadata)) < 2**18 for name, own in artifacts.items() if name in OUTPUTS)


def test_records_that_do_not_fit_end_the_step_with_one_message(tmp_path: Path, artifacts: dict[str, Any]) -> None:
    write_evaluations(tmp_path / "evaluations", TRIALS[:1])
    with pytest.raises(SystemExit, match=r"^error: .* lacks the evaluation of all-reduce-2w, trial 1"):
        compare.python_func(**artifacts)
