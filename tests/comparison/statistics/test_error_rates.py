import math

import numpy as np
import pytest

from comparison.power import BETWEEN_TRIAL_CV, SLOWDOWN, simulate
from comparison.statistics.ratios import (
    compute_ratio_arrays,
)

SIMULATIONS = 20_000
# Three standard errors of a share of 5 % above it.
HIGHEST_RATE = 0.05 + 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)


@pytest.mark.parametrize("configurations", [2, 3, 5])
@pytest.mark.parametrize("trials", [2, 3, 5])
@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_identical_configurations_are_called_different_in_five_per_cent_at_most(
    configurations: int, trials: int, drift: float
) -> None:
    rates = simulate(configurations=configurations, trials=trials, drift=drift, simulations=SIMULATIONS)

    assert rates.any_found <= HIGHEST_RATE


@pytest.mark.parametrize("trials", [2, 3, 5])
@pytest.mark.parametrize("times", [1, 3, 10])
def test_a_contended_configuration_with_more_noise_is_not_called_different_more_often(trials: int, times: int) -> None:
    noise = [BETWEEN_TRIAL_CV, BETWEEN_TRIAL_CV, times * BETWEEN_TRIAL_CV]

    rates = simulate(configurations=3, trials=trials, noise=noise, unpooled=[2], simulations=SIMULATIONS)

    assert rates.any_found <= HIGHEST_RATE


@pytest.mark.parametrize(("trials", "noise"), [(3, 0.015), (4, 0.02), (5, 0.03)])
def test_a_tenth_slower_is_found_in_nine_of_ten_comparisons(trials: int, noise: float) -> None:
    rates = simulate(configurations=3, trials=trials, noise=noise, slowdown=SLOWDOWN, simulations=SIMULATIONS)

    assert rates.last_found >= 0.9


@pytest.mark.parametrize("drift", [0.02, 0.05, 0.2])
def test_from_three_rounds_on_drift_between_rounds_costs_no_power(drift: float) -> None:
    still, drifting = (
        simulate(configurations=3, trials=3, drift=own, slowdown=SLOWDOWN, simulations=SIMULATIONS).last_found
        for own in (0.0, drift)
    )

    assert drifting == pytest.approx(still, abs=0.005)


def test_the_interval_of_a_ratio_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    values = np.array([[60.0], [40.0]]) * (1 + 0.03 * generator.standard_normal((SIMULATIONS, 2, 3)))

    ratios = compute_ratio_arrays(values, [(0, 1)])

    assert np.mean((ratios.low <= 1.5) & (ratios.high >= 1.5)) == pytest.approx(0.95, abs=0.005)
