"""The table: one row a configuration, every column derived from the trial records."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from comparison.records import RecordError, TrialRecord
from comparison.statistics import Ratio, compute_ci95, compute_mean, compute_ratio

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

# What the trials of one configuration share, and what all trials of a comparison share.
_SAME_IN_CONFIGURATION = ("strategy", "num_workers", "num_ps", "cpus_per_replica", "global_batch_size")
_SAME_IN_COMPARISON = ("scaling", "model", "dataset_sha256", "epochs")


def group_trials(records: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Returns the trials of each configuration, in the order of the table's rows.

    Single nodes come first, the smallest of them, the baseline, before all. Trials are in order of run and index.

    Raises:
        RecordError: There is no record, one is there twice, or the records differ in what a comparison keeps equal.
    """
    records = sorted(records, key=lambda record: (record.run_id, record.trial))
    if not records:
        raise RecordError("A comparison needs at least one trial. Received: none.")
    identities = Counter((record.run_id, record.configuration, record.trial) for record in records)
    if repeated := [identity for identity, count in identities.items() if count > 1]:
        raise RecordError(f"A trial must be recorded once. Received more than once: {repeated}.")
    _check_same(records, _SAME_IN_COMPARISON, "All trials of a comparison")
    groups: dict[str, list[TrialRecord]] = {}
    for record in sorted(records, key=_row_order):
        groups.setdefault(record.configuration, []).append(record)
    for name, trials in groups.items():
        _check_same(trials, _SAME_IN_CONFIGURATION, f"All trials of {name}")
    return groups


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


def compute_speedup(baseline: Trials, trials: Trials) -> Ratio:
    """Returns how many times as fast as the baseline a configuration trains.

    Strong scaling compares the training times of equally many images, weak scaling the throughputs.

    Raises:
        RecordError: With strong scaling, the trials differ in the images they have seen or in the global batch.
    """
    if trials[0].scaling == "weak":
        return compute_ratio([own.images_per_second for own in trials], [base.images_per_second for base in baseline])
    _check_same([*baseline, *trials], ("images_seen", "global_batch_size"), "With strong scaling, all trials")
    return compute_ratio([base.train_seconds for base in baseline], [own.train_seconds for own in trials])


def compute_whole_job_speedup(baseline: Trials, trials: Trials) -> Ratio:
    """Returns how many times as fast as the baseline a whole job is, its start-up included."""
    return compute_ratio([base.total_seconds for base in baseline], [own.total_seconds for own in trials])


def summarize(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Returns the table of the comparison: means over trials, with the columns `COLUMNS`.

    Cells that cannot be known (an interval from a single trial, a speedup without a baseline) are NaN.

    Raises:
        RecordError: The records do not make a comparison.
    """
    groups = group_trials(records)
    rows = [_summarize_configuration(trials, find_baseline(groups, name)) for name, trials in groups.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    unknown = [name for name in COLUMNS if table[name].dtype == object]
    return table.astype(dict.fromkeys(unknown, float))


def add_confusion_matrices(trials: Trials) -> list[list[int]]:
    """Returns the sum of the trials' confusion matrices: rows are true classes, columns predicted ones."""
    matrices = [trial.confusion_matrix for trial in trials]
    return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


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


def _summarize_configuration(trials: Trials, baseline: Trials | None) -> dict[str, Any]:
    first = trials[0]
    reached = [trial.seconds_to_target for trial in trials if trial.seconds_to_target is not None]
    speedup = _compute_row_speedup(trials, baseline)
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


def _compute_row_speedup(trials: Trials, baseline: Trials | None) -> Ratio | None:
    if baseline is None:
        return None
    return Ratio(1.0) if baseline is trials else compute_speedup(baseline, trials)


def _row_order(record: TrialRecord) -> tuple[bool, float, str, int, int, str]:
    is_single = record.strategy == SINGLE
    return (
        not is_single,
        record.cpus_per_replica if is_single else 0.0,
        record.strategy,
        record.num_workers,
        record.num_ps,
        record.configuration,
    )


def _check_same(records: Trials, names: Iterable[str], subject: str) -> None:
    for name in names:
        values = {getattr(record, name): record.configuration for record in records}
        if len(values) > 1:
            received = ", ".join(f"{value!r} ({configuration})" for value, configuration in values.items())
            raise RecordError(f"{subject} must have the same {name}. Received: {received}.")
