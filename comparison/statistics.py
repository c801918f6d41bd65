"""Means, ratios and what n trials allow to say about them; docs/statistics.md gives the reasons and simulations."""

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, ndtri, stdtrit

CONFIDENCE = 0.95
# Taking rounds out costs degrees of freedom. While four remain, that widens an interval by a fifth at most, which a
# drift as large as the noise outweighs; with fewer, two trials could tell nothing apart. See docs/statistics.md.
MIN_BLOCKED_DEGREES = 4
# A difference that a comparison must not miss, and how often it must find it.
RELEVANT_RATIO = 1.10
RELEVANT_POWER = 0.9
# More trials than this are no advice.
_MOST_TRIALS = 1000
# Degrees of freedom at which a variance is as good as known.
_KNOWN = 10**6
# Beyond this an interval says nothing, and its exponential would overflow.
_MAX_LOG_HALF_WIDTH = 700.0

FloatArray = NDArray[np.float64]


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

    @property
    def inverse(self) -> "Ratio":
        """The ratio the other way round."""
        low, high = (bound and 1 / bound for bound in (self.high, self.low))
        return Ratio(1 / self.value, low, high)


class RatioArrays(NamedTuple):
    """Ratios of means and their intervals, NaN where unknown, one a pair along the last axis."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


class Noise(NamedTuple):
    """How much trials of the same configuration differ.

    Attributes:
        relative_sd: Standard deviation of the logarithms, which is nearly the coefficient of variation; NaN where
            nothing was repeated.
        degrees_of_freedom: Of that estimate.
        is_blocked: Whether what a round did to all configurations alike was taken out.
        num_configurations: How many it was estimated from.
    """

    relative_sd: FloatArray
    degrees_of_freedom: int
    is_blocked: bool
    num_configurations: int


class Outlier(NamedTuple):
    """A trial that lies further from the others than noise explains: indices, and its value over what they predict."""

    configuration: int
    round: int
    factor: float


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


def compute_difference_ci95(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the half-width of the 95 % interval of a difference of means, or None where one sample is a single value.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).
    """
    if min(len(first), len(second)) == 1:
        return None
    errors = [_squared_error(first), _squared_error(second)]
    total = math.fsum(errors)
    if total == 0:
        return 0.0
    shares = [(error / total) ** 2 / (len(values) - 1) for error, values in zip(errors, (first, second), strict=True)]
    return _quantile(1 / math.fsum(shares)) * math.sqrt(total)


def compute_proportion_difference_ci95(proportion: float, num_examples: int) -> float:
    """Returns the half-width of the 95 % interval of a difference of two accuracies on equally many examples.

    Source: the normal approximation to the binomial, 1.96 · sqrt(2 p (1 - p) / n).
    """
    return _quantile(math.inf) * math.sqrt(2 * proportion * (1 - proportion) / num_examples)


def estimate_noise(values: FloatArray, min_blocked_degrees: int = MIN_BLOCKED_DEGREES) -> Noise:
    """Returns the noise that all configurations of a comparison share, relative to their means.

    Two or three trials say next to nothing about their own variance; all configurations together say more. So the
    variances of the logarithms are pooled: the mean square within configurations of a one-way analysis of variance or,
    where every configuration took part in every round and `MIN_BLOCKED_DEGREES` remain, the residual mean square of a
    randomised block design, from which the drift of the machine between rounds is gone. Which of the two it is follows
    from the design alone, never from the values, so that choosing costs no error rate.

    Args:
        values: Positive measurements, shape [..., configurations, rounds], NaN where there was no such trial; every
            configuration has one. Leading axes are independent comparisons of the same design.
        min_blocked_degrees: Rounds are taken out where so many degrees of freedom remain.

    Source: Fisher, "The Design of Experiments" (1935), chapter IV; Cochran & Cox, "Experimental Designs" (1957),
    sections 4.2 and 4.3.
    """
    logs = np.log(values)
    residuals, degrees, is_blocked = _fit(logs, min_blocked_degrees)
    if degrees == 0:
        return Noise(np.full(logs.shape[:-2], np.nan), 0, is_blocked, logs.shape[-2])
    return Noise(np.sqrt(np.nansum(residuals**2, axis=(-2, -1)) / degrees), degrees, is_blocked, logs.shape[-2])


def compute_ratio_arrays(
    values: FloatArray,
    pairs: Sequence[tuple[int, int]],
    unpooled: Collection[int] = (),
    min_blocked_degrees: int = MIN_BLOCKED_DEGREES,
) -> RatioArrays:
    """Returns the ratios of the means of pairs of configurations with intervals that hold for all pairs at once.

    The interval of log(ratio) is ± q · s · sqrt(1 / n_own + 1 / n_baseline), with s from `estimate_noise` and q from
    `compute_simultaneous_quantile`; the logarithm of a mean is treated as the mean of the logarithms, which for a noise
    of 5 % is off by a tenth of a per cent and by the same in both. Where a pair holds a configuration whose noise is
    not that of the others, its interval is the wider one of this and of Welch's, from the pair alone at the level of
    Šidák. A configuration with a single trial has no interval.

    Args:
        values: As `estimate_noise` takes them.
        pairs: Indices of configurations: numerator and denominator, the latter being the baseline.
        unpooled: Indices of configurations whose noise is their own, such as contended ones.
        min_blocked_degrees: As `estimate_noise` takes it.

    Source: Hedges, Gurevitch & Curtis, "The meta-analysis of response ratios in experimental ecology", Ecology 80
    (1999), for the logarithm of a ratio of means; Welch, Biometrika 34 (1947); Šidák, "Rectangular confidence regions
    for the means of multivariate normal distributions", JASA 62 (1967).
    """
    counts = _is_present(values).sum(axis=-1)
    own, base = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    means = np.nanmean(values, axis=-1)
    ratio = means[..., own] / means[..., base]
    is_measured = (counts[own] > 1) & (counts[base] > 1)
    half_width = np.full(ratio.shape, np.nan)
    if is_measured.any():
        own, base = own[is_measured], base[is_measured]
        is_unpooled = np.isin(own, [*unpooled]) | np.isin(base, [*unpooled])
        is_dunnetts = len({*base.tolist()}) == 1 and not is_unpooled.any()
        shares = counts[own] / (counts[own] + counts[base]) * is_dunnetts
        noise = estimate_noise(select_pooled(values, unpooled), min_blocked_degrees)
        width = _compute_pooled_width(noise, counts, own, base, tuple(shares.tolist()))
        welch = _compute_welch_width(np.log(values), own, base)
        half_width[..., is_measured] = np.where(is_unpooled, np.fmax(width, welch), width)
    factor = np.exp(np.minimum(half_width, _MAX_LOG_HALF_WIDTH))
    return RatioArrays(ratio, ratio / factor, ratio * factor)


def compute_ratios(values: FloatArray, pairs: Sequence[tuple[int, int]], unpooled: Collection[int] = ()) -> list[Ratio]:
    """Returns the ratios of a single comparison; see `compute_ratio_arrays`."""
    rows = np.stack(compute_ratio_arrays(values, pairs, unpooled), axis=-1).tolist()
    return [Ratio(value) if math.isnan(low) else Ratio(value, low, high) for value, low, high in rows]


@lru_cache(maxsize=256)
def compute_simultaneous_quantile(degrees_of_freedom: int, shares: tuple[float, ...]) -> float:
    """Returns how many standard errors wide the intervals are that all hold at once with 95 % confidence.

    Each interval is of a difference to a baseline. One of many of them misses by chance more often than one alone, and
    the verdict is about the fastest of many: so the more are compared, the wider each.

    Args:
        degrees_of_freedom: Of the common estimate of the variance.
        shares: For each comparison n / (n + n of the baseline); the correlation of two is the root of the product of
            their shares. Zeros, for comparisons that have no baseline or no noise in common, are on the safe side:
            the studentised maximum modulus, by the inequality of Šidák (1967).

    Source: Dunnett, "A multiple comparison procedure for comparing several treatments with a control", JASA 50 (1955),
    with the integral over the baseline's error by Gauss and Hermite, that over the variance by Gauss and Legendre.
    """
    single = _quantile(degrees_of_freedom)
    if len(shares) == 1:
        return single
    errors, error_weights = np.polynomial.hermite_e.hermegauss(80)
    scales, scale_weights = _spread_over_variances(degrees_of_freedom)
    scales = scales[:, None, None]
    roots = np.sqrt(np.array(shares))
    shifts, spreads = errors[:, None] * roots, np.sqrt(1 - roots**2)

    def miss(quantile: float) -> float:
        inside = ndtr((quantile * scales + shifts) / spreads) - ndtr((shifts - quantile * scales) / spreads)
        coverage = scale_weights @ inside.prod(axis=-1) @ error_weights / math.sqrt(2 * math.pi)
        return float(coverage) - CONFIDENCE

    return float(brentq(miss, 0.9 * single, 1.1 * _quantile(degrees_of_freedom, 1 - (1 - CONFIDENCE) / len(shares))))


def compute_power(noise: float, num_configurations: int, num_trials: int, ratio: float = RELEVANT_RATIO) -> float:
    """Returns how often a comparison finds that a configuration differs from the baseline by a ratio.

    Args:
        noise: Standard deviation of the logarithms between trials, without what `estimate_noise` takes out.
        num_configurations: All that are compared, the baseline among them; at least two.
        num_trials: Of each configuration, at least two.
        ratio: How many times as long it takes.

    Source: the power of Student's t-test, Cohen, "Statistical power analysis for the behavioral sciences" (1988),
    section 2.5, with Dunnett's quantile in place of Student's; the non-central t distribution by Gauss and Legendre.
    """
    blocked_degrees = (num_configurations - 1) * (num_trials - 1)
    is_blocked = blocked_degrees >= MIN_BLOCKED_DEGREES
    degrees = blocked_degrees if is_blocked else num_configurations * (num_trials - 1)
    quantile = compute_simultaneous_quantile(degrees, (0.5,) * (num_configurations - 1))
    distance = math.log(ratio) / noise / math.sqrt(2 / num_trials) if noise else math.inf
    scales, weights = _spread_over_variances(degrees)
    missed = ndtr(quantile * scales - distance) - ndtr(-quantile * scales - distance)
    return 1 - float(weights @ missed)


def count_trials_to_find(
    noise: float, num_configurations: int, ratio: float = RELEVANT_RATIO, power: float = RELEVANT_POWER
) -> int | None:
    """Returns the fewest trials of each configuration that find a ratio often enough, or None beyond a thousand.

    Args:
        noise: As `compute_power` takes it.
        num_configurations: As `compute_power` takes it.
        ratio: The ratio to find, not 1.
        power: How often to find it.
    """
    # With a known variance fewer would do, so that none before these can be enough.
    standard_errors = compute_simultaneous_quantile(_KNOWN, (0.5,) * (num_configurations - 1)) + float(ndtri(power))
    fewest = 2 * (standard_errors * noise / math.log(ratio)) ** 2
    if not fewest < _MOST_TRIALS:
        return None
    counts = range(max(2, math.floor(fewest)), _MOST_TRIALS + 1)
    return next((count for count in counts if compute_power(noise, num_configurations, count, ratio) >= power), None)


def count_trials_range(
    noise: Noise, ratio: float = RELEVANT_RATIO, power: float = RELEVANT_POWER
) -> tuple[int | None, int | None]:
    """Returns the fewest trials that find a ratio often enough at the ends of the noise's 95 % interval.

    With four degrees of freedom the ends are a factor of five apart, and the trials that are needed grow with the
    square. None stands for more than a thousand.

    Args:
        noise: Of a single comparison of two configurations at least, with a degree of freedom at least.
        ratio: As `count_trials_to_find` takes it.
        power: As `count_trials_to_find` takes it.

    Source: the χ² distribution of a normal sample's variance, Helmert, Astronomische Nachrichten 88 (1876).
    """
    tail, degrees = (1 - CONFIDENCE) / 2, noise.degrees_of_freedom
    # `chdtri` takes the probability of more: a χ² that is seldom exceeded belongs to a small true noise.
    low, high = (float(noise.relative_sd) * math.sqrt(degrees / chdtri(degrees, share)) for share in (tail, 1 - tail))
    return (
        count_trials_to_find(low, noise.num_configurations, ratio, power),
        count_trials_to_find(high, noise.num_configurations, ratio, power),
    )


def select_pooled(values: FloatArray, unpooled: Collection[int]) -> FloatArray:
    """Returns the values of the configurations that share their noise, without rounds in which none of them is."""
    pooled = values[..., [index for index in range(values.shape[-2]) if index not in unpooled], :]
    return pooled[..., _is_present(pooled).any(axis=-2)]


def find_outliers(values: FloatArray) -> list[Outlier]:
    """Returns the trial that lies furthest from where the others put it, if noise does not explain it; else nothing.

    The residual is divided by the standard deviation that the other trials have without it, and compared with the
    t-quantile at 5 % over all trials. Trials that are equally far, such as the two of a configuration that has no more,
    are all returned: which one is off cannot be told. It is a note for the reader, nothing is left out.

    Args:
        values: As `estimate_noise` takes them, of a single comparison.

    Source: externally studentised residuals with Bonferroni's correction, Cook & Weisberg, "Residuals and Influence in
    Regression" (1982), section 2.2.2.
    """
    logs = np.log(values)
    residuals, degrees, is_blocked = _fit(logs, MIN_BLOCKED_DEGREES)
    free = 1 - _compute_leverage(logs, is_blocked)
    is_candidate = _is_present(logs) & (free > 0)
    if degrees <= 1:
        return []
    explained = np.divide(residuals**2, free, out=np.zeros_like(residuals), where=is_candidate)
    remaining = (explained * free).sum() - explained
    # Rounding leaves a little where the others agree perfectly.
    remaining = np.maximum(remaining, 1e-12 * explained.max() + np.finfo(float).tiny)
    distances = np.sqrt(explained * (degrees - 1) / remaining)
    limit = _quantile(degrees - 1, 1 - (1 - CONFIDENCE) / is_candidate.sum())
    farthest = distances.max()
    if farthest <= limit:
        return []
    found = np.argwhere(np.isclose(distances, farthest, rtol=1e-6))
    shift = np.divide(residuals, free, out=np.zeros_like(residuals), where=is_candidate)
    return [Outlier(int(row), int(column), float(np.exp(shift[row, column]))) for row, column in found]


@lru_cache(maxsize=256)
def _spread_over_variances(degrees_of_freedom: int) -> tuple[FloatArray, FloatArray]:
    """Returns by which factors estimates of a standard deviation are off, and the weight of each, after Gauss."""
    points, weights = np.polynomial.legendre.leggauss(80)
    return np.sqrt(chdtri(degrees_of_freedom, (1 - points) / 2) / degrees_of_freedom), weights / 2


def _fit(logs: FloatArray, min_blocked_degrees: int) -> tuple[FloatArray, int, bool]:
    """Returns the residuals, their degrees of freedom and whether the rounds' effects were taken out, too."""
    is_present = _is_present(logs)
    num_configurations, num_rounds = is_present.shape
    residuals = logs - np.nanmean(logs, axis=-1, keepdims=True)
    blocked_degrees = (num_configurations - 1) * (num_rounds - 1)
    if not is_present.all() or blocked_degrees < min_blocked_degrees:
        return residuals, int(is_present.sum()) - num_configurations, False
    return residuals - residuals.mean(axis=-2, keepdims=True), blocked_degrees, True


def _compute_leverage(logs: FloatArray, is_blocked: bool) -> FloatArray:
    is_present = _is_present(logs)
    num_configurations, num_rounds = is_present.shape
    counts = np.broadcast_to(is_present.sum(axis=-1, keepdims=True), is_present.shape)
    leverage: FloatArray = 1 / counts + is_blocked / num_configurations * (1 - 1 / num_rounds)
    return leverage


def _compute_pooled_width(
    noise: Noise,
    counts: NDArray[np.intp],
    own: NDArray[np.intp],
    base: NDArray[np.intp],
    shares: tuple[float, ...],
) -> FloatArray:
    if noise.degrees_of_freedom == 0:
        return np.full((*noise.relative_sd.shape, len(own)), np.nan)
    quantile = compute_simultaneous_quantile(noise.degrees_of_freedom, shares)
    errors = np.sqrt(1 / counts[own] + 1 / counts[base])
    width: FloatArray = noise.relative_sd[..., None] * quantile * errors
    return width


def _compute_welch_width(logs: FloatArray, own: NDArray[np.intp], base: NDArray[np.intp]) -> FloatArray:
    counts = _is_present(logs).sum(axis=-1)
    squares = np.nansum((logs - np.nanmean(logs, axis=-1, keepdims=True)) ** 2, axis=-1)
    errors = squares / np.maximum(counts - 1, 1) / counts
    total = errors[..., own] + errors[..., base]
    weighted = errors[..., own] ** 2 / (counts[own] - 1) + errors[..., base] ** 2 / (counts[base] - 1)
    degrees = np.divide(total**2, weighted, out=np.ones_like(total), where=weighted > 0)
    quantiles: FloatArray = stdtrit(degrees, (1 + CONFIDENCE ** (1 / len(own))) / 2)
    width: FloatArray = quantiles * np.sqrt(total)
    return width


def _is_present(values: FloatArray) -> NDArray[np.bool_]:
    """Returns which trials there are, shape [configurations, rounds]: the same in all comparisons of an array."""
    is_present: NDArray[np.bool_] = ~np.isnan(values[(0,) * (values.ndim - 2)])
    return is_present


def _squared_error(values: Sequence[float]) -> float:
    """Returns the squared standard error of the mean."""
    mean = compute_mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def _quantile(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    return float(stdtrit(degrees_of_freedom, (1 + confidence) / 2))
