"""How the test accuracies of two configurations compare, or whatever else their models are judged by."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from comparison.groups import Trials, average_rounds, name_round
from comparison.quality import MetricValue
from comparison.records import TrialRecord
from comparison.statistics import (
    RELEVANT_RATIO,
    compare_answers,
    compute_ci95,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
    decode_wrong_images,
)

# Of a score from 0 to 1.
_POINT = 0.01


class Difference(NamedTuple):
    """A difference of the means of a metric, and the half-width of its 95 % interval.

    Attributes:
        value: The difference.
        half_width: Of its interval; infinite where nothing is known of how far chance moves it.
        is_paired: Whether both were compared in each round, an accuracy on each test image.
        is_same_weights: Whether the models are the same, bit for bit, in every round: then there is none.
        higher_is_better: Of the metric.
    """

    value: float
    half_width: float
    is_paired: bool = False
    is_same_weights: bool = False
    higher_is_better: bool = True

    @property
    def direction(self) -> int:
        """1 for a better metric, -1 for a worse one, 0 where the interval cannot tell the difference from zero."""
        above = (self.value > self.half_width) - (self.value < -self.half_width)
        return above if self.higher_is_better else -above

    @property
    def margin(self) -> float:
        """How large the difference may be at the most, in either direction, for all that the interval says."""
        return abs(self.value) + self.half_width

    @property
    def worst(self) -> float:
        """By how much the metric may be worse than the baseline's, for all that the interval says; below 0: by none."""
        return self.half_width - (self.value if self.higher_is_better else -self.value)

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.half_width)


def average_quality(trials: Trials) -> dict[tuple[str, int], float]:
    """Returns the metric of each round, as `average_rounds` does."""
    return average_rounds(trials, lambda trial: trial.quality.value)


def compare_quality(baseline: Trials, trials: Trials) -> Difference:
    """Returns by how much the mean of the trials' metric differs from the baseline's.

    Where the records say of each test image whether the models were wrong, and both have the same rounds, image is
    compared with image and round with round (`compare_answers`). Of older records the interval is the wider one of
    what the size of the test set and of what the scatter between rounds explain. A metric that counts no answers has
    the scatter between rounds alone, paired where both have the same: it holds for other seeds, on these examples.
    """
    own, base = (average_quality(group) for group in (trials, baseline))
    first = trials[0].quality
    if own == base and _list_weights(baseline) == _list_weights(trials):
        return Difference(0.0, 0.0, True, True, first.higher_is_better)
    if not trials[0].is_accuracy:
        return _compare_rounds(base, own, first)
    value = compute_mean([*own.values()]) - compute_mean([*base.values()])
    if own.keys() == base.keys():
        answers = [_list_answers(group) for group in (baseline, trials)]
        if answers[0] is not None and answers[1] is not None and answers[0].shape == answers[1].shape:
            return Difference(*compare_answers(answers[0], answers[1]), is_paired=True)
    sampling_ci95 = _measure_sampling(own, base, first)
    half_width = max(sampling_ci95, compute_difference_ci95([*own.values()], [*base.values()]) or 0)
    return Difference(value, half_width)


def find_open_loss(baseline: Trials, trials: Trials) -> float | None:
    """Returns by how much models that are not told apart may yet be worse, None where that is not relevant.

    Of an accuracy the answer tells the margin. Of another metric two or three rounds may leave open more than what a
    comparison is made to find: equal is then not what they show.
    """
    if trials[0].is_accuracy:
        return None
    difference = compare_quality(baseline, trials)
    is_open = difference.direction == 0 and difference.worst > _measure_relevant(baseline)
    return difference.worst if is_open else None


def is_doubtful(baseline: Trials, trials: Trials) -> bool:
    """Returns whether models are worse by a relevant amount, though chance may have done it for all that is known.

    One training that goes astray makes the interval so wide that nothing is told apart from anything. That is no reason
    to take the models for as good. What the number of examples explains by itself is no doubt: the interval is then as
    wide as that number makes it, and other trials would not narrow it.
    """
    difference = compare_quality(baseline, trials)
    loss = -difference.value if difference.higher_is_better else difference.value
    sampling_ci95 = _measure_sampling(average_quality(trials), average_quality(baseline), trials[0].quality)
    is_relevant = loss > max(_measure_relevant(baseline), sampling_ci95)
    return difference.is_known and difference.direction == 0 and is_relevant


def measure_relevant(level: float, *, higher_is_better: bool) -> float:
    """Returns from which difference on a metric matters: a tenth of it, as of a time.

    Of a score of which 1 is the best it is a tenth of what is missing there, or a hundredth where that is less.

    Args:
        level: The baseline's mean.
        higher_is_better: Of the metric.
    """
    share, size = RELEVANT_RATIO - 1, abs(level)
    if higher_is_better and size <= 1:
        return min(share * size, max(_POINT, share * (1 - size)))
    return share * size


def _measure_relevant(baseline: Trials) -> float:
    level = compute_mean([*average_quality(baseline).values()])
    return measure_relevant(level, higher_is_better=baseline[0].quality.higher_is_better)


_Rounds = Mapping[tuple[str, int], float]


def _compare_rounds(base: _Rounds, own: _Rounds, metric: MetricValue) -> Difference:
    """Returns a difference of which nothing is known but the scatter between rounds; of one round, nothing at all.

    What trained in a round has its seed in common. Pairs take out what the seed did to both.

    Source: Student's paired t-test; without pairs Welch's, as `compute_difference_ci95` names it.
    """
    if is_paired := own.keys() == base.keys():
        scatter_ci95 = compute_ci95([own[turn] - base[turn] for turn in own])
    else:
        scatter_ci95 = compute_difference_ci95([*own.values()], [*base.values()])
    value = compute_mean([*own.values()]) - compute_mean([*base.values()])
    half_width = math.inf if scatter_ci95 is None else max(scatter_ci95, _measure_sampling(own, base, metric))
    return Difference(value, half_width, is_paired, higher_is_better=metric.higher_is_better)


def _measure_sampling(own: _Rounds, base: _Rounds, metric: MetricValue) -> float:
    """Returns the half-width of the interval of a difference of two shares that the number of examples explains."""
    if metric.num_examples is None:
        return 0.0
    return compute_proportion_difference_ci95(compute_mean([*own.values(), *base.values()]), metric.num_examples)


def _list_weights(trials: Trials) -> dict[tuple[str, int], set[str]]:
    """Returns the digests of the trained weights of each round."""
    weights: dict[tuple[str, int], set[str]] = {}
    for trial in trials:
        weights.setdefault(name_round(trial), set()).add(trial.weights_sha256)
    return weights


def _list_answers(trials: Trials) -> NDArray[np.bool_] | None:
    """Returns which test images the models of each round got wrong, None where that is not known of all of them."""
    first = {
        name_round(trial): trial for trial in sorted(trials, key=lambda own: (name_round(own), own.trial), reverse=True)
    }
    known = [own for trial in reversed(first.values()) if (own := _read_answers(trial)) is not None]
    is_known = len(known) == len(first) and len({len(own) for own in known}) == 1
    return np.stack(known) if is_known else None


def _read_answers(trial: TrialRecord) -> NDArray[np.bool_] | None:
    """Returns which test images a model got wrong, None where the record does not say it, or counts others."""
    if trial.wrong_images is None or trial.test_n_examples is None:
        return None
    wrong = decode_wrong_images(trial.wrong_images, trial.test_n_examples)
    return wrong if wrong is not None and wrong.sum() == trial.num_wrong else None
