from dataclasses import replace
from typing import Any

import pytest

from comparison.report.cost import compute_cost
from tests.comparison.record_factory import make_record, make_run_info

# A whole job of two hours on the single node, of one and a half with two workers.
SINGLE = [replace(make_record("single", 0, 60.0), total_seconds=7200.0)]
TWO = [replace(make_record("all-reduce-2w", 0, 40.0), total_seconds=5400.0)]
SERVED = [replace(make_record("parameter-server-2w-1ps", 0, 40.0), total_seconds=5400.0)]


def on_gpus(trials: Any) -> Any:
    return [replace(trial, gpus=1) for trial in trials]


def test_what_replicas_held_counts_for_the_whole_job() -> None:
    cost = compute_cost(SINGLE, TWO, make_run_info())

    assert cost.core_seconds_ratio == pytest.approx(2 * 5400 / 7200)
    assert (cost.gpu_seconds_ratio, cost.price, cost.baseline_price) == (None, None, None)
    assert cost.state() == "for 50 % more core-seconds"


def test_gpus_are_told_before_cores_and_servers_have_none() -> None:
    cost = compute_cost(on_gpus(SINGLE), on_gpus(SERVED), make_run_info())

    assert cost.core_seconds_ratio == pytest.approx(len(SERVED[0].replicas) * 5400 / 7200)
    assert cost.gpu_seconds_ratio == pytest.approx((len(SERVED[0].replicas) - 1) * 5400 / 7200)
    assert cost.state().endswith("more GPU-seconds")


def test_a_price_makes_a_training_cost_money() -> None:
    prices = make_run_info(parameters={"cpu_price": 0.5, "gpu_price": 4.0})
    cost = compute_cost(on_gpus(SINGLE), on_gpus(TWO), prices)

    assert cost.baseline_price == pytest.approx(2 * (0.5 + 4.0))
    assert cost.price == pytest.approx(2 * 1.5 * (0.5 + 4.0))
    assert cost.state() == "for a price of 13.5 instead of 9"


def test_a_price_of_gpus_alone_says_nothing_where_there_are_none() -> None:
    cost = compute_cost(SINGLE, TWO, make_run_info(parameters={"gpu_price": 4.0}))

    assert cost.state() == "for 50 % more core-seconds"


def test_the_price_of_a_cpu_alone_is_enough() -> None:
    assert compute_cost(SINGLE, TWO, make_run_info(parameters={"cpu_price": 0.5})).state() == (
        "for a price of 1.5 instead of 1"
    )
