from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import urllib3
from kubernetes.client.exceptions import ApiException

from tfjob.cluster.api import Cluster, Json, WideKind
from tfjob.cluster.nodes import find_free_cpus
from tfjob.spec import GPU_RESOURCE, ReplicaSpec

SMALL = ReplicaSpec(memory="2Gi")


class Nodes(Cluster):
    """A cluster of which nodes and pods can be listed."""

    def __init__(self, *nodes: Json, pods: Json | Exception = {}, whole: Sequence[Json] = ()) -> None:  # noqa: B006 - never changed
        self.nodes, self.pods, self.whole = nodes, pods, whole
        self.selectors: list[dict[str, Any]] = []

    def list_whole_cluster(self, kind: WideKind, **selector: Any) -> Iterator[Json]:
        self.selectors.append(selector)
        if kind == "nodes":
            yield from self.nodes
            return
        assert kind == "pods of all namespaces"
        if isinstance(self.pods, Exception):
            raise self.pods
        yield from (make_pod(node, *requests) for node, own in self.pods.items() for requests in own)
        yield from self.whole


def make_node(name: str, cpu: str, memory: str = "8Gi", *, is_ready: bool = True, gpus: int = 0, **spec: Any) -> Json:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110", **({GPU_RESOURCE: str(gpus)} if gpus else {})},
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
        },
    }


def make_pod(node: str, *requests: Json | None) -> Json:
    containers = [{"name": "c", "resources": {"requests": asked} if asked else {}} for asked in requests]
    return {"spec": {"nodeName": node, "containers": containers}, "status": {"phase": "Running"}}


def test_the_largest_node_counts_and_not_their_sum() -> None:
    assert find_free_cpus(Nodes(make_node("a", "2"), make_node("b", "3500m")), SMALL, {}) == 3.5


def test_what_pods_have_asked_for_is_not_free() -> None:
    pods = {"a": [({"cpu": "950m"}, {"cpu": "50m"}, None)], "b": [({"cpu": "1"},), ({"memory": "1Gi"},)]}
    assert find_free_cpus(Nodes(make_node("a", "2"), make_node("b", "4"), pods=pods), SMALL, {}) == 3.0


def test_what_pods_will_have_that_are_not_there_yet_is_not_free() -> None:
    nodes = Nodes(make_node("a", "2"), make_node("b", "4"))
    assert find_free_cpus(nodes, SMALL, {}, beside=0.5) == 3.5
    assert find_free_cpus(nodes, SMALL, {}, beside=5) == 0.0


def asking(cpu: str, **fields: Any) -> Json:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **fields}


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        # As Kubeflow Pipelines makes the pod of a step: only what copies its launcher into it asks for anything.
        ({"containers": [{"name": "main"}, {"name": "wait"}], "initContainers": [asking("100m")]}, 0.1),
        ({"containers": [asking("1"), asking("1")], "initContainers": [asking("500m"), asking("3")]}, 3.0),
        ({"containers": [asking("1"), asking("1")], "initContainers": [asking("500m")]}, 2.0),
        ({"containers": [asking("1")], "initContainers": [asking("500m", restartPolicy="Always"), asking("2")]}, 2.5),
        ({"containers": [asking("1")], "overhead": {"cpu": "250m"}}, 1.25),
    ],
)
def test_a_pod_takes_what_the_scheduler_sets_aside_for_it(spec: Json, asked: float) -> None:
    pod = {"spec": {"nodeName": "a", **spec}, "status": {"phase": "Running"}}
    assert find_free_cpus(Nodes(make_node("a", "8"), whole=[pod]), SMALL, {}) == 8 - asked


@pytest.mark.parametrize(
    "node",
    [
        make_node("b", "64", is_ready=False),
        make_node("b", "64", unschedulable=True),
        make_node("b", "64", taints=[{"key": "dedicated", "effect": "NoSchedule"}]),
        make_node("b", "64", memory="1Gi"),
    ],
)
def test_a_node_that_takes_no_such_pod_does_not_count(node: Json) -> None:
    assert find_free_cpus(Nodes(make_node("a", "2"), node), SMALL, {}) == 2.0
    assert find_free_cpus(Nodes(node), SMALL, {}) == 0.0


def test_a_taint_that_only_discourages_does_not_matter() -> None:
    assert find_free_cpus(Nodes(make_node("a", "2", taints=[{"effect": "PreferNoSchedule"}])), SMALL, {}) == 2.0


def test_nodes_are_chosen_by_their_labels_and_ended_pods_left_out() -> None:
    cluster = Nodes(make_node("a", "2"))
    find_free_cpus(cluster, SMALL, {"pool": "cpu", "zone": "b"})
    assert cluster.selectors == [
        {"label_selector": "pool=cpu,zone=b"},
        {"field_selector": "status.phase!=Succeeded,status.phase!=Failed"},
    ]


@pytest.mark.parametrize("error", [ApiException(403, "Forbidden"), urllib3.exceptions.HTTPError("no answer")])
def test_without_the_right_to_see_them_nothing_is_known(error: Exception) -> None:
    assert find_free_cpus(Nodes(make_node("a", "64"), pods=error), SMALL, {}) is None


TAINT = {"key": GPU_RESOURCE, "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("nodes", "cpus"),
    [
        ([make_node("a", "64", "64Gi")], 0.0),
        ([make_node("a", "64", "64Gi"), make_node("b", "4", "64Gi", gpus=1)], 1.5),
        ([make_node("a", "64", "64Gi", gpus=4)], 6.0),
        ([make_node("a", "4.5", "64Gi", gpus=4)], 4.5),
        ([make_node("a", "64", "17Gi", gpus=4)], 3.0),
        ([make_node("a", "64", "64Gi", gpus=2, taints=[TAINT])], 3.0),
        ([make_node("a", "64", "64Gi", gpus=2, taints=[TAINT, {"key": "x", "effect": "NoExecute"}])], 0.0),
    ],
)
def test_a_node_with_gpus_has_room_for_as_many_replicas_as_its_scarcest_resource_lets(
    nodes: list[Json], cpus: float
) -> None:
    assert find_free_cpus(Nodes(*nodes), ReplicaSpec(cpus=1.5, memory="8Gi", gpus=1), {}) == cpus


def test_gpus_that_pods_have_asked_for_are_not_free() -> None:
    cluster = Nodes(make_node("a", "64", "64Gi", gpus=4), pods={"a": [({GPU_RESOURCE: "3"}, None)]})
    assert find_free_cpus(cluster, ReplicaSpec(memory="8Gi", gpus=1), {}) == 1.0
