"""When trials took place, on a clock that nobody set in between where there is one: overlaps, and holes."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from comparison.audit.findings import Breach, Evidence, count_silent, name_trial
from comparison.groups import Placed
from comparison.texts import say

# By so much two readings of a wall clock may be off in the wrong direction: what keeps clocks right sets them where
# they are off by more than 0.1 to 0.4 s, and slows them down else. No training's clock runs in the first or last second
# of its trial, so that an overlap which this hides slows no training down.
WALL_CLOCK_SECONDS = 1.0
# Between the trials of a run nothing happens but that a step begins: one second on a machine, one minute on a cluster.
# Longer than ten usual pauses and half a round is time for trials that are not there; a night is another machine.
_SHORT_HOLE_SECONDS = 30.0
_LONG_HOLE_SECONDS = 6 * 60 * 60.0
_USUAL_PAUSES = 10.0


class Timeline(NamedTuple):
    """How the start and the end of trials are read, in seconds, and by how much two of them may be off."""

    start: Callable[[Placed], float]
    end: Callable[[Placed], float]
    tolerance: float


def choose_timeline(trials: Iterable[Placed]) -> Timeline:
    """Returns the clock that nobody sets, where one boot of one machine measured all of the trials, else the wall's."""
    trials = list(trials)
    boots = {trial.boot_id for trial in trials}
    readings = [reading for trial in trials for reading in (trial.started_monotonic, trial.ended_monotonic)]
    if None in boots or len(boots) != 1 or None in readings:
        return Timeline(lambda trial: trial.started_at, lambda trial: trial.ended_at, WALL_CLOCK_SECONDS)
    return Timeline(lambda trial: trial.started_monotonic or 0.0, lambda trial: trial.ended_monotonic or 0.0, 0.0)


def check_overlap(trials: Sequence[Placed]) -> Evidence:
    """Returns whether every trial had ended when the next one started.

    Where one of the records tells the clock that nobody sets, all must.
    """
    timeline = choose_timeline(trials)
    breaches = []
    by_start = sorted(trials, key=timeline.start)
    latest = by_start[0]
    for trial in by_start[1:]:
        if (seconds := timeline.end(latest) - timeline.start(trial)) > timeline.tolerance:
            lasts = say(
                "trial {trial} ended {seconds} s after the start of {other}",
                trial=latest.trial,
                seconds=f"{seconds:.3g}",
                other=name_trial(trial),
            )
            starts = say("trial {trial} started before the end of {other}", trial=trial.trial, other=name_trial(latest))
            breaches += [Breach(latest.configuration, lasts), Breach(trial.configuration, starts)]
        latest = max(latest, trial, key=timeline.end)
    boots = [trial.boot_id for trial in trials]
    silent = count_silent(boots.count(None)) if any(boots) else None
    return Evidence(breaches, say("Every trial had ended when the next one started"), silent)


def find_holes(trials: Sequence[Placed], rounds: Iterable[Sequence[Placed]]) -> list[Breach]:
    """Returns where nothing was on record in a run for longer than its other trials and rounds explain.

    What the record tells of a pause is no hole: the run was interrupted and resumed, a trial waited for a quiet machine
    or had earlier attempts. What is missing may be of any configuration, so that all are named.

    Args:
        trials: Those of one run.
        rounds: The same, by round.
    """
    timeline = choose_timeline(trials)
    by_start = sorted(trials, key=timeline.start)
    pauses = [
        (timeline.start(after) - timeline.end(before) - _explain_pause(after), before, after)
        for before, after in pairwise(by_start)
    ]
    if not pauses:
        return []
    lengths = [max(map(timeline.end, own)) - min(map(timeline.start, own)) for own in rounds]
    usual = max(_USUAL_PAUSES * statistics.median(pause for pause, _, _ in pauses), statistics.median(lengths) / 2)
    longest = min(_LONG_HOLE_SECONDS, max(_SHORT_HOLE_SECONDS, usual))
    hole = "nothing on record for {duration} between {other} and {trial}, and not resumed"
    holes = [
        say(hole, duration=format_duration(pause), other=name_trial(before), trial=name_trial(after))
        for pause, before, after in pauses
        if pause > longest and not after.resumed and not after.earlier_attempts
    ]
    names = dict.fromkeys(trial.configuration for trial in trials)
    return [Breach(name, told) for told in holes for name in names]


def format_duration(seconds: float) -> str:
    """Returns seconds in the unit that a reader takes in at once."""
    if seconds >= 2 * 60 * 60:
        return say("{number} h", number=f"{seconds / 60 / 60:,.0f}")
    if seconds >= 2 * 60:
        return say("{number} min", number=f"{seconds / 60:.0f}")
    return say("{number} s", number=f"{seconds:.0f}")


def _explain_pause(trial: Placed) -> float:
    return trial.quiet.waited_seconds if trial.quiet else 0.0
