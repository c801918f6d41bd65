"""Whether one node has room for what several workers have together: the bigger node that they compete with."""

import os

from components.planning.parameters import Parameters
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
