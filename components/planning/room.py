"""Whether one node has room for what several workers have together: the bigger node that they compete with."""

import os

from components.planning.parameters import Parameters
from tfjob.launch import find_free_cpus
from tfjob.settings import read_node_labels
from tfjob.spec import ReplicaSpec

# A run on this machine was planned before its first step plans it, and is resumed as it was planned.
FREE_CPUS_VARIABLE = "TFJOB_SPEEDUP_FREE_CPUS"


def find_room(parameters: Parameters) -> float | None:
    """Returns the CPUs of the largest single node that there is room for; None where that is not known.

    With GPUs, one that has as many times the GPUs of a worker as it has its CPUs.

    Args:
        parameters: What a person asked for.
    """
    if told := os.environ.get(FREE_CPUS_VARIABLE):
        return float(told)
    labels = read_node_labels(parameters.job_settings)
    if labels is None:
        return None
    replica = ReplicaSpec(cpus=parameters.cpus_per_replica, memory=parameters.memory, gpus=parameters.gpus_per_replica)
    return find_free_cpus(replica, labels)
