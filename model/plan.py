"""Which configurations a comparison trains: they differ in nothing but how the training is distributed."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.config import TrainingConfig
from model.errors import ConfigError
from model.role import STRATEGIES, Strategy

DISTRIBUTED_STRATEGIES = tuple(strategy for strategy in STRATEGIES if strategy != "single")


@dataclass(frozen=True)
class Configuration:
    """One row of the comparison.

    Attributes:
        name: What the table calls it.
        training: The settings of its trainings, but for the seed, which is each trial's own.
        cpus_factor: CPUs of a replica in multiples of the baseline's; above 1 for the bigger single nodes.
    """

    name: str
    training: TrainingConfig
    cpus_factor: int = 1

    def to_json(self) -> dict[str, Any]:
        """Returns the configuration's entry in `run.json`."""
        training = dataclasses.asdict(self.training)
        fixed = {key: training[key] for key in ("strategy", "num_workers", "num_ps")}
        return {"name": self.name, **fixed, "cpus_factor": self.cpus_factor, "training": training}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "Configuration":
        """Returns the configuration of an entry in `run.json`."""
        return cls(entry["name"], TrainingConfig(**entry["training"]), entry["cpus_factor"])

    def for_trial(self, trial: int) -> TrainingConfig:
        """Returns the settings of one trial: all configurations share a trial's seed, and so its initial weights."""
        return dataclasses.replace(self.training, seed=self.training.seed + trial)


def plan_configurations(
    base: TrainingConfig, *, strategies: Sequence[str], workers: Sequence[int], num_ps: int, bigger_nodes: bool = False
) -> list[Configuration]:
    """Returns the baseline, then bigger single nodes if asked for, then each strategy with each number of workers.

    With strong scaling the global batch is that of `base` for all. With weak scaling it is the batch of one worker;
    the global batch and the learning rate grow with the number of workers.

    Args:
        base: The baseline's settings. Its `batch_norm_group_size` of 0 is replaced by the largest size that divides
            every configuration's share of the batch.
        strategies: Names of ways to distribute.
        workers: Numbers of workers.
        num_ps: Parameter servers of each parameter-server configuration.
        bigger_nodes: Whether to add, for each number of workers above 1, one node with as many times the CPUs: what
            "two machines" compete with is also "one bigger machine".

    Raises:
        ConfigError: A configuration cannot be.

    Source: linear scaling of the learning rate, Goyal et al. 2017, arXiv:1706.02677, section 2.1.
    """
    _check_lists(strategies, workers)
    named = [strategy for strategy in DISTRIBUTED_STRATEGIES if strategy in strategies]
    pairs: list[tuple[Strategy, int]] = [("single", 1), *((strategy, count) for strategy in named for count in workers)]
    drafts = [_configure(base, strategy, count, num_ps, group_size=0) for strategy, count in pairs]
    shares = [draft.training.per_replica_batch_size for draft in drafts]
    group_size = base.batch_norm_group_size or math.gcd(*shares)
    baseline, *distributed = (_configure(base, strategy, count, num_ps, group_size) for strategy, count in pairs)
    factors = sorted({count for count in workers if count > 1}) if bigger_nodes else []
    bigger = [Configuration(f"single-{factor}x-cpus", baseline.training, factor) for factor in factors]
    return [baseline, *bigger, *distributed]


def _check_lists(strategies: Sequence[str], workers: Sequence[int]) -> None:
    unknown = [strategy for strategy in strategies if strategy not in DISTRIBUTED_STRATEGIES]
    if unknown or not strategies:
        raise ConfigError(f"strategies must be some of {', '.join(DISTRIBUTED_STRATEGIES)}. Received: {[*strategies]}.")
    if not workers or min(workers) < 1:
        raise ConfigError(f"workers must be numbers of workers, at least 1 each. Received: {[*workers]}.")
    for name, values in (("strategies", strategies), ("workers", workers)):
        if len(set(values)) < len(values):
            raise ConfigError(f"{name} must differ from each other. Received: {[*values]}.")


def _configure(base: TrainingConfig, strategy: Strategy, count: int, num_ps: int, group_size: int) -> Configuration:
    is_ps = strategy == "parameter_server"
    growth = count if base.scaling == "weak" else 1
    training = dataclasses.replace(
        base,
        strategy=strategy,
        num_workers=count,
        num_ps=num_ps if is_ps else 0,
        batch_norm_group_size=group_size,
        global_batch_size=base.global_batch_size * growth,
        learning_rate=base.learning_rate * growth,
    )
    suffix = f"-{count}w" + (f"-{num_ps}ps" if is_ps else "")
    name = "single" if strategy == "single" else strategy.replace("_", "-") + suffix
    return Configuration(name, training)
