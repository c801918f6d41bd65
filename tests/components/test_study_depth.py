import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kfp import dsl

from components.study_depth import study_depth
from model import depth_study
from model.depth_study import StudyConfig
from model.prepare import prepare

pytestmark = pytest.mark.slow


def run(directory: Path, tmp_path: Path) -> tuple[Path, Path]:
    page, study = tmp_path / "page", tmp_path / "study"
    study_depth.python_func(
        prepared=dsl.Dataset(uri=str(directory)),
        seed=1,
        page=dsl.HTML(uri=str(page)),
        study=dsl.Dataset(uri=str(study)),
    )
    return page, study


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[StudyConfig]:
    """What the step asks for. It gets a study of shallow, narrow networks: deep ones take minutes to build."""
    asked_for: list[StudyConfig] = []
    measure = depth_study.measure_study

    def measure_shallow(data_dir: Path, config: StudyConfig) -> dict[str, Any]:
        asked_for.append(config)
        return measure(data_dir, replace(config, depths=(8, 14), width=2))

    monkeypatch.setattr(depth_study, "measure_study", measure_shallow)
    return asked_for


def test_the_step_writes_the_study_and_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked_for: list[StudyConfig]
) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (160, 8, 8), np.uint8), np.arange(160) % 4
    np.savez(tmp_path / "digits.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    page, study = run(prepare(str(tmp_path / "digits.npz"), tmp_path / "prepared").directory, tmp_path)
    measured = json.loads(study.read_text())
    assert [config.models for config in asked_for] == [["resnet20", "plain20", "resnet56", "plain56"]]
    assert [network["model"] for network in measured["networks"]] == ["resnet8", "plain8", "resnet14", "plain14"]
    assert measured["settings"]["seed"] == 1
    sentence = capsys.readouterr().out.splitlines()[-1]
    assert sentence.startswith("After 3 steps on 147 images of digits, one seed: at 14 layers ")
    assert sentence in html.unescape(page.read_text())


def test_data_that_are_not_prepared_end_the_step_with_one_message(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: .*manifest.json cannot be read"):
        run(tmp_path, tmp_path)
