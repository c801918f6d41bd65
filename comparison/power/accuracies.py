"""How often test accuracies are told apart: image by image and round by round, or as two shares."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr, ndtri

from comparison.statistics import (
    compare_answers,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
)

NUM_IMAGES = 10_000
NUM_ROUNDS = 3
# How easy images are, as logits: a model errs on 1.1 % of them, and two of the same kind on half of the same. Those on
# which fewer than one in a thousand models err count as never missed.
_EASE, _SPREAD, _EASIEST = 12.2, 5.0, 6.9


class AccuracyRates(NamedTuple):
    """How often a difference was found."""

    paired: float
    unpaired: float


def measure_accuracy_rates(*, more_errors: float, seed_effect: float, simulations: int) -> AccuracyRates:
    """Returns how often two kinds of model, trained in three rounds each, are called unlike.

    Args:
        more_errors: How many times as many the second kind makes.
        seed_effect: By how much a seed makes a model better or worse: standard deviation of the logarithm of its odds
            to err, of each kind by itself.
        simulations: Number of comparisons.
    """
    generator = np.random.default_rng(0)
    found = np.zeros(2)
    share = float(ndtr((_EASIEST - _EASE) / _SPREAD))
    for _ in range(simulations):
        num_hard = generator.binomial(NUM_IMAGES, share)
        ease = _EASE + _SPREAD * ndtri(share * generator.random(num_hard))
        wrong = np.zeros((2, NUM_ROUNDS, NUM_IMAGES), dtype=np.bool_)
        for own, times in zip(wrong, (1.0, more_errors), strict=True):
            shift = seed_effect * generator.standard_normal((NUM_ROUNDS, 1))
            own[:, :num_hard] = generator.random((NUM_ROUNDS, num_hard)) < expit(shift - ease) * times
        value, half_width = compare_answers(*wrong)
        accuracies = 1 - wrong.mean(axis=-1)
        scatter = compute_difference_ci95(*accuracies.tolist()) or 0.0
        sampling = compute_proportion_difference_ci95(compute_mean(accuracies.ravel().tolist()), NUM_IMAGES)
        found += abs(value) > np.array([half_width, max(scatter, sampling)])
    return AccuracyRates(*(found / simulations).tolist())
