"""Which trainings the machine disturbed: what took their cores, held them up or slowed them down half-way."""

import math
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from comparison.clocks import is_wholly_timed, measure_waiting_share
from comparison.groups import Trials
from comparison.records import Replica, TrialRecord
from comparison.texts import list_items, say

# The share of a training's time on a replica's cores that others may take, or that its busiest thread may wait longer
# than in the other trials: what is more moved the training by as much as a comparison is made to find. On a machine
# that nothing else uses others take 1 to 2 %.
DISTURBED_SHARE = 0.10
# The share of the training's clock by which all steps together exceed as many median steps differs between trials of a
# configuration by up to 9 % on machines that nothing disturbed.
HOLDUP_TOLERANCE = 0.10
# By so much one half of a training's epochs may take longer than the other: well above the noise of halves (about 4 %),
# and below what a processor loses that gets too hot.
HALVES_TOLERANCE = 0.15


class Disturbance(NamedTuple):
    """A trial that the machine disturbed, the share by which at worst, and that in words."""

    trial: TrialRecord
    change: float
    reason: str


def measure_disturbance(trial: TrialRecord) -> float | None:
    """Returns the share of its training for which others had the cores of a trial's replicas, the worst of them.

    What the other replicas of the job computed there is not among it. None where no replica says.
    """
    shares = [share for replica in trial.replicas if (share := _measure_others(trial, replica)) is not None]
    return max(shares, default=None)


def is_disturbance_known(trial: TrialRecord) -> bool:
    """Returns whether a record says what went on beside the training; those of older versions do not."""
    return measure_disturbance(trial) is not None or measure_waiting_share(trial) is not None


def list_taken_cores(trials: Trials) -> list[Disturbance]:
    """Returns the trials on whose cores others computed, or which waited for cores longer than the others did.

    A process waits for its own threads, too, and contended replicas for each other. So waiting counts as far as it is
    more than usual: than the median of the configuration's trials of the run, of two trials the shorter one's.
    """
    disturbed = {id(own.trial): own for own in _list_waits(trials)}
    for trial in trials:
        if held := _find_held_gpu(trial):
            disturbed[id(trial)] = held
        share = measure_disturbance(trial)
        if share is not None and share > DISTURBED_SHARE and not trial.contended:
            taken = "others had its cores for {percent} % of its training"
            disturbed[id(trial)] = Disturbance(trial, share, say(taken, percent=f"{100 * share:.0f}"))
    return [disturbed[id(trial)] for trial in trials if id(trial) in disturbed]


def _find_held_gpu(trial: TrialRecord) -> Disturbance | None:
    """Returns what kept a replica's GPU from its work: others on it, or what slows it down; None where nothing did."""
    gpus = [replica.gpu for replica in trial.replicas if replica.gpu is not None]
    if not trial.contended and any(gpu.other_processes for gpu in gpus):
        return Disturbance(trial, 1.0, say("another process computed on its GPU"))
    worst = max(gpus, key=lambda gpu: gpu.throttled_share, default=None)
    if worst is None or worst.throttled_share <= DISTURBED_SHARE:
        return None
    slowed = "its GPU was slowed down in {percent} % of its training: {reasons}"
    percent = f"{100 * worst.throttled_share:.0f}"
    reason = say(slowed, percent=percent, reasons=list_items(worst.throttled))
    return Disturbance(trial, worst.throttled_share, reason)


def _list_waits(trials: Trials) -> Iterator[Disturbance]:
    known = [trial for trial in _select(trials) if measure_waiting_share(trial) is not None]
    for own, share, usual in _compare_shares(known, lambda trial: measure_waiting_share(trial) or 0.0):
        if (excess := share - usual) > DISTURBED_SHARE:
            waited = "it waited for cores for {percent} % of its training, usual are {usual} %"
            reason = say(waited, percent=f"{100 * share:.0f}", usual=f"{100 * usual:.0f}")
            yield Disturbance(own, excess, reason)


def list_holdups(trials: Trials) -> list[Disturbance]:
    """Returns the trials whose training stood still or crawled for a while, which the cores do not show.

    The median step of a trial hardly notices that, the training's clock does. So the share of the clock that as many
    median steps do not explain is compared over the trials of a configuration and run; more than `HOLDUP_TOLERANCE`
    above its median, of two trials above the other one's, is a disturbance. Contended replicas hold each other up, and
    the workers of parameter servers are not in step: both are left out, and so is what was not wholly timed. And within
    a training the halves of its epochs differ as little as in the steadiest configuration, up to `HALVES_TOLERANCE`.
    """
    disturbed = {id(own.trial): own for own in _list_slow_halves(trials)}
    known = [trial for trial in _select(trials) if not trial.num_ps and "p50" in trial.step_seconds]
    for trial, share, usual in _compare_shares(known, _measure_holdup):
        if (excess := share - usual) > HOLDUP_TOLERANCE:
            longer = "it trained {seconds} s longer than its median step and the other trials let expect"
            reason = say(longer, seconds=f"{excess * trial.train_seconds:.1f}")
            disturbed[id(trial)] = Disturbance(trial, excess, reason)
    return [disturbed[id(trial)] for trial in trials if id(trial) in disturbed]


def _measure_holdup(trial: TrialRecord) -> float:
    """Returns the share of the training that its median steps do not explain; where they explain too much, none."""
    return max(0.0, 1 - trial.steps * trial.step_seconds["p50"] / trial.train_seconds)


def _list_slow_halves(trials: Trials) -> Iterator[Disturbance]:
    """Yields the trials one half of which took longer, beyond what the steadiest configuration of the run shows.

    What comes with the training, such as a first epoch that warms up, is in all configurations alike.
    """
    changes: dict[str, dict[str, list[float]]] = {}
    known = _select(trials)
    for trial in known:
        changes.setdefault(trial.run_id, {}).setdefault(trial.configuration, []).append(_compare_halves(trial))
    usual = {run_id: min(map(statistics.median_low, own.values()), key=abs) for run_id, own in changes.items()}
    for trial in known:
        change = _compare_halves(trial)
        if abs(change - usual[trial.run_id]) > HALVES_TOLERANCE:
            slower = "its second half took {percent} % longer than its first"
            faster = "its second half took {percent} % less time than its first"
            percent = f"{100 * abs(change):.0f}"
            reason = say(slower, percent=percent) if change > 0 else say(faster, percent=percent)
            yield Disturbance(trial, abs(change), reason)


def _compare_halves(trial: TrialRecord) -> float:
    """Returns by which share the last epochs took longer than as many first ones; with an odd number the middle is out.

    All epochs have equally many steps. 0 where there is but one.
    """
    ends = [0.0, *(point.train_seconds for point in trial.curve)]
    count = len(trial.curve) // 2
    if not count or ends[count] <= 0:
        return 0.0
    return (ends[-1] - ends[-1 - count]) / ends[count] - 1


def _select(trials: Trials) -> list[TrialRecord]:
    """Returns the trials whose replicas did not slow each other down, and that have a time."""
    return [trial for trial in trials if not trial.contended and is_wholly_timed(trial)]


def _compare_shares(trials: Trials, read: Callable[[TrialRecord], float]) -> Iterator[tuple[TrialRecord, float, float]]:
    """Yields each trial's share, and the usual one of its configuration and run."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault((trial.run_id, trial.configuration), []).append(trial)
    for own in groups.values():
        shares = list(map(read, own))
        usual = statistics.median_low(shares)
        yield from ((trial, share, usual) for trial, share in zip(own, shares, strict=True))


def _measure_others(trial: TrialRecord, replica: Replica) -> float | None:
    taken = [seconds for seconds in (replica.others_cpu_seconds, replica.steal_seconds) if seconds is not None]
    cores = len(replica.cpus or ()) or trial.cpus_per_replica
    return math.fsum(taken) / (trial.train_seconds * cores) if taken else None
