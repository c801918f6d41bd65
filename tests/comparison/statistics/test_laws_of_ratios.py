import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from comparison.statistics.ratios import (
    compute_ci95,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
    estimate_noise,
)
from tests.comparison.statistics.comparing import compare, compare_all, compute_log_half_width, tabulate

seconds = st.floats(min_value=1e-3, max_value=1e6)
samples = st.lists(seconds, min_size=1, max_size=8)
repeats = st.lists(seconds, min_size=2, max_size=8)
# Configurations in the same rounds, few or many enough for the rounds to be taken out.
plausible = st.floats(min_value=50.0, max_value=70.0)
plausible_repeats = st.lists(plausible, min_size=2, max_size=8)
tables = st.tuples(st.integers(2, 4), st.integers(2, 5)).flatmap(
    lambda shape: st.lists(
        st.lists(plausible, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


@given(samples)
def test_speedup_of_a_configuration_over_itself_is_one(values: list[float]) -> None:
    ratio = compare(values, values)

    assert ratio.value == 1
    assert ratio.direction == 0


@given(repeats, repeats)
def test_a_ratio_lies_within_its_interval(first: list[float], second: list[float]) -> None:
    ratio = compare(first, second)

    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low <= ratio.value <= ratio.high


@given(repeats, repeats)
def test_the_inverse_comparison_has_the_inverse_interval(first: list[float], second: list[float]) -> None:
    ratio, inverse = compare(first, second), compare(second, first)

    assert inverse == pytest.approx(ratio.inverse)
    assert inverse.direction == -ratio.direction


@given(repeats, repeats, st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_ratio_does_not_depend_on_the_unit(first: list[float], second: list[float], unit: float) -> None:
    scaled = compare([unit * value for value in first], [unit * value for value in second])

    assert scaled == pytest.approx(compare(first, second))


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_rounds_does_not_matter(table: list[list[float]], random: Random) -> None:
    values = np.array(table)
    order = random.sample(range(values.shape[1]), values.shape[1])

    np.testing.assert_allclose(compare_all(values[:, order]), compare_all(values), rtol=1e-9)
    assert estimate_noise(values[:, order]).relative_sd == pytest.approx(estimate_noise(values).relative_sd, abs=1e-12)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_compared_configurations_does_not_matter(table: list[list[float]], random: Random) -> None:
    values = np.array(table)
    others = random.sample(range(1, len(values)), len(values) - 1)

    reordered = compare_all(values[[0, *others]])

    np.testing.assert_allclose(reordered, compare_all(values)[[own - 1 for own in others]], rtol=1e-9)


@given(repeats, repeats, st.randoms(use_true_random=False))
def test_where_rounds_are_left_in_trials_of_a_configuration_can_change_places(
    first: list[float], second: list[float], random: Random
) -> None:
    shuffled = random.sample(second, len(second))

    values, others = tabulate(first, second), tabulate(first, shuffled)

    assert estimate_noise(others, 1000).relative_sd == pytest.approx(estimate_noise(values, 1000).relative_sd, abs=1e-9)
    assert compute_ci95(shuffled) == pytest.approx(compute_ci95(second), rel=1e-6, abs=1e-6)


@given(tables, st.floats(min_value=0.1, max_value=10))
def test_a_round_that_slows_all_alike_changes_no_ratio_where_rounds_are_taken_out(
    table: list[list[float]], slowdown: float
) -> None:
    values = np.array(table)
    slowed = values.copy()
    slowed[:, 0] *= slowdown

    if estimate_noise(values).is_blocked:
        sd = estimate_noise(values).relative_sd
        assert estimate_noise(slowed).relative_sd == pytest.approx(sd, abs=1e-9)


@given(plausible_repeats, plausible_repeats, st.floats(min_value=1.01, max_value=3))
def test_more_noise_widens_an_interval_in_proportion(first: list[float], second: list[float], times: float) -> None:
    def spread(values: list[float]) -> list[float]:
        mean = math.fsum(map(math.log, values)) / len(values)
        return [math.exp(mean + times * (math.log(value) - mean)) for value in values]

    narrow, wide = compare(first, second), compare(spread(first), spread(second))

    assert compute_log_half_width(wide) == pytest.approx(times * compute_log_half_width(narrow), abs=1e-9)


@given(repeats, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_half_width_of_a_mean_has_the_unit_of_its_values(values: list[float], unit: float) -> None:
    half_width = compute_ci95(values)

    assert half_width is not None
    assert half_width >= 0
    assert compute_ci95([unit * value for value in values]) == pytest.approx(unit * half_width)


@given(repeats, repeats)
def test_the_half_width_of_a_difference_does_not_depend_on_its_sign(first: list[float], second: list[float]) -> None:
    half_width = compute_difference_ci95(first, second)

    assert half_width == compute_difference_ci95(second, first)
    assert half_width is not None
    # At least that of a normal variable with the same standard error.
    errors = [float(stats.sem(values)) ** 2 for values in (first, second)]
    assert half_width >= 1.9599 * math.sqrt(sum(errors)) * (1 - 1e-9)


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_more_test_images_narrow_the_interval_of_two_accuracies(proportion: float, num_examples: int) -> None:
    half_width = compute_proportion_difference_ci95(proportion, num_examples)

    assert compute_proportion_difference_ci95(proportion, 4 * num_examples) == pytest.approx(half_width / 2)
    # 1 - p has lost what p has beyond the sixteenth digit.
    assert compute_proportion_difference_ci95(1 - proportion, num_examples) == pytest.approx(half_width, abs=1e-6)


@given(repeats)
def test_equal_trials_leave_no_width(values: list[float]) -> None:
    first = values[:1] * len(values)

    assert compute_ci95(first) == pytest.approx(0, abs=1e-12 * first[0])
    assert compare(first, [value * 2 for value in first]) == pytest.approx((0.5, 0.5, 0.5))


@given(samples)
def test_the_mean_lies_between_the_extremes(values: list[float]) -> None:
    assert min(values) <= compute_mean(values) * (1 + 1e-12)
    assert compute_mean(values) <= max(values) * (1 + 1e-12)
