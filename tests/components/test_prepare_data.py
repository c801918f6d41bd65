from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kfp import dsl

from components.prepare_data import prepare_data
from model.data.dataset import PreparedDataset
from tests.components.plan_factory import make_plan


def write_plan(folder: Path, dataset: Path, max_train_images: int = 0, **changes: Any) -> dsl.Artifact:
    make_plan(dataset=str(dataset), max_train_images=max_train_images, **changes).write(folder / "run.json")
    return dsl.Artifact(uri=str(folder / "run.json"))


def test_the_step_leaves_a_prepared_data_set_and_says_which(npz: Path, tmp_path: Path) -> None:
    prepared = dsl.Dataset(uri=str(tmp_path / "prepared"))
    prepare_data.python_func(dataset=str(npz), run_info=write_plan(tmp_path, npz, 60), prepared=prepared)
    opened = PreparedDataset.open(tmp_path / "prepared", verify=True)
    assert opened.split("train").count + opened.split("validation").count == 60
    assert prepared.metadata == {"name": "digits", "source": str(npz), "sha256": opened.sha256, "num_classes": 3}


def test_0_takes_all_training_images(npz: Path, tmp_path: Path) -> None:
    prepared = dsl.Dataset(uri=str(tmp_path / "prepared"))
    prepare_data.python_func(dataset=str(npz), run_info=write_plan(tmp_path, npz), prepared=prepared)
    opened = PreparedDataset.open(tmp_path / "prepared")
    assert opened.split("train").count + opened.split("validation").count == 120


def test_data_that_cannot_be_had_end_the_step_with_one_message(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, Path("mnist"))
    with pytest.raises(SystemExit, match=r"^error: There is no file .*none\.npz"):
        prepare_data.python_func(
            dataset=str(tmp_path / "none.npz"), run_info=plan, prepared=dsl.Dataset(uri=str(tmp_path / "out"))
        )


@pytest.mark.parametrize(
    ("shape", "labels", "refusal"),
    [
        ((600, 4), np.arange(600) % 3, "data that are no images of classes"),
        ((600, 8, 8), np.linspace(0, 1, 600), "data that are no images of classes"),
        ((120, 8, 8), np.arange(120) % 3, "at least 128 training images, its batch. Received: 110"),
    ],
)
def test_data_on_which_depth_cannot_be_studied_are_refused_before_anything_is_trained(
    tmp_path: Path, shape: tuple[int, ...], labels: np.ndarray, refusal: str
) -> None:
    x, file = np.random.default_rng(0).integers(0, 256, shape, np.uint8), tmp_path / "data.npz"
    np.savez(file, x_train=x, y_train=labels, x_test=x[:30], y_test=labels[:30])
    plan = write_plan(tmp_path, file, study_depth=True)
    with pytest.raises(SystemExit, match=f"^error: .*{refusal}.*Leave study_depth out"):
        prepare_data.python_func(dataset=str(file), run_info=plan, prepared=dsl.Dataset(uri=str(tmp_path / "out")))
