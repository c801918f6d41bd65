"""From how many workers on distributing would pay off: the cost model, fitted to the trials, with its uncertainty."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from comparison.forecast.model import (
    PARAMETER_SERVER,
    Assumptions,
    Clocks,
    CostModel,
    Job,
    Network,
    Values,
    WorkerCounts,
    apply_network,
    compute_pay_off_step_seconds,
    find_break_even,
    find_pay_off_end,
    fit_model,
    predict_core_seconds,
    predict_job_seconds,
    predict_speedup,
)
from comparison.groups import SINGLE, Groups, Trials, find_baseline, is_any_contended, split_by_scaling
from comparison.quantiles import CONFIDENCE
from comparison.records import TrialRecord
from comparison.statistics import Ratio
from comparison.summary import compute_speedups

MAX_WORKERS = 1024
_DRAWS = 400
_SEED = 0
_BYTES_PER_PARAMETER = 4
_P90_OF_NORMAL = 1.2815515655446004
# A clock's mean is never drawn further than this factor from what was measured: two trials know no scatter to speak of.
_MAX_FACTOR = 10.0
_LEAST_COMPUTATION = 1e-6


class Estimate(NamedTuple):
    """A forecast value and its band, which 95 % of the draws lie in."""

    value: float
    low: float
    high: float


class MeasuredPoint(NamedTuple):
    """A measured configuration: its workers, its speedup, and whether its replicas shared too few cores."""

    num_workers: int
    speedup: Ratio
    is_contended: bool


class Check(NamedTuple):
    """A measured configuration that a forecast from fewer workers was made for.

    Attributes:
        num_workers: Its workers.
        fitted_workers: The workers that the forecast was fitted to.
        predicted: The forecast speedup.
        measured: The measured speedup.
        error: How far the prediction is off, relative to what was measured.
        is_contended: Whether replicas shared too few cores, so that the check is not a fair one.
    """

    num_workers: int
    fitted_workers: int
    predicted: Estimate
    measured: Ratio
    error: float
    is_contended: bool


@dataclass(frozen=True)
class Forecast:
    """What one way of distributing the training would do with other numbers of workers.

    Attributes:
        models: The fitted model, and after it the same of every draw of the trials' means and of the assumptions.
        fitted: The numbers of workers that it was fitted to.
        num_trials: Trials of the configuration with the fewest; with one the band lacks the scatter between trials.
        is_contended: Whether it rests on trials whose replicas shared too few cores.
        is_local: Whether the messages never left a machine.
        group_size: Images that are normalised together, at least which a worker's batch holds.
        points: What was measured.
        checks: How well it predicts the larger of the measured configurations from the smallest.
    """

    models: Sequence[CostModel]
    fitted: Sequence[int]
    num_trials: int
    is_contended: bool
    is_local: bool
    group_size: int
    points: Sequence[MeasuredPoint]
    checks: Sequence[Check]

    @property
    def is_settled(self) -> bool:
        """Whether the trials tell all speedups that it was fitted to from 1."""
        speedups = [point.speedup for point in self.points if point.num_workers in self.fitted]
        return all(speedup.low is not None and speedup.direction != 0 for speedup in speedups)

    @cached_property
    def outlook(self) -> "Outlook":
        """Its answers, on the network that was measured."""
        return look_ahead(self)

    @property
    def job(self) -> Job:
        """What is trained."""
        return self.models[0].job


@dataclass(frozen=True)
class Outlook:
    """A forecast's answers; a number of workers is infinite where none would do.

    Attributes:
        break_even: From how many workers on the training is faster than a single node's.
        pay_off_end: Up to how many workers it stays so, the most looked at if to the last, 1 if it never is.
        job_break_even: From how many workers on the whole job is.
        job_pay_off_end: Up to how many workers that stays so.
        fastest: How many workers train fastest, 1 being the single node.
        best_speedup: The speedup of the best number of several workers.
        cheapest: How many workers' whole job costs the fewest core-seconds.
        pay_off_step_seconds: The single node's step from which on two workers train faster.
    """

    break_even: Estimate
    pay_off_end: Estimate
    job_break_even: Estimate
    job_pay_off_end: Estimate
    fastest: Estimate
    best_speedup: Estimate
    cheapest: Estimate
    pay_off_step_seconds: Estimate


class Scale(NamedTuple):
    """The forecast for one number of workers."""

    num_workers: int
    speedup: Estimate
    scaling_efficiency: Estimate
    job_seconds: Estimate
    core_seconds: Estimate


# The fixed share of a step, of the fitted model and of each draw, where another way of distributing has shown it.
Shares = Sequence[float] | None


def forecast_scaling(groups: Groups, num_draws: int = _DRAWS) -> list[Forecast]:
    """Returns the forecast of each way of distributing that was measured with several workers and has a baseline.

    Ways differ in scaling, strategy, number of servers or replicas' size. Trials whose replicas shared too few cores
    are fitted only where there are no others. All-reduce comes first: what it shows of how a step shrinks with its
    batch holds for parameter servers, too.

    Args:
        groups: The trials of each configuration.
        num_draws: How many draws the bands are made of.
    """
    return [
        forecast
        for own in split_by_scaling(groups).values()
        for forecast in _forecast_ways(own, draw_clocks(own, num_draws))
    ]


def list_worker_counts(job: Job) -> WorkerCounts:
    """Returns the numbers of workers up to 1,024 that a job can have: with strong scaling, divisors of its batch."""
    if job.scaling == "weak":
        return np.array([2**exponent for exponent in range(MAX_WORKERS.bit_length())])
    largest = min(MAX_WORKERS, job.global_batch_size)
    return np.array([count for count in range(1, largest + 1) if job.global_batch_size % count == 0])


def look_ahead(forecast: Forecast, network: Network | None = None) -> Outlook:
    """Returns a forecast's answers, on the network that was measured or on another one."""
    models = [apply_network(model, network) if network else model for model in forecast.models]
    counts = list_worker_counts(forecast.job)
    speedups = [predict_speedup(model, counts) for model in models]
    job_speedups = [values[0] / values for values in (predict_job_seconds(model, counts) for model in models)]
    costs = [predict_core_seconds(model, counts) for model in models]
    return Outlook(
        break_even=_summarize([find_break_even(counts, values) for values in speedups]),
        pay_off_end=_summarize([find_pay_off_end(counts, values) for values in speedups]),
        job_break_even=_summarize([find_break_even(counts, values) for values in job_speedups]),
        job_pay_off_end=_summarize([find_pay_off_end(counts, values) for values in job_speedups]),
        fastest=_summarize([float(counts[np.argmax(values)]) for values in speedups]),
        best_speedup=_summarize([float(values[1:].max(initial=0)) for values in speedups]),
        cheapest=_summarize([float(counts[np.argmin(values)]) for values in costs]),
        pay_off_step_seconds=_summarize([compute_pay_off_step_seconds(model) for model in models]),
    )


def tabulate_scales(forecast: Forecast, counts: Sequence[int]) -> list[Scale]:
    """Returns the forecast for each number of workers."""
    columns = [
        np.stack([predict(model, counts) for model in forecast.models])
        for predict in (predict_speedup, predict_job_seconds, predict_core_seconds)
    ]
    return [
        Scale(
            count,
            _summarize(columns[0][:, index]),
            _summarize(columns[0][:, index] / count),
            _summarize(columns[1][:, index]),
            _summarize(columns[2][:, index]),
        )
        for index, count in enumerate(counts)
    ]


def measure_clocks(trial: TrialRecord) -> Clocks:
    """Returns what a trial says about its configuration.

    A step's noise is taken from percentiles, which a few steps that were held up do not move as they do a variance.
    """
    median = trial.step_seconds["p50"]
    computation = trial.train_seconds - trial.communication_seconds
    return Clocks(
        computation_seconds=max(computation, _LEAST_COMPUTATION * trial.train_seconds) / trial.steps,
        communication_seconds=trial.communication_seconds / trial.steps,
        relative_noise=(trial.step_seconds["p90"] - median) / _P90_OF_NORMAL / median if median > 0 else 0.0,
        setup_seconds=max(0.0, trial.total_seconds - trial.train_seconds),
    )


def draw_clocks(groups: Groups, num_draws: int, seed: int = _SEED) -> dict[str, list[Clocks]]:
    """Returns the means of each configuration's clocks, and after them draws of what these could be.

    A few trials say little about their own scatter: the relative deviations of all configurations are pooled, without
    those that shared too few cores where a configuration did not. A draw adds to each mean a random combination of
    the deviations, all clocks of a trial alike, such that it follows Student's t around the measured mean, with the
    pooled standard error. Logarithms keep it positive. Where nothing was repeated, all draws are equal.

    Source: Wu, "Jackknife, bootstrap and other resampling methods in regression analysis", Annals of Statistics 14
    (1986), for combinations with random weights; these are normal and divided by a χ of the degrees of
    freedom, for as few trials as here.
    """
    generator = np.random.default_rng(seed)
    pools = {
        is_contended: _pool_errors([own for own in groups.values() if is_contended or not is_any_contended(own)])
        for is_contended in (False, True)
    }
    spreads = {key: _draw_spread(degrees, generator, num_draws) for key, (_, degrees) in pools.items()}
    limit = math.log(_MAX_FACTOR)
    draws = {}
    for name, trials in groups.items():
        mean = np.mean([measure_clocks(trial) for trial in trials], axis=0)
        errors, spread = pools[is_any_contended(trials)][0], spreads[is_any_contended(trials)]
        weights = generator.standard_normal((num_draws, len(errors))) * spread / math.sqrt(len(trials))
        drawn = mean * np.exp(np.clip(weights @ errors, -limit, limit))
        draws[name] = [Clocks(*row) for row in [mean.tolist(), *drawn.tolist()]]
    return draws


def _pool_errors(groups: Sequence[Trials]) -> tuple[Values, int]:
    """Returns relative deviations from a configuration's means whose squares add up to the variance, and its freedom.

    A clock that a configuration does not have, as the single node no communication, deviates from nothing.
    """
    errors, freedom = np.zeros((0, len(Clocks._fields))), np.zeros(len(Clocks._fields), int)
    for trials in groups:
        values = np.array([measure_clocks(trial) for trial in trials])
        mean = values.mean(axis=0)
        errors = np.concatenate([errors, np.divide(values - mean, mean, out=np.zeros_like(values), where=mean > 0)])
        freedom += (mean > 0) * (len(trials) - 1)
    return errors / np.sqrt(np.maximum(freedom, 1)), int(freedom.max())


def _draw_spread(degrees: int, generator: np.random.Generator, num_draws: int) -> Values:
    """Returns by what Student's t is wider than a normal variable, shape [num_draws, 1]."""
    return np.sqrt(degrees / generator.chisquare(degrees, (num_draws, 1))) if degrees else np.ones((num_draws, 1))


def _forecast_ways(groups: Groups, clocks: Mapping[str, Sequence[Clocks]]) -> list[Forecast]:
    """Returns the forecast of each way of distributing with one kind of scaling."""
    families: dict[tuple[str, int, float], dict[int, Trials]] = {}
    speedups = compute_speedups(groups)
    for name, trials in groups.items():
        first = trials[0]
        if first.strategy != SINGLE and first.num_workers > 1 and name in speedups:
            key = (first.strategy, first.num_ps, first.cpus_per_replica)
            families.setdefault(key, {})[first.num_workers] = trials
    forecasts: list[Forecast] = []
    shares: dict[float, Shares] = {}
    for key in sorted(families, key=lambda key: (key[0] == PARAMETER_SERVER, key)):
        by_workers, cpus = families[key], key[2]
        baseline = find_baseline(groups, next(iter(by_workers.values()))[0].configuration)
        if not baseline:
            continue
        points = [
            MeasuredPoint(count, speedups[trials[0].configuration], is_any_contended([*trials, *baseline]))
            for count, trials in sorted(by_workers.items())
        ]
        forecast = _forecast(baseline, by_workers, points, clocks, shares.get(cpus))
        forecasts.append(forecast)
        if not forecast.is_contended:
            shares.setdefault(cpus, [model.fixed_share for model in forecast.models])
    return forecasts


def _forecast(
    baseline: Trials,
    by_workers: Mapping[int, Trials],
    points: Sequence[MeasuredPoint],
    clocks: Mapping[str, Sequence[Clocks]],
    shares: Shares,
) -> Forecast:
    fair = {point.num_workers: by_workers[point.num_workers] for point in points if not point.is_contended}
    fitted = fair or by_workers
    smallest = min(fitted)
    first_fit = _fit(baseline, {smallest: fitted[smallest]}, clocks, shares)
    return Forecast(
        models=_fit(baseline, fitted, clocks, shares) if len(fitted) > 1 else first_fit,
        fitted=sorted(fitted),
        num_trials=min(map(len, (baseline, *fitted.values()))),
        is_contended=not fair,
        is_local=all(trial.backend == "local" for trials in by_workers.values() for trial in trials),
        group_size=baseline[0].batch_norm_group_size,
        points=points,
        checks=[_check(point, smallest, first_fit) for point in points if point.num_workers > smallest],
    )


def _fit(
    baseline: Trials, by_workers: Mapping[int, Trials], clocks: Mapping[str, Sequence[Clocks]], shares: Shares
) -> list[CostModel]:
    """Returns the fitted model and, after it, the same of each draw of the clocks and of what cannot be told."""
    job = _describe_job(baseline[0], next(iter(by_workers.values()))[0])
    singles = clocks[baseline[0].configuration]
    positions = np.random.default_rng(_SEED).uniform(size=(len(singles) - 1, 2)).tolist()
    assumptions = [Assumptions(), *(Assumptions(*pair) for pair in positions)]
    return [
        fit_model(
            job,
            single,
            {count: clocks[trials[0].configuration][index] for count, trials in by_workers.items()},
            assumptions[index],
            shares[index] if shares else None,
        )
        for index, single in enumerate(singles)
    ]


def _describe_job(single: TrialRecord, distributed: TrialRecord) -> Job:
    return Job(
        strategy=distributed.strategy,
        scaling=distributed.scaling,
        global_batch_size=single.global_batch_size,
        steps=single.steps,
        message_bytes=float(_BYTES_PER_PARAMETER * distributed.num_parameters),
        num_ps=distributed.num_ps,
        cpus_per_replica=distributed.cpus_per_replica,
    )


def _check(point: MeasuredPoint, fitted_workers: int, models: Sequence[CostModel]) -> Check:
    predicted = _summarize([float(predict_speedup(model, point.num_workers)) for model in models])
    return Check(
        num_workers=point.num_workers,
        fitted_workers=fitted_workers,
        predicted=predicted,
        measured=point.speedup,
        error=predicted.value / point.speedup.value - 1,
        is_contended=point.is_contended,
    )


def _summarize(values: Sequence[float] | Values) -> Estimate:
    """Returns the first value, the fitted model's, with the band that the others span."""
    drawn = np.asarray(values, float)
    tail = (1 - CONFIDENCE) / 2
    # No interpolation, which could not be between a number of workers and "never".
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf").tolist()
    return Estimate(float(drawn[0]), min(low, float(drawn[0])), max(high, float(drawn[0])))
