import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from comparison.forecast.model import NETWORKS, CostModel, Job, predict_speedup, predict_step_seconds
from comparison.forecast.scaling import (
    Estimate,
    Forecast,
    draw_clocks,
    forecast_scaling,
    list_worker_counts,
    look_ahead,
    measure_clocks,
    tabulate_scales,
)
from comparison.groups import group_trials
from comparison.records import TrialRecord
from tests.comparison.record_factory import make_record, make_run

BYTES = 4 * 77754
STEPS = 858
Z90 = 1.2815515655446004


def make_truth(latency_seconds: float, seconds_per_byte: float, scaling: str = "strong", **changes: Any) -> CostModel:
    job = Job("all_reduce", scaling, 128, STEPS, BYTES, 0, 1.0)
    model = CostModel(job, 0.05, 0.05, 0.0, 0.02, latency_seconds, seconds_per_byte, 12.0, 13.0, 0.1)
    return replace(model, **changes)


def make_trial(truth: CostModel, num_workers: int, trial: int = 0, noise: Any = None) -> TrialRecord:
    """Returns a trial of a model; `noise` draws the factors that its clocks are off by."""
    is_weak = truth.job.scaling == "weak"
    share = 1.0 if is_weak else 1 / num_workers
    step = float(predict_step_seconds(truth, num_workers))
    computation = truth.single_step_seconds * (truth.fixed_share + (1 - truth.fixed_share) * share)
    steps = STEPS // num_workers if is_weak else STEPS
    training, communication, setup = [1.0, 1.0, 1.0] if noise is None else np.exp(noise.normal(0, 0.02, 3)).tolist()
    communication_seconds = communication * training * (step - computation) * steps
    train_seconds = training * computation * steps + communication_seconds
    return make_record(
        "single" if num_workers == 1 else f"all-reduce-{num_workers}w",
        trial,
        train_seconds,
        scaling=truth.job.scaling,
        steps=steps,
        global_batch_size=128 * num_workers if is_weak else 128,
        per_replica_batch_size=128 if is_weak else 128 // num_workers,
        images_seen=128 * STEPS,
        images_per_second=128 * STEPS / train_seconds,
        communication_seconds=communication_seconds,
        total_seconds=train_seconds + setup * (truth.single_setup_seconds if num_workers == 1 else 13.2),
        step_seconds={"p50": step, "p90": step * (1 + Z90 * truth.relative_noise), "p99": 2 * step},
    )


def forecast(records: list[TrialRecord], num_draws: int = 50) -> Forecast:
    (own,) = forecast_scaling(group_trials(records), num_draws)
    return own


def test_the_parameters_come_back_from_exact_trials() -> None:
    truth = make_truth(3e-4, 2e-9)
    fitted = forecast([make_trial(truth, count) for count in (1, 2, 4)]).models[0]

    assert fitted.latency_seconds == pytest.approx(3e-4)
    assert fitted.seconds_per_byte == pytest.approx(2e-9)
    assert fitted.fixed_share == pytest.approx(0.05)
    assert fitted.relative_noise == pytest.approx(0.02)
    assert fitted.single_step_seconds == pytest.approx(0.05)


@pytest.mark.parametrize("scaling", ["strong", "weak"])
def test_the_band_covers_the_truth_in_nine_of_ten_simulations(scaling: str) -> None:
    generator = np.random.default_rng(1)
    simulations, counts = 60, [2, 8, 32]
    covered = np.zeros(len(counts))
    for _ in range(simulations):
        share, exchange = generator.uniform(), generator.uniform(1e-3, 1e-2)
        truth = make_truth(share * exchange / 2, (1 - share) * exchange / BYTES, scaling)
        trials = [make_trial(truth, count, trial, generator) for count in (1, 2) for trial in range(3)]
        scales = tabulate_scales(forecast(trials, 200), counts)
        expected = predict_speedup(truth, counts)
        covered += [
            scale.speedup.low <= value <= scale.speedup.high for scale, value in zip(scales, expected, strict=True)
        ]

    assert np.all(covered >= 0.9 * simulations), covered


def test_a_forecast_from_two_workers_is_checked_with_four() -> None:
    truth = make_truth(1e-3, 2e-3 / BYTES)  # as much latency as bandwidth, which is what is assumed
    (check,) = forecast([make_trial(truth, count) for count in (1, 2, 4)]).checks

    assert (check.num_workers, check.fitted_workers, check.is_contended) == (4, 2, False)
    assert check.error == pytest.approx(0, abs=0.01)


def test_what_shared_too_few_cores_is_no_fair_check_and_is_not_fitted() -> None:
    truth = make_truth(1e-3, 1e-9)
    slow = replace(make_trial(truth, 4), train_seconds=200.0, contended=True)
    own = forecast([make_trial(truth, 1), make_trial(truth, 2), slow])

    assert own.fitted == [2]
    assert not own.is_contended
    assert own.checks[0].is_contended
    assert [point.is_contended for point in own.points] == [False, True]


def test_where_all_trials_shared_too_few_cores_they_are_fitted_all_the_same() -> None:
    truth = make_truth(1e-3, 1e-9)
    own = forecast([make_trial(truth, 1), replace(make_trial(truth, 2), contended=True)])

    assert own.fitted == [2]
    assert own.is_contended


def test_parameter_servers_take_over_how_all_reduce_shrinks_a_step() -> None:
    all_reduce, servers = forecast_scaling(group_trials(make_run()), 10)

    assert (all_reduce.job.strategy, servers.job.strategy, servers.job.num_ps) == ("all_reduce", "parameter_server", 1)
    assert [model.fixed_share for model in servers.models] == [model.fixed_share for model in all_reduce.models]
    assert servers.is_contended


def test_parameter_servers_alone_can_be_forecast() -> None:
    (own,) = forecast_scaling(group_trials([record for record in make_run() if "all" not in record.configuration]), 10)

    assert own.job.strategy == "parameter_server"
    assert tabulate_scales(own, [2])[0].speedup.value == pytest.approx(own.points[0].speedup.value)


def test_strong_and_weak_scaling_are_forecast_apart_each_as_if_it_were_alone() -> None:
    strong, weak = (
        [make_trial(make_truth(1e-3, 1e-9, scaling), count) for count in (1, 2)] for scaling in ("strong", "weak")
    )
    renamed = replace(weak[1], configuration="all-reduce-2w-weak")
    both = forecast_scaling(group_trials([*strong, renamed]), 10)

    assert [own.job.scaling for own in both] == ["strong", "weak"]
    assert both == [forecast(strong, 10), forecast([strong[0], renamed], 10)]


def test_single_nodes_and_what_has_no_baseline_have_no_forecast() -> None:
    assert forecast_scaling(group_trials([make_record("single"), make_record("single-2cpu")])) == []
    assert forecast_scaling(group_trials([make_record("all-reduce-2w")])) == []
    assert forecast_scaling(group_trials([make_record("single"), make_record("all-reduce-1w")])) == []


def test_one_trial_leaves_the_band_of_what_cannot_be_told() -> None:
    truth = make_truth(1e-3, 1e-9)
    two, eight = tabulate_scales(forecast([make_trial(truth, count) for count in (1, 2)]), [2, 8])

    assert two.speedup.low == pytest.approx(two.speedup.high)
    assert eight.speedup.low < eight.speedup.value < eight.speedup.high


def test_draws_scatter_as_much_as_the_trials_mean_does() -> None:
    generator = np.random.default_rng(0)
    truth = make_truth(1e-3, 1e-9)
    groups = group_trials([make_trial(truth, 1, trial, generator) for trial in range(30)])
    drawn = np.log([clocks.computation_seconds for clocks in draw_clocks(groups, 2000)["single"][1:]])
    measured = np.log([measure_clocks(trial).computation_seconds for trial in groups["single"]])

    assert drawn.std() == pytest.approx(measured.std(ddof=1) / math.sqrt(30), rel=0.1)


def test_the_same_trials_give_the_same_forecast() -> None:
    first, second = (forecast_scaling(group_trials(make_run()), 20) for _ in range(2))

    assert first == second


def test_strong_scaling_ends_at_one_image_a_worker_and_divides_the_batch() -> None:
    assert list_worker_counts(replace(make_truth(0, 0).job, global_batch_size=12)).tolist() == [1, 2, 3, 4, 6, 12]
    assert list_worker_counts(replace(make_truth(0, 0).job, global_batch_size=4096))[-1] == 1024
    assert list_worker_counts(make_truth(0, 0, "weak").job)[-1] == 1024


def test_without_costs_all_workers_are_fastest_and_two_break_even() -> None:
    truth = make_truth(0, 0, fixed_share=0.0, relative_noise=0.0)
    outlook = look_ahead(forecast([make_trial(truth, count) for count in (1, 2)]))

    assert outlook.break_even.value == 2
    assert outlook.pay_off_end == Estimate(128, 128, 128)
    assert outlook.fastest.value == 128
    assert outlook.best_speedup.value == pytest.approx(128)
    assert outlook.cheapest.value == 1


def test_what_is_all_communication_never_pays_off() -> None:
    outlook = look_ahead(forecast([make_trial(make_truth(1.0, 0), count) for count in (1, 2)]))

    assert outlook.break_even == outlook.job_break_even == Estimate(math.inf, math.inf, math.inf)
    assert outlook.pay_off_end == outlook.job_pay_off_end == Estimate(1, 1, 1)
    assert outlook.fastest == Estimate(1, 1, 1)
    assert outlook.pay_off_step_seconds.value > 1


def test_training_and_job_pay_off_until_latency_and_start_up_eat_up_what_they_save() -> None:
    # 32 workers compute for 4.0 ms of the single node's 50 and wait for 62 latencies: they save 0.8 ms a step, 0.7 s in
    # all, and lose 1.2 s in setup. 64 workers wait for 126 latencies, which alone take longer than 50 ms.
    truth = make_truth(7.3e-4, 0, relative_noise=0.0)
    outlook = look_ahead(forecast([make_trial(truth, count) for count in (1, 2, 4)]))

    assert (outlook.break_even.value, outlook.pay_off_end.value) == (2, 32)
    assert (outlook.job_break_even.value, outlook.job_pay_off_end.value) == (2, 16)


def test_no_ethernet_does_better_than_what_was_measured_without_one() -> None:
    own = forecast([make_trial(make_truth(1e-3, 1e-9), count, trial) for count in (1, 2) for trial in range(2)])
    wires = [look_ahead(own, network).best_speedup.value for network in NETWORKS if not network.replaces_measured]

    for slower, faster in itertools.pairwise([*wires, look_ahead(own).best_speedup.value]):
        assert slower <= faster


def test_a_training_that_is_all_communication_on_paper_is_still_fitted() -> None:
    own = forecast([make_record("single"), make_record("all-reduce-2w", train_seconds=1.0)])

    assert all(math.isfinite(value) for value in tabulate_scales(own, [2])[0].speedup)
