"""The table: one row a configuration, every column derived from the trial records."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pandas as pd

from comparison.groups import (
    Groups,
    Trials,
    average_rounds,
    count_reached,
    find_baseline,
    find_work_differences,
    list_timed,
    name_round,
    select_timed,
    split_by_scaling,
)
from comparison.records import TrialRecord
from comparison.statistics import (
    FloatArray,
    Noise,
    Ratio,
    compute_ci95,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
    compute_ratios,
    count_trials_to_find,
    estimate_noise,
    find_outliers,
)


@dataclass(frozen=True)
class Row:
    """A row of the table: a configuration, means over its rounds; its fields are the columns of `comparison.csv`.

    None is what cannot be known: an interval from a single trial, a speedup without a baseline, a time where no trial
    was wholly timed.
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
    test_accuracy: float
    test_accuracy_ci95: float | None
    seconds_to_target: float | None
    trials_reaching_target: int
    speedup: float | None
    speedup_ci95_low: float | None
    speedup_ci95_high: float | None
    scaling_efficiency: float | None
    cpu_seconds: float | None
    peak_rss_bytes: int

    @property
    def ratio(self) -> Ratio | None:
        """The speedup with its interval."""
        return None if self.speedup is None else Ratio(self.speedup, self.speedup_ci95_low, self.speedup_ci95_high)


COLUMNS = tuple(field.name for field in fields(Row))


class Difference(NamedTuple):
    """A difference of two means, and the half-width of its 95 % interval."""

    value: float
    half_width: float

    @property
    def direction(self) -> int:
        """1 for a difference above zero, -1 for one below, 0 for one that its interval cannot tell from zero."""
        return (self.value > self.half_width) - (self.value < -self.half_width)


class OutlyingTrial(NamedTuple):
    """A trial whose training noise does not explain, and its time over what the other trials predict."""

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
    others would take the lucky ones for all.
    """

    def compare(own: Groups) -> dict[str, Ratio]:
        reached = {name: trials for name, trials in own.items() if count_reached(trials) == len(trials)}
        baselines = {name: find_baseline(own, name) or () for name in reached}
        ratios = _compare_seconds(reached, _read_seconds_to_target)
        return {name: ratio for name, ratio in ratios.items() if baselines[name][0].configuration in reached}

    return _compare_each_scaling(groups, compare)


def compare_accuracies(baseline: Trials, trials: Trials) -> Difference:
    """Returns by how much the trials' mean test accuracy differs from the baseline's.

    Its interval is the wider one of what the size of the test set and of what the scatter between trials explain.
    """
    own, base = (_list_values(group, lambda trial: trial.test_accuracy) for group in (trials, baseline))
    sampling_ci95 = compute_proportion_difference_ci95(compute_mean([*own, *base]), trials[0].test_n_examples)
    half_width = max(sampling_ci95, compute_difference_ci95(own, base) or 0)
    return Difference(compute_mean(own) - compute_mean(base), half_width)


def estimate_trial_noise(groups: Groups) -> Noise:
    """Returns the noise of the training clock between trials that the intervals of the speedups rest on."""
    return estimate_noise(_tabulate(_select_pooled(groups), _read_training_clock))


def count_trials_needed(groups: Groups) -> int | None:
    """Returns how many trials of each configuration find a difference of 10 % in nine of ten comparisons of this kind.

    It goes by the noise of these trials. None: nothing was repeated, or no number of trials is enough.
    """
    noise, num_pooled = estimate_trial_noise(groups), len(_select_pooled(groups))
    if noise.degrees_of_freedom == 0 or num_pooled == 1:
        return None
    return count_trials_to_find(float(noise.relative_sd), num_pooled)


def find_outlying_trials(groups: Groups) -> list[OutlyingTrial]:
    """Returns the trial that the others do not explain, if there is one; more where it cannot be told which it is."""
    pooled = _select_pooled(groups)
    if not pooled:
        return []
    rounds, names = _list_rounds(pooled), list(pooled)
    found = []
    for outlier in find_outliers(_tabulate(pooled, _read_training_clock)):
        own = [trial for trial in pooled[names[outlier.configuration]] if name_round(trial) == rounds[outlier.round]]
        # Of two baselines of a round the one that is further off in the direction of their mean.
        farthest = max if outlier.factor > 1 else min
        found.append(OutlyingTrial(farthest(own, key=_read_training_clock), outlier.factor))
    return found


def summarize(groups: Groups) -> list[Row]:
    """Returns the table of the comparison, a row a configuration."""
    speedups = compute_speedups(groups)
    return [_summarize_configuration(trials, speedups.get(name)) for name, trials in groups.items()]


def split_rows(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the rows of each kind of scaling there is, `strong` first; those of one worker are in each of them."""
    scalings = sorted({row.scaling for row in rows if row.num_workers > 1}) or [rows[0].scaling]
    return {scaling: [row for row in rows if row.num_workers == 1 or row.scaling == scaling] for scaling in scalings}


def to_csv(rows: Iterable[Row]) -> str:
    """Returns the table as CSV, unknown cells empty."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return str(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def _summarize_configuration(trials: Trials, speedup: Ratio | None) -> Row:
    first, timed = trials[0], list_timed(trials)
    images_per_second = _list_values(timed, lambda trial: trial.images_per_second)
    train_seconds = _list_values(timed, lambda trial: trial.train_seconds)
    accuracies = _list_values(trials, lambda trial: trial.test_accuracy)
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
        test_accuracy=compute_mean(accuracies),
        test_accuracy_ci95=compute_ci95(accuracies),
        seconds_to_target=_compute_mean_of_any(_list_values(reached, _read_seconds_to_target)),
        trials_reaching_target=count_reached(trials),
        speedup=speedup.value if speedup else None,
        speedup_ci95_low=speedup.low if speedup else None,
        speedup_ci95_high=speedup.high if speedup else None,
        scaling_efficiency=speedup.value / first.num_workers if speedup else None,
        cpu_seconds=_compute_mean_of_any(_list_values(timed, lambda trial: trial.cpu_seconds)),
        peak_rss_bytes=max(trial.peak_rss_bytes for trial in trials),
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


def _compare_seconds(groups: Groups, read: Callable[[TrialRecord], float]) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each configuration is by a clock."""
    return {name: ratio.inverse for name, ratio in _compare(groups, read).items()}


def _compare(groups: Groups, read: Callable[[TrialRecord], float]) -> dict[str, Ratio]:
    """Returns the ratio of each configuration's mean to its baseline's, where both did the same work."""
    names = list(groups)
    pairs: dict[str, tuple[int, int]] = {}
    for name, trials in groups.items():
        baseline = find_baseline(groups, name)
        if baseline and not find_work_differences(baseline, trials):
            pairs[name] = (names.index(name), names.index(baseline[0].configuration))
    compared = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    unpooled = [names.index(name) for name in groups.keys() - _select_pooled(groups).keys()]
    ratios = compute_ratios(_tabulate(groups, read), [*compared.values()], unpooled)
    return dict.fromkeys(pairs, Ratio(1.0)) | dict(zip(compared, ratios, strict=True))


def _select_pooled(groups: Groups) -> dict[str, Trials]:
    """Returns the timed trials that share their noise: contended ones, and such as mix different work, have more."""
    return {
        name: trials
        for name, trials in select_timed(groups).items()
        if not any(trial.contended for trial in trials) and not find_work_differences([], trials)
    }


def _tabulate(groups: Groups, read: Callable[[TrialRecord], float]) -> FloatArray:
    """Returns the values of rounds, one row a configuration, one column a round, NaN where it has no such trial."""
    columns = {own: column for column, own in enumerate(_list_rounds(groups))}
    values = np.full((len(groups), len(columns)), np.nan)
    for row, trials in enumerate(groups.values()):
        for own, value in average_rounds(trials, read).items():
            values[row, columns[own]] = value
    return values


def _list_rounds(groups: Groups) -> list[tuple[str, int]]:
    return sorted({name_round(trial) for trials in groups.values() for trial in trials})


def _read_seconds_to_target(trial: TrialRecord) -> float:
    return math.nan if trial.seconds_to_target is None else trial.seconds_to_target


def _read_training_clock(trial: TrialRecord) -> float:
    return 1 / trial.images_per_second if trial.scaling == "weak" else trial.train_seconds
