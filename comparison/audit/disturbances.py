"""Which trials the machine disturbed: whose cores were not as fast as they should be, or whose training was held up."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from comparison.clocks import is_wholly_timed
from comparison.groups import Trials
from comparison.records import Replica, TrialRecord
from comparison.texts import say

# A core that takes so much longer or shorter for a fixed computation than before the training, or than the median core
# of the run, was not the machine that the others ran on: more than twice the noise of trials on a quiet machine (about
# 2 %), less than the difference that a comparison is made to find (10 %).
CALIBRATION_TOLERANCE = 0.05
# The share of the training's clock by which all steps together exceed as many median steps differs between trials of a
# configuration by up to 9 % on machines that nothing disturbed.
HOLDUP_TOLERANCE = 0.10


class Disturbance(NamedTuple):
    """A trial that the machine disturbed, the share by which at worst, and that in words."""

    trial: TrialRecord
    change: float
    reason: str


def measure_core(trials: Iterable[TrialRecord]) -> float:
    """Returns the median seconds of the fixed computation on the cores of the trials; NaN where it was not timed."""
    seconds = [second for trial in trials for replica in trial.replicas for second in replica.calibration_seconds or ()]
    return statistics.median(seconds) if seconds else math.nan


def list_slow_cores(trials: Trials) -> list[Disturbance]:
    """Returns the trials in which a core was not as fast as before or as the others of the run, with the worst of it.

    The fixed computation is timed on each replica's own cores, before and after the training; more than
    `CALIBRATION_TOLERANCE` is a disturbance.
    """
    disturbed = []
    for own in _group(trials, lambda trial: trial.run_id):
        median = measure_core(own)
        for trial in own:
            changes = [change for replica in trial.replicas for change in _compare_core(replica, median)]
            worst, reason = max(changes, default=(0.0, ""))
            if worst > CALIBRATION_TOLERANCE:
                disturbed.append(Disturbance(trial, worst, reason))
    return disturbed


def list_holdups(trials: Trials) -> list[Disturbance]:
    """Returns the trials whose training stood still or crawled for a while, which the cores do not show.

    The median step of a trial hardly notices that, the training's clock does. So the share of the clock that as many
    median steps do not explain is compared over the trials of a configuration and run; more than `HOLDUP_TOLERANCE`
    above its median, of two trials above the other one's, is a disturbance. Contended replicas hold each other up, and
    the workers of parameter servers are not in step: both are left out, and so is what was not wholly timed.
    """
    disturbed = []
    in_step = [own for own in trials if not (own.contended or own.num_ps) and "p50" in own.step_seconds]
    known = [own for own in in_step if is_wholly_timed(own)]
    for own in _group(known, lambda trial: (trial.run_id, trial.configuration)):
        shares = [1 - trial.steps * trial.step_seconds["p50"] / trial.train_seconds for trial in own]
        usual = statistics.median_low(shares)
        for trial, share in zip(own, shares, strict=True):
            excess = share - usual
            if excess > HOLDUP_TOLERANCE:
                longer = "it trained {seconds} s longer than its median step and the other trials let expect"
                reason = say(longer, seconds=f"{excess * trial.train_seconds:.1f}")
                disturbed.append(Disturbance(trial, excess, reason))
    return disturbed


def _group(trials: Iterable[TrialRecord], read: Callable[[TrialRecord], object]) -> Iterator[list[TrialRecord]]:
    groups: dict[object, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(read(trial), []).append(trial)
    yield from groups.values()


def _compare_core(replica: Replica, median: float) -> list[tuple[float, str]]:
    """Returns by how much a core's speed changed in the training, and differed from the run's median, with words."""
    if replica.calibration_seconds is None:
        return []
    before, after = replica.calibration_seconds
    drift, level = after / before - 1, (before + after) / 2 / median - 1
    drifted = "{replica}'s core {change} after the training than before it"
    differs = "{replica}'s core {change} than the median core"
    return [
        (abs(drift), say(drifted, replica=replica.name, change=_slower_or_faster(drift))),
        (abs(level), say(differs, replica=replica.name, change=_slower_or_faster(level))),
    ]


def _slower_or_faster(change: float) -> str:
    percent = f"{100 * abs(change):.0f}"
    return say("{percent} % slower", percent=percent) if change > 0 else say("{percent} % faster", percent=percent)
