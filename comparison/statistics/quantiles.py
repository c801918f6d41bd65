"""How many standard errors wide an interval is, alone or so that many hold at once."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, stdtrit

CONFIDENCE = 0.95
# Where quantiles are computed, to be interpolated in between: densely where they change fast.
_DEGREES = (*range(1, 21), 24, 30, 40, 60, 100, 200, 1000)

FloatArray = NDArray[np.float64]


def compute_quantile(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    """Returns Student's two-sided quantile."""
    return float(stdtrit(degrees_of_freedom, (1 + confidence) / 2))


@lru_cache(maxsize=4096)
def compute_simultaneous_quantile(
    degrees_of_freedom: int, shares: tuple[float, ...], *, is_one_sided: bool = False
) -> float:
    """Returns how many standard errors wide the intervals are that all hold at once with 95 % confidence.

    Each interval is of a difference to a baseline. One of many of them misses by chance more often than one alone, and
    the verdict is about the fastest of many: so the more are compared, the wider each.

    Args:
        degrees_of_freedom: Of the common estimate of the variance.
        shares: For each comparison n / (n + n of the baseline); the correlation of two is the root of the product of
            their shares. Zeros, for comparisons that have no baseline or no noise in common, are on the safe side:
            the studentised maximum modulus, by the inequality of Šidák (1967).
        is_one_sided: Whether only differences in one direction are looked for.

    Source: Dunnett, "A multiple comparison procedure for comparing several treatments with a control", JASA 50 (1955),
    with the integral over the baseline's error by Gauss and Hermite, that over the variance by Gauss and Legendre.
    """
    alpha = (1 - CONFIDENCE) * (1 + is_one_sided)
    single = compute_quantile(degrees_of_freedom, 1 - alpha)
    if len(shares) == 1:
        return single
    errors, error_weights = np.polynomial.hermite_e.hermegauss(80)
    scales, scale_weights = _spread_over_variances(degrees_of_freedom)
    scales = scales[:, None, None]
    roots = np.sqrt(np.array(shares))
    shifts, spreads = errors[:, None] * roots, np.sqrt(1 - roots**2)

    def miss(quantile: float) -> float:
        inside = ndtr((quantile * scales + shifts) / spreads)
        if not is_one_sided:
            inside = inside - ndtr((shifts - quantile * scales) / spreads)
        coverage = scale_weights @ inside.prod(axis=-1) @ error_weights / math.sqrt(2 * math.pi)
        return float(coverage) - CONFIDENCE

    return float(brentq(miss, 0.9 * single, 1.1 * compute_quantile(degrees_of_freedom, 1 - alpha / len(shares))))


def interpolate_simultaneous_quantile(
    degrees_of_freedom: FloatArray, highest: int, shares: tuple[float, ...], *, is_one_sided: bool = False
) -> FloatArray:
    """Returns the quantiles at degrees of freedom that need not be whole numbers.

    The quantile is a convex function of them, so that what is interpolated is on the safe side.

    Args:
        degrees_of_freedom: From 1 to the highest.
        highest: The most that there can be.
        shares: As `compute_simultaneous_quantile` takes them.
        is_one_sided: Likewise.
    """
    grid = [*(degrees for degrees in _DEGREES if degrees < highest), highest]
    quantiles = [compute_simultaneous_quantile(degrees, shares, is_one_sided=is_one_sided) for degrees in grid]
    interpolated: FloatArray = np.interp(degrees_of_freedom, grid, quantiles)
    return interpolated


def compute_independent_quantile(
    degrees_of_freedom: FloatArray, num_compared: int, *, is_one_sided: bool
) -> FloatArray:
    """Returns the quantiles of comparisons that share neither baseline nor, for all that is known, noise.

    Args:
        degrees_of_freedom: Of a comparison's own estimate of the variance.
        num_compared: How many comparisons are to hold at once.
        is_one_sided: As `compute_simultaneous_quantile` takes it.

    Source: Šidák, "Rectangular confidence regions for the means of multivariate normal distributions", JASA 62 (1967).
    """
    each = CONFIDENCE ** (1 / num_compared)
    quantile: FloatArray = stdtrit(degrees_of_freedom, each if is_one_sided else (1 + each) / 2)
    return quantile


@lru_cache(maxsize=256)
def _spread_over_variances(degrees_of_freedom: int) -> tuple[FloatArray, FloatArray]:
    """Returns by which factors estimates of a standard deviation are off, and the weight of each, after Gauss."""
    points, weights = np.polynomial.legendre.leggauss(80)
    return np.sqrt(chdtri(degrees_of_freedom, (1 - points) / 2) / degrees_of_freedom), weights / 2
