"""The table: one row a configuration, every column derived from the trial records."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median, stdev
from typing import NamedTuple

from comparison.groups import (
    Groups,
    Trials,
    average_rounds,
    count_reached,
    count_rounds,
    find_baseline,
    find_outlying,
    find_work_differences,
    list_timed,
    name_round,
    select_timed,
    split_by_scaling,
    tabulate_rounds,
)
from comparison.records import TrialRecord
from comparison.statistics import (
    DISAGREEMENT,
    Noise,
    Ratio,
    compute_ci95,
    compute_mean,
    compute_ratios,
    count_trials_to_find,
    estimate_noise,
    find_possibly_smallest,
)


@dataclass(frozen=True)
class Row:
    """A row of the table: a configuration, means over its rounds; its fields are the columns of `comparison.csv`.

    None is what cannot be known: an interval from a single trial, a speedup without a baseline, a time where no trial
    was wholly timed, an accuracy where models are judged by another metric, whose columns only such a file has.
    """

    configuration: str
    strategy: str
    scaling: str
    num_workers: int
    num_ps: int
    cpus_per_replica: float
    global_batch_size: int
    trials: int
    images_per_second: float | None
    images_per_second_ci95: float | None
    train_seconds: float | None
    train_seconds_ci95: float | None
    startup_seconds: float | None
    total_seconds: float | None
    test_accuracy: float | None
    test_accuracy_ci95: float | None
    seconds_to_target: float | None
    trials_reaching_target: int
    speedup: float | None
    speedup_ci95_low: float | None
    speedup_ci95_high: float | None
    scaling_efficiency: float | None
    cpu_seconds: float | None
    peak_rss_bytes: int
    metric_name: str
    metric_higher_is_better: bool
    metric_value: float
    metric_sd: float | None
    metric_ci95: float | None

    @property
    def ratio(self) -> Ratio | None:
        """The speedup with its interval."""
        return None if self.speedup is None else Ratio(self.speedup, self.speedup_ci95_low, self.speedup_ci95_high)


_FEWEST_FOR_MEDIAN = 3
METRIC_COLUMNS = tuple(field.name for field in fields(Row) if field.name.startswith("metric_"))
COLUMNS = tuple(field.name for field in fields(Row) if field.name not in METRIC_COLUMNS)


class OutlyingTrial(NamedTuple):
    """A trial whose time noise does not explain, and that time over what the other trials predict."""

    trial: TrialRecord
    factor: float


def compute_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each configuration trains.

    Strong scaling compares training times, weak scaling throughputs. The intervals hold for all configurations of a
    kind of scaling at once. A configuration without a baseline, or one that did other work than its baseline, has no
    speedup.
    """

    def compare(own: Groups) -> dict[str, Ratio]:
        if all(trials[0].scaling == "weak" for trials in own.values()):
            return _compare(own, lambda trial: trial.images_per_second)
        return _compare_seconds(own, lambda trial: trial.train_seconds)

    return _compare_each_scaling(groups, compare)


def compute_whole_job_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each whole job is, start-up included."""
    return _compare_each_scaling(groups, lambda own: _compare_seconds(own, lambda trial: trial.total_seconds))


def compute_target_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each configuration reaches the target accuracy.

    A configuration has none where one of its trials, or one of its baseline's, never reached it: the mean over the
    others would take the lucky ones for all. Trials of a round share their seed, and are paired where all were in it
    (`is_target_paired`).
    """

    def compare(own: Groups) -> dict[str, Ratio]:
        reached = {name: trials for name, trials in own.items() if count_reached(trials) == len(trials)}
        baselines = {name: find_baseline(own, name) or () for name in reached}
        # Seeds differ by far more than machines do: rounds are taken out wherever they can be.
        ratios = _compare_seconds(reached, _read_seconds_to_target, min_blocked_degrees=1)
        return {name: ratio for name, ratio in ratios.items() if baselines[name][0].configuration in reached}

    return _compare_each_scaling(groups, compare)


def is_target_paired(groups: Groups) -> bool:
    """Returns whether the speedups to the target compare round with round: all that reached it have the same rounds.

    Args:
        groups: The trials of each configuration, of one kind of scaling.
    """
    reached = [own for own in select_timed(groups).values() if count_reached(own) == len(own)]
    return len({frozenset(map(name_round, own)) for own in reached}) == 1 and count_rounds(reached[0]) > 1


def compute_robust_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns the median over rounds of how many times as fast as its baseline each configuration trains.

    One slow trial in three or more moves it little, where it moves the ratio of the means and widens its interval. It
    is given from three rounds on that both have in common, has no interval and decides nothing.
    """

    def compare(own: Groups) -> dict[str, Ratio]:
        robust = {}
        for name, base in _find_baselines(own).items():
            seconds = [average_rounds(own[each], read_training_clock) for each in (base, name)]
            ratios = [seconds[0][turn] / seconds[1][turn] for turn in seconds[0].keys() & seconds[1].keys()]
            if name != base and len(ratios) >= _FEWEST_FOR_MEDIAN:
                robust[name] = Ratio(median(ratios))
        return robust

    return _compare_each_scaling(groups, compare)


def compute_undisturbed_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns the speedups of training time less what a trial waited for a core beyond its configuration's own floor.

    Threads of a process wait for each other, more in a replica than in a single node: the smallest share that a trial
    of a configuration waited is that, and what is above it is taken for the machine's. It is given where every timed
    trial says how long its replicas waited, and stands beside the mean, which it does not replace: the floor is the
    luckiest of few.
    """
    timed = select_timed(groups)
    waited = {name: [_measure_waiting(trial) for trial in trials] for name, trials in timed.items()}
    if any(math.isnan(own) for values in waited.values() for own in values):
        return {}
    floors = {name: min(values) for name, values in waited.items()}

    def read(trial: TrialRecord) -> float:
        return read_training_clock(trial) * (1 - _measure_waiting(trial) + floors[trial.configuration])

    return _compare_each_scaling(timed, lambda own: _compare_seconds(own, read))


def find_disagreeing(speedups: Mapping[str, Ratio], others: Mapping[str, Ratio]) -> dict[str, Ratio]:
    """Returns the second figures that differ from the first by more than `DISAGREEMENT`, the rule for showing them.

    Args:
        speedups: Ratios of means, as `compute_speedups` returned them.
        others: As `compute_robust_speedups` or `compute_undisturbed_speedups` returned them.
    """
    return {
        name: other
        for name, other in others.items()
        if name in speedups and abs(math.log(other.value / speedups[name].value)) > math.log(DISAGREEMENT)
    }


def _measure_waiting(trial: TrialRecord) -> float:
    """Returns the share of the training that the replica which waited longest waited for a core; NaN if unknown."""
    waited = [replica.waited_seconds for replica in trial.replicas if replica.type != "ps"]
    known = [own for own in waited if own is not None]
    return min(max(known) / trial.train_seconds, 1.0) if known and len(known) == len(waited) else math.nan


def find_possibly_fastest(groups: Groups, among: Collection[str] | None = None) -> list[str]:
    """Returns the configurations that may be the fastest, for no other one is shown to be faster.

    With 95 % confidence the truly fastest is among them. Only a single one may be called the fastest; several cannot be
    told apart.

    Args:
        groups: The trials of each configuration, of one kind of scaling.
        among: Those that may be called so, all by default. Each must have done the same work as the others: those that
            differ from the first of them are left out.
    """
    timed = {name: own for name, own in select_timed(groups).items() if among is None or name in among}
    if not timed:
        return []
    first = next(iter(timed.values()))
    timed = {name: own for name, own in timed.items() if not find_work_differences(first, own)}
    pooled = _select_pooled(timed)
    unpooled = [index for index, name in enumerate(timed) if name not in pooled]
    is_possible = find_possibly_smallest(tabulate_rounds(timed, read_training_clock), unpooled)
    return [name for name, own in zip(timed, is_possible, strict=True) if own]


def estimate_trial_noise(groups: Groups) -> Noise:
    """Returns the noise of the training clock between trials that the intervals of the speedups rest on.

    With it are the comparisons that the table makes, contended ones included: the more there are, the wider each.
    """
    pooled, timed = _select_pooled(groups), select_timed(groups)
    noise = estimate_noise(tabulate_rounds(pooled, read_training_clock))
    repeated = {name for name, trials in timed.items() if count_rounds(trials) > 1}
    pairs = [(own, base) for own, base in _find_baselines(timed).items() if own != base and {own, base} <= repeated]
    if not any({*pair} <= pooled.keys() for pair in pairs):
        return noise
    is_dunnetts = len({base for _, base in pairs}) == 1 and all({*pair} <= pooled.keys() for pair in pairs)
    return noise._replace(shares=(0.5 * is_dunnetts,) * len(pairs))


def count_trials_needed(groups: Groups) -> int | None:
    """Returns how many trials of each configuration find a difference of 10 % in nine of ten comparisons of this kind.

    It goes by the noise of these trials, and by the comparisons that the table makes with it. None: nothing was
    repeated, nothing is compared by it, or no number of trials is enough.
    """
    noise = estimate_trial_noise(groups)
    if noise.degrees_of_freedom == 0 or not noise.shares:
        return None
    return count_trials_to_find(float(noise.relative_sd), noise.num_configurations, shares=noise.shares)


def find_outlying_trials(groups: Groups) -> list[OutlyingTrial]:
    """Returns the trial that the others do not explain, if there is one; more where it cannot be told which it is."""
    return [OutlyingTrial(*own) for own in find_outlying(_select_pooled(groups), read_training_clock)]


def find_outlying_jobs(groups: Groups) -> list[OutlyingTrial]:
    """Returns the same of whole jobs: the run's first trial may have fetched what the others found."""
    return [OutlyingTrial(*own) for own in find_outlying(_select_pooled(groups), lambda trial: trial.total_seconds)]


def summarize(groups: Groups) -> list[Row]:
    """Returns the table of the comparison, a row a configuration."""
    speedups = compute_speedups(groups)
    return [_summarize_configuration(trials, speedups.get(name)) for name, trials in groups.items()]


def split_rows(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the rows of each kind of scaling there is, `strong` first; those of one worker are in each of them."""
    scalings = sorted({row.scaling for row in rows if row.num_workers > 1}) or [rows[0].scaling]
    return {scaling: [row for row in rows if row.num_workers == 1 or row.scaling == scaling] for scaling in scalings}


def _summarize_configuration(trials: Trials, speedup: Ratio | None) -> Row:
    first, timed = trials[0], list_timed(trials)
    images_per_second = _list_values(timed, lambda trial: trial.images_per_second)
    train_seconds = _list_values(timed, lambda trial: trial.train_seconds)
    metric, values = first.quality, _list_values(trials, lambda trial: trial.quality.value)
    mean, ci95 = compute_mean(values), compute_ci95(values)
    reached = [trial for trial in timed if trial.seconds_to_target is not None]
    return Row(
        configuration=first.configuration,
        strategy=first.strategy,
        scaling=first.scaling,
        num_workers=first.num_workers,
        num_ps=first.num_ps,
        cpus_per_replica=first.cpus_per_replica,
        global_batch_size=first.global_batch_size,
        trials=len(trials),
        images_per_second=_compute_mean_of_any(images_per_second),
        images_per_second_ci95=compute_ci95(images_per_second) if timed else None,
        train_seconds=_compute_mean_of_any(train_seconds),
        train_seconds_ci95=compute_ci95(train_seconds) if timed else None,
        startup_seconds=_compute_mean_of_any(_list_values(timed, lambda trial: trial.startup_seconds)),
        total_seconds=_compute_mean_of_any(_list_values(timed, lambda trial: trial.total_seconds)),
        test_accuracy=mean if first.is_accuracy else None,
        test_accuracy_ci95=ci95 if first.is_accuracy else None,
        seconds_to_target=_compute_mean_of_any(_list_values(reached, _read_seconds_to_target)),
        trials_reaching_target=count_reached(trials),
        speedup=speedup.value if speedup else None,
        speedup_ci95_low=speedup.low if speedup else None,
        speedup_ci95_high=speedup.high if speedup else None,
        scaling_efficiency=speedup.value / first.num_workers if speedup else None,
        cpu_seconds=_compute_mean_of_any(_list_values(timed, lambda trial: trial.cpu_seconds)),
        peak_rss_bytes=max(trial.peak_rss_bytes for trial in trials),
        metric_name=metric.name,
        metric_higher_is_better=metric.higher_is_better,
        metric_value=mean,
        metric_sd=stdev(values) if len(values) > 1 else None,
        metric_ci95=ci95,
    )


def _list_values(trials: Trials, read: Callable[[TrialRecord], float]) -> list[float]:
    """Returns a value of each round."""
    return [*average_rounds(trials, read).values()]


def _compute_mean_of_any(values: Sequence[float]) -> float | None:
    return compute_mean(values) if values else None


def _compare_each_scaling(groups: Groups, compare: Callable[[Groups], dict[str, Ratio]]) -> dict[str, Ratio]:
    """Returns the ratios of strong and of weak scaling; what counts in both, as the baseline, has that of the first.

    They are ratios of times, so that only trials that have one count.
    """
    halves = reversed(split_by_scaling(select_timed(groups)).values())
    return {name: ratio for own in halves for name, ratio in compare(own).items()}


def _compare_seconds(
    groups: Groups, read: Callable[[TrialRecord], float], min_blocked_degrees: int | None = None
) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each configuration is by a clock."""
    return {name: ratio.inverse for name, ratio in _compare(groups, read, min_blocked_degrees).items()}


def _compare(
    groups: Groups, read: Callable[[TrialRecord], float], min_blocked_degrees: int | None = None
) -> dict[str, Ratio]:
    """Returns the ratio of each configuration's mean to its baseline's, where both did the same work."""
    names, baselines = list(groups), _find_baselines(groups)
    unpooled = [names.index(name) for name in groups.keys() - _select_pooled(groups).keys()]
    compared = {name: base for name, base in baselines.items() if name != base}
    pairs = [(names.index(name), names.index(base)) for name, base in compared.items()]
    ratios = compute_ratios(tabulate_rounds(groups, read), pairs, unpooled, min_blocked_degrees)
    return dict.fromkeys(baselines, Ratio(1.0)) | dict(zip(compared, ratios, strict=True))


def _find_baselines(groups: Groups) -> dict[str, str]:
    """Returns which configuration each is compared with, where both did the same work; a baseline with itself."""
    baselines = {name: find_baseline(groups, name) for name in groups}
    return {
        name: base[0].configuration
        for name, base in baselines.items()
        if base and not find_work_differences(base, groups[name])
    }


def _select_pooled(groups: Groups) -> dict[str, Trials]:
    """Returns the timed trials that share their noise: contended ones, and such as mix different work, have more."""
    return {
        name: trials
        for name, trials in select_timed(groups).items()
        if not any(trial.contended for trial in trials) and not find_work_differences([], trials)
    }


def _read_seconds_to_target(trial: TrialRecord) -> float:
    return math.nan if trial.seconds_to_target is None else trial.seconds_to_target


def read_training_clock(trial: TrialRecord) -> float:
    """Returns the seconds that rank a trial among those of its kind of scaling: of an image where scaling is weak."""
    return 1 / trial.images_per_second if trial.scaling == "weak" else trial.train_seconds
