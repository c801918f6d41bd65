from dataclasses import replace
from typing import Any

import pytest

from comparison.programs import (
    ProgramMetric,
    ProgramTrial,
)
from tests.comparison.programs.answers import Change, analyze, change, recommend
from tests.comparison.programs.program_factory import (
    make_program_run,
    make_silent,
)


def tell_metric(value: float, **others: Any) -> Change:
    metric = ProgramMetric(**{"name": "accuracy", "value": value, "higher_is_better": True, **others})
    return lambda trial: replace(trial, metrics=[replace(metric, value=value + 0.0001 * trial.round)])


def test_a_faster_row_that_is_worse_by_its_metric_is_no_answer_and_said() -> None:
    analysis = analyze(change(make_program_run({1: 60.0, 2: 33.0}), tell_metric(0.95, num_examples=10_000), 2))

    assert "no answer about 2 workers: it is 1.82× (" in analysis.verdict
    assert "as fast, but at a worse accuracy (0.9502 against 0.98" in analysis.verdict
    assert recommend(analysis)["metric"]["verdict"] == "worse"
    assert "¶ worse by its metric" in " ".join(analysis.explanations)


@pytest.mark.parametrize("own", [(0.85, 0.97, 0.975), (0.1, 0.975, 0.98), (0.5, 0.6, 0.9)])
def test_a_training_that_goes_astray_does_not_make_a_worse_metric_as_good(own: tuple[float, ...]) -> None:
    def scatter(trial: ProgramTrial) -> ProgramTrial:
        return replace(trial, metrics=[replace(trial.metrics[0], value=own[trial.round - 1])])

    analysis = analyze(change(make_program_run({1: 60.0, 2: 33.0}), scatter, 2))

    assert analysis.given.kind == "no_answer"
    assert "as fast, but with accuracy 0." in analysis.verdict
    assert "perhaps worse: too few trials to tell" in analysis.verdict
    assert (analysis.marks.worse, analysis.given.fastest) == (["workers-2"], ())
    assert recommend(analysis)["next_step"] == "tfjob-speedup run --trials 6"
    # The other way round nothing is hidden that a reader must fear.
    assert analyze(change(make_program_run({1: 60.0, 2: 33.0}), scatter, 1)).marks.worse == []


def test_a_metric_that_scatters_in_every_training_is_in_no_doubt() -> None:
    def print_last_loss(trial: ProgramTrial) -> ProgramTrial:
        base, own = (0.4, 0.7, 0.5), (0.6, 0.5, 0.8)
        value = (base if trial.num_workers == 1 else own)[trial.round - 1]
        return replace(trial, metrics=[ProgramMetric("loss", value, higher_is_better=False)])

    analysis = analyze(change(make_program_run({1: 60.0, 2: 33.0}), print_last_loss))

    assert "at an indistinguishable loss (0.6333 against 0.5333" in analysis.verdict
    assert analysis.given.kind == "pays_off"


def test_a_loss_is_better_where_it_is_lower() -> None:
    def tell_loss(trial: ProgramTrial) -> ProgramTrial:
        value = (0.5 if trial.num_workers == 1 else 0.4) + 0.001 * trial.round
        return replace(trial, metrics=[ProgramMetric("loss", value, higher_is_better=False)])

    verdict = analyze(change(make_program_run({1: 60.0, 2: 33.0}), tell_loss)).verdict

    assert "at a better loss (0.4020 against 0.5020" in verdict


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (tell_metric(0.95, higher_is_better=None), "which direction is better is not told"),
        (tell_metric(95.0), "its values are of different scales"),
        (tell_metric(1.95, num_examples=10_000), "its values are of different scales"),
        (lambda trial: replace(trial, metrics=[]), "not every trial tells it"),
        (
            lambda trial: replace(
                trial, notes=["worker-0's last accuracy was no finite number; its last that was is 0."]
            ),
            "its last value was no finite number",
        ),
        (
            lambda trial: replace(trial, metrics=[ProgramMetric("accuracy", 0.5, higher_is_better=True)]),
            "every round gave the very same value, which tells nothing of its scatter",
        ),
    ],
)
def test_a_metric_that_allows_no_verdict_is_told_and_not_judged(own: Change, reason: str) -> None:
    trials = change(make_program_run({1: 60.0, 2: 33.0}), own, None if "direction" in reason else 2)
    analysis = analyze(trials)

    assert f"not judged ({reason})" in analysis.verdict
    assert analysis.given.kind == "pays_off"
    assert any(reason in warning for warning in analysis.warnings)


def test_the_metric_that_a_person_asked_for_is_the_one_that_is_judged() -> None:
    def add(trial: ProgramTrial) -> ProgramTrial:
        auc = ProgramMetric("auc", 0.9 + 0.001 * trial.round, higher_is_better=True)
        return replace(trial, metrics=[*trial.metrics, auc])

    trials = change(make_program_run(), add)

    assert analyze(trials).rows[0].metric == "accuracy"
    assert analyze(trials, metric="auc").rows[0].metric == "auc"
    assert analyze(trials, metric="AUC").rows[0].metric == "auc"
    assert "The metric f1 was never told: accuracy is judged." in analyze(trials, metric="f1").warnings


def test_the_metrics_of_a_step_have_plain_names() -> None:
    assert analyze(make_program_run()).metrics.keys() >= {"speedup_workers_2", "accuracy_single"}
    silent = analyze(change(make_program_run(), make_silent)).metrics
    assert silent.keys() == {"whole_job_speedup_workers_2", "whole_job_speedup_workers_4"}
