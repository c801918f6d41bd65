import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.components.fake_backend import FakeBackend, read_option
from tests.components.plan_factory import make_plan
from tests.components.trials.one_trial import get_command, read_launch, run
from tfjob.backend import ANYWHERE, JobResult, Placement
from tfjob.errors import (
    JobCancelled,
)

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas.md"


def count_replicas(manifest: Any) -> dict[str, int]:
    return {name: replica["replicas"] for name, replica in manifest["spec"]["tfReplicaSpecs"].items()}


def test_a_trial_leaves_model_records_and_logs(dataset: Path, tmp_path: Path) -> None:
    run(make_plan(), dataset, tmp_path, index=1)
    folder = tmp_path / "out" / "all-reduce-2w"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "launch.json",
        "logs/worker-0.log",
        "logs/worker-1.log",
        "model.keras",
        "training.json",
    ]


def test_launch_json_has_the_keys_that_the_schema_names(dataset: Path, tmp_path: Path) -> None:
    run(make_plan(), dataset, tmp_path, trial=2)
    launch = read_launch(tmp_path / "out" / "single")
    section = SCHEMAS.read_text().partition("## `launch.json`")[2]
    documented = json.loads(section.partition("```json")[2].partition("```")[0])
    assert launch.keys() == documented.keys()
    assert launch["replicas"][0].keys() == documented["replicas"][0].keys()
    assert (launch["configuration"], launch["trial"], launch["run_id"]) == ("single", 2, "run-1")
    assert (launch["image"], launch["cpus_per_replica"]) == (None, 1.0)


@pytest.mark.parametrize(
    ("index", "replicas", "success_policy"),
    [
        (0, {"Worker": 1}, ""),
        (1, {"Worker": 2}, "AllWorkers"),
        (2, {"Chief": 1, "PS": 1, "Worker": 2}, ""),
    ],
)
def test_each_strategy_has_its_replicas_and_policies(
    dataset: Path, tmp_path: Path, index: int, replicas: dict[str, int], success_policy: str
) -> None:
    (manifest,) = run(make_plan(), dataset, tmp_path, index=index).manifests
    assert count_replicas(manifest) == replicas
    assert manifest["spec"]["successPolicy"] == success_policy
    assert manifest["spec"]["runPolicy"]["activeDeadlineSeconds"] == 3600
    assert {replica["restartPolicy"] for replica in manifest["spec"]["tfReplicaSpecs"].values()} == {"ExitCode"}


def test_every_replica_may_use_the_same_whatever_the_strategy(dataset: Path, tmp_path: Path) -> None:
    backend = FakeBackend()
    plan = make_plan(cpus_per_replica=2.0)
    for index in range(3):
        run(plan, dataset, tmp_path, index=index, backend=backend)
    containers = [
        replica["template"]["spec"]["containers"][0]
        for manifest in backend.manifests
        for replica in manifest["spec"]["tfReplicaSpecs"].values()
    ]
    assert [container["resources"]["limits"] for container in containers] == [{"cpu": "2", "memory": "2Gi"}] * 5


def test_a_trial_is_the_training_program_with_its_own_seed(dataset: Path, tmp_path: Path) -> None:
    (manifest,) = run(make_plan(), dataset, tmp_path, index=1, trial=2).manifests
    command = get_command(manifest)
    assert command[:3] == ["python", "-m", "model.train"]
    assert read_option(command, "--seed") == "8"
    assert read_option(command, "--data-dir") == str(tmp_path / "workspace" / "dataset")
    assert read_option(command, "--output-dir") == str(tmp_path / "workspace" / "all-reduce-2w-t2")


def test_the_first_core_changes_with_the_round_and_is_the_same_for_all_configurations_of_it(
    dataset: Path, tmp_path: Path
) -> None:
    backend = FakeBackend()
    for index, trial in ((0, 1), (1, 1), (0, 2), (1, 2)):
        run(make_plan(), dataset, tmp_path, index=index, trial=trial, backend=backend)
    assert [placement.first_core for placement in backend.placements] == [0, 0, 1, 1]


def test_a_trial_prints_which_one_it_is_and_what_the_program_says(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(make_plan(), dataset, tmp_path, trial=2, backend=FakeBackend(["epoch 1/2 done", "I0000 00:00:1 a.cc:1] hm"]))
    assert capsys.readouterr().out.splitlines() == ["== single, trial 2, round 2 of 2", "[worker-0] epoch 1/2 done"]


def list_files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_trial_is_taken_and_not_trained_again_and_the_next_one_tells_of_the_interruption(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(make_plan(), dataset, tmp_path)
    before = list_files(tmp_path / "out" / "single")
    shutil.rmtree(tmp_path / "out")
    capsys.readouterr()

    again = FakeBackend()
    for index in range(3):
        run(make_plan(), dataset, tmp_path, index=index, backend=again)

    assert len(again.manifests) == 2
    assert list_files(tmp_path / "out" / "single") == before
    assert capsys.readouterr().out.splitlines()[:2] == [
        "== single, trial 1, round 1 of 2",
        "Finished before the interruption: its results are taken, it is not trained again.",
    ]
    resumed = {path.name: read_launch(path)["resumed"] for path in (tmp_path / "out").iterdir()}
    assert resumed == {"single": False, "all-reduce-2w": True, "parameter-server-2w-1ps": False}


def test_a_trial_of_another_round_or_of_which_half_was_kept_is_trained(dataset: Path, tmp_path: Path) -> None:
    run(make_plan(), dataset, tmp_path, trial=2)
    shutil.rmtree(tmp_path / "out")
    torn = tmp_path / "workspace" / "finished.partial" / "single-t1"
    torn.mkdir(parents=True)
    (torn / "launch.json").write_text("{")

    assert len(run(make_plan(), dataset, tmp_path).manifests) == 1
    assert sorted(path.name for path in (tmp_path / "workspace" / "finished").iterdir()) == ["single-t1", "single-t2"]
    assert [*torn.parent.iterdir()] == []


def test_a_trial_that_failed_is_not_kept(dataset: Path, tmp_path: Path) -> None:
    class FailingBackend(FakeBackend):
        def run(
            self, manifest: Any, *, log_dir: Path, on_event: Any, placement: Placement = ANYWHERE, **more: Any
        ) -> JobResult:
            super().run(manifest, log_dir=log_dir, on_event=on_event, placement=placement)
            raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        run(make_plan(), dataset, tmp_path, backend=FailingBackend())
    assert not (tmp_path / "workspace" / "finished").exists()
