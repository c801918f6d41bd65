"""Means, ratios and what n trials allow to say about them; docs/statistics.md gives the reasons and simulations."""

import math
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from comparison.statistics.quantiles import (
    CONFIDENCE,
    FloatArray,
    compute_independent_quantile,
    compute_quantile,
    interpolate_simultaneous_quantile,
)

# Taking rounds out costs degrees of freedom. While four remain, that widens an interval by a fifth at most, which a
# drift as large as the noise outweighs; with fewer, two trials could tell nothing apart. See docs/statistics.md.
MIN_BLOCKED_DEGREES = 4
# Of a pair the differences are all that counts: their t-test is exact, whatever the noise of each of the two.
_A_PAIR = 2
# A second figure stands beside the mean where it differs by more: a third of what a comparison is made to find.
DISAGREEMENT = 1.03
# Beyond this an interval says nothing, and its exponential would overflow.
_MAX_LOG_HALF_WIDTH = 700.0


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
        shares: Of the comparisons that rest on it, as `compute_simultaneous_quantile` takes them.
    """

    relative_sd: FloatArray
    degrees_of_freedom: int
    is_blocked: bool
    num_configurations: int
    shares: tuple[float, ...] = ()


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
    return compute_quantile(len(values) - 1) * math.sqrt(_squared_error(values))


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
    return compute_quantile(1 / math.fsum(shares)) * math.sqrt(total)


def compute_proportion_difference_ci95(proportion: float, num_examples: int) -> float:
    """Returns the half-width of the 95 % interval of a difference of two accuracies on equally many examples.

    Source: the normal approximation to the binomial, 1.96 · sqrt(2 p (1 - p) / n).
    """
    return compute_quantile(math.inf) * math.sqrt(2 * proportion * (1 - proportion) / num_examples)


def estimate_noise(values: FloatArray, min_blocked_degrees: int | None = None) -> Noise:
    """Returns the noise that all configurations of a comparison share, relative to their means.

    Two or three trials say next to nothing about their own variance; all configurations together say more. So the
    variances of the logarithms are pooled: the mean square within configurations of a one-way analysis of variance or,
    where every configuration took part in every round and enough degrees of freedom remain, the residual mean square
    of a randomised block design, from which the drift of the machine between rounds is gone. Two configurations are
    paired always: that is exact, whatever the noise of each. Which of the two it is follows from the design alone,
    never from the values, so that choosing costs no error rate.

    Args:
        values: Positive measurements, shape [..., configurations, rounds], NaN where there was no such trial; every
            configuration has one. Leading axes are independent comparisons of the same design.
        min_blocked_degrees: Rounds are taken out where so many degrees of freedom remain; by default as
            `choose_min_blocked_degrees` says.

    Source: Fisher, "The Design of Experiments" (1935), chapter IV; Cochran & Cox, "Experimental Designs" (1957),
    sections 4.2 and 4.3.
    """
    logs = np.log(values)
    residuals, degrees, is_blocked = _fit(logs, min_blocked_degrees)
    if degrees == 0:
        return Noise(np.full(logs.shape[:-2], np.nan), 0, is_blocked, logs.shape[-2])
    return Noise(np.sqrt(np.nansum(residuals**2, axis=(-2, -1)) / degrees), degrees, is_blocked, logs.shape[-2])


def choose_min_blocked_degrees(num_configurations: int) -> int:
    """Returns how many degrees of freedom must remain for rounds to be taken out."""
    return 1 if num_configurations == _A_PAIR else MIN_BLOCKED_DEGREES


def compute_ratio_arrays(
    values: FloatArray,
    pairs: Sequence[tuple[int, int]],
    unpooled: Collection[int] = (),
    min_blocked_degrees: int | None = None,
    *,
    is_one_sided: bool = False,
) -> RatioArrays:
    """Returns the ratios of the means of pairs of configurations with intervals that hold for all pairs at once.

    The interval of log(ratio) is ± `compute_log_half_widths` of the noise of all configurations; the logarithm of a
    mean is treated as the mean of the logarithms, which for a noise of 5 % is off by a tenth of a per cent and by the
    same in both. Where a pair holds a configuration whose noise is known not to be that of the others, its interval is
    the wider one of this and of that from the pair alone. A configuration with a single trial has no interval.

    Args:
        values: As `estimate_noise` takes them.
        pairs: Indices of configurations: numerator and denominator, the latter being the baseline.
        unpooled: Indices of configurations whose noise is their own, such as contended ones.
        min_blocked_degrees: As `estimate_noise` takes it.
        is_one_sided: Whether only one end of each interval is meant.

    Source: Hedges, Gurevitch & Curtis, "The meta-analysis of response ratios in experimental ecology", Ecology 80
    (1999), for the logarithm of a ratio of means; Šidák, "Rectangular confidence regions for the means of multivariate
    normal distributions", JASA 62 (1967), for pairs that have no noise in common.
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
        shares = tuple((counts[own] / (counts[own] + counts[base]) * is_dunnetts).tolist())
        spread = _measure_spread(select_pooled(values, unpooled), min_blocked_degrees)
        pooled = [index for index in range(len(counts)) if index not in unpooled]
        widths = np.empty((*ratio.shape[:-1], len(own)))
        for index, pair in enumerate(zip(own.tolist(), base.tolist(), strict=True)):
            compute = partial(compute_log_half_widths, counts=counts[[*pair]], shares=shares, is_one_sided=is_one_sided)
            if not is_unpooled[index]:
                widths[..., index] = compute(spread, places=[pooled.index(place) for place in pair])
            else:
                alone = _measure_spread(select_pooled(values, {*range(len(counts))} - {*pair}), min_blocked_degrees)
                widths[..., index] = np.fmax(compute(spread, places=()), compute(alone, places=(0, 1)))
        half_width[..., is_measured] = widths
    factor = np.exp(np.minimum(half_width, _MAX_LOG_HALF_WIDTH))
    return RatioArrays(ratio, ratio / factor, ratio * factor)


class Spread(NamedTuple):
    """How much the trials of each configuration scatter.

    Attributes:
        squares: Sum of the squared residuals of each configuration, shape [..., configurations].
        degrees: Of freedom of each, shape [configurations].
    """

    squares: FloatArray
    degrees: FloatArray

    @property
    def num_degrees(self) -> int:
        """The degrees of freedom of all together."""
        return round(float(self.degrees.sum()))


def compute_log_half_widths(
    spread: Spread,
    counts: NDArray[np.intp],
    places: Sequence[int],
    shares: tuple[float, ...],
    *,
    is_one_sided: bool = False,
) -> FloatArray:
    """Returns the half-widths of the intervals of log(ratio) of a configuration's mean to its baseline's.

    Were all configurations equally noisy, a half-width would be q · s · sqrt(1 / n_own + 1 / n_baseline), with s from
    all of them and q for all its degrees of freedom. Two or three trials cannot prove that they are, and where they are
    not, that errs in 7 to 17 % in place of 5 %. So s is that of all or, where that is larger, of the noisier one of the
    two; and the degrees of freedom are those of a sum of variances that are as unequal as they seem to be. Where all
    seem equal, nothing changes. Which of the two speaks for both needs no test, so that none can be lucky.

    Args:
        spread: Of the configurations that share their noise.
        counts: Trials of the two.
        places: Where the two are among these configurations; nothing where one of them is not.
        shares: As `compute_simultaneous_quantile` takes them, or zeros for comparisons that share neither baseline nor,
            for all that is known, noise: Student's quantile at the level of Šidák.
        is_one_sided: As `compute_simultaneous_quantile` takes it.

    Source: Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
    (1946), for the degrees of freedom. The level is held by simulation: `python -m comparison.power`.
    """
    total, most = spread.squares.sum(axis=-1), spread.num_degrees
    if most == 0:
        return np.full(total.shape, np.nan)
    known = spread.degrees > 0
    squares, degrees = spread.squares[..., known], spread.degrees[known]
    weighted = (squares**2 / degrees).sum(axis=-1)
    effective = np.divide(total**2, weighted, out=np.full(total.shape, float(most)), where=weighted > 0)
    effective = np.clip(effective, 1, most)
    if not any(shares):
        quantile = compute_independent_quantile(effective, len(shares), is_one_sided=is_one_sided)
    else:
        quantile = interpolate_simultaneous_quantile(effective, most, shares, is_one_sided=is_one_sided)
    variance = total / most
    for place in places:
        variance = np.maximum(variance, spread.squares[..., place] / spread.degrees[place])
    width: FloatArray = quantile * np.sqrt(variance * (1 / counts).sum())
    return width


def find_possibly_smallest(values: FloatArray, unpooled: Collection[int] = ()) -> NDArray[np.bool_]:
    """Returns which configurations may have the smallest mean: those that no other one is shown to be below.

    The truly smallest is among them in 95 %, for it is out only where one of the others is below it by chance: so many
    one-sided comparisons with a baseline. One that cannot be told from the smallest stays in; with little data that is
    all of them.

    Args:
        values: As `estimate_noise` takes them.
        unpooled: As `compute_ratio_arrays` takes them.

    Source: multiple comparisons with the best, Hsu, "Constrained simultaneous confidence intervals for multiple
    comparisons with the best", Annals of Statistics 12 (1984).
    """
    indices = range(values.shape[-2])
    is_possible = np.ones(values.shape[:-1], dtype=np.bool_)
    for own in indices:
        pairs = [(other, own) for other in indices if other != own]
        if pairs:
            others = compute_ratio_arrays(values, pairs, unpooled, is_one_sided=True)
            is_possible[..., own] = ~(others.high < 1).any(axis=-1)
    return is_possible


def compute_ratios(
    values: FloatArray,
    pairs: Sequence[tuple[int, int]],
    unpooled: Collection[int] = (),
    min_blocked_degrees: int | None = None,
) -> list[Ratio]:
    """Returns the ratios of a single comparison; see `compute_ratio_arrays`."""
    rows = np.stack(compute_ratio_arrays(values, pairs, unpooled, min_blocked_degrees), axis=-1).tolist()
    return [Ratio(value) if math.isnan(low) else Ratio(value, low, high) for value, low, high in rows]


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
    # Of a pair whose rounds are taken out nothing would show which of the two is off.
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
    limit = compute_quantile(degrees - 1, 1 - (1 - CONFIDENCE) / is_candidate.sum())
    farthest = distances.max()
    if farthest <= limit:
        return []
    found = np.argwhere(np.isclose(distances, farthest, rtol=1e-6))
    shift = np.divide(residuals, free, out=np.zeros_like(residuals), where=is_candidate)
    return [Outlier(int(row), int(column), float(np.exp(shift[row, column]))) for row, column in found]


def _fit(logs: FloatArray, min_blocked_degrees: int | None) -> tuple[FloatArray, int, bool]:
    """Returns the residuals, their degrees of freedom and whether the rounds' effects were taken out, too."""
    is_present = _is_present(logs)
    num_configurations, num_rounds = is_present.shape
    residuals = logs - np.nanmean(logs, axis=-1, keepdims=True)
    blocked_degrees = (num_configurations - 1) * (num_rounds - 1)
    least = min_blocked_degrees or choose_min_blocked_degrees(num_configurations)
    if not is_present.all() or blocked_degrees < least:
        return residuals, int(is_present.sum()) - num_configurations, False
    return residuals - residuals.mean(axis=-2, keepdims=True), blocked_degrees, True


def _compute_leverage(logs: FloatArray, is_blocked: bool) -> FloatArray:
    is_present = _is_present(logs)
    num_configurations, num_rounds = is_present.shape
    counts = np.broadcast_to(is_present.sum(axis=-1, keepdims=True), is_present.shape)
    leverage: FloatArray = 1 / counts + is_blocked / num_configurations * (1 - 1 / num_rounds)
    return leverage


def _measure_spread(values: FloatArray, min_blocked_degrees: int | None) -> Spread:
    logs = np.log(values)
    residuals, _, is_blocked = _fit(logs, min_blocked_degrees)
    num_configurations = logs.shape[-2]
    own = _is_present(logs).sum(axis=-1) - 1
    # Each configuration has its part in what was taken out of every round.
    degrees = own * (num_configurations - 1) / num_configurations if is_blocked else own.astype(float)
    return Spread(np.nansum(residuals**2, axis=-1), degrees)


def _is_present(values: FloatArray) -> NDArray[np.bool_]:
    """Returns which trials there are, shape [configurations, rounds]: the same in all comparisons of an array."""
    is_present: NDArray[np.bool_] = ~np.isnan(values[(0,) * (values.ndim - 2)])
    return is_present


def _squared_error(values: Sequence[float]) -> float:
    """Returns the squared standard error of the mean."""
    mean = compute_mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)
