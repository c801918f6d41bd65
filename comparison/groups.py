"""The trials of each configuration: how they are grouped, which may be compared, and with which baseline."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np

from comparison.clocks import is_wholly_timed
from comparison.quality import ConfusionMatrix, add_matrices
from comparison.records import QuietWait, RecordError, TrialRecord
from comparison.statistics import FloatArray, compute_mean, find_outliers
from comparison.texts import speak_of

SINGLE = "single"
Trials = Sequence[TrialRecord]
Groups = Mapping[str, Trials]


class Placed(Protocol):
    """Where and when in its run a trial took place, as the records of every kind of program tell it."""

    @property
    def run_id(self) -> str:
        """Of which run it is."""

    @property
    def configuration(self) -> str:
        """What was trained, by name."""

    @property
    def trial(self) -> int:
        """Its number, from 1."""

    @property
    def round(self) -> int | None:
        """Of the run, from 1."""

    @property
    def place(self) -> int | None:
        """In the order of the run, from 1."""

    @property
    def backend(self) -> str:
        """`local` or `kubernetes`."""

    @property
    def started_at(self) -> float:
        """In Unix time."""

    @property
    def ended_at(self) -> float:
        """In Unix time."""

    @property
    def boot_id(self) -> str | None:
        """Of the machine that launched it."""

    @property
    def started_monotonic(self) -> float | None:
        """In seconds, on a clock that nobody sets."""

    @property
    def ended_monotonic(self) -> float | None:
        """In seconds, on the same clock."""

    @property
    def resumed(self) -> bool:
        """Whether an interrupted run went on with it."""

    @property
    def earlier_attempts(self) -> list[dict[str, Any]] | None:
        """Those that do not count."""

    @property
    def quiet(self) -> QuietWait | None:
        """How long it waited for its cores to be free."""


_Placed = TypeVar("_Placed", bound=Placed)

# What makes trials one row of the table, and what makes two rows the same work, so that a ratio of them means anything.
_SAME_IN_CONFIGURATION = ("strategy", "num_workers", "num_ps", "cpus_per_replica", "global_batch_size")
_SAME_MODEL_AND_DATA = ("model", "model_arguments", "num_parameters", "dataset_sha256")
SAME_WORK = {
    "strong": (*_SAME_MODEL_AND_DATA, "epochs", "images_seen", "global_batch_size"),
    "weak": (*_SAME_MODEL_AND_DATA, "per_replica_batch_size"),
}


def group_trials(records: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Returns the trials of each configuration, in the order of the table's rows.

    Single nodes come first, the smallest of them, the baseline, before all. Trials are in order of run and index.

    Raises:
        RecordError: There is no record, one is there twice, one name stands for different configurations, or trials
            were judged by different metrics.
    """
    records = sorted(records, key=lambda record: (record.run_id, record.trial))
    if not records:
        raise RecordError("A comparison needs at least one trial. Received: none.")
    identities = Counter((record.run_id, record.configuration, record.trial) for record in records)
    if repeated := [identity for identity, count in identities.items() if count > 1]:
        raise RecordError(f"A trial must be recorded once. Received more than once: {repeated}.")
    _check_metrics(records)
    groups: dict[str, list[TrialRecord]] = {}
    for record in sorted(records, key=_row_order):
        groups.setdefault(record.configuration, []).append(record)
    for name, trials in groups.items():
        names = (*_SAME_IN_CONFIGURATION, *(("scaling",) if is_scaled(trials[0]) else ()))
        for field, received in _find_differences(trials, names).items():
            raise RecordError(f"All trials of {name} must have the same {field}. Received: {received}.")
    return groups


@contextmanager
def speak_of_trials(trials: Trials) -> Iterator[None]:
    """Makes `say` speak of what these trials were judged by and trained on, for as long as the context lasts."""
    first = trials[0]
    metric = None if first.is_accuracy else first.quality.name
    with speak_of(metric, higher_is_better=first.quality.higher_is_better, has_images=first.has_images):
        yield


def is_scaled(trial: TrialRecord) -> bool:
    """Returns whether strong or weak scaling makes a difference: a training of one worker is the same in both."""
    return trial.num_workers > 1


def split_by_scaling(groups: Groups) -> dict[str, dict[str, Trials]]:
    """Returns the trials of each kind of scaling there is, `strong` first: a comparison of its own each.

    What trained with one worker, the baseline above all, is in each of them, and there passes for a trial of it.
    """
    every = [trials[0] for trials in groups.values()]
    scalings = sorted({own.scaling for own in every if is_scaled(own)}) or [own.scaling for own in every[:1]]
    return {
        scaling: {
            name: trials if is_scaled(trials[0]) else [replace(trial, scaling=scaling) for trial in trials]
            for name, trials in groups.items()
            if trials[0].scaling == scaling or not is_scaled(trials[0])
        }
        for scaling in scalings
    }


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


def list_timed(trials: Trials) -> list[TrialRecord]:
    """Returns the trials that have a time: those that were wholly timed."""
    return [trial for trial in trials if is_wholly_timed(trial)]


def select_timed(groups: Groups) -> dict[str, Trials]:
    """Returns the trials that have a time, and the configurations that have such."""
    return {name: timed for name, trials in groups.items() if (timed := list_timed(trials))}


def list_trials(groups: Mapping[str, Sequence[_Placed]]) -> list[_Placed]:
    """Returns the trials of all configurations, in the order of the table."""
    return [trial for trials in groups.values() for trial in trials]


def number_round(trial: Placed) -> int:
    """Returns the number of a trial's round, which in older records is its own."""
    return trial.trial if trial.round is None else trial.round


def name_round(trial: Placed) -> tuple[str, int]:
    """Returns the run and the round of a trial, the unit of every analysis: what trained in it shares seed and hour."""
    return trial.run_id, number_round(trial)


def average_rounds(trials: Sequence[_Placed], read: Callable[[_Placed], float]) -> dict[tuple[str, int], float]:
    """Returns a value of each round, in their order: the mean over its trials.

    The baseline may have two in a round, before and after the distributed trainings, whose mean place is the middle.
    They have the same seed, and so the same weights: two values of it would count one draw twice.
    """
    rounds: dict[tuple[str, int], list[float]] = {}
    for trial in sorted(trials, key=name_round):
        rounds.setdefault(name_round(trial), []).append(read(trial))
    return {own: compute_mean(values) for own, values in rounds.items()}


def count_rounds(trials: Sequence[Placed]) -> int:
    """Returns in how many rounds the trials were: the n of their mean."""
    return len({*map(name_round, trials)})


def list_rounds(groups: Mapping[str, Sequence[Placed]]) -> list[tuple[str, int]]:
    """Returns the rounds of all configurations, in their order."""
    return sorted({*map(name_round, list_trials(groups))})


def tabulate_rounds(groups: Mapping[str, Sequence[_Placed]], read: Callable[[_Placed], float]) -> FloatArray:
    """Returns the values of rounds, one row a configuration, one column a round, NaN where it has no such trial."""
    columns = {own: column for column, own in enumerate(list_rounds(groups))}
    values = np.full((len(groups), len(columns)), np.nan)
    for row, trials in enumerate(groups.values()):
        for own, value in average_rounds(trials, read).items():
            values[row, columns[own]] = value
    return values


def find_outlying(
    groups: Mapping[str, Sequence[_Placed]], read: Callable[[_Placed], float]
) -> list[tuple[_Placed, float]]:
    """Returns the trial that the others do not explain, if there is one, with its value over what they predict.

    There are more where it cannot be told which it is.

    Args:
        groups: The trials of each configuration that share their noise.
        read: Returns a trial's value, which is positive.
    """
    if not groups:
        return []
    rounds, names = list_rounds(groups), list(groups)
    found = []
    for outlier in find_outliers(tabulate_rounds(groups, read)):
        own = [trial for trial in groups[names[outlier.configuration]] if name_round(trial) == rounds[outlier.round]]
        # Of two baselines of a round the one that is further off in the direction of their mean.
        farthest = max if outlier.factor > 1 else min
        found.append((farthest(own, key=read), outlier.factor))
    return found


def is_any_contended(trials: Trials) -> bool:
    """Returns whether replicas shared too few cores in one of the trials."""
    return any(trial.contended for trial in trials)


def count_reached(trials: Trials) -> int:
    """Returns how many of the trials reached the target accuracy."""
    return sum(trial.seconds_to_target is not None for trial in trials)


def is_target_missed(baseline: Trials, trials: Trials) -> bool:
    """Returns whether none of the trials reached the target accuracy, where one of the baseline's did."""
    return count_reached(trials) == 0 and count_reached(baseline) > 0


def add_confusion_matrices(trials: Trials) -> ConfusionMatrix | None:
    """Returns the sum of the trials' confusion matrices; None where their answers are no classes."""
    known = [matrix for trial in trials if (matrix := trial.confusion) is not None]
    return add_matrices(known) if known else None


def _check_metrics(records: Trials) -> None:
    """Makes sure that all trials were judged by one metric, in one direction, and trained with one loss.

    Raises:
        RecordError: They were not.
    """
    metrics = {describe_metric(record): record.configuration for record in reversed(records)}
    losses = {record.loss_name: record.configuration for record in reversed(records) if record.loss_name is not None}
    for what, found in (("metric", metrics), ("loss", losses)):
        if len(found) > 1:
            received = ", ".join(f"{name} ({configuration})" for name, configuration in reversed(found.items()))
            raise RecordError(f"All trials of a comparison must have the same {what}. Received: {received}.")


def describe_metric(record: TrialRecord) -> str:
    """Returns a trial's metric by name and direction, for the message of an error."""
    direction = "higher" if record.quality.higher_is_better else "lower"
    counted = ", of counted answers" if record.is_accuracy else ""
    return f"{record.quality.name}, {direction} is better{counted}"


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
