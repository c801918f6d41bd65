import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tfjob.errors import SpecError
from tfjob.manifest import build_manifest
from tfjob.settings import QUEUE_LABEL, merge_fields, parse_job_settings, read_task_config
from tfjob.spec import TFJobSpec

MakeSpec = Callable[..., TFJobSpec]
SETTINGS = {
    "priority_class_name": "high",
    "scheduling_policy": {"minAvailable": 2},
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "labels": {"team": "a"},
    "annotations": {"note": "x"},
    "env": {"NCCL_DEBUG": "INFO"},
    "image_pull_secrets": ["registry"],
    "extended_resources": {"rdma/hca": "1"},
}


def task_config(**fields: Any) -> SimpleNamespace:
    names = ("resources", "env", "volumes", "volume_mounts", "tolerations", "node_selector", "affinity")
    return SimpleNamespace(**{name: fields.get(name) for name in names})


def test_settings_are_fields_of_a_spec(make_spec: MakeSpec) -> None:
    fields = parse_job_settings(json.dumps(SETTINGS))
    assert set(fields) == set(SETTINGS)
    assert fields["tolerations"] == ({"key": "gpu", "operator": "Exists"},)
    manifest = build_manifest(make_spec("pass", **fields))
    pod = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    assert (pod["priorityClassName"], pod["imagePullSecrets"]) == ("high", [{"name": "registry"}])
    assert manifest["spec"]["runPolicy"]["schedulingPolicy"] == {"minAvailable": 2}
    assert "suspend" not in manifest["spec"]["runPolicy"]


def test_no_settings_are_no_fields() -> None:
    assert parse_job_settings("{}") == {}


def test_a_queue_is_a_label_and_a_job_that_waits() -> None:
    text = json.dumps({"queue_name": "team-a", "labels": {"team": "a"}})
    assert parse_job_settings(text) == {"labels": {"team": "a", QUEUE_LABEL: "team-a"}, "suspend": True}


def test_an_empty_queue_is_none_or_its_job_would_wait_for_ever() -> None:
    assert parse_job_settings('{"queue_name": ""}') == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "job_settings must be a JSON object with any of queue_name, .*Received: ''"),
        ("[]", r"job_settings must be a JSON object .*Received: '\[\]'"),
        ('{"suspend": true}', "with any of .*Received: 'suspend'"),
        ('{"node_selector": "gpu"}', "node_selector must be a JSON object. Received: 'gpu'"),
        ('{"tolerations": {}}', "tolerations must be a JSON array. Received: {}"),
        ('{"queue_name": 7}', "queue_name must be a JSON string. Received: 7"),
        ('{"affinity": null}', "affinity must be a JSON object. Received: None"),
    ],
)
def test_other_settings_are_refused_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_job_settings(text)


def test_a_task_that_was_given_nothing_adds_nothing() -> None:
    assert read_task_config(task_config()) == {}
    assert read_task_config(task_config(resources={}, env=[], volumes=[], volume_mounts=[], tolerations=[])) == {}


def test_what_a_task_was_given_is_given_to_the_jobs_replicas(make_spec: MakeSpec) -> None:
    # KFP makes floats of integers on the way.
    affinity = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10.0}]}}
    fields = read_task_config(
        task_config(
            resources={"limits": {"nvidia.com/gpu": "1"}, "requests": {}},
            env=[
                {"name": "A", "value": "1"},
                {"name": "B"},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            volumes=[{"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256.0}}],
            volume_mounts=[{"name": "keys", "mountPath": "/keys"}],
            tolerations=[{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30.0}],
            node_selector={"pool": "gpu"},
            affinity=affinity,
        )
    )
    assert json.dumps(fields) == json.dumps(
        {
            "env": {"A": "1", "B": "", "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            "volumes": [{"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}}],
            "volume_mounts": [{"name": "keys", "mountPath": "/keys"}],
            "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30}],
            "node_selector": {"pool": "gpu"},
            "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10}]}},
            "extended_resources": {"nvidia.com/gpu": "1"},
        }
    )
    container = build_manifest(make_spec("pass", **fields))["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"][
        "containers"
    ][0]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "cpu": "1"}


@pytest.mark.parametrize(
    ("limits", "names"), [({"cpu": "2"}, "cpu"), ({"memory": "2Gi", "cpu": "2", "rdma/hca": "1"}, "cpu and memory")]
)
def test_cpus_and_memory_of_a_tasks_own_are_refused(limits: dict[str, str], names: str) -> None:
    with pytest.raises(SpecError, match=f"must not be given {names} of their own: every replica gets the parameters"):
        read_task_config(task_config(resources={"limits": limits}))


def test_fields_of_several_parts_are_joined_and_else_the_last_counts() -> None:
    merged = merge_fields(
        {"env": {"A": "1", "B": "1"}, "tolerations": ({"key": "a"},), "affinity": {"a": {}}, "suspend": False},
        {"env": {"B": "2"}, "tolerations": ({"key": "b"},), "affinity": {"b": {}}, "suspend": True},
        {"priority_class_name": "high"},
    )
    assert merged == {
        "env": {"A": "1", "B": "2"},
        "tolerations": ({"key": "a"}, {"key": "b"}),
        "affinity": {"b": {}},
        "suspend": True,
        "priority_class_name": "high",
    }


def test_merging_changes_no_part() -> None:
    first = {"env": {"A": "1"}}
    merge_fields(first, {"env": {"A": "2"}})
    assert first == {"env": {"A": "1"}}
