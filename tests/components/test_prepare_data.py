from pathlib import Path

import pytest
from kfp import dsl

from components.prepare_data import prepare_data
from model.data.dataset import PreparedDataset
from tests.components.plan_factory import make_plan


def write_plan(folder: Path, dataset: Path, max_train_images: int = 0) -> dsl.Artifact:
    make_plan(dataset=str(dataset), max_train_images=max_train_images).write(folder / "run.json")
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
