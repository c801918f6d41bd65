"""What the pods of steps ask for. KFP takes nothing but its own init container's request for a launching step."""

import json
from typing import Any

from tests.cluster.site import ClusterSite, Namespace
from tests.cluster.steps import step_pod
from tfjob.spec import ReplicaSpec

LIMIT_RANGE = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "steps"},
    "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "200m", "memory": "256Mi"}}]},
}


def admit(namespace: Namespace, pod: dict[str, Any]) -> dict[str, Any]:
    """Returns a pod as the API server would take it."""
    taken = namespace.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(pod))
    return json.loads(taken)  # type: ignore[no-any-return]


def read_resources(pod: dict[str, Any]) -> dict[str, Any]:
    return pod["spec"]["containers"][0]["resources"]  # type: ignore[no-any-return]


def test_a_step_is_no_best_effort_pod_though_nothing_is_set_on_it(namespace: Namespace) -> None:
    pod = admit(namespace, step_pod("step", namespace.image, ["true"]))
    assert read_resources(pod) == {}
    assert pod["spec"]["initContainers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "256Mi"}
    assert pod["status"]["qosClass"] == "Burstable"


def test_a_limit_range_gives_steps_a_request_and_leaves_replicas_as_they_are(
    cluster_site: ClusterSite, namespace: Namespace
) -> None:
    job = cluster_site.make("", replicas={"Worker": ReplicaSpec(cpus=0.25, memory="64Mi")})
    template = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]
    replica = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": "replica"}}
    before = read_resources(admit(namespace, replica))
    namespace.apply(LIMIT_RANGE)
    try:
        step = admit(namespace, step_pod("step", namespace.image, ["true"]))
        assert read_resources(step) == {"requests": {"cpu": "200m", "memory": "256Mi"}}
        assert read_resources(admit(namespace, replica)) == before
    finally:
        namespace.kubectl("delete", "limitrange", "steps")
