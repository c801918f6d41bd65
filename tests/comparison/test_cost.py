from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.cost import compute_cost, describe_cost
from comparison.records import TrialRecord
from tests.comparison.record_factory import make_record

Trials = Sequence[TrialRecord]
# A whole job of two hours on the single node, of one and a half with two workers.
SINGLE = [replace(make_record("single", 0, 60.0), total_seconds=7200.0)]
TWO = [replace(make_record("all-reduce-2w", 0, 40.0), total_seconds=5400.0)]


def hold(trials: Trials, gpus: int) -> Trials:
    return [replace(trial, gpus_held=gpus) for trial in trials]


@pytest.mark.parametrize(
    ("baseline", "trials", "prices", "told"),
    [
        (SINGLE, TWO, {}, "for 50 % more core-seconds"),
        (hold(SINGLE, 1), hold(TWO, 2), {}, "for 50 % more GPU-seconds"),
        (hold(SINGLE, 1), hold(TWO, 1), {}, "for 25 % fewer GPU-seconds"),
        (hold(SINGLE, 3), hold(TWO, 4), {}, "for as many GPU-seconds"),
        (SINGLE, TWO, {"cpu_price": 0.5}, "for a price of 1.5 instead of 1"),
        (hold(SINGLE, 1), hold(TWO, 2), {"cpu_price": 0.5, "gpu_price": 4.0}, "for a price of 13.5 instead of 9"),
        (SINGLE, TWO, {"gpu_price": 4.0}, "for 50 % more core-seconds"),
        (SINGLE, hold(TWO, 2), {}, "for 50 % more core-seconds"),
        (hold(SINGLE, 1), hold(TWO, 2), {"cpu_price": 0.5}, "for 50 % more GPU-seconds"),
        (SINGLE, hold(TWO, 2), {"cpu_price": 0.5, "gpu_price": 4.0}, "for a price of 13.5 instead of 1"),
        (SINGLE, hold(TWO, 2), {"cpu_price": 0.5}, "for 50 % more core-seconds"),
    ],
)
def test_the_answer_tells_the_price_or_what_is_dearest(
    baseline: Trials, trials: Trials, prices: dict[str, Any], told: str
) -> None:
    assert compute_cost(baseline, trials, prices).state() == told


def test_programs_are_told_all_costs_that_are_known() -> None:
    cost = compute_cost(hold(SINGLE, 1), hold(TWO, 2), {"gpu_price": 4.0})

    assert describe_cost(cost) == {
        "core_seconds_ratio": pytest.approx(1.5),
        "gpu_seconds": pytest.approx(2 * 5400),
        "baseline_gpu_seconds": pytest.approx(7200),
        "gpu_seconds_ratio": pytest.approx(1.5),
        "price": pytest.approx(12.0),
        "baseline_price": pytest.approx(8.0),
    }
    assert describe_cost(None) == {"core_seconds_ratio": None}
