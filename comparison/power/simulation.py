"""What the comparison finds in log-normal training times that drift between rounds, and in nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from comparison.sample_size import RELEVANT_POWER, RELEVANT_RATIO
from comparison.statistics import compute_ratio_arrays

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
