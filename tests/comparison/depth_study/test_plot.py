import math
import re
from pathlib import Path

import pytest

from comparison.depth_study.plot import plot_gradients, plot_losses, smooth
from comparison.depth_study.record import read_study
from tests.comparison.study_factory import make_study, make_values, write_values


def test_a_line_is_the_mean_of_the_last_ten_steps() -> None:
    assert smooth([3.0]) == [3]
    assert smooth([1.0, 2.0, 6.0]) == pytest.approx([1, 1.5, 3])
    assert smooth([100.0, *[2.0] * 10])[-1] == pytest.approx(2)
    assert smooth([]) == []


def test_the_plots_name_every_network_and_tell_the_figures_to_who_cannot_see(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    losses, gradients = plot_losses(study), plot_gradients(study, has_batch_norm=True)
    for svg in (losses, gradients):
        texts = set(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
        assert texts >= {"resnet20", "plain20", "resnet56", "plain56"}
    assert "at the end resnet20 0.125, plain20 0.1, resnet56 0.125, plain56 1" in losses
    assert "with BatchNorm: resnet20 8 to 4, plain20 0.2 to 4" in gradients
    assert "without BatchNorm: resnet20 0.5 to 0.5" in plot_gradients(study, has_batch_norm=False)


def test_axes_are_logarithmic_with_numbers_written_out(tmp_path: Path) -> None:
    svg = plot_gradients(make_study(tmp_path, ratios={"plain56": 1e5}), has_batch_norm=True)
    texts = set(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    assert texts >= {"1", "10", "100", "1000", "10000", "100000"}


def test_what_is_not_finite_leaves_a_gap(tmp_path: Path) -> None:
    study = make_study(tmp_path, losses={"plain56": None})
    for network in study.networks:
        for initial in network.initial:
            initial.gradient_norms.update(dict.fromkeys(initial.gradient_norms, None))
    assert "plain56 diverged" in plot_losses(study)
    assert math.isnan(study.networks[0].initial[0].norms[0])
    assert "</svg>" in plot_gradients(study, has_batch_norm=True)


def test_a_training_that_diverged_at_once_has_no_line(tmp_path: Path) -> None:
    values = make_values({"plain56": None})
    values["networks"][3]["train_losses"] = []
    assert "plain56 diverged" in plot_losses(read_study(write_values(values, tmp_path / "study.json")))
