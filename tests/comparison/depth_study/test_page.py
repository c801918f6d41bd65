import html
import re
from pathlib import Path

import pytest

from comparison.depth_study.page import main, render_study, state_depths, state_gradients, state_losses
from tests.comparison.page.html_parser import list_unclosed
from tests.comparison.study_factory import make_network, make_study, make_values, write_values


def test_the_sentence_says_which_family_ends_lower_and_by_how_much(tmp_path: Path) -> None:
    assert state_losses(make_study(tmp_path)) == (
        "After 4 steps on 10,000 images of mnist, one seed: "
        "at 56 layers plain ends at 8.0× residual's training loss (1.00 against 0.125); "
        "at 20 layers residual ends at 1.2× plain's training loss "
        "(0.125 against 0.100, too close for one seed to settle)."
    )


def test_a_training_that_diverged_has_no_ratio(tmp_path: Path) -> None:
    study = make_study(tmp_path, losses={"plain56": None})
    assert "at 56 layers plain56 diverged at step 2 and resnet56 ended at a training loss of 0.125;" in (
        state_losses(study)
    )
    assert "plain: plain20 ended at a training loss of 0.100 and plain56 diverged at step 2." in state_depths(study)[0]


def test_degradation_is_a_loss_that_at_least_doubles_with_depth(tmp_path: Path) -> None:
    assert state_depths(make_study(tmp_path)) == [
        "From 20 to 56 layers, plain: the training loss rises to 10× (0.100 to 1.00): degradation.",
        "From 20 to 56 layers, residual: the training loss falls (0.125 to 0.125, too close for one seed to settle).",
    ]
    plain, residual = state_depths(make_study(tmp_path, losses={"plain56": 0.15, "resnet56": 0.05}))
    assert plain.endswith("the training loss rises to 1.5× (0.100 to 0.150, too close for one seed to settle).")
    assert residual.endswith("the training loss falls (0.125 to 0.0500).")


def test_gradients_are_told_with_their_ratio(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    sentence = state_gradients(study, has_batch_norm=True)
    assert sentence.endswith(
        "with BatchNorm and before the training: resnet20 2.0× (changes little), plain20 0.050× (shrinks), "
        "resnet56 10× (grows), plain56 200× (explodes)."
    )
    assert "vanish" not in sentence
    assert "without BatchNorm" in state_gradients(study, has_batch_norm=False)


def test_a_study_of_one_depth_says_nothing_about_depth(tmp_path: Path) -> None:
    values = make_values() | {"networks": [make_network("resnet20", 0.1, 2.0), make_network("plain20", 0.0, 2.0)]}
    path = write_values(values, tmp_path / "study.json")
    assert main([str(path)]) == 0
    page = html.unescape(path.with_suffix(".html").read_text())
    assert "at 20 layers residual ends at –× plain's training loss (0.100 against 0)" in page
    assert "From 20" not in page


def test_the_page_is_one_file_that_fetches_nothing_and_closes_its_elements(tmp_path: Path) -> None:
    page = render_study(make_study(tmp_path))
    assert not re.findall(r"<script|<link|<iframe|<img|@import|url\((?!#)", page)
    assert list_unclosed(page) == []


def test_the_page_shows_sentence_plots_and_tables(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    page = html.unescape(render_study(study))
    assert state_losses(study) in page
    assert page.count("<svg ") == 3
    assert "prefers-color-scheme: dark" in page
    assert page.count('<th scope="row">plain56</th>') == 3
    assert "<td>200</td><td>explodes</td>" in page
    assert "Guessing among 10 classes has a loss of 2.30." in page
    assert "memory</dt><dd>16.0 GiB" in page


def test_what_a_person_named_is_escaped(tmp_path: Path) -> None:
    path = write_values(make_values() | {"dataset": "<b>mine</b>"}, tmp_path / "study.json")
    assert main([str(path)]) == 0
    assert "<b>" not in path.with_suffix(".html").read_text()


def test_the_program_writes_the_page_beside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_values(make_values(), tmp_path / "depth_study.json")
    assert main([str(path)]) == 0
    assert path.with_suffix(".html").read_text().startswith("<!DOCTYPE html>")
    assert str(path.with_suffix(".html")) in capsys.readouterr().out


def test_a_file_that_is_no_study_is_refused_with_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "missing.json")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'missing.json'} cannot be read")
