import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.statistics import (
    Ratio,
    compute_ci95,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
    compute_ratio,
)

seconds = st.floats(min_value=1e-3, max_value=1e6)
samples = st.lists(seconds, min_size=1, max_size=8)
repeats = st.lists(seconds, min_size=2, max_size=8)


@given(samples)
def test_speedup_of_a_configuration_over_itself_is_one(values: list[float]) -> None:
    ratio = compute_ratio(values, values)

    assert ratio.value == 1
    assert ratio.direction == 0


@given(repeats, repeats)
def test_a_ratio_lies_within_its_interval(first: list[float], second: list[float]) -> None:
    ratio = compute_ratio(first, second)

    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low <= ratio.value <= ratio.high


@given(repeats, repeats)
def test_the_inverse_comparison_has_the_inverse_interval(first: list[float], second: list[float]) -> None:
    ratio, inverse = compute_ratio(first, second), compute_ratio(second, first)

    assert ratio.value * inverse.value == pytest.approx(1)
    assert inverse.direction == -ratio.direction
    if inverse.high is not None and ratio.low:
        assert ratio.low * inverse.high == pytest.approx(1)


@given(repeats, repeats, st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_ratio_does_not_depend_on_the_unit(first: list[float], second: list[float], unit: float) -> None:
    scaled = compute_ratio([unit * value for value in first], [unit * value for value in second])

    assert scaled == pytest.approx(compute_ratio(first, second))


@given(repeats)
def test_equal_trials_leave_no_width(values: list[float]) -> None:
    first = values[:1] * len(values)

    assert compute_ci95(first) == pytest.approx(0, abs=1e-12 * first[0])
    assert compute_ratio(first, [value * 2 for value in first]) == pytest.approx((0.5, 0.5, 0.5))


@given(samples)
def test_the_mean_lies_between_the_extremes(values: list[float]) -> None:
    assert min(values) <= compute_mean(values) * (1 + 1e-12)
    assert compute_mean(values) <= max(values) * (1 + 1e-12)


def test_a_single_trial_has_no_interval() -> None:
    assert compute_ci95([60.0]) is None
    assert compute_ratio([60.0], [30.0, 31.0]) == Ratio(60 / 30.5)
    assert compute_difference_ci95([1.0], [1.0, 2.0]) is None


def test_a_single_trial_is_judged_as_it_stands() -> None:
    assert [Ratio(value).direction for value in (0.9, 1.0, 1.1)] == [-1, 0, 1]


@pytest.mark.parametrize(("low", "high", "direction"), [(1.1, 1.9, 1), (0.9, 1.9, 0), (0.1, 0.9, -1), (1.0, 2.0, 0)])
def test_only_an_interval_without_one_says_faster_or_slower(low: float, high: float, direction: int) -> None:
    assert Ratio(math.sqrt(low * high), low, high).direction == direction


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.7062), (3, 4.3027), (5, 2.7764), (31, 2.0423)])
def test_half_widths_use_the_t_distribution_of_the_printed_tables(n: int, quantile: float) -> None:
    values = [float(value) for value in range(n)]

    assert compute_ci95(values) == pytest.approx(quantile * statistics.stdev(values) / math.sqrt(n), rel=1e-4)


def test_welch_interval_of_equal_samples_has_the_pooled_degrees_of_freedom() -> None:
    # Two samples of three with equal variances: four degrees of freedom, t = 2.7764.
    expected = 2.7764 * math.sqrt(2 * 1.0 / 3)

    assert compute_difference_ci95([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]) == pytest.approx(expected, rel=1e-4)


def test_the_interval_of_two_accuracies_is_that_of_the_binomial() -> None:
    assert compute_proportion_difference_ci95(0.99, 10_000) == pytest.approx(0.002758, rel=1e-3)


def test_the_interval_of_a_ratio_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = random.Random(0)
    repetitions = 2000
    covered = 0
    for _ in range(repetitions):
        ratio = compute_ratio(
            [generator.gauss(60, 2) for _ in range(3)],
            [generator.gauss(40, 1) for _ in range(3)],
        )
        covered += (ratio.low or 0) <= 1.5 <= (ratio.high or 0)

    assert 0.93 <= covered / repetitions <= 0.98
