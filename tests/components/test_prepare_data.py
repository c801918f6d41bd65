from pathlib import Path

import pytest
from kfp import dsl

from components.prepare_data import prepare_data
from model.data.dataset import PreparedDataset


def test_the_step_leaves_a_prepared_data_set_and_says_which(npz: Path, tmp_path: Path) -> None:
    prepared = dsl.Dataset(uri=str(tmp_path / "prepared"))
    prepare_data.python_func(dataset=str(npz), max_train_images=60, loss="", prepared=prepared)
    opened = PreparedDataset.open(tmp_path / "prepared", verify=True)
    assert opened.split("train").count + opened.split("validation").count == 60
    assert prepared.metadata == {"name": "digits", "source": str(npz), "sha256": opened.sha256, "num_classes": 3}


def test_0_takes_all_training_images(npz: Path, tmp_path: Path) -> None:
    prepared = dsl.Dataset(uri=str(tmp_path / "prepared"))
    prepare_data.python_func(dataset=str(npz), max_train_images=0, loss="", prepared=prepared)
    opened = PreparedDataset.open(tmp_path / "prepared")
    assert opened.split("train").count + opened.split("validation").count == 120


def test_data_that_cannot_be_had_end_the_step_with_one_message(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: There is no file .*none\.npz"):
        prepare_data.python_func(
            dataset=str(tmp_path / "none.npz"),
            max_train_images=0,
            loss="",
            prepared=dsl.Dataset(uri=str(tmp_path / "out")),
        )
