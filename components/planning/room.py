"""Whether one node has room for what several workers have together: the bigger node that they compete with."""

import os

from components.planning.parameters import Parameters
from components.planning.plan import RunPlan
from tfjob.launch import find_free_cpus
from tfjob.settings import read_node_labels

# A run on this machine was planned before its first step plans it, and is resumed as it was planned.
FREE_CPUS_VARIABLE = "TFJOB_SPEEDUP_FREE_CPUS"


def find_room(parameters: Parameters) -> float | None:
    """Returns the CPUs of the largest single node that there is room for; None where that is not known.

    Args:
        parameters: What a person asked for.
    """
    if told := os.environ.get(FREE_CPUS_VARIABLE):
        return float(told)
    labels = read_node_labels(parameters.job_settings)
    return None if labels is None else find_free_cpus(parameters.memory, labels)


def describe_missing_nodes(plan: RunPlan) -> str:
    """Returns why a bigger node is not compared that nobody forbade; nothing where all are.

    Args:
        plan: The run's plan.
    """
    parameters = plan.parameters
    planned = [c.cpus_factor for c in plan.single_nodes]
    missing = sorted(count for count in parameters.workers if count > 1 and count not in planned)
    if parameters.bigger_nodes is not None or parameters.a_a or not missing:
        return ""
    if parameters.gpus_per_replica:
        reason = "a single node trains on one GPU, however many it has"
    elif plan.free_cpus is None:
        reason = "how many a node has to give is not known (it takes the right to list nodes and all pods)"
    else:
        reason = f"a node has {plan.free_cpus:g} to give at most (bigger_nodes compares it all the same)"
    counts = ", ".join(map(str, missing))
    return f"Not compared with one node that has the CPUs of {counts} workers: {reason}."
