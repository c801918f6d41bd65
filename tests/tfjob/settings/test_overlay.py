from copy import deepcopy
from typing import Any

import pytest

from tfjob.manifest import build_manifest
from tfjob.settings import Overlay, lay_over, of_containers, of_env, of_metadata, of_pods, of_run_policy
from tfjob.spec import ReplicaSpec

MANIFEST = build_manifest(
    "mnist", image="image:1", command=("python",), replicas={"Worker": ReplicaSpec(), "PS": ReplicaSpec()}
)


def pod_of(*overlays: Overlay, replica: str = "Worker") -> dict[str, Any]:
    manifest = MANIFEST
    for overlay in overlays:
        manifest = lay_over(manifest, overlay)
    pod: dict[str, Any] = manifest["spec"]["tfReplicaSpecs"][replica]["template"]["spec"]
    return pod


def env_of(*overlays: Overlay) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = pod_of(*overlays)["containers"][0]["env"]
    return env


def test_nothing_laid_over_changes_nothing() -> None:
    assert lay_over(MANIFEST, Overlay()) == MANIFEST


def test_laying_over_leaves_the_manifest_as_it_was() -> None:
    before = deepcopy(MANIFEST)
    lay_over(MANIFEST, of_env({"OMP_NUM_THREADS": "7"}))
    assert before == MANIFEST


@pytest.mark.parametrize("replica", ["Worker", "PS"])
def test_every_replicas_pod_gets_it(replica: str) -> None:
    assert pod_of(of_pods(nodeSelector={"pool": "gpu"}), replica=replica)["nodeSelector"] == {"pool": "gpu"}


def test_a_variable_takes_the_place_of_the_one_of_its_name_and_others_follow() -> None:
    env = env_of(of_env({"OMP_NUM_THREADS": "7", "RUN_ID": "r1"}))
    assert {variable["name"]: variable["value"] for variable in env}["OMP_NUM_THREADS"] == "7"
    assert len(env) == len(env_of()) + 1
    assert env[-1] == {"name": "RUN_ID", "value": "r1"}


def test_a_variable_from_a_source_has_no_value_left_of_the_one_before() -> None:
    source = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    assert env_of(of_env({"A": "1"}), of_env({"A": source}))[-1] == {"name": "A", "valueFrom": source}


def test_another_container_stands_beside_the_one_that_trains() -> None:
    first, second = pod_of(of_pods(containers=[{"name": "proxy", "image": "proxy:1"}]))["containers"]
    assert first == pod_of()["containers"][0]
    assert second == {"name": "proxy", "image": "proxy:1"}


def test_mounts_are_told_apart_by_where_they_are() -> None:
    a, b, c = ({"name": name, "mountPath": path} for name, path in (("a", "/x"), ("b", "/y"), ("c", "/x")))
    assert pod_of(of_containers(volumeMounts=[a, b]), of_containers(volumeMounts=[c]))["containers"][0][
        "volumeMounts"
    ] == [c, b]


def test_tolerations_add_up_and_mappings_are_joined_and_else_the_last_counts() -> None:
    pod = pod_of(
        of_pods(tolerations=[{"key": "a"}], affinity={"a": {}}, priorityClassName="low", nodeSelector={"a": "1"}),
        of_pods(tolerations=[{"key": "b"}], affinity={"b": {}}, priorityClassName="high", nodeSelector={"a": "2"}),
    )
    assert pod["tolerations"] == [{"key": "a"}, {"key": "b"}]
    assert pod["affinity"] == {"a": {}, "b": {}}
    assert (pod["priorityClassName"], pod["nodeSelector"]) == ("high", {"a": "2"})


def test_a_list_without_names_is_one_value() -> None:
    assert pod_of(of_containers(command=["sleep", "1"]))["containers"][0]["command"] == ["sleep", "1"]


def test_labels_are_the_jobs_and_its_pods() -> None:
    manifest = lay_over(MANIFEST, of_metadata(labels={"team": "a"}))
    assert manifest["metadata"]["labels"] == {"team": "a"}
    labels = manifest["spec"]["tfReplicaSpecs"]["PS"]["template"]["metadata"]["labels"]
    assert labels == {"sidecar.istio.io/inject": "false", "team": "a"}


@pytest.mark.parametrize("name", ["env", "tolerations"])
def test_a_label_may_be_named_like_a_list(name: str) -> None:
    manifest = lay_over(lay_over(MANIFEST, of_metadata(labels={name: "a"})), of_metadata(labels={name: "b"}))
    assert manifest["metadata"]["labels"] == {name: "b"}


def test_further_resources_leave_cpus_as_they_are() -> None:
    resources = pod_of(of_containers(resources={"limits": {"rdma/hca": "1"}}))["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "1", "rdma/hca": "1"}, "requests": {"cpu": "1"}}


def test_the_run_policy_keeps_what_is_not_named() -> None:
    policy = lay_over(MANIFEST, of_run_policy(suspend=True))["spec"]["runPolicy"]
    assert policy == {**MANIFEST["spec"]["runPolicy"], "suspend": True}
