"""What this process is in the job: read from TF_CONFIG, as the training operator or the local runner sets it."""

import json
import operator
from dataclasses import dataclass
from typing import Any, Literal

from model.errors import ConfigError

Strategy = Literal["single", "all_reduce", "parameter_server"]
STRATEGIES: tuple[Strategy, ...] = ("single", "all_reduce", "parameter_server")


@dataclass(frozen=True)
class Role:
    """This replica's place among the replicas of one trial.

    Attributes:
        strategy: How the training is distributed.
        task_type: `chief`, `worker` or `ps`.
        task_index: Position among the replicas of the same type.
        num_workers: Replicas that compute gradients.
        num_ps: Replicas that hold the weights.
        has_chief: Whether the job has a replica of type chief; else worker-0 is the chief.
    """

    strategy: Strategy
    task_type: str
    task_index: int
    num_workers: int
    num_ps: int
    has_chief: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this replica writes checkpoints, the model and the trial's results."""
        if self.has_chief:
            return self.task_type == "chief"
        return self.task_type == "worker" and self.task_index == 0

    @property
    def is_server(self) -> bool:
        """Whether this replica does as the chief of a parameter-server training says, and nothing else."""
        return self.strategy == "parameter_server" and not self.is_chief

    @property
    def rank(self) -> int:
        """This worker's position among all workers; a chief of an all-reduce job is the first of them."""
        has_leading_chief = self.strategy == "all_reduce" and self.task_type == "worker" and self.has_chief
        return self.task_index + (1 if has_leading_chief else 0)

    @property
    def name(self) -> str:
        """The replica's name, as in `worker-0`."""
        return f"{self.task_type}-{self.task_index}"


def parse_tf_config(text: str | None, strategy: Strategy | None = None) -> Role:
    """Returns the role that a TF_CONFIG gives; without one, that of a single process without a strategy.

    Args:
        text: The variable's value, or None where it is not set.
        strategy: What the role must be of; None accepts what TF_CONFIG says. An all-reduce of one worker gets no
            TF_CONFIG from the operator, and only this tells it from a single process without a strategy.

    Raises:
        ConfigError: It is not JSON, or lacks a cluster or a task that is in the cluster.
    """
    if not text:
        if strategy == "parameter_server":
            raise ConfigError("The strategy parameter_server needs a TF_CONFIG that names chief, workers and servers.")
        return Role(strategy or "single", "worker", 0, num_workers=1, num_ps=0)
    role = _read_role(text)
    if strategy and role.strategy != strategy:
        raise ConfigError(f"TF_CONFIG must be that of the strategy {strategy}, not {role.strategy}. Received: {text}")
    return role


def _read_role(text: str) -> Role:
    expected = 'Expected {"cluster": {"worker": ["host:port", …], …}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        sizes = {task_type: _count(addresses) for task_type, addresses in config["cluster"].items()}
        task_type, task_index = str(config["task"]["type"]), operator.index(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise ConfigError(f"TF_CONFIG is malformed ({cause}). {expected}. Received: {text}") from None
    unknown = sorted(set(sizes) - {"chief", "worker", "ps"})
    if unknown:
        raise ConfigError(f"TF_CONFIG names unknown replica types {unknown}. {expected}. Received: {text}")
    if not 0 <= task_index < sizes.get(task_type, 0):
        task = f"{task_type}-{task_index}"
        raise ConfigError(f"TF_CONFIG's task {task} is not in its cluster. {expected}. Received: {text}")
    num_chiefs, num_workers, num_ps = (sizes.get(member, 0) for member in ("chief", "worker", "ps"))
    if num_chiefs > 1:
        raise ConfigError(f"A cluster has one chief at most. Received: {text}")
    if num_ps and not (num_workers and num_chiefs):
        raise ConfigError(f"A cluster with parameter servers needs one chief and at least one worker. Received: {text}")
    if num_ps:
        return Role("parameter_server", task_type, task_index, num_workers, num_ps, has_chief=True)
    return Role("all_reduce", task_type, task_index, num_workers + num_chiefs, num_ps=0, has_chief=num_chiefs > 0)


def _count(addresses: Any) -> int:
    if not isinstance(addresses, list):  # a string has a length too
        raise TypeError(f"addresses must be a list, not {addresses!r}")
    return len(addresses)
