import json
from pathlib import Path
from typing import Any

import pytest

from components.planning.names import name_trial
from components.planning.parameters import Parameters
from components.planning.plan import RunPlan
from components.planning.programs.own_loop import OwnLoop, count_queue_seconds, print_readable
from components.planning.programs.program import Assignment
from tests.components.fake_backend import make_training
from tests.components.plan_factory import make_plan
from tfjob.backend import JobResult, ReplicaResult


def build(plan: RunPlan, configuration: Any, folder: str, round_number: int) -> Any:
    assignment = Assignment(
        run_id=plan.run_id,
        configuration=configuration,
        baseline=plan.configurations[0],
        trial=round_number,
        round_number=round_number,
        place=1,
        data_dir=Path("data"),
        output_dir=Path("workspace", folder),
        finished=Path("workspace", "finished"),
    )
    return plan.program.begin(assignment).manifest


def test_a_jobs_name_follows_from_run_configuration_and_trial() -> None:
    def name(run_id: str, index: int, trial: int) -> str:
        plan = make_plan(run_id)
        configuration = plan.configurations[index]
        job = build(plan, configuration, name_trial(configuration.name, trial), trial)
        return str(job["metadata"]["name"])

    names = {name(run_id, index, trial) for run_id in ("a", "b") for index in range(3) for trial in (1, 2)}
    assert len(names) == 2 * 3 * 2
    assert name("a", 1, 0) == name("a", 1, 0)


def test_a_large_jobs_name_is_short_enough_for_the_operator() -> None:
    plan = make_plan(run_id="a-very-long-run-identifier" * 5, workers=[128], num_ps=16, global_batch_size=1024)
    job = build(plan, plan.distributed[1], "parameter-server-128w-16ps-t1000-2", 99)
    assert job["metadata"]["name"].startswith("parameter-server-128w-16ps-t1000-2-")
    assert len(job["metadata"]["name"]) <= 50


def test_the_data_are_staged_once_and_only_when_whole(tmp_path: Path) -> None:
    dataset, workspace = tmp_path / "prepared", tmp_path / "workspace"
    dataset.mkdir()
    (dataset / "manifest.json").write_text("{}")
    (workspace / "dataset.partial").mkdir(parents=True)
    (workspace / "dataset.partial" / "broken").touch()
    assert OwnLoop(Parameters()).stage(dataset, workspace) == workspace / "dataset"
    (dataset / "manifest.json").write_text('{"later": true}')
    OwnLoop(Parameters()).stage(dataset, workspace)
    assert [path.name for path in workspace.iterdir()] == ["dataset"]
    assert {path.name: path.read_text() for path in (workspace / "dataset").iterdir()} == {"manifest.json": "{}"}


@pytest.mark.parametrize(
    "line",
    [
        "[worker-0] WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "[worker-0] I0000 00:00:1795457185.409632   28913 port.cc:153] oneDNN custom operations are on.",
        "[worker-0] E0000 00:00:1795457250.095109   29283 cuda_platform.cc:52] failed call to cuInit: INTERNAL",
        "[ps-0] W1123 18:00:53.000000 12 context.cc:1] deprecated",
        "[worker-0] ",
    ],
)
def test_the_runtimes_talk_about_itself_is_hidden(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_readable(line)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "line",
    [
        "[worker-0] epoch 1/1 done: loss 1.435, validation accuracy 84.20% after 1.4 s of training",
        "[worker-0] error: the loss is not finite",
        "[worker-0] Error in step 3",
        "[worker-0] WARNING: this matters",
        "Restarting: worker-0 ended (killed by SIGUSR1); restart 1 in 0 s",
    ],
)
def test_the_programs_own_lines_are_shown(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_readable(line)
    assert capsys.readouterr().out == line + "\n"


def test_a_models_metadata_are_a_few_figures_of_its_training(tmp_path: Path) -> None:
    training = make_training()
    (tmp_path / "training.json").write_text(json.dumps(training))
    assert OwnLoop(Parameters()).describe(tmp_path) == {
        "framework": "keras",
        "model": "resnet8",
        "num_parameters": 77754,
        "epochs": 2,
        "train_seconds": 60.0,
        "images_per_second": training["images_per_second"],
        "validation_accuracy": 0.99,
    }


@pytest.mark.parametrize(
    ("backend", "restarts", "told", "queue_seconds"),
    [("kubernetes", 0, 2, 2.75), ("kubernetes", 1, 2, 2.0), ("kubernetes", 0, 1, 2.0), ("local", 0, 2, 2.0)],
)
def test_the_queue_ends_when_the_last_replica_began_which_it_knows_better_than_its_pod(
    backend: str, restarts: int, told: int, queue_seconds: float
) -> None:
    replicas = [ReplicaResult(f"worker-{i}", "worker", i, restarts * i, 0, [], 102.0, 150.0) for i in range(2)]
    result = JobResult("mnist", backend, 2.0, 1.0, 0.0, 60.0, False, [], replicas, 100.0, 160.0)
    records = [{"recorded_at": 150.0, "age_seconds": 47.25 + i} for i in range(told)]
    assert count_queue_seconds(result, {"replicas": [*records, *[{}] * (2 - told)]}) == queue_seconds
