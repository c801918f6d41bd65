"""How long each configuration trains until its model is as good as was asked for, trial by trial."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from comparison.groups import Groups, list_trials, split_by_scaling
from comparison.records import TrialRecord
from comparison.statistics import Ratio, compute_ci95, compute_mean
from comparison.summary import compute_target_speedups, is_target_paired
from comparison.table import UNKNOWN, format_measurement, format_number, format_ratio
from comparison.texts import list_items, say, say_count

# Of a cell: more trials than a reader compares one by one are in the records.
_MAX_LISTED = 10


@dataclass(frozen=True)
class TargetRow:
    """How a configuration reached the target accuracy.

    Attributes:
        configuration: Whose it was.
        epochs: Of each trial, up to and with the first that reached the target; None: none did.
        seconds: Training seconds until the end of that epoch; None likewise.
        speedup: The baseline's seconds over these; None where a trial of one of the two never reached the target.
    """

    configuration: str
    epochs: Sequence[int | None]
    seconds: Sequence[float | None]
    speedup: Ratio | None


def tabulate_targets(groups: Groups) -> list[TargetRow]:
    """Returns how each configuration reached the target; nothing where no trial has one."""
    if all(trial.target is None for trial in list_trials(groups)):
        return []
    speedups = compute_target_speedups(groups)
    return [
        TargetRow(
            configuration=name,
            epochs=[trial.reached.epoch if trial.reached else None for trial in trials],
            seconds=[trial.seconds_to_target for trial in trials],
            speedup=speedups.get(name),
        )
        for name, trials in groups.items()
    ]


def describe_targets(groups: Groups) -> list[dict[str, Any]]:
    """Returns what the template `time_to_accuracy.html.j2` shows: for each kind of scaling title, rows and a note."""
    halves = split_by_scaling(groups)
    titles = {"strong": say("Strong scaling"), "weak": say("Weak scaling")}
    described = [
        {
            "title": titles[scaling] if len(halves) > 1 else "",
            "rows": [_describe(row) for row in tabulate_targets(own)],
            "note": _describe_pairing(own),
        }
        for scaling, own in halves.items()
    ]
    return [half for half in described if half["rows"]]


def name_target(trials: Iterable[TrialRecord]) -> str:
    """Returns the target, an accuracy in per cent; all of them where the trials do not agree."""
    targets = {(trial.target, trial.is_accuracy) for trial in trials if trial.target is not None}
    return list_items(
        [f"{100 * target:g} %" if is_accuracy else f"{target:g}" for target, is_accuracy in sorted(targets)]
    )


def _describe_pairing(groups: Groups) -> str:
    """Returns whether the speedups compare round with round; nothing where there is no speedup with an interval."""
    if all(ratio.low is None for ratio in compute_target_speedups(groups).values()):
        return ""
    if is_target_paired(groups):
        return say("Speedups to the target compare round with round: what trained in one shares its seed.")
    return say("Speedups to the target compare means: not all configurations trained in the same rounds.")


def _describe(row: TargetRow) -> list[str]:
    seconds = [own for own in row.seconds if own is not None]
    epochs = sorted({own for own in row.epochs if own is not None})
    listed = [UNKNOWN if own is None else format_number(own) for own in row.seconds[:_MAX_LISTED]]
    left = len(row.seconds) - _MAX_LISTED
    more = [say_count(left, "{number} more trial", "{number} more trials")] if left > 0 else []
    return [
        row.configuration,
        say("{number} of {all}", number=f"{len(seconds):,}", all=f"{len(row.seconds):,}"),
        _format_span(epochs),
        _format_mean(seconds),
        format_ratio(row.speedup),
        list_items([*listed, *more]),
    ]


def _format_mean(seconds: Sequence[float]) -> str:
    if not seconds:
        return UNKNOWN
    return format_measurement(compute_mean(seconds), compute_ci95(seconds))


def _format_span(numbers: Sequence[int]) -> str:
    """Returns sorted numbers as the one that they are, or from the least to the most."""
    return "–".join(f"{number:,}" for number in dict.fromkeys([*numbers[:1], *numbers[-1:]])) or UNKNOWN
