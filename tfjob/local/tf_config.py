"""TF_CONFIG as the training operator makes it.

Source: training-operator v1.9.3, pkg/controller.v1/tensorflow/tensorflow.go.
"""

from collections.abc import Callable
from typing import Any

from tfjob.job import LONE_CONFIG_ANNOTATION, Manifest, replica_counts
from tfjob.spec import ReplicaType

Address = Callable[[ReplicaType, int], str]


def tf_config(manifest: Manifest, replica_type: ReplicaType, index: int, address: Address) -> dict[str, Any] | None:
    """Returns the TF_CONFIG of a replica, or None in a job of a single one.

    Args:
        manifest: The TFJob.
        replica_type: The type of the replica that reads it.
        index: Its index.
        address: `host:port` at which a replica is reached.
    """
    counts = replica_counts(manifest)
    if sum(counts.values()) == 1 and LONE_CONFIG_ANNOTATION not in manifest["metadata"].get("annotations", {}):
        return None
    task = {"type": replica_type.lower(), "index": index}
    cluster = {
        member.lower(): [address(member, position) for position in range(count)]
        for member, count in sorted(counts.items())
    }
    if manifest["spec"].get("enableDynamicWorker"):
        return {"cluster": _sparse(cluster, replica_type.lower(), index), "task": task}
    return {"cluster": cluster, "task": task, "environment": "cloud"}


def _sparse(cluster: dict[str, list[str]], kind: str, index: int) -> dict[str, Any]:
    """Returns the cluster as a replica sees it whose peers may come and go: a worker, itself and the servers."""
    if kind == "worker":
        return {"worker": {str(index): cluster["worker"][index]}, "ps": cluster.get("ps", [])}
    return {"worker": {}, "ps": [cluster["ps"][index]] if kind == "ps" else []}
