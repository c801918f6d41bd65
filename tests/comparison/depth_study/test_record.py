from pathlib import Path
from typing import Any

import pytest

from comparison.depth_study.record import Initial, read_study
from comparison.records import RecordError
from tests.comparison.study_factory import make_network, make_study, make_values, write_values


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    assert [network.model for network in study.networks] == ["resnet20", "plain20", "resnet56", "plain56"]
    assert study.depths == [56, 20]
    plain = study.find(56, has_shortcuts=False)
    assert (plain.model, plain.kind, plain.final_train_loss, plain.validation_accuracy) == ("plain56", "plain", 1, 0.97)
    bare = study.list_initials(has_batch_norm=False)
    assert [(network.model, initial.loss) for network, initial in bare][-1] == ("plain56", 1500)


@pytest.mark.parametrize(
    ("norms", "reading"),
    [
        ([1.0, 1.0], "changes little"),
        ([9.9, 1.0], "changes little"),
        ([10.0, 1.0], "grows"),
        ([99.0, 1.0], "grows"),
        ([100.0, 50.0, 1.0], "explodes"),
        ([1.0, 9.9], "changes little"),
        ([1.0, 10.0], "shrinks"),
        ([1.0, 100.0], "vanishes"),
        ([0.0, 1.0], "vanishes"),
        ([1e-7, 2e-7], "changes little"),
        ([0.0, 0.0], "is zero"),
        ([1.0, None, 1.0], "is not finite"),
        ([None, None], "is not finite"),
    ],
)
def test_gradients_are_called_by_the_ratio_of_first_and_last_norm(norms: list[float | None], reading: str) -> None:
    named = {f"convolution{index}": norm for index, norm in enumerate(norms)}
    assert Initial(has_batch_norm=True, loss=2.3, gradient_norms=named).reading == reading


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "must have schema_version 1. Received: 2"),
        ({"dataset": None}, "dataset must be str. Received: None"),
        ({"networks": []}, "a residual and a plain network of each depth. Received: nothing"),
        ({"networks": [make_network("plain20", 0.1, 1.0)]}, "each depth. Received: plain20"),
        ({"new": 1}, "Unknown: .'new'."),
    ],
)
def test_what_does_not_follow_the_schema_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write_values(make_values() | change, tmp_path / "study.json")
    with pytest.raises(RecordError, match=message):
        read_study(path)


def test_a_network_without_its_gradients_is_refused(tmp_path: Path) -> None:
    values = make_values()
    values["networks"][1]["initial"].pop()
    with pytest.raises(RecordError, match="gradients of plain20 with and without BatchNorm"):
        read_study(write_values(values, tmp_path / "study.json"))
    values = make_values()
    values["networks"][2]["initial"][0]["gradient_norms"] = {}
    with pytest.raises(RecordError, match="no gradient norms of resnet56"):
        read_study(write_values(values, tmp_path / "study.json"))
