import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from comparison.forecast.model import (
    NETWORKS,
    PARAMETER_SERVER,
    Assumptions,
    Clocks,
    CostModel,
    Job,
    apply_network,
    compute_pay_off_step_seconds,
    count_ring_messages,
    expect_maximum,
    find_break_even,
    find_pay_off_end,
    fit_model,
    predict_core_seconds,
    predict_job_seconds,
    predict_speedup,
    predict_step_seconds,
)

COUNTS = 2 ** np.arange(11)
BYTES = 4e6


def make_model(
    strategy: str = "all_reduce", scaling: str = "strong", num_ps: int = 1, **parameters: float
) -> CostModel:
    """Returns a model whose distribution costs nothing, but for `parameters`."""
    servers = num_ps if strategy == PARAMETER_SERVER else 0
    defaults = {
        "single_step_seconds": 1.0,
        "fixed_share": 0.0,
        "overhead_seconds": 0.0,
        "relative_noise": 0.0,
        "latency_seconds": 0.0,
        "seconds_per_byte": 0.0,
        "single_setup_seconds": 10.0,
        "setup_seconds": 10.0,
        "setup_seconds_per_worker": 0.0,
    }
    return CostModel(Job(strategy, scaling, 1024, 100, BYTES, servers, 1.0), **(defaults | parameters))


def measure(model: CostModel, num_workers: int) -> Clocks:
    """Returns the clocks that a trial of this model would show, all-reduce only."""
    step = float(predict_step_seconds(model, num_workers))
    share = 1 / num_workers if model.job.scaling == "strong" else 1.0
    scaled = model.fixed_share + (1 - model.fixed_share) * share
    computation = model.single_step_seconds * scaled + (model.overhead_seconds if num_workers > 1 else 0)
    training = model.job.steps * model.single_step_seconds / float(predict_speedup(model, num_workers))
    setup = float(predict_job_seconds(model, num_workers)) - training
    return Clocks(computation, step - computation, model.relative_noise, setup)


models = st.builds(
    make_model,
    strategy=st.sampled_from(["all_reduce", PARAMETER_SERVER]),
    scaling=st.sampled_from(["strong", "weak"]),
    num_ps=st.integers(1, 8),
    single_step_seconds=st.floats(1e-3, 10),
    fixed_share=st.floats(0, 1),
    overhead_seconds=st.floats(0, 0.1),
    relative_noise=st.floats(0, 0.3),
    latency_seconds=st.floats(0, 0.01),
    seconds_per_byte=st.floats(0, 1e-8),
    setup_seconds=st.floats(0, 100),
    setup_seconds_per_worker=st.floats(0, 1),
)


@pytest.mark.parametrize("strategy", ["all_reduce", PARAMETER_SERVER])
@pytest.mark.parametrize("scaling", ["strong", "weak"])
def test_without_any_cost_n_workers_are_n_times_as_fast(strategy: str, scaling: str) -> None:
    assert predict_speedup(make_model(strategy, scaling), COUNTS) == pytest.approx(COUNTS)


@pytest.mark.parametrize("strategy", ["all_reduce", PARAMETER_SERVER])
def test_with_an_endless_latency_it_never_pays_off(strategy: str) -> None:
    speedups = predict_speedup(make_model(strategy, latency_seconds=1e9), COUNTS)

    assert find_break_even(COUNTS, speedups) == math.inf
    assert find_pay_off_end(COUNTS, speedups) == 1
    assert COUNTS[np.argmax(speedups)] == 1


def test_the_fastest_number_of_workers_balances_computation_and_latency() -> None:
    # T / N + 2 (N - 1) α is least at N = sqrt(T / (2 α)).
    model = make_model(latency_seconds=1 / 512)

    assert COUNTS[np.argmax(predict_speedup(model, COUNTS))] == 16


@pytest.mark.parametrize(
    ("ratios", "begin", "end"),
    [
        ([1.0, 0.9, 1.2, 1.5], 4, 8),
        ([1.0, 1.3, 1.2, 1.0], 2, 4),
        ([1.0, 0.9, 1.2, 0.8], 4, 4),
        ([1.0, 1.2, 0.9, 1.2], 2, 2),
        ([1.0, 1.0, 0.9, 0.8], math.inf, 1),
        ([1.5, 0.9, 0.9, 0.8], math.inf, 1),
    ],
)
def test_it_pays_off_from_the_break_even_to_where_it_does_no_longer(
    ratios: list[float], begin: float, end: float
) -> None:
    counts = [1, 2, 4, 8]

    assert (find_break_even(counts, ratios), find_pay_off_end(counts, ratios)) == (begin, end)


@given(models)
def test_the_numbers_of_workers_that_pay_off_are_one_range(model: CostModel) -> None:
    counts = np.arange(1, 1025)
    jobs = predict_job_seconds(model, counts)

    for ratios in (predict_speedup(model, counts), jobs[0] / jobs):
        begin, end = find_break_even(counts, ratios), find_pay_off_end(counts, ratios)
        is_inside = (begin <= counts) & (counts <= end)
        assert np.array_equal(is_inside, (counts > 1) & (ratios > 1))


@given(models)
def test_training_with_weak_scaling_pays_off_to_the_end_once_it_does(model: CostModel) -> None:
    speedups = predict_speedup(replace(model, job=replace(model.job, scaling="weak")), COUNTS)
    pays_off = math.isfinite(find_break_even(COUNTS, speedups))

    assert find_pay_off_end(COUNTS, speedups) == (COUNTS[-1] if pays_off else 1)


def test_a_ring_pays_off_until_its_latencies_eat_up_what_sharing_saves() -> None:
    # 1 / N + 2 (N - 1) α = 1 at N = 1 / (2 α), here between 32 and 64.
    speedups = predict_speedup(make_model(latency_seconds=1 / 96), COUNTS)

    assert (find_break_even(COUNTS, speedups), find_pay_off_end(COUNTS, speedups)) == (2, 32)


def test_a_fixed_share_bounds_the_speedup_as_amdahl_says() -> None:
    assert predict_speedup(make_model(fixed_share=0.1), 9) == pytest.approx(1 / (0.1 + 0.9 / 9))


def test_servers_bound_the_updates_by_their_bandwidth() -> None:
    model = make_model(PARAMETER_SERVER, "weak", num_ps=2, seconds_per_byte=1e-8)
    updates_per_second = COUNTS / predict_step_seconds(model, COUNTS)

    assert max(updates_per_second) == pytest.approx(2 * 1e8 / (2 * BYTES))


def test_a_ring_of_two_sends_two_messages_of_half_the_vector() -> None:
    assert [float(count) for count in count_ring_messages(2)] == [2, 1]


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 0.5642), (4, 1.0294), (10, 1.5388), (100, 2.5076)])
def test_the_expected_maximum_is_that_of_the_tables(count: int, expected: float) -> None:
    assert expect_maximum(count) == pytest.approx(expected, abs=0.03)


@given(models)
def test_efficiency_never_exceeds_one_nor_rises_with_workers(model: CostModel) -> None:
    efficiency = predict_speedup(model, COUNTS) / COUNTS

    assert np.all(efficiency <= 1 + 1e-9)
    assert np.all(np.diff(efficiency) <= 1e-9)


@given(
    models,
    st.sampled_from(["overhead_seconds", "relative_noise", "latency_seconds", "seconds_per_byte", "fixed_share"]),
    st.floats(1, 3),
)
def test_no_cost_makes_a_step_shorter(model: CostModel, cost: str, factor: float) -> None:
    value = factor * getattr(model, cost)
    worse = replace(model, **{cost: min(1.0, value)})

    assert np.all(predict_step_seconds(worse, COUNTS) >= predict_step_seconds(model, COUNTS) - 1e-12)


@given(models)
def test_a_slower_network_is_never_faster(model: CostModel) -> None:
    slowest_first = [predict_step_seconds(apply_network(model, network), COUNTS) for network in NETWORKS]

    for slower, faster in itertools.pairwise(slowest_first):
        assert np.all(slower >= faster - 1e-12)


@given(models)
def test_two_workers_break_even_at_the_pay_off_step(model: CostModel) -> None:
    step = compute_pay_off_step_seconds(model)
    assume(step > 1e-6)
    fixed = model.fixed_share * model.single_step_seconds
    longer = replace(model, single_step_seconds=step, fixed_share=min(1.0, fixed / step))

    assert predict_speedup(longer, 2) == pytest.approx(1)


def test_noise_that_eats_up_the_shared_work_never_pays_off() -> None:
    assert compute_pay_off_step_seconds(make_model(relative_noise=2.0)) == math.inf


@given(models, st.sampled_from([(2, 4), (2, 8, 64), (4, 16)]))
def test_the_fit_recovers_the_model_from_several_numbers_of_workers(model: CostModel, counts: tuple[int, ...]) -> None:
    job = replace(model.job, strategy="all_reduce", num_ps=0)
    # Overhead and fixed share are one in strong scaling; without a share, the fit must find the overhead.
    truth = replace(model, job=job, overhead_seconds=0.0 if job.scaling == "strong" else model.overhead_seconds)
    fitted = fit_model(job, measure(truth, 1), {count: measure(truth, count) for count in counts})

    assert predict_step_seconds(fitted, COUNTS) == pytest.approx(predict_step_seconds(truth, COUNTS), rel=1e-3)
    assert predict_job_seconds(fitted, COUNTS) == pytest.approx(predict_job_seconds(truth, COUNTS), rel=1e-3)


@given(models, st.floats(0, 1), st.floats(0, 1))
def test_whatever_is_assumed_the_forecast_passes_through_what_was_measured(
    model: CostModel, latency_share: float, growth: float
) -> None:
    truth = replace(model, job=replace(model.job, strategy="all_reduce", num_ps=0))
    clocks = measure(truth, 2)
    fitted = fit_model(truth.job, measure(truth, 1), {2: clocks}, Assumptions(latency_share, growth))
    setup = fitted.setup_seconds + 2 * fitted.setup_seconds_per_worker

    assert predict_step_seconds(fitted, [1, 2]) == pytest.approx(predict_step_seconds(truth, [1, 2]))
    assert setup == pytest.approx(clocks.setup_seconds, abs=1e-9)


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 1), st.integers(1, 4))
def test_servers_kept_up_with_what_was_measured(
    computation: float, communication: float, latency_share: float, num_ps: int
) -> None:
    job = replace(make_model(PARAMETER_SERVER).job, num_ps=num_ps)
    clocks = {2: Clocks(computation, communication, 0.0, 5.0)}
    fitted = fit_model(job, Clocks(1.0, 0.0, 0.0, 5.0), clocks, Assumptions(latency_share))

    expected = max(computation, 0.5) + communication  # more than a perfect split is not believed
    assert predict_step_seconds(fitted, 2) == pytest.approx(expected)


def test_cores_are_paid_for_those_who_only_wait_too() -> None:
    model = make_model(PARAMETER_SERVER, num_ps=3)

    assert predict_core_seconds(model, [1, 4]) == pytest.approx([110, (4 + 3 + 1) * (10 + 100 / 4)])
