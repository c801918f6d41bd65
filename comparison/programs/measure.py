"""By what the rows of a comparison are compared: one basis for all, the weakest that every trial has."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from comparison.groups import list_trials
from comparison.programs.record import ProgramTrial
from comparison.texts import say, say_count

ProgramTrials = Sequence[ProgramTrial]
ProgramGroups = Mapping[str, ProgramTrials]

# An epoch's last batch may be left out, by another number of examples with other batches.
SAME_WORK = 1.01
# What is counted from marks near the ends of the clock may be off by so much, and is no other amount.
_SAME_AMOUNT = 1.5
_TRAINERS = frozenset({"chief", "master", "worker"})
STEPS, _EXAMPLES = "steps", "examples"
UNITS = ("images", "tokens", _EXAMPLES, STEPS)


class Basis(StrEnum):
    """What is compared, as `recommendation.json` names it."""

    WHOLE_JOB = "whole_job"
    TRAINING = "training"
    THROUGHPUT = "throughput"


@dataclass(frozen=True)
class Amount:
    """So much work, or so much of it a second, and what is counted."""

    value: float
    unit: str


@dataclass(frozen=True)
class Measure:
    """What the rows of a comparison are compared by.

    Attributes:
        basis: The kind.
        unit: What a throughput counts; empty for times.
        reason: Why it is this one, a clause; empty for the training time, which is what is asked for.
        is_work_equal: Whether all trials are known to have done the same.
        is_cut: Whether trainings were ended once they had been measured, so that a whole job means nothing.
    """

    basis: Basis
    unit: str = ""
    reason: str = ""
    is_work_equal: bool = False
    is_cut: bool = False

    @property
    def is_rate(self) -> bool:
        """Whether more is faster."""
        return self.basis is Basis.THROUGHPUT

    def read(self, trial: ProgramTrial) -> float:
        """Returns the figure of a trial, which every timed trial has."""
        if self.basis is Basis.WHOLE_JOB:
            return trial.job_seconds
        if self.basis is Basis.TRAINING:
            return trial.train_seconds or trial.job_seconds
        return self.read_rate(trial) or 1.0

    def read_rate(self, trial: ProgramTrial) -> float | None:
        """Returns what a trial did in a second, steps where these are all that is compared; None where not known."""
        rate = measure_steps(trial) if self.unit == STEPS else measure_rate(trial)
        return rate.value if rate else None

    def read_seconds(self, trial: ProgramTrial) -> float:
        """Returns the seconds of a trial, of a throughput those that one unit took."""
        return 1 / self.read(trial) if self.is_rate else self.read(trial)


def is_timed(trial: ProgramTrial) -> bool:
    """Returns whether a trial has a time: one that was restarted was broken off."""
    return trial.restarts == 0 and all(replica.restarts == 0 for replica in trial.replicas)


def select_timed(groups: ProgramGroups) -> dict[str, ProgramTrials]:
    """Returns the trials that have a time, and the configurations that have such."""
    timed = {name: [trial for trial in trials if is_timed(trial)] for name, trials in groups.items()}
    return {name: trials for name, trials in timed.items() if trials}


def choose_measure(groups: ProgramGroups) -> Measure:
    """Returns what all rows are compared by: the best that is known of every timed trial.

    It is never chosen row by row, nor by what comes of it. Training times are compared only where all trials did the
    same work; where that differs, or the trainings were cut, it is the work done in a second; and where a trial does
    not tell that, either, it is the whole jobs.
    """
    trials = list_trials(select_timed(groups) or groups)
    is_cut = any(trial.was_cut for trial in trials)
    works, rates = [measure_work(trial) for trial in trials], [measure_rate(trial) for trial in trials]
    is_work_known, is_work_equal = _is_of_one_unit(works), _is_equal([measure_total(trial) for trial in trials])
    silent = sum(not trial.train_seconds for trial in trials)
    if _is_equal(works) and is_work_equal and not silent and not is_cut:
        return Measure(Basis.TRAINING, is_work_equal=True)
    if _is_of_one_unit(rates):
        unit = next(rate.unit for rate in rates if rate)
        if is_cut:
            reason = say("since trainings were cut")
        elif is_work_known and not is_work_equal:
            reason = say("since the trainings did not do the same work")
        elif is_work_known and not silent:
            reason = say("since warm-ups of different lengths are left out")
        else:
            reason = say("since nothing else is told by all trials")
        return Measure(Basis.THROUGHPUT, unit, reason, is_work_equal=is_work_equal, is_cut=is_cut)
    if is_cut and all(measure_steps(trial) for trial in trials):
        reason = say("since trainings were cut, and how many examples a step takes is not told")
        return Measure(Basis.THROUGHPUT, STEPS, reason, is_cut=True)
    if len({amount.unit for amount in (*works, *rates) if amount}) > 1:
        reason = say("since trials count different units")
    elif silent == len(trials):
        reason = say("since no trial tells its training time")
    elif silent:
        one, many = "since {number} trial tells no training time", "since {number} trials tell no training time"
        reason = say_count(silent, one, many)
    else:
        reason = say("since not every trial tells how much work it did")
    return Measure(Basis.WHOLE_JOB, "", reason, is_work_equal, is_cut)


def measure_work(trial: ProgramTrial) -> Amount | None:
    """Returns how many examples were timed in a trial, None where that is not known; steps alone are no work."""
    if trial.examples and trial.unit != STEPS:
        return Amount(trial.examples, trial.unit)
    batch = find_global_batch_size(trial)
    return Amount(float(trial.steps * batch), _EXAMPLES) if trial.steps and batch else None


def measure_total(trial: ProgramTrial) -> Amount | None:
    """Returns how many examples a trial trained on, those of its warm-up included; None where that is not known.

    A replica tells the steps and the examples of the whole training, the trial those that were timed. A worker's
    examples are its own or the whole job's: which of the two, is told by the timed ones, continued over all steps.
    """
    if (work := measure_work(trial)) is None:
        return None
    steps = max((replica.steps or 0 for replica in trial.replicas), default=0)
    continued = work.value * max(steps / trial.steps, 1.0) if trial.steps else work.value
    told = [replica.examples for replica in trial.replicas if replica.type in _TRAINERS and replica.examples]
    nearest = min({math.fsum(told), max(told)} if told else {continued}, key=lambda own: abs(math.log(own / continued)))
    is_near = 1 / _SAME_AMOUNT <= nearest / continued <= _SAME_AMOUNT
    return Amount(nearest if is_near else continued, work.unit)


def measure_rate(trial: ProgramTrial) -> Amount | None:
    """Returns how many examples a second a trial trained on, None where that is not known."""
    if trial.examples_per_second and trial.unit != STEPS:
        return Amount(trial.examples_per_second, trial.unit)
    work = measure_work(trial)
    return Amount(work.value / trial.train_seconds, work.unit) if work and trial.train_seconds else None


def measure_steps(trial: ProgramTrial) -> Amount | None:
    """Returns how many steps a second a trial made, None where that is not known."""
    return Amount(trial.steps / trial.train_seconds, STEPS) if trial.steps and trial.train_seconds else None


def find_global_batch_size(trial: ProgramTrial) -> int | None:
    """Returns how many examples a step takes, None where that is not known."""
    if trial.global_batch_size is None and trial.per_replica_batch_size is not None:
        return trial.per_replica_batch_size * trial.num_workers
    return trial.global_batch_size


def _is_equal(amounts: Sequence[Amount | None]) -> bool:
    values = [amount.value for amount in amounts if amount]
    return _is_of_one_unit(amounts) and max(values) <= SAME_WORK * min(values)


def _is_of_one_unit(amounts: Sequence[Amount | None]) -> bool:
    return None not in amounts and len({amount.unit for amount in amounts if amount}) == 1
