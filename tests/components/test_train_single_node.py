import json
from pathlib import Path

import pytest
from kfp import dsl

from components.train_single_node import train_single_node
from tests.components.plan_factory import make_plan


@pytest.fixture
def inputs(tmp_path: Path, fake_program: Path) -> dict[str, object]:
    for folder in ("prepared", "workspace"):
        (tmp_path / folder).mkdir()
    make_plan().write(tmp_path / "run_info")
    return {
        "trial": 2,
        "workspace_path": str(tmp_path / "workspace"),
        "run_info": dsl.Artifact(uri=str(tmp_path / "run_info")),
        "prepared": dsl.Dataset(uri=str(tmp_path / "prepared")),
        "task_config": dsl.TaskConfig(),
    }


def test_the_step_runs_one_process_and_leaves_its_model(tmp_path: Path, inputs: dict[str, object]) -> None:
    trained = dsl.Model(uri=str(tmp_path / "trained"))
    train_single_node.python_func(**inputs, trained=trained)
    launch = json.loads((tmp_path / "trained" / "single" / "launch.json").read_text())
    assert [replica["name"] for replica in launch["replicas"]] == ["worker-0"]
    assert (launch["configuration"], launch["trial"], launch["backend"]) == ("single", 2, "local")
    assert (tmp_path / "trained" / "single" / "logs" / "worker-0.log").read_text() == "trained as alone\n"
    assert trained.metadata["single"]["framework"] == "keras"


def test_a_training_that_fails_ends_the_step_with_its_last_lines(
    tmp_path: Path, inputs: dict[str, object], fake_program: Path
) -> None:
    (fake_program / "train.py").write_text("import sys; print('the loss is not finite'); sys.exit(3)")
    with pytest.raises(SystemExit) as ended:
        train_single_node.python_func(**inputs, trained=dsl.Model(uri=str(tmp_path / "trained")))
    assert str(ended.value.code).startswith("error: Job single-t2-")
    assert str(ended.value.code).endswith("Last lines of worker-0:\n  the loss is not finite")
    assert not (tmp_path / "trained" / "single" / "launch.json").exists()
