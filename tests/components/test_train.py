import json
from pathlib import Path

import pytest
from kfp import dsl

from components.planning.order import DISTRIBUTED, SINGLE_NODE, list_places
from components.train import train_distributed, train_single_node
from tests.components.plan_factory import make_plan


@pytest.fixture
def inputs(tmp_path: Path, fake_program: Path) -> dict[str, object]:
    for folder in ("prepared", "workspace"):
        (tmp_path / folder).mkdir()
    make_plan().write(tmp_path / "run_info")
    return {
        "iteration": 2,
        "workspace_path": str(tmp_path / "workspace"),
        "settings": "{}",
        "tfjob": "",
        "run_info": dsl.Artifact(uri=str(tmp_path / "run_info")),
        "prepared": dsl.Dataset(uri=str(tmp_path / "prepared")),
        "task_config": dsl.TaskConfig(),
    }


def finish_before(workspace: Path, iteration: int, step: str) -> None:
    """Lays ready what the other steps have finished when this one's turn comes."""
    for place in list_places(make_plan()):
        if (place.iteration, place.step) == (iteration, step):
            return
        (workspace / "finished" / place.name).mkdir(parents=True)


def test_the_step_runs_one_process_and_leaves_its_model(tmp_path: Path, inputs: dict[str, object]) -> None:
    finish_before(tmp_path / "workspace", 2, SINGLE_NODE)
    trained = dsl.Model(uri=str(tmp_path / "trained"))
    train_single_node.python_func(**inputs, trained=trained)
    launch = json.loads((tmp_path / "trained" / "single-t2" / "launch.json").read_text())
    assert [replica["name"] for replica in launch["replicas"]] == ["worker-0"]
    assert (launch["configuration"], launch["trial"], launch["backend"]) == ("single", 2, "local")
    assert (launch["round"], launch["place"]) == (2, 6)
    assert (tmp_path / "trained" / "single-t2" / "logs" / "worker-0.log").read_text() == "trained as alone\n"
    assert trained.metadata["single-t2"]["framework"] == "keras"


def test_a_training_that_fails_ends_the_step_with_its_last_lines(
    tmp_path: Path, inputs: dict[str, object], fake_program: Path
) -> None:
    finish_before(tmp_path / "workspace", 2, SINGLE_NODE)
    (fake_program / "train.py").write_text("import sys; print('the loss is not finite'); sys.exit(3)")
    with pytest.raises(SystemExit) as ended:
        train_single_node.python_func(**inputs, trained=dsl.Model(uri=str(tmp_path / "trained")))
    assert str(ended.value.code).startswith("error: Job single-t2-")
    assert str(ended.value.code).endswith("Last lines of worker-0:\n  the loss is not finite")
    assert not (tmp_path / "trained" / "single-t2" / "launch.json").exists()
    (mark,) = (tmp_path / "workspace" / "failed").iterdir()
    assert mark.name == "train-single-node-2"
    assert mark.read_text().splitlines()[0] == "single, trial 2"


def test_the_step_trains_every_distributed_configuration_of_two_rounds(
    tmp_path: Path, inputs: dict[str, object]
) -> None:
    inputs["iteration"] = 1
    finish_before(tmp_path / "workspace", 1, DISTRIBUTED)
    trained = dsl.Model(uri=str(tmp_path / "trained"))
    train_distributed.python_func(**inputs, trained=trained)
    launches = [json.loads(path.read_text()) for path in sorted((tmp_path / "trained").glob("*/launch.json"))]
    replicas = {"all-reduce-2w": ["worker-0", "worker-1"]}
    replicas["parameter-server-2w-1ps"] = ["chief-0", "worker-0", "worker-1", "ps-0"]
    assert {
        (launch["configuration"], launch["round"]): [r["name"] for r in launch["replicas"]] for launch in launches
    } == {(name, number): names for name, names in replicas.items() for number in (1, 2)}
    assert sorted(launch["place"] for launch in launches) == [2, 3, 4, 5]
    assert trained.metadata.keys() == {f"{name}-t{number}" for name in replicas for number in (1, 2)}


def test_a_step_for_which_no_trial_is_left_says_so_and_leaves_a_folder_that_a_store_keeps(
    tmp_path: Path, inputs: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    trained = dsl.Model(uri=str(tmp_path / "trained"))
    train_distributed.python_func(**inputs, trained=trained)
    assert capsys.readouterr().out.startswith("Nothing is left to train here")
    assert [path.name for path in (tmp_path / "trained").iterdir()] == ["README.txt"]
    assert trained.metadata == {}


def test_a_step_that_runs_again_repeats_no_trial_that_it_had_finished(
    tmp_path: Path, inputs: dict[str, object], fake_program: Path
) -> None:
    program = (fake_program / "train.py").read_text()
    inputs["iteration"] = 1  # whose order begins with the parameter server
    finish_before(tmp_path / "workspace", 1, DISTRIBUTED)
    (fake_program / "train.py").write_text(program + 'if "all_reduce" in sys.argv: sys.exit(3)')
    first, second = (dsl.Model(uri=str(tmp_path / f"trained-{number}")) for number in range(2))
    with pytest.raises(SystemExit, match="failed"):
        train_distributed.python_func(**inputs, trained=first)
    (fake_program / "train.py").write_text(program.replace("weights", "again"))

    train_distributed.python_func(**inputs, trained=second)

    models = {path.parent.name: path.read_text() for path in (tmp_path / "trained-1").glob("*/model.keras")}
    assert models == {
        "parameter-server-2w-1ps-t1": "weights",
        "all-reduce-2w-t1": "again",
        "all-reduce-2w-t2": "again",
        "parameter-server-2w-1ps-t2": "again",
    }


@pytest.mark.parametrize(
    ("task_config", "message"),
    [
        (dsl.TaskConfig(), "The replicas cannot mount the workspace"),
        (dsl.TaskConfig(resources={"limits": {"cpu": "2"}}), "The training steps must not be given cpu of their own"),
    ],
)
def test_in_a_pod_the_step_ends_before_it_trains_where_replicas_would_not_be_as_planned(
    tmp_path: Path,
    inputs: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    task_config: dsl.TaskConfig,
    message: str,
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    trained = dsl.Model(uri=str(tmp_path / "trained"))
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        train_distributed.python_func(**inputs | {"task_config": task_config}, trained=trained)
    assert not (tmp_path / "trained").exists()
