"""Where the time of a job went, part by part and replica by replica, and how much of a run was not training at all."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comparison.clocks import (
    KINDS,
    PARTS,
    PHASES,
    TOTAL,
    find_chief,
    is_timed,
    measure_chief,
    measure_replica,
    measure_waiting_share,
    select_phases,
)
from comparison.groups import Groups, list_trials
from comparison.records import TrialRecord
from comparison.statistics import compute_mean
from comparison.table import UNKNOWN, Cells
from comparison.texts import join_clauses, list_items, say

# Without a minus sign where what is below zero is rounded to it.
_SECONDS = "{:z,.2f}"


@dataclass(frozen=True)
class TimeRow:
    """Where the time of one replica of a configuration went, means over trials.

    Attributes:
        configuration: Whose it was.
        replica: Which one, as in `worker-0`.
        seconds: By the columns of `PARTS`; they add up to `total_seconds`.
        total_seconds: The whole job.
    """

    configuration: str
    replica: str
    seconds: Mapping[str, float]
    total_seconds: float

    @property
    def explained_share(self) -> float:
        """The share of the job's wall time that a clock of this replica accounts for."""
        return 1 - abs(self.seconds["unexplained_seconds"]) / self.total_seconds

    def add_kinds(self) -> dict[str, float]:
        """Returns the seconds by kind, in the order of `KINDS`."""
        return {kind: math.fsum(self.seconds[part.column] for part in PARTS if part.kind == kind) for kind in KINDS}


@dataclass(frozen=True)
class StragglerRow:
    """How far the workers of a configuration are apart, means over trials; None where the records do not say.

    Attributes:
        configuration: Whose they are.
        slowest_to_mean: Computation of the slowest worker of each step over that of the mean one. Where workers are not
            in step, of an update's mean instead.
        wait_seconds: What the mean worker spent waiting for the slowest of each step.
        transfer_seconds: What communication took without that.
        first_step_to_median: The first step's duration over the median step's: what the warm-up left over.
        explained_share: The share of the job's wall time that the chief's clocks account for.
    """

    configuration: str
    slowest_to_mean: float | None
    wait_seconds: float | None
    transfer_seconds: float | None
    first_step_to_median: float | None
    explained_share: float


def break_down(groups: Groups) -> dict[str, dict[str, float]]:
    """Returns the seconds of each phase and of the whole job of each configuration, means over trials."""
    return {row.configuration: _add_phases(row) for row in tabulate_configurations(groups)}


def format_phases(phases: Mapping[str, Mapping[str, float]]) -> Cells:
    """Returns what `break_down` returned, as a reader sees it."""
    shown = [*select_phases(phases.values()), TOTAL]
    columns = [say("configuration"), *(say("{phase}, s", phase=say(phase.label)) for phase in shown)]
    return Cells(
        columns, [[name, *(format_seconds(own[phase.column]) for phase in shown)] for name, own in phases.items()]
    )


def measure_waiting(trials: Iterable[TrialRecord]) -> float | None:
    """Returns the share of the training that the busiest thread of the worst-off replica waited for a core.

    A mean over trials; None where the records do not say. A process waits for its own threads, too.
    """
    return _mean_of_known(map(measure_waiting_share, trials))


def tabulate_configurations(groups: Groups) -> list[TimeRow]:
    """Returns where each configuration's time went, as its chief saw it."""
    return [
        _average(name, find_chief(trials[0]).name, trials, [measure_chief(trial) for trial in trials])
        for name, trials in groups.items()
    ]


def tabulate_replicas(groups: Groups) -> list[TimeRow]:
    """Returns where the time of each replica went; those are left out whose records do not say it in every trial."""
    rows = []
    for configuration, trials in groups.items():
        for name in (replica.name for replica in trials[0].replicas):
            own = [
                measure_replica(trial, replica)
                for trial in trials
                for replica in trial.replicas
                if replica.name == name and is_timed(replica)
            ]
            if len(own) == len(trials):
                rows.append(_average(configuration, name, trials, own))
    return rows


def tabulate_stragglers(groups: Groups) -> list[StragglerRow]:
    """Returns how far the workers of each configuration are apart, and how much of its time is explained."""
    return [
        StragglerRow(
            configuration=row.configuration,
            slowest_to_mean=_mean_of_known([_compare_compute(trial) for trial in trials]),
            wait_seconds=_mean_of_known([_measure_wait(trial) for trial in trials]),
            transfer_seconds=_mean_of_known([trial.transfer_seconds for trial in trials]),
            first_step_to_median=_mean_of_known([_compare_first_step(trial) for trial in trials]),
            explained_share=row.explained_share,
        )
        for row, trials in zip(tabulate_configurations(groups), groups.values(), strict=True)
    ]


def describe_times(groups: Groups) -> dict[str, Any]:
    """Returns what the template `breakdown.html.j2` shows: rows of text, and bars of percentages."""
    rows = tabulate_replicas(groups) or tabulate_configurations(groups)
    names = [join_clauses([row.configuration, row.replica]) for row in rows]
    parts = [part for part in PARTS if any(row.seconds[part.column] for row in rows)]
    return {
        "columns": [say(part.label) for part in parts],
        "rows": [
            [name, *(format_seconds(row.seconds[part.column]) for part in parts)]
            for name, row in zip(names, rows, strict=True)
        ],
        "kinds": [say(kind) for kind in KINDS],
        "bars": [
            {
                "name": name,
                "description": say("{configuration}: {received}", configuration=name, received=_list_shares(row)),
                "percents": list(_compute_percents(row).values()),
            }
            for name, row in zip(names, rows, strict=True)
        ],
        "stragglers": [
            [
                row.configuration,
                _format(row.slowest_to_mean, "{:.3f}"),
                _format(row.wait_seconds, _SECONDS),
                _format(row.transfer_seconds, _SECONDS),
                _format(row.first_step_to_median, "{:.2f}"),
                f"{100 * row.explained_share:.1f} %",
            ]
            for row in tabulate_stragglers(groups)
        ],
        "notes": state_measuring(list_trials(groups)),
    }


def state_measuring(trials: Sequence[TrialRecord]) -> list[str]:
    """Returns what else must be known of the seconds: whose steps tell the parts, and what GPUs exchanged values by."""
    notes = []
    numbers = sorted({trial.traced_steps for trial in trials if trial.traced_steps})
    traced = (
        "Where one call makes several steps, input, computation, communication and update come from {number} steps "
        "made apart from the timed ones: their shares of those, of the training’s seconds."
    )
    if numbers:
        notes.append(say(traced, number=list_items(f"{number:,}" for number in numbers)))
    slow = list(dict.fromkeys(trial.configuration for trial in trials if trial.gpus and trial.communication == "auto"))
    if slow:
        without = "GPUs exchanged values without NCCL, which takes longer, as they were shared: {configurations}."
        notes.append(say(without, configurations=list_items(slow)))
    return notes


def format_seconds(seconds: float) -> str:
    """Returns seconds to a hundredth."""
    return _SECONDS.format(seconds)


def _average(
    configuration: str, replica: str, trials: Iterable[TrialRecord], measured: list[dict[str, float]]
) -> TimeRow:
    seconds = {part.column: compute_mean([own[part.column] for own in measured]) for part in PARTS}
    return TimeRow(configuration, replica, seconds, compute_mean([trial.total_seconds for trial in trials]))


def _add_phases(row: TimeRow) -> dict[str, float]:
    phases = {
        phase.column: math.fsum(row.seconds[part.column] for part in PARTS if part.phase == phase.column)
        for phase in PHASES
    }
    return phases | {TOTAL.column: row.total_seconds}


def _compute_percents(row: TimeRow) -> dict[str, float]:
    """Returns the width of each part of a replica's bar, by kind."""
    return {kind: max(0.0, 100 * seconds / row.total_seconds) for kind, seconds in row.add_kinds().items()}


def _list_shares(row: TimeRow) -> str:
    return list_items([f"{say(kind)} {percent:.1f} %" for kind, percent in _compute_percents(row).items()])


def _compare_compute(trial: TrialRecord) -> float | None:
    """Returns the slowest worker's computation over the mean one's."""
    if trial.slowest_compute_seconds is not None and trial.mean_compute_seconds:
        return trial.slowest_compute_seconds / trial.mean_compute_seconds
    own = [
        measure_replica(trial, replica)["compute_seconds"] / replica.num_steps
        for replica in trial.replicas
        if replica.num_steps and is_timed(replica)
    ]
    return max(own) / statistics.fmean(own) if own else None


def _measure_wait(trial: TrialRecord) -> float | None:
    """Returns what the workers of a trial waited for the slowest of each step, on average.

    A step's communication is waiting plus transfer, and the last to arrive waits for nobody: so the least that any
    worker spent in that step is the transfer.
    """
    clocks = [replica.clocks for replica in trial.replicas if replica.type != "ps" and replica.clocks is not None]
    if trial.transfer_seconds is None or not clocks:
        return None
    return statistics.fmean(own["communication_seconds"] for own in clocks) - trial.transfer_seconds


def _compare_first_step(trial: TrialRecord) -> float | None:
    first, median = trial.step_seconds.get("first"), trial.step_seconds.get("p50")
    return first / median if first and median else None


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _format(value: float | None, pattern: str) -> str:
    return UNKNOWN if value is None else pattern.format(value)
