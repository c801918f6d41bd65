import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison.power import SLOWDOWN, simulate
from comparison.statistics.ratios import Noise, estimate_noise
from comparison.statistics.sample_size import compute_power, count_trials_range, count_trials_to_find


@given(st.floats(0.001, 0.3), st.integers(2, 12))
def test_two_identical_configurations_are_called_different_with_the_probability_that_is_stated(
    noise: float, trials: int
) -> None:
    # Of drawn scatter; a pair is exact, more configurations are on the safe side.
    assert compute_power(noise, 2, trials, ratio=1.0) == pytest.approx(0.05, abs=6e-3)
    assert compute_power(noise, 3, trials, ratio=1.0) < 0.035


@settings(max_examples=30)
@given(st.floats(0.005, 0.1), st.integers(2, 5), st.integers(2, 12), st.floats(1.01, 1.5))
def test_power_grows_with_the_difference_and_shrinks_with_the_noise(
    noise: float, configurations: int, trials: int, ratio: float
) -> None:
    power = compute_power(noise, configurations, trials, ratio)

    assert 0 <= power <= 1
    assert compute_power(noise, configurations, trials, 1 / ratio) == pytest.approx(power)
    assert compute_power(noise, configurations, trials, ratio * 1.01) >= power - 1e-12
    assert compute_power(noise * 1.01, configurations, trials, ratio) <= power + 1e-12


@pytest.mark.parametrize("configurations", [2, 3, 5])
@pytest.mark.parametrize(("trials", "noise"), [(2, 0.01), (3, 0.02), (3, 0.04), (5, 0.04), (6, 0.05)])
def test_power_is_what_simulations_find(configurations: int, trials: int, noise: float) -> None:
    rates = simulate(configurations=configurations, trials=trials, noise=noise, slowdown=SLOWDOWN)

    # Three standard errors of so many simulations at the most, and the noise of a mean's logarithm.
    assert compute_power(noise, configurations, trials) == pytest.approx(rates.last_found, abs=0.015)


@settings(max_examples=30)
@given(st.floats(0.002, 0.05), st.integers(2, 5))
def test_so_many_trials_are_enough_and_one_less_is_not(noise: float, configurations: int) -> None:
    trials = count_trials_to_find(noise, configurations)

    assert trials is not None
    assert compute_power(noise, configurations, trials) >= 0.9
    assert all(compute_power(noise, configurations, fewer) < 0.9 for fewer in range(2, trials))


def test_without_noise_two_trials_are_enough_and_with_too_much_no_number_is_given() -> None:
    assert count_trials_to_find(0.0, 3) == 2
    assert count_trials_to_find(2.0, 3) is None
    assert count_trials_to_find(math.nan, 3) is None


def test_no_number_is_given_where_a_thousand_trials_would_do_only_if_their_noise_were_known() -> None:
    assert compute_power(0.609, 3, 1000) < 0.9
    assert count_trials_to_find(0.609, 3) is None
    assert count_trials_to_find(0.59, 3) is not None


def test_few_degrees_of_freedom_leave_the_number_of_trials_wide_open() -> None:
    # From printed tables: χ² of four degrees of freedom is below 0.484 and above 11.143 in 2.5 % each.
    noise = Noise(np.array(0.048), 4, True, 3)
    low, high = count_trials_range(noise)

    assert (low, high) == (count_trials_to_find(0.048 * 0.5991, 3), count_trials_to_find(0.048 * 2.8737, 3))
    assert low is not None
    assert high is not None
    assert high > 9 * low


@settings(max_examples=8)
@given(st.floats(0.005, 0.03), st.integers(2, 5), st.integers(2, 40))
def test_the_range_of_the_trials_holds_what_their_noise_says_and_narrows_with_more_of_them(
    noise: float, configurations: int, degrees: int
) -> None:
    few, many = (
        count_trials_range(Noise(np.array(noise), own, False, configurations)) for own in (degrees, 10 * degrees)
    )
    needed = [few[0], many[0], count_trials_to_find(noise, configurations), many[1], few[1]]

    assert sorted(needed, key=lambda number: number or math.inf) == needed


def test_the_noises_interval_holds_the_truth_in_nineteen_of_twenty() -> None:
    truth, simulations = 0.04, 200
    values = np.exp(truth * np.random.default_rng(0).standard_normal((simulations, 3, 3)))
    needed = count_trials_to_find(truth, 3)
    assert needed is not None
    ranges = [count_trials_range(estimate_noise(own)) for own in values]
    # A number of trials is whole: at the edges it may be the same for a noise outside.
    covered = sum((low or 0) <= needed <= (high or math.inf) for low, high in ranges)

    assert 0.95 - 3 * (0.05 * 0.95 / simulations) ** 0.5 < covered / simulations < 0.99


def test_the_range_of_the_trials_has_no_end_beyond_a_thousand() -> None:
    assert count_trials_range(Noise(np.array(0.03), 1, False, 2)) == (3, None)
    assert count_trials_range(Noise(np.array(0.0), 3, False, 2)) == (2, 2)
    assert count_trials_range(Noise(np.array(2.0), 8, True, 3)) == (None, None)
