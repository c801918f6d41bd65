import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.dataset import PreparedDataset
from model.depth_study import (
    StudyConfig,
    main,
    measure_gradients,
    measure_norms,
    study_network,
    take_subset,
    train_network,
)
from model.networks.resnet import build_resnet
from model.strategies.rendezvous import build_flat
from model.strategies.step import FlatModel
from model.training.task import Task
from tests.model.replicas import read_schema

pytestmark = pytest.mark.slow

TINY = StudyConfig(
    depths=(8,), width=2, num_train_images=48, num_validation_images=12, epochs=2, global_batch_size=16, seed=3
)


@pytest.fixture
def subset(noise: PreparedDataset, tmp_path: Path) -> PreparedDataset:
    return take_subset(noise, tmp_path, TINY)


def wrap(model: str, dataset: PreparedDataset, *, has_batch_norm: bool = True) -> FlatModel:
    return build_flat(Task(TINY.training(model, has_batch_norm=has_batch_norm), dataset))


def test_the_subset_has_of_each_class_its_share_and_no_test_split(
    noise: PreparedDataset, subset: PreparedDataset
) -> None:
    for name, count in (("train", 48), ("validation", 12)):
        split, whole = subset.split(name), noise.split(name)
        assert np.bincount(split.labels).tolist() == [count // 3] * 3
        known = {(image.tobytes(), label) for image, label in zip(whole.images, whole.labels, strict=True)}
        assert {(image.tobytes(), label) for image, label in zip(split.images, split.labels, strict=True)} <= known
    with pytest.raises(KeyError):
        subset.split("test")
    assert noise.split("train").count > 48  # the whole is as it was


def test_a_subset_without_images_is_refused(noise: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"num_train_images must be at least 1. Received: 0\."):
        take_subset(noise, tmp_path, dataclasses.replace(TINY, num_train_images=0))


def test_a_subset_is_never_larger_than_the_data(noise: PreparedDataset, tmp_path: Path) -> None:
    subset = take_subset(noise, tmp_path, StudyConfig())
    assert subset.split("train").count == noise.split("train").count


def test_networks_differ_in_nothing_but_their_name() -> None:
    residual, plain = (TINY.training(model) for model in TINY.models)
    assert dataclasses.replace(residual, model="plain8") == plain


def test_without_batch_norm_each_convolution_has_a_bias() -> None:
    model = build_resnet((8, 8, 1), 3, depth=14, width=2, has_batch_norm=False)
    assert not model.non_trainable_variables
    assert not [layer for layer in model.layers if layer.name.endswith("_bn")]
    convolutions = [layer for layer in model.layers if layer.name.endswith("_conv")]
    assert len(convolutions) == 13 + 2
    assert all(layer.use_bias for layer in convolutions)
    assert not any(layer.use_bias for layer in build_resnet((8, 8, 1), 3, depth=8).layers if "_conv" in layer.name)


def test_gradients_are_listed_by_depth_for_both_families_alike(subset: PreparedDataset) -> None:
    expected = ["stem", *(f"stage{stage}_block1_{half}" for stage in (1, 2, 3) for half in (1, 2))]
    for model in TINY.models:
        for has_batch_norm in (True, False):
            flat = wrap(model, subset, has_batch_norm=has_batch_norm)
            measured = measure_gradients(flat, Task(TINY.training(model), subset))
            assert list(measured["gradient_norms"]) == expected
            assert all(norm > 0 for norm in measured["gradient_norms"].values())
            assert 0.5 < measured["loss"] < 5


def test_norms_are_those_of_each_parameters_own_part(subset: PreparedDataset) -> None:
    flat = wrap("plain8", subset)
    gradient = np.zeros(flat.num_parameters, np.float32)
    first = int(np.prod(flat.model.trainable_variables[0].shape))
    gradient[:first] = 2.0
    gradient[-1] = 3.0
    norms = measure_norms(flat, gradient)
    assert norms.pop("stem_conv/kernel") == pytest.approx(2 * first**0.5)
    assert norms.pop("logits/bias") == 3
    assert not any(norms.values())


def test_the_gradients_do_not_hold_the_weight_decay(subset: PreparedDataset) -> None:
    flat = wrap("resnet8", subset)
    measured = [
        measure_gradients(flat, Task(dataclasses.replace(TINY, weight_decay=decay).training("resnet8"), subset))
        for decay in (0.0, 1.0)
    ]
    assert measured[0] == measured[1]


def test_a_training_that_diverges_ends_there_and_says_so(subset: PreparedDataset) -> None:
    config = dataclasses.replace(TINY.training("plain8"), learning_rate=1e30)
    record = train_network(wrap("plain8", subset), Task(config, subset))
    assert record["final_train_loss"] is None
    assert record["diverged_at_step"] == len(record["train_losses"]) < 6
    assert np.isfinite(record["train_losses"]).all()
    assert 0 <= record["validation_n_correct"] <= record["validation_n_examples"] == 12


def test_one_seed_gives_one_study_of_a_network(subset: PreparedDataset) -> None:
    def measure(config: StudyConfig) -> dict[str, Any]:
        record = study_network("resnet8", config, subset)
        return {name: value for name, value in record.items() if not name.endswith("_seconds")}

    first = measure(TINY)
    assert measure(TINY) == first
    assert measure(dataclasses.replace(TINY, seed=4))["train_losses"] != first["train_losses"]
    assert len(first["train_losses"]) == 2 * (48 // 16)


def test_the_program_writes_what_the_schema_says(
    noise: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "depth_study.json"
    options = ["--data-dir", str(noise.directory), "--output-file", str(path), "--epochs=1"]
    assert main(options, default=TINY) == 0
    study = json.loads(path.read_text())
    assert [network["model"] for network in study["networks"]] == ["resnet8", "plain8"]
    assert study["settings"] | {"depths": [8], "num_train_images": 48, "num_validation_images": 12} == study["settings"]
    schema = read_schema("depth_study.json")
    for name in {*study, *study["networks"][0], *study["networks"][0]["initial"][0], *study["settings"]}:
        assert f'"{name}"' in schema
    assert f"studied in {study['total_seconds']:.0f} s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depths", "9"], "Unknown model."),
        ([], "at least 128 training images, its batch. Received: 64."),
        (["--epochs", "0"], "epochs must be at least 1. Received: 0."),
    ],
)
def test_a_setting_that_cannot_be_ends_the_program_with_one_message(
    noise: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["--data-dir", str(noise.directory), "--output-file", str(tmp_path / "x.json"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()
