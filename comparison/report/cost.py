"""What a training cost: what its replicas held for the whole job, and what that costs where prices are known."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from comparison.groups import average_rounds, list_timed
from comparison.records import RunInfo, TrialRecord
from comparison.statistics import compute_mean
from comparison.texts import say

SECONDS_PER_HOUR = 3600.0

Trials = Sequence[TrialRecord]


@dataclass(frozen=True)
class Cost:
    """What a configuration cost, over what its baseline cost.

    Attributes:
        core_seconds_ratio: The cores that its replicas held, servers included, times the seconds of the whole job.
        gpu_seconds_ratio: The same of GPUs; None where the baseline had none.
        price: Of one training, in whatever the prices are in; None without prices.
        baseline_price: The baseline's.
    """

    core_seconds_ratio: float
    gpu_seconds_ratio: float | None = None
    price: float | None = None
    baseline_price: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Returns the costs by name."""
        return asdict(self)

    def state(self) -> str:
        """Returns a clause: of the price where it is known, else of GPUs where there are any, else of cores."""
        if self.price is not None and self.baseline_price:
            told = {"price": f"{self.price:.3g}", "baseline": f"{self.baseline_price:.3g}"}
            return say("for a price of {price} instead of {baseline}", **told)
        if self.gpu_seconds_ratio is None:
            return _state_cores(self.core_seconds_ratio, _percent_off(self.core_seconds_ratio))
        return _state_gpus(self.gpu_seconds_ratio, _percent_off(self.gpu_seconds_ratio))


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


def compute_cost(baseline: Trials, trials: Trials, run_info: RunInfo) -> Cost:
    """Returns what a configuration cost beside its baseline, each the mean over the rounds.

    Args:
        baseline: The baseline's trials.
        trials: The configuration's.
        run_info: The run, among whose parameters are the prices.
    """
    cores, base_cores = (_average(group, _count_cores) for group in (trials, baseline))
    gpus, base_gpus = (_average(group, _count_gpus) for group in (trials, baseline))
    per_core, per_gpu = (run_info.parameters.get(name, 0.0) for name in ("cpu_price", "gpu_price"))
    ratios = (cores / base_cores, gpus / base_gpus if base_gpus else None)
    if not per_core and not per_gpu:
        return Cost(*ratios)
    price, base_price = (
        (per_core * own_cores + per_gpu * own_gpus) / SECONDS_PER_HOUR
        for own_cores, own_gpus in ((cores, gpus), (base_cores, base_gpus))
    )
    return Cost(*ratios, price, base_price)


def _average(trials: Trials, count: Callable[[TrialRecord], float]) -> float:
    """Returns what the trials held, times the seconds of their whole jobs."""
    held = average_rounds(list_timed(trials), lambda trial: count(trial) * trial.total_seconds)
    return compute_mean([*held.values()])


def _count_cores(trial: TrialRecord) -> float:
    return len(trial.replicas) * trial.cpus_per_replica


def _count_gpus(trial: TrialRecord) -> float:
    """Returns the GPUs of all replicas; parameter servers have none."""
    return (len(trial.replicas) - trial.num_ps) * (trial.gpus or 0)
