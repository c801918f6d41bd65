import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.forecast import Forecast, forecast_break_even
from comparison.summary import group_trials
from tests.comparison.record_factory import make_record


def forecast(configuration: str, single_seconds: float, own_seconds: float, **changes: Any) -> Forecast:
    records = [
        make_record("single", train_seconds=single_seconds, steps=100, global_batch_size=100),
        make_record(configuration, 0, own_seconds, **{"steps": 100, "global_batch_size": 100} | changes),
    ]
    return forecast_break_even(group_trials(records))[configuration]


def test_the_break_even_step_outweighs_what_distributing_costs() -> None:
    # A step of 1 s becomes 0.5 s and 0.2 s on top: two workers break even at 0.4 s, 0.2 s each and 0.2 s on top.
    assert forecast("all-reduce-2w", 100.0, 70.0)[:2] == pytest.approx((1.0, 0.4))


@given(st.integers(2, 64), st.floats(1, 100), st.floats(0.01, 10))
def test_at_the_break_even_step_both_are_equally_fast(num_workers: int, step: float, cost: float) -> None:
    own_step = step / num_workers + cost
    name = f"all-reduce-{num_workers}w"

    broken_even = forecast(name, 100 * step, 100 * own_step).break_even_step_seconds

    assert broken_even / num_workers + cost == pytest.approx(broken_even)


def test_a_longer_start_up_is_made_up_for_by_enough_images() -> None:
    # 0.3 s are saved a step of 100 images; 6 s of start-up take 20 steps.
    assert forecast("all-reduce-2w", 100.0, 70.0, total_seconds=91.0).break_even_images == pytest.approx(2000)


def test_training_that_is_no_faster_never_makes_up_for_its_start_up() -> None:
    assert math.isinf(forecast("all-reduce-2w", 100.0, 110.0).break_even_images)


def test_distributing_that_costs_nothing_pays_off_at_any_size() -> None:
    assert forecast("all-reduce-2w", 100.0, 50.0)[1:] == (0, 0)


def test_single_nodes_and_weak_scaling_have_no_forecast() -> None:
    records = [make_record("single", scaling="weak"), make_record("all-reduce-2w", scaling="weak")]

    assert forecast_break_even(group_trials(records)) == {}
    assert forecast_break_even(group_trials([make_record("single"), make_record("single-2cpu")])) == {}
    assert forecast_break_even(group_trials([make_record("all-reduce-2w")])) == {}
