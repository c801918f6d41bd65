"""Who reaches a replica. Where the cluster's network enforces no policies, nothing is proved: they are skipped."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.site import ClusterSite, Namespace, make_namespace
from tests.cluster.steps import step_pod
from tfjob.launch import RUN_LABEL
from tfjob.settings import of_metadata

POLICY = Path(__file__).parents[2] / "manifests" / "base" / "network-policy.yaml"
CLOSED: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed"},
    "spec": {"podSelector": {"matchLabels": {"test": "closed"}}, "policyTypes": ["Ingress"]},
}
SERVE = "import socketserver; socketserver.TCPServer(('', 2222), socketserver.BaseRequestHandler).serve_forever()"
CONNECT = """
import socket, sys
try: socket.create_connection((sys.argv[1], 2222), 2)
except OSError: print("no")
else: print("yes")
"""
# What a network may take to learn of a pod or a policy.
SETTLE_SECONDS = 30.0


@dataclass(frozen=True)
class Peer:
    """A pod that is reached, or tries to."""

    namespace: Namespace
    name: str

    def wait(self) -> "Peer":
        """Returns when its containers run."""
        self.namespace.kubectl("wait", "--for=condition=Ready", "--timeout=600s", f"pod/{self.name}")
        return self

    def reaches(self, other: "Peer") -> bool:
        """Returns whether it can connect to another's port of TensorFlow's servers."""
        address = other.namespace.get("pod", other.name)["status"]["podIP"]
        return self.namespace.kubectl("exec", self.name, "--", "python", "-c", CONNECT, address).strip() == "yes"


def start_pod(namespace: Namespace, name: str, code: str, labels: Mapping[str, str] = {}) -> Peer:
    """Returns a pod that runs a few lines of Python, created."""
    pod = step_pod(name, namespace.image, ["python", "-c", code])
    del pod["spec"]["initContainers"]  # no step: what is asked for in it is the trainings' beside
    pod["metadata"]["labels"].update(labels)
    namespace.apply(pod)
    return Peer(namespace, name)


def start_job(site: ClusterSite, name: str, workers: int) -> list[Peer]:
    """Returns the replicas of a run's job, created; they listen as TensorFlow's servers do."""
    overlay = of_metadata(labels={RUN_LABEL: f"run-of-{name}"})
    site.namespace.apply(site.make(SERVE, name=name, workers=workers, cpus=0.05, overlays=[overlay]))
    names = [f"{name}-worker-{index}" for index in range(workers)]
    settle(lambda: {pod["metadata"]["name"] for pod in site.namespace.get("pods")["items"]}.issuperset(names))
    return [Peer(site.namespace, pod) for pod in names]


def settle(is_so: Callable[[], bool]) -> bool:
    """Returns whether something becomes true before a network must have settled."""
    limit = time.monotonic() + SETTLE_SECONDS
    while not (found := is_so()) and time.monotonic() < limit:
        time.sleep(1)
    return found


@pytest.fixture
def other_namespace(namespace: Namespace) -> Iterator[Namespace]:
    with make_namespace(namespace.image) as other:
        yield other


@pytest.fixture
def enforced(namespace: Namespace) -> None:
    """Skips a test where a policy that lets nobody in has no effect: what is seen there proves nothing."""
    closed, peer = (start_pod(namespace, name, SERVE, {"test": name}) for name in ("closed", "peer"))
    try:
        assert settle(lambda: peer.wait().reaches(closed.wait()))
        namespace.apply(CLOSED)
        if not settle(lambda: not peer.reaches(closed)):
            pytest.skip("NOT PROVED: this cluster's network enforces no NetworkPolicy, not even one that forbids all")
    finally:
        namespace.kubectl("delete", "networkpolicy", CLOSED["metadata"]["name"], "--ignore-not-found")
        namespace.kubectl("delete", "pod", closed.name, peer.name)


def test_the_api_server_takes_the_policy_as_it_is_written(namespace: Namespace) -> None:
    written = yaml.safe_load(POLICY.read_text())
    assert namespace.get("networkpolicy", written["metadata"]["name"])["spec"] == written["spec"]


@pytest.mark.usefixtures("enforced")
def test_where_policies_are_enforced_only_replicas_of_the_namespace_reach_a_replica(
    cluster_site: ClusterSite, namespace: Namespace, other_namespace: Namespace
) -> None:
    replica, same_job = start_job(cluster_site, "first", 2)
    (other_run,) = start_job(cluster_site, "second", 1)
    plain = start_pod(namespace, "plain", SERVE)
    foreign = start_pod(other_namespace, "foreign", SERVE, {RUN_LABEL: "run-of-first"})
    # What a policy cannot tell apart is there, too: the replicas of another run in the namespace.
    expected = {same_job: True, other_run: True, plain: False, foreign: False}

    def look() -> dict[Peer, bool]:
        return {peer: peer.reaches(replica) for peer in expected}

    for peer in (replica, *expected):
        peer.wait()
    try:
        assert settle(lambda: look() == expected), look()
        assert replica.reaches(plain)  # what replicas reach is left as it is
        namespace.kubectl("delete", "--filename", str(POLICY))
        assert settle(lambda: all(look().values())), look()  # so it was the policy, and nothing else
    finally:
        namespace.kubectl("apply", "--filename", str(POLICY))
        namespace.kubectl("delete", "pod", plain.name)
