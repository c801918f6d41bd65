import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kfp.dsl.executor import Executor

from components.compare import compare
from tests.components.plan_factory import make_plan
from tests.components.trial_folders import write_evaluations, write_trial

TRIALS = [("single", 1), ("all-reduce-2w", 1)]


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Any]:
    make_plan(strategies=["all_reduce"], trials=1).write(tmp_path / "run_info")
    write_trial(tmp_path / "baseline" / "single", "single", 1)
    write_trial(tmp_path / "distributed" / "all-reduce-2w", "all-reduce-2w", 1, train_seconds=36.0)
    write_evaluations(tmp_path / "evaluations", TRIALS)
    outputs = {
        "report": dsl.HTML,
        "summary": dsl.Markdown,
        "metrics": dsl.Metrics,
        "table": dsl.Dataset,
        "trials": dsl.Dataset,
    }
    return {
        "run_info": dsl.Artifact(uri=str(tmp_path / "run_info")),
        "baselines": [dsl.Model(uri=str(tmp_path / "baseline"))],
        "distributed": [dsl.Model(uri=str(tmp_path / "distributed"))],
        "evaluations": dsl.Dataset(uri=str(tmp_path / "evaluations")),
        **{name: kind(uri=str(tmp_path / "out" / name)) for name, kind in outputs.items()},
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
    assert "Read with care" not in printed


def test_the_dashboard_gets_a_few_metrics(artifacts: dict[str, Any]) -> None:
    compare.python_func(**artifacts)
    assert artifacts["metrics"].metadata.keys() == {
        "test_accuracy_single",
        "speedup_all_reduce_2w",
        "test_accuracy_all_reduce_2w",
    }


def test_fewer_than_sixty_lines_follow_the_answer_in_the_steps_log(
    tmp_path: Path, artifacts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_trial(tmp_path / "distributed" / "parameter-server-2w-1ps", "parameter-server-2w-1ps", 1)
    write_evaluations(tmp_path / "evaluations", [*TRIALS, ("parameter-server-2w-1ps", 1)])
    make_plan(trials=1).write(tmp_path / "run_info")
    inputs = {name: artifacts.pop(name) for name in ("run_info", "baselines", "distributed", "evaluations")}

    def describe(artifact: dsl.Artifact) -> dict[str, Any]:
        return {
            "name": artifact.name,
            "uri": artifact.uri,
            "metadata": {},
            "type": {"schemaTitle": artifact.schema_title},
        }

    executor_input = {
        "inputs": {
            "artifacts": {
                name: {"artifacts": [describe(a) for a in (given if isinstance(given, list) else [given])]}
                for name, given in inputs.items()
            }
        },
        "outputs": {
            "artifacts": {name: {"artifacts": [describe(artifact)]} for name, artifact in artifacts.items()},
            "outputFile": str(tmp_path / "executor_output.json"),
        },
    }
    Executor(executor_input, compare.python_func).execute()

    assert "\nRead with care: " in capsys.readouterr().out
    # KFP's launcher logs what the SDK leaves in this file, indented by two.
    logged = json.dumps(json.loads((tmp_path / "executor_output.json").read_text()), indent=2).splitlines()
    assert "speedup_parameter_server_2w_1ps" in "".join(logged)
    assert len(logged) < 60


def test_records_that_do_not_fit_end_the_step_with_one_message(tmp_path: Path, artifacts: dict[str, Any]) -> None:
    write_evaluations(tmp_path / "evaluations", TRIALS[:1])
    with pytest.raises(SystemExit, match=r"^error: .* lacks the evaluation of all-reduce-2w, trial 1"):
        compare.python_func(**artifacts)
