import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from comparison.accuracies import Difference, compare_quality, find_open_loss, is_doubtful
from comparison.quality import MetricValue
from comparison.records import TrialRecord
from tests.comparison.metric_factory import AUC, ERROR, make_metric_record
from tests.comparison.record_factory import make_record

IMAGES = 3000


def encode(wrong: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(wrong).tobytes()).decode()


def make_trial(configuration: str, trial: int, wrong: NDArray[np.bool_], **changes: Any) -> TrialRecord:
    known: dict[str, Any] = {"weights_sha256": f"{configuration}-{trial}", "wrong_images": encode(wrong)}
    return make_record(configuration, trial, n_correct=IMAGES - int(wrong.sum()), **(known | changes))


def mark(*images: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(IMAGES), images)


HARD = range(40)


def test_models_that_err_on_the_same_images_are_told_apart_by_the_few_others() -> None:
    single = [make_trial("single", trial, mark(*HARD)) for trial in (1, 2, 3)]
    worse = [make_trial("all-reduce-2w", trial, mark(*HARD, *range(50, 62))) for trial in (1, 2, 3)]
    older = [make_record("all-reduce-2w", trial, n_correct=IMAGES - 52) for trial in (1, 2, 3)]

    paired = compare_quality(single, worse)

    assert paired.is_paired
    assert paired.value == pytest.approx(-12 / IMAGES)
    # Twelve of so many images in every round, and no scatter between rounds.
    assert paired.half_width == pytest.approx(1.96 * (12 * (1 - 12 / IMAGES) / (IMAGES - 1) / IMAGES) ** 0.5, rel=1e-3)
    assert paired.direction == -1
    unpaired = compare_quality(single, older)
    assert unpaired.value == pytest.approx(paired.value)
    assert (unpaired.is_paired, unpaired.direction) == (False, 0)


def test_the_same_weights_in_every_round_leave_no_difference() -> None:
    single, same, other = (
        [make_record(name, trial, n_correct=2970 + trial, weights_sha256=f"{trial}{end}") for trial in (1, 2)]
        for name, end in (("single", ""), ("all-reduce-2w", ""), ("all-reduce-2w", "x"))
    )

    assert compare_quality(single, same) == Difference(0.0, 0.0, is_paired=True, is_same_weights=True)
    assert not compare_quality(single, other).is_same_weights
    assert compare_quality(single, other).half_width > 0
    assert compare_quality(single, same[:1]).is_same_weights is False


def test_a_second_baseline_of_a_round_counts_once() -> None:
    answers = {1: mark(*HARD), 2: mark(*HARD, 100), 3: mark(*HARD, 200, 201)}
    single = [make_trial("single", trial, wrong, round=trial) for trial, wrong in answers.items()]
    again = make_trial("single", 4, answers[3], round=3, weights_sha256="single-3")
    double = [make_trial("all-reduce-2w", turn, mark(*HARD, 300 + turn), round=turn) for turn in answers]

    assert compare_quality([*single, again], double) == compare_quality(single, double)


@pytest.mark.parametrize("broken", ["", "A", "$", base64.b64encode(bytes(374)).decode(), None])
def test_what_does_not_say_it_of_each_image_is_compared_as_older_records_are(broken: str | None) -> None:
    single = [make_trial("single", trial, mark(*HARD)) for trial in (1, 2)]
    double = [make_trial("all-reduce-2w", trial, mark(*HARD, 50)) for trial in (1, 2)]
    spoilt = [*double[:1], make_trial("all-reduce-2w", 2, mark(*HARD, 50), wrong_images=broken)]

    assert compare_quality(single, double).is_paired
    assert not compare_quality(single, spoilt).is_paired
    # Bits of another number of errors than were counted are of another model.
    lying = [*double[:1], make_trial("all-reduce-2w", 2, mark(*HARD, 50), wrong_images=encode(mark(1)))]
    assert not compare_quality(single, lying).is_paired


def test_the_margin_is_how_large_the_difference_may_be() -> None:
    assert Difference(-0.002, 0.003).margin == pytest.approx(0.005)


BASE = [0.52, 0.55, 0.50]


def make_trials(
    configuration: str, values: Sequence[float], metric: Mapping[str, Any] = ERROR, first: int = 1
) -> list[TrialRecord]:
    return [make_metric_record(configuration, trial, own, metric) for trial, own in enumerate(values, start=first)]


@pytest.mark.parametrize(("metric", "direction"), [(ERROR, -1), (AUC, 1)])
def test_more_is_worse_of_an_error_and_better_of_an_auc(metric: Mapping[str, Any], direction: int) -> None:
    single, more, less = (
        make_trials(name, [own + change for own, change in zip(BASE, changes, strict=True)], metric)
        for name, changes in (
            ("single", (0, 0, 0)),
            ("all-reduce-2w", (0.021, 0.019, 0.02)),
            ("all-reduce-2w", (-0.021, -0.019, -0.02)),
        )
    )

    assert compare_quality(single, more).direction == direction
    assert compare_quality(single, less).direction == -direction
    assert compare_quality(single, single).is_same_weights
    assert compare_quality(single, single).direction == 0


def test_a_metric_is_compared_round_with_round_by_students_test() -> None:
    differences = [0.021, 0.015, 0.03]
    single = make_trials("single", BASE)
    double = make_trials("all-reduce-2w", [own + more for own, more in zip(BASE, differences, strict=True)])

    found = compare_quality(single, double)

    assert found.is_paired
    assert found.value == pytest.approx(np.mean(differences))
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(differences))
    # Of other rounds, whose seeds are others, the scatter of the seeds stays in it.
    apart = compare_quality(single, make_trials("all-reduce-2w", [0.541, 0.565, 0.53], first=7))
    assert not apart.is_paired
    assert apart.value == pytest.approx(found.value)
    welch = stats.ttest_ind([0.541, 0.565, 0.53], BASE, equal_var=False).confidence_interval()
    assert apart.half_width == pytest.approx((welch.high - welch.low) / 2)


@pytest.mark.parametrize("first", [1, 7])
def test_a_single_round_tells_nothing_of_a_metric(first: int) -> None:
    found = compare_quality(make_trials("single", [0.5]), make_trials("all-reduce-2w", [5.0], first=first))

    assert (found.direction, found.is_known, found.margin) == (0, False, math.inf)
    # Nor is the same value from other weights the same model.
    same = compare_quality(make_trials("single", [0.5]), make_trials("all-reduce-2w", [0.5]))
    assert (same.is_same_weights, same.is_known) == (False, False)


def test_a_share_of_examples_that_scatters_little_has_the_interval_of_their_number() -> None:
    single, double = (
        [
            replace(trial, metric=MetricValue("top_5", value, higher_is_better=True, num_examples=100))
            for trial, value in zip(make_trials(name, BASE, AUC), values, strict=True)
        ]
        for name, values in (("single", (0.9, 0.91, 0.92)), ("all-reduce-2w", (0.89, 0.9, 0.91)))
    )

    found = compare_quality(single, double)

    assert found.half_width == pytest.approx(1.96 * (2 * 0.905 * 0.095 / 100) ** 0.5, rel=1e-3)
    assert found.direction == 0


def test_what_two_rounds_leave_open_is_how_much_worse_the_models_may_be() -> None:
    error, auc = (Difference(0.1, 0.3, higher_is_better=own) for own in (False, True))
    single, double = make_trials("single", [0.50, 0.51]), make_trials("all-reduce-2w", [0.60, 0.63])

    assert (error.worst, auc.worst) == pytest.approx((0.4, 0.2))
    assert compare_quality(single, double).direction == 0
    assert find_open_loss(single, double) == pytest.approx(0.11 + 12.706 * 0.01, rel=1e-3)
    # Three rounds of the same tell them apart; and where they hardly differ, nothing of relevance is open.
    longer = [*single, make_metric_record("single", 3, 0.505)], [*double, make_metric_record("all-reduce-2w", 3, 0.617)]
    assert compare_quality(*longer).direction == -1
    assert find_open_loss(*longer) is None
    assert find_open_loss(single, make_trials("all-reduce-2w", [0.501, 0.510])) is None
    assert find_open_loss([make_record()], [make_record("all-reduce-2w", n_correct=2900)]) is None


@pytest.mark.parametrize(("num_examples", "is_told"), [(100, False), (10_000, True)])
def test_what_the_number_of_examples_explains_is_no_doubt_that_more_trials_would_end(
    num_examples: int, is_told: bool
) -> None:
    single, double = (
        [
            replace(trial, metric=MetricValue("top_5", value, higher_is_better=True, num_examples=num_examples))
            for trial, value in zip(make_trials(name, BASE, AUC), values, strict=True)
        ]
        for name, values in (("single", (0.9, 0.91, 0.92)), ("all-reduce-2w", (0.9, 0.85, 0.9)))
    )

    assert compare_quality(single, double).direction == 0
    assert is_doubtful(single, double) is is_told
    assert not is_doubtful(double, single)
