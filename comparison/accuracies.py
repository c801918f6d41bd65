"""How the test accuracies of two configurations compare."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from comparison.groups import Trials, average_rounds, name_round
from comparison.records import TrialRecord
from comparison.statistics import (
    compare_answers,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
    decode_wrong_images,
)


class Difference(NamedTuple):
    """A difference of two mean accuracies, and the half-width of its 95 % interval.

    Attributes:
        value: The difference.
        half_width: Of its interval.
        is_paired: Whether both were compared on each test image and in each round.
        is_same_weights: Whether the models are the same, bit for bit, in every round: then there is none.
    """

    value: float
    half_width: float
    is_paired: bool = False
    is_same_weights: bool = False

    @property
    def direction(self) -> int:
        """1 for a difference above zero, -1 for one below, 0 for one that its interval cannot tell from zero."""
        return (self.value > self.half_width) - (self.value < -self.half_width)

    @property
    def margin(self) -> float:
        """How large the difference may be at the most, in either direction, for all that the interval says."""
        return abs(self.value) + self.half_width


def compare_accuracies(baseline: Trials, trials: Trials) -> Difference:
    """Returns by how much the trials' mean test accuracy differs from the baseline's.

    Where the records say of each test image whether the models were wrong, and both have the same rounds, image is
    compared with image and round with round (`compare_answers`). Of older records the interval is the wider one of
    what the size of the test set and of what the scatter between rounds explain.
    """
    own, base = (average_rounds(group, lambda trial: trial.test_accuracy) for group in (trials, baseline))
    value = compute_mean([*own.values()]) - compute_mean([*base.values()])
    if own == base and _list_weights(baseline) == _list_weights(trials):
        return Difference(0.0, 0.0, is_paired=True, is_same_weights=True)
    if own.keys() == base.keys():
        answers = [_list_answers(group) for group in (baseline, trials)]
        if answers[0] is not None and answers[1] is not None and answers[0].shape == answers[1].shape:
            return Difference(*compare_answers(answers[0], answers[1]), is_paired=True)
    sampling_ci95 = compute_proportion_difference_ci95(
        compute_mean([*own.values(), *base.values()]), trials[0].test_n_examples
    )
    half_width = max(sampling_ci95, compute_difference_ci95([*own.values()], [*base.values()]) or 0)
    return Difference(value, half_width)


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
    wrong = None if trial.wrong_images is None else decode_wrong_images(trial.wrong_images, trial.test_n_examples)
    is_counted = wrong is not None and wrong.sum() == trial.test_n_examples - trial.test_n_correct
    return wrong if is_counted else None
