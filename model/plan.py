"""Which configurations a comparison trains: they differ in nothing but how the training is distributed."""

import dataclasses
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ConfigError
from model.training import STRATEGIES, Strategy, TrainingConfig

DISTRIBUTED_STRATEGIES = tuple(strategy for strategy in STRATEGIES if strategy != "single")
# The single node under its second name, in a run that compares it with itself.
SINGLE_AGAIN = "single-again"
# What a run may compare; a single training has one of the two.
SCALINGS = {"strong": ("strong",), "weak": ("weak",), "both": ("strong", "weak")}


@dataclass(frozen=True)
class Configuration:
    """One row of the comparison.

    Attributes:
        name: What the table calls it.
        training: The settings of its trainings, but for the seed, which is each trial's own.
        cpus_factor: CPUs, and GPUs, of a replica in multiples of the baseline's; above 1 for the bigger single nodes.
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
        """Returns the configuration of an entry in `run.json`; older ones always had the same groups."""
        return cls(
            entry["name"], TrainingConfig(**{"same_batch_norm": True, **entry["training"]}), entry["cpus_factor"]
        )

    def for_round(self, number: int) -> TrainingConfig:
        """Returns the settings of a trial of a round: all of a round share its seed, and so their initial weights."""
        return dataclasses.replace(self.training, seed=self.training.seed + number - 1)


def plan_configurations(
    base: TrainingConfig,
    *,
    strategies: Sequence[str],
    workers: Sequence[int],
    num_ps: int,
    scaling: str | None = None,
    max_cpus_factor: float = 0.0,
    bigger_by: str = "cpus",
    gpus: int = 0,
) -> list[Configuration]:
    """Returns the baseline, then bigger single nodes as far as may be, then each strategy with each number of workers.

    With strong scaling the global batch is that of `base` for all. With weak scaling it is the batch of one worker;
    the global batch and the learning rate grow with the number of workers. With both, each number of workers is there
    twice. A training of one worker is the same in both, and so is the baseline: they are there once, as strong.

    Args:
        base: The baseline's settings. With `same_batch_norm` a `batch_norm_group_size` of 0 is replaced by the largest
            size that divides every configuration's share of the batch, and each GPU's: one without a group would idle.
        strategies: Names of ways to distribute.
        workers: Numbers of workers.
        num_ps: Parameter servers of each parameter-server configuration.
        scaling: `strong`, `weak` or `both`; that of `base` by default.
        max_cpus_factor: For each number of workers above 1 up to this, one node with as many times the CPUs is added:
            what "two machines" compete with is also "one bigger machine".
        bigger_by: What such a node is called by: the resource that decides.
        gpus: GPUs of a replica.

    Raises:
        ConfigError: A configuration cannot be.

    Source: linear scaling of the learning rate, Goyal et al. 2017, arXiv:1706.02677, section 2.1.
    """
    scalings = _list_scalings(scaling or base.scaling)
    _check_lists(strategies, workers)
    if "strong" in scalings:
        _check_shares(base.global_batch_size, workers)
    named = [strategy for strategy in DISTRIBUTED_STRATEGIES if strategy in strategies]
    rows = [
        _Row(strategy, count, kind)
        for kind in scalings
        for strategy in named
        for count in workers
        if count > 1 or kind == scalings[0]
    ]
    rows = [_Row("single", 1, scalings[0]), *rows]
    drafts = [_configure(base, row, num_ps, group_size=0) for row in rows]
    factors = sorted(count for count in workers if 1 < count <= max_cpus_factor)
    shares = [draft.training.per_replica_batch_size for draft in drafts]
    devices = max(1, gpus)
    of_gpus = [*(share // devices for share in shares), *(shares[0] // (devices * own) for own in factors if gpus)]
    group_size = (base.batch_norm_group_size or math.gcd(*shares, *of_gpus)) if base.same_batch_norm else 0
    baseline, *distributed = (_configure(base, row, num_ps, group_size) for row in rows)
    bigger = [Configuration(f"single-{factor}x-{bigger_by}", baseline.training, factor) for factor in factors]
    return [baseline, *bigger, *distributed]


def plan_a_a(base: TrainingConfig) -> list[Configuration]:
    """Returns the single node under two names: a comparison that finds a difference between them is wrong.

    Args:
        base: The single node's settings.
    """
    return [Configuration(name, base) for name in ("single", SINGLE_AGAIN)]


def order_of_round(configurations: Sequence[Configuration], seed: int, number: int) -> list[Configuration]:
    """Returns the configurations in the order in which a round trains them.

    A fixed order would give each configuration the same neighbours in every round, which leave it the same caches and
    the same heat. Here n configurations are at each place equally often in every n rounds, and follow each other one
    equally often in every n rounds (2 n where n is odd); the seed says which is called which, and in which order the
    rows of the square are used.

    Args:
        configurations: What a round trains.
        seed: Of the run.
        number: Number of the round that is drawn, from 1.

    Source: Williams, "Experimental designs balanced for the estimation of residual effects of treatments", Australian
    Journal of Scientific Research A 2 (1949): 0, 1, n - 1, 2, n - 2, … and its cyclic shifts are a Latin square, which
    for odd n its mirror image completes.
    """
    count = len(configurations)
    square, row = divmod(number - 1, max(1, count))
    zigzag = [(place + 1) // 2 if place % 2 else (count - place // 2) % count for place in range(count)]
    if count % 2 and square % 2:
        zigzag.reverse()
    labels = random.Random(f"{seed}").sample(range(count), count)  # noqa: S311 - no secret
    shifts = random.Random(f"{seed}, {square}").sample(range(count), count)  # noqa: S311
    return [configurations[labels[(place + shifts[row]) % count]] for place in zigzag]


@dataclass(frozen=True)
class _Row:
    """What tells a configuration from the others."""

    strategy: Strategy
    num_workers: int
    scaling: str

    def name(self, num_ps: int) -> str:
        if self.strategy == "single":
            return "single"
        servers = f"-{num_ps}ps" if self.strategy == "parameter_server" else ""
        weak = "-weak" if self.scaling == "weak" and self.num_workers > 1 else ""
        return f"{self.strategy.replace('_', '-')}-{self.num_workers}w{servers}{weak}"


def _list_scalings(scaling: str) -> tuple[str, ...]:
    if scaling not in SCALINGS:
        raise ConfigError(f"scaling must be {', '.join([*SCALINGS][:-1])} or {[*SCALINGS][-1]}. Received: {scaling}.")
    return SCALINGS[scaling]


def _check_shares(global_batch_size: int, workers: Sequence[int]) -> None:
    """Tells all numbers of workers that cannot share a batch, not only the first of them."""
    if unfit := [count for count in workers if global_batch_size % count]:
        raise ConfigError(
            "global_batch_size must be divisible by the number of workers. "
            f"Received: {global_batch_size} and {', '.join(map(str, unfit))}."
        )


def _check_lists(strategies: Sequence[str], workers: Sequence[int]) -> None:
    unknown = [strategy for strategy in strategies if strategy not in DISTRIBUTED_STRATEGIES]
    if unknown or not strategies:
        raise ConfigError(f"strategies must be some of {', '.join(DISTRIBUTED_STRATEGIES)}. Received: {[*strategies]}.")
    if not workers or min(workers) < 1:
        raise ConfigError(f"workers must be numbers of workers, at least 1 each. Received: {[*workers]}.")
    for name, values in (("strategies", strategies), ("workers", workers)):
        if len(set(values)) < len(values):
            raise ConfigError(f"{name} must differ from each other. Received: {[*values]}.")


def _configure(base: TrainingConfig, row: _Row, num_ps: int, group_size: int) -> Configuration:
    growth = row.num_workers if row.scaling == "weak" else 1
    training = dataclasses.replace(
        base,
        strategy=row.strategy,
        scaling=row.scaling,
        num_workers=row.num_workers,
        num_ps=num_ps if row.strategy == "parameter_server" else 0,
        batch_norm_group_size=group_size,
        global_batch_size=base.global_batch_size * growth,
        learning_rate=base.learning_rate * growth,
    )
    return Configuration(row.name(num_ps), training)
