"""How many trials a comparison needs to find a difference, and how often it finds one."""

import math
from functools import lru_cache

import numpy as np
from scipy.special import chdtri, ndtr, ndtri

from comparison.statistics.quantiles import CONFIDENCE, FloatArray, compute_simultaneous_quantile
from comparison.statistics.ratios import Noise, Spread, choose_min_blocked_degrees, compute_log_half_widths

# A difference that a comparison must not miss, and how often it must find it.
RELEVANT_RATIO = 1.10
RELEVANT_POWER = 0.9
# More trials than this are no advice.
_MOST_TRIALS = 1000
# Up to so many trials every number is tried; beyond, power grows steadily.
_FEW_TRIALS = 20
# Degrees of freedom at which a variance is as good as known.
_KNOWN = 10**6
# Of the scatter of a comparison's trials: so many leave a power uncertain by a third of a per cent at the most.
_DRAWS = 10_000


def compute_power(
    noise: float,
    num_configurations: int,
    num_trials: int,
    ratio: float = RELEVANT_RATIO,
    shares: tuple[float, ...] = (),
) -> float:
    """Returns how often a comparison finds that a configuration differs from the baseline by a ratio.

    The half-width of the interval depends on how the trials scatter, for which there is no formula: it is drawn, the
    same in every call. Given the half-width, the chance is exact.

    Args:
        noise: Standard deviation of the logarithms between trials, without what `estimate_noise` takes out.
        num_configurations: All that share their noise, the baseline among them; at least two.
        num_trials: Of each configuration, at least two.
        ratio: How many times as long it takes.
        shares: Of all the comparisons that are made, as `compute_simultaneous_quantile` takes them; by default of the
            other configurations with the baseline.

    Source: the power of a t-test, Cohen, "Statistical power analysis for the behavioral sciences" (1988), section 2.5,
    with the half-widths of the comparison in place of Student's.
    """
    if not noise:
        return 1.0
    spread = _draw_spread(num_configurations, num_trials)
    shares = shares or (0.5,) * (num_configurations - 1)
    counts = np.full(2, num_trials)
    widths = compute_log_half_widths(spread, counts, (1, 0), shares)
    error = math.sqrt(2 / num_trials)
    distance = math.log(ratio) / noise
    missed = ndtr((widths - distance) / error) - ndtr((-widths - distance) / error)
    return 1 - float(missed.mean())


@lru_cache(maxsize=1024)
def count_trials_to_find(
    noise: float,
    num_configurations: int,
    ratio: float = RELEVANT_RATIO,
    power: float = RELEVANT_POWER,
    shares: tuple[float, ...] = (),
) -> int | None:
    """Returns the fewest trials of each configuration that find a ratio often enough, or None beyond a thousand.

    Args:
        noise: As `compute_power` takes it.
        num_configurations: As `compute_power` takes it.
        ratio: The ratio to find, not 1.
        power: How often to find it.
        shares: As `compute_power` takes them.
    """
    shares = shares or (0.5,) * (num_configurations - 1)
    # With a known variance fewer would do, so that none before these can be enough.
    standard_errors = compute_simultaneous_quantile(_KNOWN, shares) + float(ndtri(power))
    fewest = 2 * (standard_errors * noise / math.log(ratio)) ** 2
    if not fewest < _MOST_TRIALS:
        return None

    def is_enough(count: int) -> bool:
        return compute_power(noise, num_configurations, count, ratio, shares) >= power

    low = max(2, math.floor(fewest))
    for count in range(low, _FEW_TRIALS + 1):
        if is_enough(count):
            return count
    low, high = max(low, _FEW_TRIALS), _MOST_TRIALS
    if not is_enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def count_trials_range(noise: Noise) -> tuple[int | None, int | None]:
    """Returns the fewest trials that find `RELEVANT_RATIO` often enough at the ends of the noise's 95 % interval.

    With four degrees of freedom the ends are a factor of five apart, and the trials that are needed grow with the
    square. None stands for more than a thousand.

    Args:
        noise: Of a single comparison of two configurations at least, with a degree of freedom at least.

    Source: the χ² distribution of a normal sample's variance, Helmert, Astronomische Nachrichten 88 (1876).
    """
    tail, degrees = (1 - CONFIDENCE) / 2, noise.degrees_of_freedom
    # `chdtri` takes the probability of more: a χ² that is seldom exceeded belongs to a small true noise.
    low, high = (float(noise.relative_sd) * math.sqrt(degrees / chdtri(degrees, share)) for share in (tail, 1 - tail))
    return (
        count_trials_to_find(low, noise.num_configurations, shares=noise.shares),
        count_trials_to_find(high, noise.num_configurations, shares=noise.shares),
    )


@lru_cache(maxsize=1024)
def _draw_spread(num_configurations: int, num_trials: int) -> Spread:
    """Returns the scatter of many comparisons whose trials all have a standard deviation of 1."""
    degrees = num_trials - 1
    is_blocked = (num_configurations - 1) * degrees >= choose_min_blocked_degrees(num_configurations)
    products = _draw_products(num_configurations, degrees)
    own = np.full(num_configurations, float(degrees))
    if is_blocked:
        centre: FloatArray = np.eye(num_configurations) - 1 / num_configurations
        products = centre @ products @ centre
        own = own * (num_configurations - 1) / num_configurations
    return Spread(np.ascontiguousarray(np.diagonal(products, axis1=-2, axis2=-1)), own)


def _draw_products(size: int, degrees: int) -> FloatArray:
    """Returns sums of products of so many normal deviates of each configuration, shape [draws, size, size].

    Source: Bartlett, "On the theory of statistical regression", Proceedings of the Royal Society of Edinburgh 53
    (1933): their triangular root has normal deviates below its diagonal, and roots of χ² on it.
    """
    generator = np.random.default_rng(0)
    if degrees < size:
        deviates = generator.standard_normal((_DRAWS, size, degrees))
        return np.asarray(deviates @ deviates.swapaxes(-2, -1))
    root = np.tril(generator.standard_normal((_DRAWS, size, size)), -1)
    root[:, range(size), range(size)] = np.sqrt(generator.chisquare(degrees - np.arange(size), (_DRAWS, size)))
    return np.asarray(root @ root.swapaxes(-2, -1))
