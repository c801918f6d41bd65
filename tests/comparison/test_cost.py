from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.cost import Cost, describe_cost, warn_of_lost
from comparison.cost import compute_cost as compute_cost_by
from comparison.records import RunInfo, TrialRecord
from tests.comparison.record_factory import make_record, make_run_info

Trials = Sequence[TrialRecord]
# A whole job of two hours on the single node, of one and a half with two workers.
SINGLE = [replace(make_record("single", 0, 60.0), total_seconds=7200.0)]
TWO = [replace(make_record("all-reduce-2w", 0, 40.0), total_seconds=5400.0)]
# One that lost a replica after half an hour, one that was disturbed, and one whose end nobody saw.
LOST = {"started_at": 1000.0, "ended_at": 2800.0, "reason": "worker-1 was killed"}
REPEATED = {"started_at": 3000.0, "ended_at": 3900.0, "reason": "others took 20 %", "train_seconds": 800.0}
UNSEEN = {"started_at": 5000.0, "ended_at": None, "reason": "its launcher was lost"}


def compute_cost(baseline: Trials, trials: Trials, run_info: RunInfo) -> Cost:
    return compute_cost_by(
        baseline, trials, run_info, lambda own: own.total_seconds, lambda own: own.num_workers * own.cpus_per_replica
    )


def try_before(trials: Trials, *attempts: dict[str, Any]) -> Trials:
    return [
        replace(trial, ended_at=trial.started_at + trial.total_seconds, earlier_attempts=[*attempts])
        for trial in trials
    ]


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
    assert compute_cost(baseline, trials, make_run_info(parameters=prices)).state() == told


def test_programs_are_told_all_costs_that_are_known() -> None:
    cost = compute_cost(hold(SINGLE, 1), hold(TWO, 2), make_run_info(parameters={"gpu_price": 4.0}))

    assert describe_cost(cost) == {
        "core_seconds_ratio": pytest.approx(1.5),
        "gpu_seconds": pytest.approx(2 * 5400),
        "baseline_gpu_seconds": pytest.approx(7200),
        "gpu_seconds_ratio": pytest.approx(1.5),
        "price": pytest.approx(12.0),
        "baseline_price": pytest.approx(8.0),
    }
    assert describe_cost(None) == {"core_seconds_ratio": None}


@pytest.mark.parametrize("prices", [{}, {"cpu_price": 0.5}])
def test_no_cost_is_told_without_the_attempts_that_were_paid_for_and_do_not_count(prices: dict[str, Any]) -> None:
    run_info = make_run_info(parameters=prices)
    counted = compute_cost(try_before(SINGLE), try_before(TWO), run_info)
    cost = compute_cost(try_before(SINGLE), try_before(TWO, LOST, REPEATED), run_info)

    assert counted.lost is None
    assert cost.core_seconds == counted.core_seconds
    beside = " (without attempts that were lost or repeated: 50 % on top, the baseline's 0 %)"
    assert cost.state() == counted.state() + beside
    told = {"lost_share": pytest.approx(0.5), "baseline_lost_share": 0.0}
    assert describe_cost(cost) == describe_cost(counted) | told


def test_of_an_attempt_whose_end_nobody_saw_at_least_what_is_known_is_told() -> None:
    run_info = make_run_info(parameters={})
    cost = compute_cost(try_before(SINGLE, UNSEEN), try_before(TWO, LOST, UNSEEN), run_info)
    assert cost.state().endswith("≥ 33 % on top, the baseline's ≥ 0 %)")
    groups = {"single": try_before(SINGLE, UNSEEN), "all-reduce-2w": try_before(TWO, LOST, UNSEEN)}
    assert [warning.partition(" took ")[2].partition(", the")[0] for warning in warn_of_lost(groups, None)] == [
        "an unknown time",
        "at least 1,800 s",
    ]


def test_what_a_trial_took_that_was_left_out_is_lost_too() -> None:
    failed = [
        {"configuration": "all-reduce-2w", "trial": 1, "reason": "no record", "earlier_attempts": [LOST, REPEATED]},
        {"configuration": "single", "trial": 1, "reason": "of an older version"},
    ]
    cost = compute_cost(try_before(SINGLE), try_before(TWO), make_run_info(parameters={}, failed_trials=failed))
    assert describe_cost(cost)["lost_share"] == pytest.approx(0.5)
    (warning,) = warn_of_lost({"single": try_before(SINGLE), "all-reduce-2w": try_before(TWO)}, failed)
    assert warning == (
        "all-reduce-2w: attempts that were lost or repeated (2) took 2,700 s, the jobs that count 5,400 s. The costs "
        "are of these alone; what was lost is paid for, too."
    )
