from functools import partial

import pytest

from tests.tfjob.scripted_jobs import service_address
from tfjob.local.tf_config import tf_config
from tfjob.manifest import build_manifest
from tfjob.spec import ReplicaSpec, ReplicaType


def manifest_of(replicas: dict[ReplicaType, ReplicaSpec]) -> dict[str, object]:
    return build_manifest("mnist", namespace="team-a", image="image:1", command=("python",), replicas=replicas)


def test_parameter_servers_with_a_chief_are_three_lists_and_a_task() -> None:
    manifest = manifest_of({"Chief": ReplicaSpec(), "Worker": ReplicaSpec(count=2), "PS": ReplicaSpec()})
    assert tf_config(manifest, "PS", 0, partial(service_address, manifest)) == {
        "cluster": {
            "chief": ["mnist-chief-0.team-a.svc:2222"],
            "ps": ["mnist-ps-0.team-a.svc:2222"],
            "worker": ["mnist-worker-0.team-a.svc:2222", "mnist-worker-1.team-a.svc:2222"],
        },
        "task": {"type": "ps", "index": 0},
        "environment": "cloud",
    }


def test_all_reduce_has_workers_only_and_the_given_addresses() -> None:
    manifest = manifest_of({"Worker": ReplicaSpec(count=2)})
    assert tf_config(manifest, "Worker", 1, lambda kind, index: f"127.0.0.1:{kind}{index}") == {
        "cluster": {"worker": ["127.0.0.1:Worker0", "127.0.0.1:Worker1"]},
        "task": {"type": "worker", "index": 1},
        "environment": "cloud",
    }


@pytest.mark.parametrize("replica_type", ["Chief", "Worker"])
def test_a_single_replica_has_none(replica_type: ReplicaType) -> None:
    manifest = manifest_of({replica_type: ReplicaSpec()})
    assert tf_config(manifest, replica_type, 0, partial(service_address, manifest)) is None


def test_one_worker_with_one_parameter_server_is_distributed() -> None:
    manifest = manifest_of({"Worker": ReplicaSpec(), "PS": ReplicaSpec()})
    assert tf_config(manifest, "Worker", 0, partial(service_address, manifest)) is not None
