"""What the comparison finds in log-normal training times that drift between rounds, and in nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from comparison.statistics import (
    DISAGREEMENT,
    RELEVANT_POWER,
    RELEVANT_RATIO,
    compute_ratio_arrays,
    find_possibly_smallest,
)

# Standard deviation of a configuration's training time between trials, over its mean, on a quiet machine with a core
# for each replica: the upper end of what was measured, 1 to 2 %.
BETWEEN_TRIAL_CV = 0.02
SLOWDOWN = RELEVANT_RATIO
SIMULATIONS = 20_000


class Rates(NamedTuple):
    """How often one configuration at least, and how often the last one was told from the baseline."""

    any_found: float
    last_found: float


def simulate(
    *,
    configurations: int,
    trials: int,
    noise: float | Sequence[float] = BETWEEN_TRIAL_CV,
    drift: float = 0.0,
    slowdown: float = 1.0,
    unpooled: Sequence[int] = (),
    min_blocked_degrees: int | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Rates:
    """Returns what the comparison that reports use finds in log-normal training times.

    Args:
        configurations: How many there are, the baseline being the first of them.
        trials: Of each configuration.
        noise: Standard deviation of the logarithms between trials, of all configurations or of each.
        drift: Standard deviation of the logarithms between rounds, shared by all configurations.
        slowdown: By which factor the last configuration is slower; the others are identical.
        unpooled: Configurations that the comparison knows to have a noise of their own.
        min_blocked_degrees: Rounds are taken out where so many degrees of freedom remain; by default by the rule.
        simulations: Number of comparisons.
        seed: Of the random numbers.
    """
    generator = np.random.default_rng(seed)
    spread = np.broadcast_to(np.asarray(noise, dtype=float), configurations)[:, None]
    logs = spread * generator.standard_normal((simulations, configurations, trials))
    logs += drift * generator.standard_normal((simulations, 1, trials))
    seconds = 60 * np.exp(logs)
    seconds[:, -1] *= slowdown
    pairs = [(own, 0) for own in range(1, configurations)]
    ratios = compute_ratio_arrays(seconds, pairs, unpooled, min_blocked_degrees)
    is_found = (ratios.low > 1) | (ratios.high < 1)
    return Rates(float(is_found.any(axis=-1).mean()), float(is_found[:, -1].mean()))


def find_highest_noise(
    configurations: int,
    trials: int,
    *,
    power: float = RELEVANT_POWER,
    drift: float = 0.0,
    simulations: int = SIMULATIONS,
    highest: float = 0.2,
) -> float:
    """Returns the highest noise, to a tenth of a per cent, up to which a slowdown by `SLOWDOWN` is found so often."""
    low, high = 0, round(1000 * highest) + 1
    while high - low > 1:
        step = (low + high) // 2
        rates = simulate(
            configurations=configurations,
            trials=trials,
            noise=step / 1000,
            drift=drift,
            slowdown=SLOWDOWN,
            simulations=simulations,
        )
        low, high = (step, high) if rates.last_found >= power else (low, step)
    return low / 1000


class Named(NamedTuple):
    """Who is called the fastest: how often the one with the best mean is not, and how the ones that may be fare."""

    best_mean_is_wrong: float
    one_alone_is_wrong: float
    truth_is_named: float
    mean_number: float


def name_fastest(*, speedups: Sequence[float], trials: int, noise: float, simulations: int) -> Named:
    """Returns how well the fastest of a baseline and configurations of known speedups is named.

    Args:
        speedups: Of all but the baseline; the last is the highest.
        trials: Of each configuration.
        noise: Standard deviation of the logarithms between trials.
        simulations: Number of comparisons.
    """
    generator = np.random.default_rng(0)
    means = 60 / np.array([1.0, *speedups])[:, None]
    seconds = means * np.exp(noise * generator.standard_normal((simulations, len(means), trials)))
    is_named = find_possibly_smallest(seconds)
    is_alone = is_named.sum(axis=-1) == 1
    is_wrong = seconds.mean(axis=-1).argmin(axis=-1) != len(speedups)
    return Named(
        float(is_wrong.mean()),
        float((is_alone & ~is_named[:, -1]).mean()),
        float(is_named[:, -1].mean()),
        float(is_named.sum(axis=-1).mean()),
    )


class SlowTrials(NamedTuple):
    """What slow trials do to what is found, and to two figures of the speedup.

    They are the ratio of the means and the median of the rounds' ratios, and the errors are those that nine of ten stay
    below. `is_shown` is how often the two differ by so much that the second one is shown.
    """

    found: float
    mean_is_off: float
    median_is_off: float
    is_shown: float


def slow_trials_down(*, share: float, trials: int, simulations: int) -> SlowTrials:
    """Returns what trials that take a fifth longer do to the speedup of the last of three configurations.

    Args:
        share: Of the trials.
        trials: Of each configuration.
        simulations: Number of comparisons.
    """
    generator = np.random.default_rng(0)
    shape = (simulations, 3, trials)
    seconds = 60 * np.exp(BETWEEN_TRIAL_CV * generator.standard_normal(shape))
    seconds[:, -1] *= SLOWDOWN
    seconds *= np.where(generator.random(shape) < share, 1.2, 1.0)
    ratios = compute_ratio_arrays(seconds, [(1, 0), (2, 0)])
    mean = ratios.value[:, -1] / SLOWDOWN
    median = np.median(seconds[:, -1] / seconds[:, 0], axis=-1) / SLOWDOWN
    return SlowTrials(
        float(((ratios.low > 1) | (ratios.high < 1))[:, -1].mean()),
        float(np.quantile(np.abs(np.log(mean)), 0.9)),
        float(np.quantile(np.abs(np.log(median)), 0.9)),
        float((np.abs(np.log(median / mean)) > np.log(DISAGREEMENT)).mean()),
    )
