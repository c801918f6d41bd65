from pathlib import Path

import pytest
from kfp import dsl

from components.plan_comparison import plan_comparison
from components.run_plan import RUN_ID_VARIABLE, RunPlan
from tests.components.plan_factory import PARAMETERS


@pytest.fixture(autouse=True)
def _unnamed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_ID_VARIABLE, raising=False)


def test_the_step_writes_the_plan_and_returns_the_rounds_numbers(tmp_path: Path) -> None:
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    numbers = plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **PARAMETERS | {"trials": 3})
    plan = RunPlan.read(tmp_path / "run_info")
    assert numbers == [1, 2, 3]
    assert (plan.run_id, vars(plan.parameters)) == ("job-1", PARAMETERS | {"trials": 3})


def test_a_refused_parameter_ends_the_step_with_one_message_and_no_plan(tmp_path: Path) -> None:
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    with pytest.raises(SystemExit) as ended:
        plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **PARAMETERS | {"workers": [3.0]})
    assert ended.value.code == (
        "error: global_batch_size must be divisible by the number of workers. Received: 128 and 3."
    )
    assert not (tmp_path / "run_info").exists()
