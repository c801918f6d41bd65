"""What a run's trials allow to say about more workers than were measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from comparison.audit import Marks
from comparison.forecast.bounds import REACH, Measured, Range, bound_job_speedup, bound_speedup
from comparison.groups import SINGLE, Groups, Trials, find_baseline, is_any_contended, split_by_scaling
from comparison.records import TrialRecord
from comparison.statistics import Ratio, compute_mean
from comparison.summary import compute_speedups, compute_whole_job_speedups

PARAMETER_SERVER = "parameter_server"
# As many as a run can plan.
MAX_WORKERS = 1024
# A step is never all communication: what there is to compute takes some time.
_MOST_COMMUNICATION = 0.999


class Interval(NamedTuple):
    """Between which two numbers a figure lies."""

    low: float
    high: float


class Scale(NamedTuple):
    """What so many workers reach, or would reach.

    Attributes:
        num_workers: How many.
        speedup: Of the training, over a single node: a 95 % interval where it was measured, else a forecast's range.
        job_speedup: The same of the whole job.
        measured: The mean speedup where it was measured, else None.
        is_sound: Whether it is beyond doubt: repeated, with a core for each replica, and with models as good.
        is_contended: Whether replicas shared too few cores.
    """

    num_workers: int
    speedup: Interval
    job_speedup: Interval
    measured: float | None
    is_sound: bool = True
    is_contended: bool = False


class Check(NamedTuple):
    """A measured number of workers, and what would have been forecast from fewer."""

    from_workers: int
    forecast: Interval
    scale: Scale


@dataclass(frozen=True)
class Forecast:
    """One way of distributing the training: what was measured of it, and what follows for more workers.

    Attributes:
        strategy: `all_reduce` or `parameter_server`.
        scaling: `strong` or `weak`.
        num_ps: Parameter servers.
        cpus_per_replica: Cores of each replica.
        measured: By number of workers; one of them at least is sound.
        ahead: The forecast for more workers, at most twice as many; None where no more are possible.
        checks: What forecasts from fewer workers were worth.
        most_possible: The largest number of workers that the training can have.
        is_exchange_timed: Whether the trials timed an exchange by itself.
        machine_cores: Of the machine that all replicas ran on; None where they ran on several, or where unknown.
        is_local: Whether no message left a machine.
    """

    strategy: str
    scaling: str
    num_ps: int
    cpus_per_replica: float
    measured: Sequence[Scale]
    ahead: Scale | None
    checks: Sequence[Check]
    most_possible: int
    is_exchange_timed: bool
    machine_cores: int | None
    is_local: bool

    @property
    def scales(self) -> list[Scale]:
        """Measured and forecast, by number of workers."""
        scales = [*self.measured, *([self.ahead] if self.ahead else [])]
        return sorted(scales, key=lambda scale: scale.num_workers)

    @property
    def known(self) -> list[Scale]:
        """Those beyond doubt."""
        return [scale for scale in self.scales if scale.is_sound]

    @property
    def largest(self) -> int:
        """The largest number of workers of which something is known."""
        return max(scale.num_workers for scale in self.known)

    @property
    def choice(self) -> Scale:
        """What is the fastest in the worse case."""
        return max(self.known, key=lambda scale: scale.speedup.low)


def forecast_scaling(groups: Groups, marks: Marks | None = None) -> list[Forecast]:
    """Returns what is known of each way of distributing that was soundly measured with several workers.

    Ways differ in scaling, strategy, number of servers or replicas' size. Where the baseline breaks a rule without
    which it proves nothing, nothing is forecast.

    Args:
        groups: The trials of each configuration, all with a time.
        marks: What `mark_configurations` returned of them; none by default.
    """
    marks = marks or Marks()
    return [forecast for own in split_by_scaling(groups).values() for forecast in _forecast_ways(own, marks)]


def find_next(few: int, *, scaling: str, global_batch_size: int) -> int | None:
    """Returns the most workers that can be forecast from fewer: with strong scaling they divide the batch."""
    counts = range(min(REACH * few, MAX_WORKERS), few, -1)
    return next((count for count in counts if scaling == "weak" or global_batch_size % count == 0), None)


def measure(baseline: Trials, trials: Trials, speedup: Interval, job_speedup: Interval) -> Measured:
    """Returns what the trials of some workers say about more of them.

    Args:
        baseline: The single node's trials.
        trials: Those of several workers.
        speedup: Of the training.
        job_speedup: Of the whole job.
    """
    training = compute_mean([trial.train_seconds for trial in trials])
    communication = compute_mean([trial.communication_seconds for trial in trials])
    exchanges = [own for trial in trials if (own := trial.collective)] if is_exchange_timed(trials) else []
    step = compute_mean([trial.train_seconds / trial.steps for trial in trials])
    latency = compute_mean([own.one_element_seconds for own in exchanges] or [0.0])
    whole = compute_mean([own.vector_seconds for own in exchanges] or [0.0])
    single_setup, setup = (compute_mean([_measure_setup(own) for own in group]) for group in (baseline, trials))
    return Measured(
        num_workers=trials[0].num_workers,
        speedup=_to_range(speedup),
        communication_share=np.array(min(communication / training, _MOST_COMMUNICATION)),
        latency_share=np.array(latency / step),
        transfer_share=np.array(max(0.0, whole - latency) / step),
        job_speedup=_to_range(job_speedup),
        setup_share=np.array(setup / (setup + training)),
        setup_growth=np.array(max(0.0, 1 - single_setup / setup) if setup else 0.0),
    )


def is_exchange_timed(trials: Trials) -> bool:
    """Returns whether all trials timed an exchange by itself."""
    return all(trial.collective for trial in trials)


def _forecast_ways(groups: Groups, marks: Marks) -> list[Forecast]:
    """Returns what is known of each way of distributing with one kind of scaling, all-reduce first."""
    speedups, job_speedups = compute_speedups(groups), compute_whole_job_speedups(groups)
    families: dict[tuple[str, int, float], list[str]] = {}
    for name, trials in groups.items():
        first = trials[0]
        if first.strategy != SINGLE and first.num_workers > 1 and name in speedups:
            families.setdefault((first.strategy, first.num_ps, first.cpus_per_replica), []).append(name)
    forecasts = []
    for names in families.values():
        baseline = find_baseline(groups, names[0])
        if not baseline or baseline[0].configuration in marks.unproven:
            continue
        doubtful = {*marks.unproven, *marks.worse}
        scales = {name: _scale(baseline, groups[name], speedups[name], job_speedups[name], doubtful) for name in names}
        if any(scale.is_sound for scale in scales.values()):
            forecasts.append(_forecast(baseline, groups, scales))
    return sorted(forecasts, key=lambda own: own.strategy == PARAMETER_SERVER)


def _scale(baseline: Trials, trials: Trials, speedup: Ratio, job: Ratio, doubtful: Collection[str]) -> Scale:
    is_contended = is_any_contended([*trials, *baseline])
    is_repeated = speedup.low is not None and job.low is not None
    return Scale(
        num_workers=trials[0].num_workers,
        speedup=_to_interval(speedup),
        job_speedup=_to_interval(job),
        measured=speedup.value,
        is_sound=is_repeated and not is_contended and trials[0].configuration not in doubtful,
        is_contended=is_contended,
    )


def _forecast(baseline: Trials, groups: Groups, scales: Mapping[str, Scale]) -> Forecast:
    """Returns what is known of a way of distributing, given what was measured of each of its configurations."""
    by_workers = sorted(scales, key=lambda name: scales[name].num_workers)
    sound = [name for name in by_workers if scales[name].is_sound]
    trials = [trial for name in by_workers for trial in groups[name]]
    first, largest = trials[0], groups[sound[-1]]

    def look_ahead(name: str, num_workers: int) -> Scale:
        own = scales[name]
        measured = measure(baseline, groups[name], own.speedup, own.job_speedup)
        is_served = first.strategy == PARAMETER_SERVER
        speedup = bound_speedup(measured, num_workers, is_weak=first.scaling == "weak", is_served=is_served)
        job = bound_job_speedup(measured, num_workers, speedup)
        return Scale(num_workers, _to_numbers(speedup), _to_numbers(job), measured=None)

    batch = baseline[0].global_batch_size
    following = find_next(largest[0].num_workers, scaling=first.scaling, global_batch_size=batch)
    is_local = all(trial.backend == "local" for trial in trials)
    return Forecast(
        strategy=first.strategy,
        scaling=first.scaling,
        num_ps=first.num_ps,
        cpus_per_replica=first.cpus_per_replica,
        measured=[scales[name] for name in by_workers],
        ahead=look_ahead(sound[-1], following) if following else None,
        checks=[
            Check(scales[few].num_workers, look_ahead(few, scales[many].num_workers).speedup, scales[many])
            for few, many in pairwise(sound)
            if scales[many].num_workers <= REACH * scales[few].num_workers
        ],
        most_possible=min(batch, MAX_WORKERS) if first.scaling == "strong" else MAX_WORKERS,
        is_exchange_timed=is_exchange_timed(largest),
        machine_cores=trials[0].host.get("cores") if is_local else None,
        is_local=is_local,
    )


def _measure_setup(trial: TrialRecord) -> float:
    return max(0.0, trial.total_seconds - trial.train_seconds)


def _to_interval(ratio: Ratio) -> Interval:
    """Returns a ratio's interval; that of a single trial is the ratio."""
    if ratio.low is None or ratio.high is None:
        return Interval(ratio.value, ratio.value)
    return Interval(ratio.low, ratio.high)


def _to_range(interval: Interval) -> Range:
    return Range(np.array(interval.low), np.array(interval.high))


def _to_numbers(bounds: Range) -> Interval:
    return Interval(float(bounds.low), float(bounds.high))
