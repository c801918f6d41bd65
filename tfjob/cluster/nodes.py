"""What the nodes of a cluster have left for one pod, as far as this process may see them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from kubernetes.client.exceptions import ApiException
from kubernetes.utils import parse_quantity

from tfjob.cluster.api import CONNECTION_ERRORS, Cluster, Json

_KEEPS_PODS_AWAY = ("NoSchedule", "NoExecute")
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


def find_free_cpus(cluster: Cluster, memory: str, node_labels: Mapping[str, str]) -> float | None:
    """Returns the CPUs of the largest pod that a node has room for; None where nodes and pods must not be read.

    Tainted nodes are left out, whatever a pod tolerates: to promise too little costs a row, too much a run.

    Args:
        cluster: Where.
        memory: What the pod needs beside, as a Kubernetes quantity.
        node_labels: The labels of the nodes that it may run on; none for all nodes.
    """
    selector = ",".join(f"{name}={value}" for name, value in node_labels.items())
    with suppress(ApiException, *CONNECTION_ERRORS):
        nodes = cluster.list_objects("nodes", label_selector=selector)["items"]
        pods = cluster.list_objects("pods of all namespaces", field_selector=_NOT_ENDED)["items"]
        needed = float(parse_quantity(memory))
        free = [_count_free(node, pods) for node in nodes if _takes_pods(node)]
        return max((own["cpu"] for own in free if own["memory"] >= needed), default=0.0)
    return None


def _takes_pods(node: Json) -> bool:
    spec, conditions = node.get("spec", {}), node["status"].get("conditions", [])
    is_ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    is_kept_free = any(taint.get("effect") in _KEEPS_PODS_AWAY for taint in spec.get("taints") or ())
    return is_ready and not is_kept_free and not spec.get("unschedulable")


def _count_free(node: Json, pods: Iterable[Json]) -> dict[str, float]:
    """Returns what a node can give, less what the pods on it have asked for, in CPUs and bytes."""
    own = [pod["spec"] for pod in pods if pod["spec"].get("nodeName") == node["metadata"]["name"]]
    containers = [container for spec in own for container in spec["containers"]]
    requests = [container.get("resources", {}).get("requests") or {} for container in containers]
    return {
        name: float(parse_quantity(amount) - sum(parse_quantity(asked.get(name, "0")) for asked in requests))
        for name, amount in node["status"]["allocatable"].items()
        if name in ("cpu", "memory")
    }
