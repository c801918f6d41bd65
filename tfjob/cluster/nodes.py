"""What the nodes of a cluster have left for one pod, as far as this process may see them."""

import math
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal

from kubernetes.client.exceptions import ApiException
from kubernetes.utils import parse_quantity

from tfjob.cluster.api import CONNECTION_ERRORS, Cluster, Json
from tfjob.spec import GPU_RESOURCE, ReplicaSpec

_KEEPS_PODS_AWAY = ("NoSchedule", "NoExecute")
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
# 0.9 / 0.3 is a little less than 3.
_ROUNDING = 1e-9


def find_free_cpus(
    cluster: Cluster, replica: ReplicaSpec, node_labels: Mapping[str, str], beside: float = 0.0
) -> float | None:
    """Returns the CPUs of the largest pod that a node has room for; None where nodes and pods must not be read.

    With GPUs, a larger pod has as many times the CPUs, GPUs and memory of a replica; without, only more CPUs. Tainted
    nodes are left out, whatever a pod tolerates: to promise too little costs a row, too much a run. A taint that keeps
    pods without GPUs away from GPUs is none for these.

    Args:
        cluster: Where.
        replica: What a pod needs at least.
        node_labels: The labels of the nodes that it may run on; none for all nodes.
        beside: CPUs of any node that pods will have which are not there yet.
    """
    selector = ",".join(f"{name}={value}" for name, value in node_labels.items())
    with suppress(ApiException, *CONNECTION_ERRORS):
        nodes = cluster.list_whole_cluster("nodes", label_selector=selector)
        free = {_name(node): _read_room(node) for node in nodes if _takes_pods(node, has_gpus=replica.gpus > 0)}
        for pod in cluster.list_whole_cluster("pods of all namespaces", field_selector=_NOT_ENDED):
            _take_room(free.get(pod["spec"].get("nodeName"), {}), pod["spec"])
        return max((_find_largest(replica, own, beside) for own in free.values()), default=0.0)
    return None


def _find_largest(replica: ReplicaSpec, free: Mapping[str, Decimal], beside: float) -> float:
    """Returns the CPUs of the largest pod on a node with so much left; 0 where there is no room for a replica."""
    cpus = max(0.0, float(free["cpu"]) - beside)
    times = float(free["memory"] / parse_quantity(replica.memory)) if replica.memory else math.inf
    if not replica.gpus:
        return cpus if times >= 1 else 0.0
    times = min(times, cpus / replica.cpus, float(free.get(GPU_RESOURCE, 0)) / replica.gpus)
    return math.floor(times + _ROUNDING) * replica.cpus


def _takes_pods(node: Json, *, has_gpus: bool) -> bool:
    spec, conditions = node.get("spec", {}), node["status"].get("conditions", [])
    is_ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    taints = [taint for taint in spec.get("taints") or () if not (has_gpus and taint.get("key") == GPU_RESOURCE)]
    is_kept_free = any(taint.get("effect") in _KEEPS_PODS_AWAY for taint in taints)
    return is_ready and not is_kept_free and not spec.get("unschedulable")


def _name(node: Json) -> str:
    return str(node["metadata"]["name"])


def _read_room(node: Json) -> dict[str, Decimal]:
    """Returns what a node can give, in CPUs, GPUs and bytes."""
    allocatable = node["status"]["allocatable"]
    return {name: parse_quantity(allocatable[name]) for name in ("cpu", "memory", GPU_RESOURCE) if name in allocatable}


def _take_room(free: dict[str, Decimal], spec: Json) -> None:
    for name in free:
        free[name] -= _count_asked(spec, name)


def _count_asked(spec: Json, name: str) -> Decimal:
    """Returns what the scheduler sets aside for a pod, as long as it lives: for its init containers, too.

    The pods of Kubeflow Pipelines' own steps ask for CPUs by such a container alone.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
    """
    first = spec.get("initContainers") or ()
    beside = [container for container in first if container.get("restartPolicy") == "Always"]
    before = [_count_request(container, name) for container in first if container not in beside]
    together = sum(_count_request(container, name) for container in spec["containers"])
    overhead = Decimal(parse_quantity((spec.get("overhead") or {}).get(name, "0")))
    return max([together, *before]) + sum(_count_request(container, name) for container in beside) + overhead


def _count_request(container: Json, name: str) -> Decimal:
    return Decimal(parse_quantity((container.get("resources", {}).get("requests") or {}).get(name, "0")))
