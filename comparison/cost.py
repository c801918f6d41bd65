"""What a training cost: what its replicas held for the whole job, and what that costs where prices are known.

That is of the attempts that count. Those that were lost or repeated are paid for, too, and are told beside it: the more
replicas, the oftener one is lost, so that without them distributing would look cheaper than it was.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from comparison.groups import Placed, average_rounds
from comparison.records import RunInfo
from comparison.statistics import compute_mean
from comparison.texts import say

SECONDS_PER_HOUR = 3600.0

# A configuration's, and its baseline's.
Pair = tuple[float, float]


class Held(Placed, Protocol):
    """A trial of whatever program, with what its replicas held."""

    @property
    def gpus_held(self) -> int | None:
        """The GPUs of all together."""


HeldT = TypeVar("HeldT", bound=Held)


@dataclass(frozen=True)
class Lost:
    """The attempts at a configuration's trials that do not count.

    Attributes:
        number: How many.
        seconds: What those took whose end is known, waits for a quiet machine or a node included.
        counted_seconds: What the jobs took that count.
        is_open: Whether nobody saw the end of some.
    """

    number: int
    seconds: float
    counted_seconds: float
    is_open: bool

    @property
    def share(self) -> float:
        """What was lost, over what counts: of whatever the replicas hold, as they held the same in all attempts."""
        return self.seconds / self.counted_seconds if self.counted_seconds > 0 else 0.0

    def state_share(self) -> str:
        """Returns the share in per cent, a lower bound where an end is not known."""
        return f"{'≥ ' if self.is_open else ''}{100 * self.share:.0f}"

    def state_time(self) -> str:
        """Returns the seconds in words."""
        if self.is_open and not self.seconds:
            return say("an unknown time")
        seconds = f"{self.seconds:,.0f}"
        return say("at least {seconds} s", seconds=seconds) if self.is_open else f"{seconds} s"


@dataclass(frozen=True)
class Cost:
    """What a configuration cost, and its baseline, each the mean over the rounds.

    Attributes:
        core_seconds: The cores that the replicas held, servers included, times the seconds of the whole job.
        gpu_seconds: The same of GPUs, one that replicas shared counted once; None where one side held none.
        price: Of one training, in whatever the prices are in; None without prices.
        lost: What is in none of these: the attempts that do not count; None where there are none.
    """

    core_seconds: Pair
    gpu_seconds: Pair | None = None
    price: Pair | None = None
    lost: tuple[Lost, Lost] | None = None

    @property
    def core_seconds_ratio(self) -> float:
        """How many times the baseline's."""
        return self.core_seconds[0] / self.core_seconds[1]

    def state(self) -> str:
        """Returns a clause: of the price where it is known, else of GPUs where there are any, else of cores."""
        if self.lost is None:
            return self._state_counted()
        beside = "{cost} (without attempts that were lost or repeated: {percent} % on top, the baseline's {baseline} %)"
        own, baseline = (lost.state_share() for lost in self.lost)
        return say(beside, cost=self._state_counted(), percent=own, baseline=baseline)

    def _state_counted(self) -> str:
        if self.price is not None:
            own, baseline = (f"{price:.3g}" for price in self.price)
            return say("for a price of {price} instead of {baseline}", price=own, baseline=baseline)
        if self.gpu_seconds is None:
            return _state_cores(self.core_seconds_ratio, _percent_off(self.core_seconds_ratio))
        ratio = self.gpu_seconds[0] / self.gpu_seconds[1]
        return _state_gpus(ratio, _percent_off(ratio))


def measure_lost(name: str, trials: Sequence[Placed], failed: Sequence[Mapping[str, Any]] | None) -> Lost:
    """Returns what a configuration's attempts took that do not count.

    Args:
        name: The configuration's.
        trials: Its trials.
        failed: The trials that the run left out, as `RunInfo` has them.
    """
    notes = [trial.earlier_attempts for trial in trials]
    notes += [own.get("earlier_attempts") for own in failed or () if own.get("configuration") == name]
    took = [_measure_attempt(attempt) for attempts in notes for attempt in attempts or ()]
    known = [seconds for seconds in took if seconds is not None]
    counted = math.fsum(trial.ended_at - trial.started_at for trial in trials)
    return Lost(len(took), math.fsum(known), counted, len(known) < len(took))


def warn_of_lost(groups: Mapping[str, Sequence[Placed]], failed: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    """Yields what was spent on attempts that do not count, for each configuration that has any.

    Args:
        groups: The trials of each configuration.
        failed: As `measure_lost` takes them.
    """
    beside = (
        "{name}: attempts that were lost or repeated ({number}) took {time}, the jobs that count {counted} s. The "
        "costs are of these alone; what was lost is paid for, too."
    )
    for name, trials in groups.items():
        lost = measure_lost(name, trials, failed)
        if lost.number:
            values = {"number": f"{lost.number:,}", "counted": f"{lost.counted_seconds:,.0f}"}
            yield say(beside, name=name, time=lost.state_time(), **values)


def _measure_attempt(attempt: Mapping[str, Any]) -> float | None:
    """Returns the seconds of an attempt; None where nobody saw its end."""
    started, ended = attempt.get("started_at"), attempt.get("ended_at")
    if isinstance(started, int | float) and isinstance(ended, int | float):
        return max(0.0, ended - started)
    return None


def compute_cost(
    baseline: Sequence[HeldT],
    trials: Sequence[HeldT],
    run_info: RunInfo,
    read_seconds: Callable[[HeldT], float | None],
    count_cpus: Callable[[HeldT], float],
) -> Cost:
    """Returns what the trials of a configuration cost beside their baseline's.

    Of GPUs without a price there is none: what the CPUs beside them cost is the smaller part.

    Args:
        baseline: The baseline's trials.
        trials: The configuration's.
        run_info: The plan, with the prices of an hour of a CPU and of a GPU, and the trials that were left out.
        read_seconds: Returns the seconds for which a trial's replicas were held; None: it has no time.
        count_cpus: Returns the CPUs that all of them held, servers included.
    """

    def average(side: Sequence[HeldT], count: Callable[[HeldT], float]) -> float:
        timed = [own for own in side if read_seconds(own) is not None]
        held = average_rounds(timed, lambda own: count(own) * (read_seconds(own) or 0.0))
        return compute_mean([*held.values()])

    cores, gpus = (
        (average(trials, count), average(baseline, count)) for count in (count_cpus, lambda own: own.gpus_held or 0)
    )
    lost = compare_lost(baseline, trials, run_info)
    return Cost(
        cores,
        gpus if all(gpus) else None,
        _compute_prices(cores, gpus, run_info.parameters),
        lost if any(own.number for own in lost) else None,
    )


def _compute_prices(core_seconds: Pair, gpu_seconds: Pair, parameters: Mapping[str, Any]) -> Pair | None:
    per_core, per_gpu = (parameters.get(name) or 0.0 for name in ("cpu_price", "gpu_price"))
    own, base = (
        (per_core * cores + per_gpu * gpus) / SECONDS_PER_HOUR
        for cores, gpus in zip(core_seconds, gpu_seconds, strict=True)
    )
    return (own, base) if own and base and (per_gpu > 0 or not any(gpu_seconds)) else None


def compare_lost(baseline: Sequence[Placed], trials: Sequence[Placed], run_info: RunInfo) -> tuple[Lost, Lost]:
    """Returns what was spent on attempts that do not count, on a configuration and on its baseline."""
    own, base = (measure_lost(side[0].configuration, side, run_info.failed_trials) for side in (trials, baseline))
    return own, base


def describe_cost(cost: Cost | None) -> dict[str, float | None]:
    """Returns the `cost` of `recommendation.json`, as docs/schemas.md defines it."""
    told: dict[str, float | None] = {"core_seconds_ratio": cost.core_seconds_ratio if cost else None}
    if cost and cost.gpu_seconds:
        own, base = cost.gpu_seconds
        told |= {"gpu_seconds": own, "baseline_gpu_seconds": base, "gpu_seconds_ratio": own / base}
    if cost and cost.price:
        told |= {"price": cost.price[0], "baseline_price": cost.price[1]}
    if cost and cost.lost:
        own_lost, base_lost = cost.lost
        told |= {"lost_share": own_lost.share, "baseline_lost_share": base_lost.share}
    return told


def _percent_off(ratio: float) -> str:
    return f"{100 * abs(ratio - 1):.0f}"


def _state_cores(ratio: float, percent: str) -> str:
    if percent == "0":
        return say("for as many core-seconds")
    if ratio > 1:
        return say("for {percent} % more core-seconds", percent=percent)
    return say("for {percent} % fewer core-seconds", percent=percent)


def _state_gpus(ratio: float, percent: str) -> str:
    if percent == "0":
        return say("for as many GPU-seconds")
    if ratio > 1:
        return say("for {percent} % more GPU-seconds", percent=percent)
    return say("for {percent} % fewer GPU-seconds", percent=percent)
