import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.plan_comparison import plan_comparison
from components.planning import Parameters, hand_over, hide_secrets
from components.planning.form import fill_form, read_form
from components.planning.plan import RUN_ID_VARIABLE, RunPlan
from tests.components.plan_factory import GIVEN, PARAMETERS


@pytest.fixture(autouse=True)
def _unnamed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_ID_VARIABLE, raising=False)


def test_the_step_writes_the_plan_and_hands_on_what_other_steps_need(tmp_path: Path) -> None:
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    form = fill_form(GIVEN) | {"trials": 3, "settings": '{"seed": 7, "max_train_images": 600, "loss": "huber"}'}
    outputs = plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **form)
    plan = RunPlan.read(tmp_path / "run_info")
    assert outputs == ([1, 2, 3], 7)
    assert (plan.run_id, plan.parameters) == ("job-1", read_form(form))


def test_run_json_has_all_parameters_side_by_side_as_it_ever_had(tmp_path: Path) -> None:
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **fill_form(GIVEN))
    assert json.loads((tmp_path / "run_info").read_text())["parameters"] == PARAMETERS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": [3.0]}, "global_batch_size must be divisible by the number of workers. Received: 128 and 3."),
        ({"workers": [None]}, "workers must be a list of whole numbers. Received: [None]."),
        ({"settings": "{seed: x}"}, "settings.seed must be a whole number. Received: 'x'."),
    ],
)
def test_a_refused_parameter_ends_the_step_with_one_message_and_no_plan(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    with pytest.raises(SystemExit) as ended:
        plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **fill_form(GIVEN) | changes)
    assert ended.value.code == f"error: {message}"
    assert not (tmp_path / "run_info").exists()


def test_gpus_that_this_machine_has_not_are_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # wherever this test runs
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    with pytest.raises(SystemExit) as ended:
        plan_comparison.python_func(
            pipeline_job_id="job-1", run_info=run_info, **fill_form(GIVEN) | {"gpus_per_replica": 1}
        )
    assert str(ended.value.code).startswith("error: 1 replica asks for 1 GPU, and this machine has none: leave gpus_")
    assert not (tmp_path / "run_info").exists()


def test_settings_that_have_no_effect_on_this_machine_are_told_in_a_line_of_each_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    settings = {"settings": '{"job": {"node_selector": {"pool": "cpu"}, "env": {"A": 1}}}'}
    plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **fill_form(GIVEN) | settings)
    assert capsys.readouterr().out.splitlines() == [
        "Warning: on this machine these have no effect: image",
        "Warning: on this machine these job_settings have no effect: node_selector",
    ]


def test_what_is_hidden_of_a_persons_manifest_is_doubted_and_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = [{"name": "NUM_WORKERS", "value": "2"}, {"name": "KEY", "value": "hush-hush"}]
    container = {"name": "tensorflow", "image": "a:1", "command": ["python", "-c", "print(1)"], "env": env}
    replica = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    job = {"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "metadata": {"name": "a"}}
    manifest = json.dumps(job | {"spec": {"tfReplicaSpecs": {"Worker": replica}}})
    whole = Parameters(tfjob=manifest, command="python -c 'print(1)'", workers=[2])
    for name, value in hand_over(whole).items():
        monkeypatch.setenv(name, value)
    run_info = dsl.Artifact(uri=str(tmp_path / "run_info"))
    plan_comparison.python_func(pipeline_job_id="job-1", run_info=run_info, **fill_form(hide_secrets(whole)))
    assert 'NUM_WORKERS: "2" does not follow the number of workers' in capsys.readouterr().out
    assert "hush-hush" not in (tmp_path / "run_info").read_text()
