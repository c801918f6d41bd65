import json
from pathlib import Path

import numpy as np
import pytest
from kfp import dsl

from components.evaluate import evaluate
from model.data.dataset import PreparedDataset
from model.prepare import prepare
from tests.components.plan_factory import make_plan
from tests.components.trial_folders import write_trial

pytestmark = pytest.mark.slow


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedDataset:
    images, labels = np.zeros((120, 8, 8), np.uint8), np.arange(120) % 3
    np.savez(tmp_path / "digits.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    return prepare(str(tmp_path / "digits.npz"), tmp_path / "prepared")


def run(prepared: PreparedDataset, tmp_path: Path) -> Path:
    evaluations = tmp_path / "evaluations"
    (tmp_path / "workspace").mkdir()
    make_plan().write(tmp_path / "run.json")
    evaluate.python_func(
        workspace_path=str(tmp_path / "workspace"),
        run_info=dsl.Artifact(uri=str(tmp_path / "run.json")),
        prepared=dsl.Dataset(uri=str(prepared.directory)),
        baselines=[dsl.Model(uri=str(tmp_path / "baseline"))],
        distributed=[dsl.Model(uri=str(tmp_path / "distributed"))],
        evaluations=dsl.Dataset(uri=str(evaluations)),
        single_confusion=dsl.ClassificationMetrics(),
        all_reduce_confusion=dsl.ClassificationMetrics(),
        parameter_server_confusion=dsl.ClassificationMetrics(),
    )
    return evaluations


def save_model(folder: Path, prepared: PreparedDataset) -> None:
    from model.networks.registry import build_model  # noqa: PLC0415 - imports TensorFlow
    from model.strategies.step import FlatModel  # noqa: PLC0415
    from model.training.state import hash_weights  # noqa: PLC0415

    model = build_model("resnet8", prepared.input_shape, prepared.num_labels, {"width": 4})
    model.save(folder / "model.keras")
    flat = FlatModel.wrap(model)
    training = json.loads((folder / "training.json").read_text()) | {
        "dataset_sha256": prepared.sha256,
        "weights_sha256": hash_weights(flat.initial_weights(), flat.initial_statistics()),
        "model_arguments": '{"width": 4}',
    }
    (folder / "training.json").write_text(json.dumps(training))


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)  # Keras saves so
def test_every_model_gets_a_line_of_its_own(
    prepared: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, name in (("baseline", "single"), ("distributed", "all-reduce-2w")):
        write_trial(tmp_path / place / name, name, 1)
        save_model(tmp_path / place / name, prepared)
    evaluations = [json.loads(line) for line in run(prepared, tmp_path).read_text().splitlines()]
    assert [(e["configuration"], e["trial"], e["n_examples"]) for e in evaluations] == [
        ("single", 1, 30),
        ("all-reduce-2w", 1, 30),
    ]
    assert (tmp_path / "workspace" / "handed-out").exists()
    assert "single, trial 1: test accuracy 33.33%" in capsys.readouterr().out.splitlines()


def test_a_model_of_other_data_ends_the_step_with_one_message(prepared: PreparedDataset, tmp_path: Path) -> None:
    write_trial(tmp_path / "baseline" / "single", "single", 1)
    with pytest.raises(SystemExit, match=r"^error: .* was trained on the data dddd"):
        run(prepared, tmp_path)
