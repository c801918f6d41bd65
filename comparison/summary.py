"""The table: one row a configuration, every column derived from the trial records."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from comparison.records import RecordError, TrialRecord
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

SINGLE = "single"
COLUMNS = (
    "configuration",
    "strategy",
    "scaling",
    "num_workers",
    "num_ps",
    "cpus_per_replica",
    "global_batch_size",
    "trials",
    "images_per_second",
    "images_per_second_ci95",
    "train_seconds",
    "train_seconds_ci95",
    "startup_seconds",
    "total_seconds",
    "test_accuracy",
    "test_accuracy_ci95",
    "seconds_to_target",
    "trials_reaching_target",
    "speedup",
    "speedup_ci95_low",
    "speedup_ci95_high",
    "scaling_efficiency",
    "cpu_seconds",
    "peak_rss_bytes",
)

Trials = Sequence[TrialRecord]
Groups = Mapping[str, Trials]

# What makes trials one row of the table, and what makes two rows the same work, so that a ratio of them means anything.
_SAME_IN_CONFIGURATION = ("strategy", "num_workers", "num_ps", "cpus_per_replica", "global_batch_size")
_SAME_MODEL_AND_DATA = ("model", "model_arguments", "num_parameters", "dataset_sha256")
SAME_WORK = {
    "strong": (*_SAME_MODEL_AND_DATA, "epochs", "images_seen", "global_batch_size"),
    "weak": (*_SAME_MODEL_AND_DATA, "per_replica_batch_size"),
}


def is_any_contended(trials: Trials) -> bool:
    """Returns whether replicas shared too few cores in one of the trials."""
    return any(trial.contended for trial in trials)


class OutlyingTrial(NamedTuple):
    """A trial whose training noise does not explain, and its time over what the other trials predict."""

    trial: TrialRecord
    factor: float


def group_trials(records: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Returns the trials of each configuration, in the order of the table's rows.

    Single nodes come first, the smallest of them, the baseline, before all. Trials are in order of run and index.

    Raises:
        RecordError: There is no record, one is there twice, or one name stands for different configurations.
    """
    records = sorted(records, key=lambda record: (record.run_id, record.trial))
    if not records:
        raise RecordError("A comparison needs at least one trial. Received: none.")
    identities = Counter((record.run_id, record.configuration, record.trial) for record in records)
    if repeated := [identity for identity, count in identities.items() if count > 1]:
        raise RecordError(f"A trial must be recorded once. Received more than once: {repeated}.")
    groups: dict[str, list[TrialRecord]] = {}
    for record in sorted(records, key=_row_order):
        groups.setdefault(record.configuration, []).append(record)
    for name, trials in groups.items():
        names = (*_SAME_IN_CONFIGURATION, *(("scaling",) if is_scaled(trials[0]) else ()))
        for field, received in _find_differences(trials, names).items():
            raise RecordError(f"All trials of {name} must have the same {field}. Received: {received}.")
    return groups


def is_scaled(trial: TrialRecord) -> bool:
    """Returns whether strong or weak scaling makes a difference: a training of one worker is the same in both."""
    return trial.num_workers > 1


def split_by_scaling(groups: Groups) -> dict[str, dict[str, Trials]]:
    """Returns the trials of each kind of scaling there is, `strong` first: a comparison of its own each.

    What trained with one worker, the baseline above all, is in each of them, and there passes for a trial of it.
    """
    every = [trials[0] for trials in groups.values()]
    scalings = sorted({own.scaling for own in every if is_scaled(own)}) or [every[0].scaling]
    return {
        scaling: {
            name: trials if is_scaled(trials[0]) else [replace(trial, scaling=scaling) for trial in trials]
            for name, trials in groups.items()
            if trials[0].scaling == scaling or not is_scaled(trials[0])
        }
        for scaling in scalings
    }


def split_table(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Returns the rows of the table for each kind of scaling there is, `strong` first: a table of its own each.

    The rows of one worker, the baseline above all, are in each of them.
    """
    scaled = table["num_workers"] > 1
    scalings = sorted(set(table["scaling"][scaled])) or [table["scaling"].iloc[0]]
    return {scaling: table[~scaled | (table["scaling"] == scaling)].reset_index(drop=True) for scaling in scalings}


def find_baseline(groups: Groups, configuration: str) -> Trials | None:
    """Returns the single-node trials that a configuration is compared with, or None.

    A distributed configuration is compared with one node of the same size as its replicas, a single node with
    the smallest one.
    """
    singles = [trials for trials in groups.values() if trials[0].strategy == SINGLE]
    own = groups[configuration][0]
    if own.strategy != SINGLE:
        singles = [trials for trials in singles if trials[0].cpus_per_replica == own.cpus_per_replica]
    return singles[0] if singles else None


def find_work_differences(baseline: Trials, trials: Trials) -> dict[str, str]:
    """Returns in what two configurations did not do the same work, with the values: a ratio of their times is refused.

    Strong scaling compares the training times of equally many images in equal batches, weak scaling the throughputs of
    equal batches per replica.
    """
    return _find_differences([*baseline, *trials], SAME_WORK.get(trials[0].scaling, SAME_WORK["strong"]))


def compute_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each configuration trains.

    Strong scaling compares training times, weak scaling throughputs. The intervals hold for all configurations of a
    kind of scaling at once. A configuration without a baseline, or one that did other work than its baseline, has no
    speedup.
    """
    speedups: dict[str, Ratio] = {}
    for scaling, own in split_by_scaling(groups).items():
        if scaling == "weak":
            ratios = _compare(own, lambda trial: trial.images_per_second)
        else:
            ratios = {name: ratio.inverse for name, ratio in _compare(own, lambda trial: trial.train_seconds).items()}
        speedups = ratios | speedups
    return speedups


def compute_whole_job_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each whole job is, start-up included."""
    speedups: dict[str, Ratio] = {}
    for own in split_by_scaling(groups).values():
        ratios = {name: ratio.inverse for name, ratio in _compare(own, lambda trial: trial.total_seconds).items()}
        speedups = ratios | speedups
    return speedups


def compute_target_speedups(groups: Groups) -> dict[str, Ratio]:
    """Returns how many times as fast as its baseline each configuration reaches the target accuracy.

    A configuration has none where one of its trials, or one of its baseline's, never reached it: the mean over the
    others would take the lucky ones for all.
    """
    speedups: dict[str, Ratio] = {}
    for own in split_by_scaling(groups).values():
        reached = {name: trials for name, trials in own.items() if count_reached(trials) == len(trials)}
        baselines = {name: baseline for name in reached if (baseline := find_baseline(own, name))}
        ratios = {
            name: ratio.inverse
            for name, ratio in _compare(reached, lambda trial: trial.seconds_to_target or math.nan).items()
            if baselines[name][0].configuration in reached
        }
        speedups = ratios | speedups
    return speedups


def compare_accuracies(baseline: Trials, trials: Trials) -> int:
    """Returns 1 if the trials' test accuracy is above the baseline's, -1 if below, 0 if that is not distinguishable.

    It has to exceed both what the size of the test set and what the scatter between trials explain.
    """
    own, base = ([trial.test_accuracy for trial in group] for group in (trials, baseline))
    difference = compute_mean(own) - compute_mean(base)
    sampling_ci95 = compute_proportion_difference_ci95(compute_mean([*own, *base]), trials[0].test_n_examples)
    if abs(difference) <= max(sampling_ci95, compute_difference_ci95(own, base) or 0):
        return 0
    return 1 if difference > 0 else -1


def count_reached(trials: Trials) -> int:
    """Returns how many of the trials reached the target accuracy."""
    return sum(trial.seconds_to_target is not None for trial in trials)


def is_target_missed(baseline: Trials, trials: Trials) -> bool:
    """Returns whether none of the trials reached the target accuracy, where one of the baseline's did."""
    return count_reached(trials) == 0 and count_reached(baseline) > 0


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
    return [
        OutlyingTrial(trial, outlier.factor)
        for outlier in find_outliers(_tabulate(pooled, _read_training_clock))
        for trial in pooled[names[outlier.configuration]]
        if (trial.run_id, trial.trial) == rounds[outlier.round]
    ]


def summarize(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Returns the table of the comparison: means over trials, with the columns `COLUMNS`.

    Cells that cannot be known (an interval from a single trial, a speedup without a baseline) are NaN.

    Raises:
        RecordError: The records do not make a comparison.
    """
    groups = group_trials(records)
    speedups = compute_speedups(groups)
    rows = [_summarize_configuration(trials, speedups.get(name)) for name, trials in groups.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    unknown = [name for name in COLUMNS if table[name].dtype == object]
    return table.astype(dict.fromkeys(unknown, float))


def add_confusion_matrices(trials: Trials) -> list[list[int]]:
    """Returns the sum of the trials' confusion matrices: rows are true classes, columns predicted ones.

    Trials on data of fewer classes count for the classes that they have.
    """
    size = max(len(trial.confusion_matrix) for trial in trials)
    total = np.zeros((size, size), dtype=np.int64)
    for trial in trials:
        own = len(trial.confusion_matrix)
        total[:own, :own] += np.array(trial.confusion_matrix, dtype=np.int64)
    return [[int(count) for count in row] for row in total]


def list_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns the table's rows, each with its values by column."""
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]


def read_speedup(row: Mapping[str, Any]) -> Ratio | None:
    """Returns the speedup in a row of the table, or None where it has none."""
    value, low, high = row["speedup"], row["speedup_ci95_low"], row["speedup_ci95_high"]
    if math.isnan(value):
        return None
    return Ratio(value) if math.isnan(low) else Ratio(value, low, high)


def to_csv(table: pd.DataFrame) -> str:
    """Returns the table as CSV, unknown cells empty."""
    return str(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def _summarize_configuration(trials: Trials, speedup: Ratio | None) -> dict[str, Any]:
    first = trials[0]
    reached = [trial.seconds_to_target for trial in trials if trial.seconds_to_target is not None]
    images_per_second = [trial.images_per_second for trial in trials]
    train_seconds = [trial.train_seconds for trial in trials]
    return {
        "configuration": first.configuration,
        "strategy": first.strategy,
        "scaling": first.scaling,
        "num_workers": first.num_workers,
        "num_ps": first.num_ps,
        "cpus_per_replica": first.cpus_per_replica,
        "global_batch_size": first.global_batch_size,
        "trials": len(trials),
        "images_per_second": compute_mean(images_per_second),
        "images_per_second_ci95": compute_ci95(images_per_second),
        "train_seconds": compute_mean(train_seconds),
        "train_seconds_ci95": compute_ci95(train_seconds),
        "startup_seconds": compute_mean([trial.startup_seconds for trial in trials]),
        "total_seconds": compute_mean([trial.total_seconds for trial in trials]),
        "test_accuracy": sum(trial.test_n_correct for trial in trials) / sum(trial.test_n_examples for trial in trials),
        "test_accuracy_ci95": compute_ci95([trial.test_accuracy for trial in trials]),
        "seconds_to_target": compute_mean(reached) if reached else None,
        "trials_reaching_target": len(reached),
        "speedup": speedup.value if speedup else None,
        "speedup_ci95_low": speedup.low if speedup else None,
        "speedup_ci95_high": speedup.high if speedup else None,
        "scaling_efficiency": speedup.value / first.num_workers if speedup else None,
        "cpu_seconds": compute_mean([trial.cpu_seconds for trial in trials]),
        "peak_rss_bytes": max(trial.peak_rss_bytes for trial in trials),
    }


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
    """Returns the configurations that share their noise: contended ones, and such as mix different work, have more."""
    return {
        name: trials
        for name, trials in groups.items()
        if not any(trial.contended for trial in trials) and not find_work_differences([], trials)
    }


def _tabulate(groups: Groups, read: Callable[[TrialRecord], float]) -> FloatArray:
    """Returns a value of each trial, one row a configuration, one column a round, NaN where there was no such trial."""
    columns = {own: column for column, own in enumerate(_list_rounds(groups))}
    values = np.full((len(groups), len(columns)), np.nan)
    for row, trials in enumerate(groups.values()):
        for trial in trials:
            values[row, columns[trial.run_id, trial.trial]] = read(trial)
    return values


def _list_rounds(groups: Groups) -> list[tuple[str, int]]:
    return sorted({(trial.run_id, trial.trial) for trials in groups.values() for trial in trials})


def _read_training_clock(trial: TrialRecord) -> float:
    return 1 / trial.images_per_second if trial.scaling == "weak" else trial.train_seconds


def _row_order(record: TrialRecord) -> tuple[bool, float, bool, str, int, int, str]:
    is_single = record.strategy == SINGLE
    return (
        not is_single,
        record.cpus_per_replica if is_single else 0.0,
        is_scaled(record) and record.scaling == "weak",
        record.strategy,
        record.num_workers,
        record.num_ps,
        record.configuration,
    )


def _find_differences(records: Trials, names: Iterable[str]) -> dict[str, str]:
    """Returns the fields that are not the same in all records, each with who has which value."""
    differences = {}
    for name in names:
        values = {getattr(record, name): record.configuration for record in reversed(records)}
        if len(values) > 1:
            received = (f"{_quote(value)} ({configuration})" for value, configuration in reversed(values.items()))
            differences[name] = ", ".join(received)
    return differences


def _quote(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else repr(value)
