from typing import Any

import pytest

from tfjob.spec import ReplicaSpec, TFJobSpec

VALID: dict[str, Any] = {
    "name": "mnist-2w",
    "image": "registry.example/speedup:1",
    "command": ("python", "-m", "model.train"),
    "replicas": {"Worker": ReplicaSpec(count=2)},
}


def test_a_valid_spec_is_accepted() -> None:
    assert TFJobSpec(**VALID).restart_policy == "OnFailure"


def test_a_name_of_50_characters_is_accepted() -> None:
    assert TFJobSpec(**VALID | {"name": "a" * 50})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "2w", "name must be a DNS-1035 label.* Received: '2w'"),
        ("name", "MNIST", "name must be a DNS-1035 label"),
        ("name", "mnist-", "name must be a DNS-1035 label"),
        ("name", "mnist\n", "name must be a DNS-1035 label"),
        ("name", "", "name must be a DNS-1035 label"),
        ("name", "a" * 51, "at most 50 characters"),
        ("namespace", "", "namespace must be a DNS label"),
        ("namespace", "Team_A", "namespace must be a DNS label. Received: 'Team_A'"),
        ("image", "", "image must not be empty"),
        ("command", (), "command must be a non-empty tuple"),
        ("command", ("",), "command must be a non-empty tuple"),
        ("env", {"my.var": "1"}, "env must have letters, digits and '_' in its names.* Received: 'my.var'"),
        ("replicas", {}, "must include a Chief or Workers"),
        ("replicas", {"PS": ReplicaSpec()}, r"must include a Chief or Workers.* Received: \['PS'\]"),
        ("replicas", {"Master": ReplicaSpec()}, "must be one of 'Chief', 'Worker', 'PS'. Received: 'Master'"),
        ("replicas", {"worker": ReplicaSpec()}, "must be one of 'Chief', 'Worker', 'PS'. Received: 'worker'"),
        ("replicas", {"Chief": ReplicaSpec(count=2)}, "at most one Chief. Received: 2"),
        ("restart_policy", "Sometimes", "restart_policy must be one of .*'ExitCode'. Received: 'Sometimes'"),
        ("clean_pod_policy", "Some", "clean_pod_policy must be one of 'None', 'Running', 'All'. Received: 'Some'"),
        ("success_policy", "Any", "success_policy must be one of '', 'AllWorkers'. Received: 'Any'"),
        ("backoff_limit", -1, "backoff_limit must not be negative. Received: -1"),
        ("active_deadline_seconds", 0, "active_deadline_seconds must be positive. Received: 0"),
        ("ttl_seconds_after_finished", -1, "ttl_seconds_after_finished must not be negative"),
    ],
)
def test_a_bad_field_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TFJobSpec(**VALID | {field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("count", 0, "count must be at least 1. Received: 0"),
        ("cpus", 0.0, "cpus must be a number from 0.001 on. Received: 0.0"),
        ("memory", "2 GB", "memory must be a Kubernetes quantity such as 2Gi. Received: '2 GB'"),
        ("gpus", -1, "gpus must not be negative. Received: -1"),
    ],
)
def test_a_bad_field_of_a_replica_is_refused(field: str, value: object, message: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=message):
        ReplicaSpec(**fields)
