"""Whether one node has room for what several workers have together: the bigger node that they compete with."""

import os

from components.planning.order import count_iterations
from components.planning.parameters import Parameters
from tfjob.launch import find_free_cpus
from tfjob.settings import read_node_labels
from tfjob.spec import ReplicaSpec

# A run on this machine was planned before its first step plans it, and is resumed as it was planned.
FREE_CPUS_VARIABLE = "TFJOB_SPEEDUP_FREE_CPUS"
# What the scheduler sets aside for the pod of a step: KFP 2.17's own init container in it asks for that.
# Source: kubeflow/pipelines 2.17.0, backend/src/v2/compiler/argocompiler/argo.go, launcherResources
CPUS_OF_A_STEP, MEBIBYTES_OF_A_STEP = 0.1, 256


def find_room(parameters: Parameters) -> float | None:
    """Returns the CPUs of the largest single node that there is room for; None where that is not known.

    With GPUs, one that has as many times the GPUs of a worker as it has its CPUs. The steps that wait for their turn
    while it trains may all be on its node.

    Args:
        parameters: What a person asked for.
    """
    if told := os.environ.get(FREE_CPUS_VARIABLE):
        return float(told)
    labels = read_node_labels(parameters.job_settings)
    if labels is None:
        return None
    replica = ReplicaSpec(cpus=parameters.cpus_per_replica, memory=parameters.memory, gpus=parameters.gpus_per_replica)
    return find_free_cpus(replica, labels, beside=count_iterations(parameters.trials) * CPUS_OF_A_STEP)
