from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.simulated_trials import MESSAGE_BYTES, Truth, simulate_trial
from comparison.audit import Marks
from comparison.forecast.scaling import Forecast, find_next, forecast_scaling, measure
from comparison.groups import group_trials
from comparison.records import TrialRecord
from tests.comparison.record_factory import make_record, make_run


def simulate(truth: Truth, counts: Sequence[int] = (1, 2), trials: int = 3, **changes: Any) -> list[TrialRecord]:
    generator = np.random.default_rng(0)
    return [
        replace(simulate_trial(truth, count, trial, generator, noise=0.01, place=place), **changes)
        for trial in range(trials)
        for place, count in enumerate(counts)
    ]


def forecast(records: Sequence[TrialRecord], marks: Marks | None = None) -> Forecast:
    (own,) = forecast_scaling(group_trials(records), marks)
    return own


@pytest.mark.parametrize("scaling", ["strong", "weak"])
@pytest.mark.parametrize("counts", [(1, 2), (1, 2, 4)])
def test_twice_the_workers_that_were_measured_are_forecast(scaling: str, counts: tuple[int, ...]) -> None:
    truth = Truth(scaling=scaling)
    own = forecast(simulate(truth, counts))
    many = 2 * counts[-1]
    images = many if scaling == "weak" else 1

    assert own.ahead is not None
    assert (own.ahead.num_workers, own.largest, own.ahead.measured) == (many, many, None)
    truth_speedup = images * truth.step_seconds / (truth.compute(many) + truth.exchange(many, MESSAGE_BYTES))
    assert own.ahead.speedup.low < truth_speedup < own.ahead.speedup.high
    assert own.ahead.job_speedup.low < own.ahead.job_speedup.high < own.ahead.speedup.high
    assert [scale.num_workers for scale in own.scales] == [*counts[1:], many]


def test_what_was_timed_of_an_exchange_is_what_is_measured() -> None:
    groups = group_trials(simulate(Truth(latency_seconds=2e-3, seconds_per_byte=1e-8)))
    single, two = groups["single"], groups["all-reduce-2w"]
    own = forecast_scaling(groups)[0].measured[0]

    measured = measure(single, two, own.speedup, own.job_speedup)

    step = np.mean([trial.train_seconds / trial.steps for trial in two])
    assert float(measured.latency_share) == pytest.approx(2 * 2e-3 / step)
    assert float(measured.transfer_share) == pytest.approx(MESSAGE_BYTES * 1e-8 / step)
    assert float(measured.communication_share) == pytest.approx((4e-3 + MESSAGE_BYTES * 1e-8) / step, rel=0.05)
    assert float(measured.setup_share) == pytest.approx(7.2 / (7.2 + 858 * step), rel=0.05)
    assert float(measured.setup_growth) == pytest.approx(1.2 / 7.2, abs=0.02)


def test_trials_that_did_not_time_an_exchange_give_a_wider_range() -> None:
    timed, old = forecast(simulate(Truth())), forecast(simulate(Truth(), collective=None))

    assert timed.is_exchange_timed
    assert not old.is_exchange_timed
    assert timed.ahead is not None
    assert old.ahead is not None
    assert old.ahead.speedup.low == timed.ahead.speedup.low
    assert old.ahead.speedup.high > timed.ahead.speedup.high


@pytest.mark.parametrize(
    ("few", "scaling", "batch", "expected"),
    [
        (2, "strong", 128, 4),
        (3, "strong", 120, 6),
        (4, "strong", 60, 6),
        (64, "strong", 96, 96),
        (128, "strong", 128, None),
        (3, "weak", 7, 6),
        (2, "strong", 202, None),
        (700, "weak", 128, 1024),
    ],
)
def test_with_strong_scaling_what_is_forecast_divides_the_batch(
    few: int, scaling: str, batch: int, expected: int | None
) -> None:
    assert find_next(few, scaling=scaling, global_batch_size=batch) == expected


def test_the_choice_is_what_is_fastest_in_the_worse_case() -> None:
    scales, stays = forecast(simulate(Truth(latency_seconds=1e-5))), forecast(simulate(Truth(latency_seconds=4e-3)))

    assert (scales.choice.num_workers, scales.choice.measured) == (4, None)
    assert stays.choice.num_workers == 2
    assert stays.choice.measured is not None


def test_where_the_baseline_proves_nothing_nothing_is_forecast() -> None:
    assert forecast_scaling(group_trials(simulate(Truth())), Marks(unfair=["single"], unproven=["single"])) == []


@pytest.mark.parametrize("field", ["worse", "unproven"])
def test_a_number_of_workers_in_doubt_is_shown_and_nothing_follows_from_it(field: str) -> None:
    records = simulate(Truth(), (1, 2, 4))
    own = forecast(records, Marks(**{field: ["all-reduce-4w"]}))

    assert [scale.is_sound for scale in own.measured] == [True, False]
    assert own.ahead is not None
    assert own.ahead.num_workers == 4
    assert own.checks == []
    assert forecast_scaling(group_trials(records), Marks(**{field: ["all-reduce-2w", "all-reduce-4w"]})) == []


def test_from_replicas_that_shared_too_few_cores_nothing_is_forecast() -> None:
    records = [replace(trial, contended=trial.num_workers == 4) for trial in simulate(Truth(), (1, 2, 4))]
    own = forecast(records)

    assert [(scale.num_workers, scale.is_contended) for scale in own.measured] == [(2, False), (4, True)]
    assert own.ahead is not None
    assert own.ahead.num_workers == 4
    assert forecast_scaling(group_trials([replace(own, contended=True) for own in records])) == []


def test_from_a_single_trial_nothing_is_forecast() -> None:
    assert forecast_scaling(group_trials(simulate(Truth(), trials=1))) == []


def test_a_forecast_from_two_workers_is_checked_with_four_not_with_eight() -> None:
    (check,) = forecast(simulate(Truth(), (1, 2, 4))).checks

    assert (check.from_workers, check.scale.num_workers) == (2, 4)
    assert check.forecast.low < check.scale.speedup.low < check.scale.speedup.high < check.forecast.high
    assert forecast(simulate(Truth(), (1, 2, 8))).checks == []


def test_strong_and_weak_scaling_are_forecast_apart_each_as_if_it_were_alone() -> None:
    strong, weak = simulate(Truth()), simulate(Truth(scaling="weak"))
    distributed = [trial for trial in weak if trial.num_workers > 1]
    both = forecast_scaling(group_trials([*strong, *distributed]))

    assert [own.scaling for own in both] == ["strong", "weak"]
    assert both[0] == forecast(strong)


def test_all_reduce_comes_first_and_servers_have_a_low_end_of_no_further_update() -> None:
    servers = Truth("parameter_server", num_ps=1)
    records = [*simulate(Truth()), *[trial for trial in simulate(servers) if trial.num_workers > 1]]
    first, second = forecast_scaling(group_trials(records))

    assert (first.strategy, second.strategy, second.num_ps) == ("all_reduce", "parameter_server", 1)
    assert second.ahead is not None
    assert second.ahead.speedup.low == pytest.approx(second.measured[0].speedup.low / 2)


def test_single_nodes_and_what_has_no_baseline_have_no_forecast() -> None:
    assert forecast_scaling(group_trials([make_record("single"), make_record("single-2cpu")])) == []
    assert forecast_scaling(group_trials([make_record("all-reduce-2w")])) == []
    assert forecast_scaling(group_trials([make_record("single"), make_record("all-reduce-1w")])) == []


def test_a_training_that_is_all_communication_on_paper_is_still_forecast() -> None:
    records = [replace(own, communication_seconds=own.train_seconds + 1) for own in make_run() if not own.num_ps]
    own = forecast(
        [replace(trial, communication_seconds=0.0) if trial.num_workers == 1 else trial for trial in records]
    )

    assert own.ahead is not None
    assert 0 < own.ahead.speedup.low < own.ahead.speedup.high


def test_replicas_on_one_machine_know_its_cores() -> None:
    records = simulate(Truth())

    assert forecast(records).machine_cores == 64
    away = forecast([replace(own, backend="kubernetes") for own in records])
    assert (away.machine_cores, away.is_local) == (None, False)
