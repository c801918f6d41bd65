import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tfjob.errors import SpecError
from tfjob.settings import QUEUE_LABEL, Overlay, parse_job_settings, read_task_config

MakeJob = Callable[..., dict[str, Any]]
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


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    return pod


def test_settings_are_laid_over_the_manifest(make_job: MakeJob) -> None:
    plain = make_job("pass")
    manifest = make_job("pass", overlays=parse_job_settings(json.dumps(SETTINGS)))
    assert manifest["metadata"]["labels"] == {"team": "a"}
    assert manifest["metadata"]["annotations"] == {"note": "x"}
    assert manifest["spec"]["runPolicy"] == {**plain["spec"]["runPolicy"], "schedulingPolicy": {"minAvailable": 2}}
    (container,) = pod_of(plain)["containers"]
    resources = {"cpu": "1", "rdma/hca": "1"}
    assert pod_of(manifest) == {
        **pod_of(plain),
        "priorityClassName": "high",
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {
                **container,
                "env": [*container["env"], {"name": "NCCL_DEBUG", "value": "INFO"}],
                "resources": {"limits": resources, "requests": resources},
            }
        ],
    }


def test_no_settings_are_no_overlays() -> None:
    assert parse_job_settings("{}") == []


def test_a_queue_is_a_label_and_a_job_that_waits(make_job: MakeJob) -> None:
    text = json.dumps({"queue_name": "team-a", "labels": {"team": "a"}})
    manifest = make_job("pass", overlays=parse_job_settings(text))
    assert manifest["metadata"]["labels"] == {"team": "a", QUEUE_LABEL: "team-a"}
    assert manifest["spec"]["runPolicy"]["suspend"] is True


def test_an_empty_queue_is_none_or_its_job_would_wait_for_ever() -> None:
    assert parse_job_settings('{"queue_name": ""}') == [Overlay()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "job_settings must be a JSON object with any of queue_name, .*Received: ''"),
        ("[]", r"job_settings must be a JSON object .*Received: '\[\]'"),
        ("[" * 100_000, r"job_settings must be a JSON object .* not nested so deeply\. Received: '\[+…'"),
        ('{"env": {"TOKEN": "secret"', r"job_settings must .*Received: '\{\"env\": \{\"TO…'$"),
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


def test_a_task_that_was_given_nothing_adds_nothing(make_job: MakeJob) -> None:
    empty = task_config(resources={}, env=[], volumes=[], volume_mounts=[], tolerations=[])
    for config in (task_config(), empty):
        assert make_job("pass", overlays=[read_task_config(config)]) == make_job("pass")


def test_what_a_task_was_given_is_given_to_the_jobs_replicas(make_job: MakeJob) -> None:
    # KFP makes floats of integers on the way.
    affinity = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10.0}]}}
    given = read_task_config(
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
    plain, pod = (pod_of(make_job("pass", overlays=overlays)) for overlays in ([], [given]))
    assert json.dumps({name: value for name, value in pod.items() if name not in plain}) == json.dumps(
        {
            "volumes": [{"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}}],
            "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30}],
            "nodeSelector": {"pool": "gpu"},
            "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10}]}},
        }
    )
    container = pod["containers"][0]
    assert container["env"][-3:] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": ""},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    assert container["volumeMounts"] == [{"name": "keys", "mountPath": "/keys"}]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "cpu": "1"}


@pytest.mark.parametrize("kind", ["limits", "requests"])
@pytest.mark.parametrize(
    ("amounts", "names"), [({"cpu": "2"}, "cpu"), ({"memory": "2Gi", "cpu": "2", "rdma/hca": "1"}, "cpu and memory")]
)
def test_cpus_and_memory_of_a_tasks_own_are_refused(kind: str, amounts: dict[str, str], names: str) -> None:
    with pytest.raises(SpecError, match=f"must not be given {names} of their own: every replica gets the parameters"):
        read_task_config(task_config(resources={kind: amounts}))


def test_cpus_and_memory_are_no_further_resources_of_a_person() -> None:
    with pytest.raises(SpecError, match="must not be given cpu of their own"):
        parse_job_settings('{"extended_resources": {"cpu": "2"}}')
