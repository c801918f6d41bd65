"""Means, ratios and what n trials allow to say about them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtrit

CONFIDENCE = 0.95


class Ratio(NamedTuple):
    """A ratio of two means; its interval is None where one of them rests on a single trial."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def direction(self) -> int:
        """1 for a ratio above one, -1 for one below, 0 for one that its interval cannot tell from one."""
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return (low > 1) - (high < 1)


def compute_mean(values: Sequence[float]) -> float:
    """Returns the arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def compute_ci95(values: Sequence[float]) -> float | None:
    """Returns the half-width of the mean's 95 % interval, or None for a single value.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908): mean ± t(n - 1) · s / sqrt(n).
    """
    if len(values) == 1:
        return None
    return _quantile(len(values) - 1) * math.sqrt(_squared_error(values))


def compute_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Returns the ratio of the means of two independent, positive samples with its 95 % interval.

    The logarithm of the ratio is treated as normal, its variance being the sum of the squared relative standard errors
    (the delta method); the degrees of freedom are those of Welch and Satterthwaite.

    Source: Hedges, Gurevitch & Curtis, "The meta-analysis of response ratios in experimental ecology", Ecology 80
    (1999), eq. 1; Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics
    Bulletin 2 (1946).
    """
    value = compute_mean(numerators) / compute_mean(denominators)
    if min(len(numerators), len(denominators)) == 1:
        return Ratio(value)
    samples = (numerators, denominators)
    half_width = _welch_half_width(
        [_squared_error(sample) / compute_mean(sample) ** 2 for sample in samples], [len(sample) for sample in samples]
    )
    return Ratio(value, value * math.exp(-half_width), value * math.exp(half_width))


def compute_difference_ci95(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the half-width of the 95 % interval of a difference of means, or None where one sample is a single value.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).
    """
    if min(len(first), len(second)) == 1:
        return None
    return _welch_half_width([_squared_error(first), _squared_error(second)], [len(first), len(second)])


def compute_proportion_difference_ci95(proportion: float, num_examples: int) -> float:
    """Returns the half-width of the 95 % interval of a difference of two accuracies on equally many examples.

    Source: the normal approximation to the binomial, 1.96 · sqrt(2 p (1 - p) / n).
    """
    return _quantile(math.inf) * math.sqrt(2 * proportion * (1 - proportion) / num_examples)


def _squared_error(values: Sequence[float]) -> float:
    """Returns the squared standard error of the mean."""
    mean = compute_mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def _welch_half_width(squared_errors: Sequence[float], sizes: Sequence[int]) -> float:
    total = math.fsum(squared_errors)
    if total == 0:
        return 0.0
    shares = [error / total for error in squared_errors]
    degrees = 1 / math.fsum(share**2 / (size - 1) for share, size in zip(shares, sizes, strict=True))
    return _quantile(degrees) * math.sqrt(total)


def _quantile(degrees_of_freedom: float) -> float:
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))
