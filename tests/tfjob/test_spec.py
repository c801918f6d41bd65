from collections.abc import Mapping
from typing import Any

import pytest

from tfjob.errors import SpecError
from tfjob.manifest import build_manifest
from tfjob.settings import Overlay, of_env, of_run_policy
from tfjob.spec import ReplicaSpec, multiply_quantity

VALID: dict[str, Any] = {
    "name": "mnist-2w",
    "image": "registry.example/speedup:1",
    "command": ("python", "-m", "model.train"),
    "replicas": {"Worker": ReplicaSpec(count=2)},
}


def test_a_valid_job_is_accepted() -> None:
    assert build_manifest(**VALID)["spec"]["tfReplicaSpecs"]["Worker"]["restartPolicy"] == "OnFailure"


@pytest.mark.parametrize(
    ("text", "factor", "expected"), [("8Gi", 2, "16Gi"), ("1.5Gi", 3, "4.5Gi"), ("512Mi", 10, "5120Mi"), ("1e3", 2, "")]
)
def test_an_amount_is_multiplied_in_its_own_unit(text: str, factor: int, expected: str) -> None:
    if expected:
        assert multiply_quantity(text, factor) == expected
    else:
        with pytest.raises(SpecError, match="'1e3' must be a Kubernetes quantity"):
            multiply_quantity(text, factor)


def test_a_name_of_50_characters_is_accepted() -> None:
    assert build_manifest(**VALID | {"name": "a" * 50})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "2w", "metadata.name must be a DNS-1035 label.* Received: '2w'"),
        ("name", "MNIST", "name must be a DNS-1035 label"),
        ("name", "mnist-", "name must be a DNS-1035 label"),
        ("name", "mnist\n", "name must be a DNS-1035 label"),
        ("name", "", "name must be a DNS-1035 label"),
        ("name", "a" * 51, "at most 50 characters"),
        ("namespace", "", "namespace must be a DNS label"),
        ("namespace", "Team_A", "metadata.namespace must be a DNS label. Received: 'Team_A'"),
        ("image", "", "tfReplicaSpecs.Worker: image must not be empty"),
        ("command", (), "tfReplicaSpecs.Worker: command must name a program"),
        ("command", ("",), "command must name a program"),
        ("replicas", {}, "must include a Chief or Workers"),
        ("replicas", {"PS": ReplicaSpec()}, r"must include a Chief or Workers.* Received: \['PS'\]"),
        ("replicas", {"Worker": ReplicaSpec(), "Boss": ReplicaSpec()}, "one of 'Chief', .*Received: 'Boss'"),
        ("replicas", {"Chief": ReplicaSpec(), "Master": ReplicaSpec()}, "must not have a Chief and a Master"),
        ("replicas", {"Worker": ReplicaSpec(), "worker": ReplicaSpec()}, "one of 'Chief', .*Received: 'worker'"),
        ("replicas", {"Chief": ReplicaSpec(count=2)}, "tfReplicaSpecs.Chief.replicas must be at most 1. Received: 2"),
        ("restart_policy", "Sometimes", "restartPolicy must be one of .*'ExitCode'. Received: 'Sometimes'"),
        ("success_policy", "Any", "spec.successPolicy must be one of '', 'AllWorkers'. Received: 'Any'"),
        ("active_deadline_seconds", 0, "runPolicy.activeDeadlineSeconds must be at least 1. Received: 0"),
    ],
)
def test_a_bad_field_is_refused_by_its_path(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_manifest(**VALID | {field: value})


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (of_env({"my.var": "1"}), "Worker: env must have letters, digits and '_' in its names.* Received: 'my.var'"),
        (of_run_policy(cleanPodPolicy="Some"), "cleanPodPolicy must be one of 'None', 'Running', 'All'. Received: 'So"),
        (of_run_policy(backoffLimit=-1), "runPolicy.backoffLimit must be at least 0. Received: -1"),
        (of_run_policy(ttlSecondsAfterFinished=-1), "runPolicy.ttlSecondsAfterFinished must be at least 0"),
        (Overlay(job={"spec": {"tfReplicaSpecs": {"Worker": {"replicas": 0}}}}), "Worker.replicas must be at least 1"),
    ],
)
def test_what_is_laid_over_is_checked_as_well(overlay: Overlay, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_manifest(**VALID, overlays=[overlay])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 0}, "count must be at least 1. Received: 0"),
        ({"cpus": 0.0}, "cpus must be a number from 0.001 on. Received: 0.0"),
        ({"memory": "2 GB"}, "memory must be a Kubernetes quantity such as 2Gi. Received: '2 GB'"),
        ({"gpus": -1}, "gpus must not be negative. Received: -1"),
    ],
)
def test_a_bad_field_of_a_replica_is_refused(fields: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReplicaSpec(**fields)
