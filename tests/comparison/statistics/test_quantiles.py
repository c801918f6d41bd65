import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from comparison.statistics.quantiles import (
    compute_quantile,
    compute_simultaneous_quantile,
    interpolate_simultaneous_quantile,
)


@given(st.integers(1, 200), st.floats(0.5, 0.998), st.floats(1e-4, 1e-3))
def test_more_confidence_takes_a_wider_interval(degrees: int, confidence: float, more: float) -> None:
    assert compute_quantile(degrees, confidence + more) > compute_quantile(degrees, confidence) > 0


@settings(max_examples=20)
@given(st.integers(2, 60), st.integers(1, 6))
def test_more_comparisons_or_fewer_trials_widen_each_interval(degrees: int, compared: int) -> None:
    quantile = compute_simultaneous_quantile(degrees, (0.5,) * compared)

    assert compute_simultaneous_quantile(degrees, (0.5,) * (compared + 1)) > quantile
    assert compute_simultaneous_quantile(degrees + 1, (0.5,) * compared) < quantile
    bonferroni = float(stats.t.ppf(1 - 0.025 / compared, degrees))
    assert quantile <= bonferroni * (1 + 1e-6)


def test_quantiles_between_whole_degrees_of_freedom_are_on_the_safe_side() -> None:
    at = [float(own) for own in interpolate_simultaneous_quantile(np.array([3.0, 3.5, 4.0]), 8, (0.5, 0.5))]

    assert at[0] == compute_simultaneous_quantile(3, (0.5, 0.5))
    assert at[2] == compute_simultaneous_quantile(4, (0.5, 0.5))
    assert at[1] == pytest.approx((at[0] + at[2]) / 2)
    single = float(interpolate_simultaneous_quantile(np.array(3.5), 8, (0.5,)))
    assert single > stats.t.ppf(0.975, 3.5)


@pytest.mark.parametrize(("degrees", "compared", "quantile"), [(5, 2, 2.44), (10, 3, 2.34), (20, 9, 2.60)])
def test_one_sided_quantiles_are_those_of_dunnetts_table(degrees: int, compared: int, quantile: float) -> None:
    assert compute_simultaneous_quantile(degrees, (0.5,) * compared, is_one_sided=True) == pytest.approx(
        quantile, abs=0.006
    )


@pytest.mark.parametrize(
    ("degrees", "compared", "quantile"),
    [(5, 1, 2.57), (5, 2, 3.03), (10, 2, 2.57), (10, 3, 2.76), (20, 3, 2.54), (20, 9, 2.95)],
)
def test_simultaneous_quantiles_are_those_of_dunnetts_table(degrees: int, compared: int, quantile: float) -> None:
    assert compute_simultaneous_quantile(degrees, (0.5,) * compared) == pytest.approx(quantile, abs=0.006)
