"""What a training cost: what its replicas held for the whole job, and what that costs where prices are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comparison.groups import average_rounds, list_timed
from comparison.records import TrialRecord
from comparison.statistics import compute_mean
from comparison.texts import say

SECONDS_PER_HOUR = 3600.0

Trials = Sequence[TrialRecord]
# A configuration's, and its baseline's.
Pair = tuple[float, float]


@dataclass(frozen=True)
class Cost:
    """What a configuration cost, and its baseline, each the mean over the rounds.

    Attributes:
        core_seconds: The cores that the replicas held, servers included, times the seconds of the whole job.
        gpu_seconds: The same of GPUs, one that replicas shared counted once; None where one side held none.
        price: Of one training, in whatever the prices are in; None without prices.
    """

    core_seconds: Pair
    gpu_seconds: Pair | None = None
    price: Pair | None = None

    @property
    def core_seconds_ratio(self) -> float:
        """How many times the baseline's."""
        return self.core_seconds[0] / self.core_seconds[1]

    def state(self) -> str:
        """Returns a clause: of the price where it is known, else of GPUs where there are any, else of cores."""
        if self.price is not None:
            own, baseline = (f"{price:.3g}" for price in self.price)
            return say("for a price of {price} instead of {baseline}", price=own, baseline=baseline)
        if self.gpu_seconds is None:
            return _state_cores(self.core_seconds_ratio, _percent_off(self.core_seconds_ratio))
        ratio = self.gpu_seconds[0] / self.gpu_seconds[1]
        return _state_gpus(ratio, _percent_off(ratio))


def make_cost(core_seconds: Pair, gpu_seconds: Pair, parameters: Mapping[str, Any]) -> Cost:
    """Returns what a configuration cost.

    Of GPUs without a price there is none: what the CPUs beside them cost is the smaller part.

    Args:
        core_seconds: See `Cost`.
        gpu_seconds: Likewise; 0 for who held none.
        parameters: The run's, among which are the prices of an hour of a CPU and of a GPU.
    """
    per_core, per_gpu = (parameters.get(name) or 0.0 for name in ("cpu_price", "gpu_price"))
    prices = [
        (per_core * cores + per_gpu * gpus) / SECONDS_PER_HOUR
        for cores, gpus in zip(core_seconds, gpu_seconds, strict=True)
    ]
    is_known = all(prices) and (per_gpu > 0 or not any(gpu_seconds))
    return Cost(core_seconds, gpu_seconds if all(gpu_seconds) else None, (prices[0], prices[1]) if is_known else None)


def compute_cost(baseline: Trials, trials: Trials, parameters: Mapping[str, Any]) -> Cost:
    """Returns what the trials of a configuration cost beside their baseline's.

    Args:
        baseline: The baseline's trials.
        trials: The configuration's.
        parameters: As `make_cost` takes them.
    """
    cores, gpus = (
        (_average(trials, count), _average(baseline, count))
        for count in (lambda own: len(own.replicas) * own.cpus_per_replica, lambda own: own.gpus_held or 0)
    )
    return make_cost(cores, gpus, parameters)


def describe_cost(cost: Cost | None) -> dict[str, float | None]:
    """Returns the `cost` of `recommendation.json`, as docs/schemas.md defines it."""
    told: dict[str, float | None] = {"core_seconds_ratio": cost.core_seconds_ratio if cost else None}
    if cost and cost.gpu_seconds:
        own, base = cost.gpu_seconds
        told |= {"gpu_seconds": own, "baseline_gpu_seconds": base, "gpu_seconds_ratio": own / base}
    if cost and cost.price:
        told |= {"price": cost.price[0], "baseline_price": cost.price[1]}
    return told


def _average(trials: Trials, count: Callable[[TrialRecord], float]) -> float:
    """Returns what the trials held, times the seconds of their whole jobs."""
    held = average_rounds(list_timed(trials), lambda trial: count(trial) * trial.total_seconds)
    return compute_mean([*held.values()])


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
