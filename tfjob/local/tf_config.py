"""TF_CONFIG as the training operator makes it.

Source: training-operator v1.9.3, pkg/controller.v1/tensorflow/tensorflow.go.
"""

from collections.abc import Callable
from typing import Any

from tfjob.job import Manifest, replica_counts
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
    if sum(counts.values()) == 1:
        return None
    return {
        "cluster": {
            member.lower(): [address(member, position) for position in range(count)]
            for member, count in sorted(counts.items())
        },
        "task": {"type": replica_type.lower(), "index": index},
        "environment": "cloud",
    }
