"""The single nodes that have what several workers have together: which are compared, and why the others are not."""

import math
from collections.abc import Collection

from components.planning.parameters import Parameters
from model.errors import ConfigError
from model.plan import Configuration
from tfjob.launcher import is_in_pod

# 0.9 / 0.3 is a little less than 3.
_ROUNDING = 1e-9
_NOT_KNOWN = "how many a node has to give is not known (it takes the right to list nodes and all pods)"


def is_left_open(parameters: Parameters) -> bool:
    """Returns whether the machine decides if bigger nodes are compared."""
    return parameters.bigger_nodes is None and not parameters.a_a


def find_max_factor(parameters: Parameters, free_cpus: float | None) -> float:
    """Returns how many times the CPUs of a replica a bigger node may have; 0 where none is compared."""
    if parameters.bigger_nodes:
        return math.inf
    return 0.0 if free_cpus is None else free_cpus / parameters.cpus_per_replica + _ROUNDING


def check_batch(configuration: Configuration, gpus: int) -> None:
    """Makes sure that each GPU of a replica gets as many images.

    Args:
        configuration: What the replica trains.
        gpus: How many it has; on a bigger node as many as all workers.

    Raises:
        ConfigError: They cannot.
    """
    batch = configuration.training.per_replica_batch_size
    if gpus and batch % gpus:
        otherwise = "; or set bigger_nodes to false" if configuration.cpus_factor > 1 else ""
        raise ConfigError(
            f"The batch of a replica must be divisible by its GPUs{otherwise}. Received for {configuration.name}: "
            f"{batch} images and {gpus} GPUs."
        )


def describe_missing(parameters: Parameters, planned: Collection[int], free_cpus: float | None) -> str:
    """Returns why bigger nodes are not compared that nobody forbade; nothing where all are.

    Args:
        parameters: What a person asked for.
        planned: The multiples of a replica that are compared.
        free_cpus: CPUs of the largest single node that there is room for; None where that is not known.
    """
    missing = sorted(count for count in parameters.workers if count > 1 and count not in planned)
    if not is_left_open(parameters) or not missing:
        return ""
    counts, has_gpus = ", ".join(map(str, missing)), parameters.gpus_per_replica > 0
    what = "CPUs and GPUs" if has_gpus else "CPUs"
    if free_cpus is None:
        reason = _NOT_KNOWN
    elif has_gpus:
        reason = f"a node has those of {free_cpus / parameters.cpus_per_replica:.0f} to give at most"
    else:
        reason = f"a node has {free_cpus:g} to give at most"
    if has_gpus and not is_in_pod():  # asking for it would not help: its GPUs cannot be had
        hint = "; what workers share (share_gpus) one process has only once" if parameters.share_gpus else ""
    else:
        hint = "" if free_cpus is None else " (bigger_nodes compares it all the same)"
    return f"Not compared with one node that has the {what} of {counts} workers: {reason}{hint}."
