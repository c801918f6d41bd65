"""A namespace of a real cluster for a test session: restricted pods, and the rights that manifests/ give."""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.sites import Addresses
from tests.tfjob.scripted_jobs import make_job, service_address
from tfjob.backend import Backend
from tfjob.cluster.api import Cluster, connect
from tfjob.cluster.backend import KubernetesBackend
from tfjob.job import Manifest, replica_counts
from tfjob.settings import of_containers

if TYPE_CHECKING:
    from tests.conformance.job_run import JobRun

CLAIM, MOUNT = "workspace", "/kfp-workspace"
SERVICE_ACCOUNT = "tfjob-speedup"
VOLUME = {"name": "kfp-workspace", "persistentVolumeClaim": {"claimName": CLAIM}}
VOLUME_MOUNT = {"name": "kfp-workspace", "mountPath": MOUNT}
# Jobs of small programs run beside trainings, which leave no more of a node of two cores to ask for.
ASKED = {"cpu": "30m"}
_BASE = Path(__file__).parents[2] / "manifests" / "base"


@dataclass(frozen=True)
class Namespace:
    """The session's namespace."""

    name: str
    image: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Returns what kubectl printed."""
        command = ["kubectl", "--namespace", self.name, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def pipe(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Returns the bytes that kubectl printed."""
        command = ["kubectl", "--namespace", self.name, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """Returns what `kubectl get` printed as JSON."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))  # type: ignore[no-any-return]

    def kill(self, pod: str, argument: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kills, or stops, the youngest process of a pod that has an argument in its command line."""
        code = (
            "import os, pathlib, sys\n"
            "found = [int(p.parent.name) for p in pathlib.Path('/proc').glob('[0-9]*/cmdline')"
            " if sys.argv[1] in p.read_bytes().decode().split(chr(0)) and int(p.parent.name) != os.getpid()]\n"
            "os.kill(max(found), int(sys.argv[2]))"
        )
        self.kubectl("exec", pod, "--", "python", "-c", code, argument, str(int(number)))

    def freeze(self, pod: str) -> None:
        """Stops all processes of a pod from outside, as a node does that hangs: the cluster runs on this machine."""
        for pid in self._find_processes(pod):
            os.kill(pid, signal.SIGSTOP)

    def cut(self, pod: str) -> None:
        """Lets no packet into a pod's network nor out of it, from outside; its claim is the node's, and stays."""
        self._filter(pod, "--append")

    def mend(self, pod: str) -> None:
        """Undoes `cut`."""
        self._filter(pod, "--delete")

    def _filter(self, pod: str, action: str) -> None:
        pid, *_ = self._find_processes(pod)
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        for chain, device in (("INPUT", "-i"), ("OUTPUT", "-o")):
            rule = ["iptables", "--wait", action, chain, "!", device, "lo", "--jump", "DROP"]
            subprocess.run(["nsenter", "--target", str(pid), "--net", *rule], check=True)

    def _find_processes(self, pod: str) -> list[int]:
        """Returns the processes of a pod; skips the test where they are not to be seen or not to be reached."""
        uid = self.get("pod", pod)["metadata"]["uid"]
        pids = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cgroup") if uid in _read(path)]
        if len(pids) < 2 or os.geteuid() != 0:
            pytest.skip(f"NOT PROVED: this test, not as root on the node of {pod}, does not reach its processes")
        return pids

    def apply(self, manifest: dict[str, Any]) -> None:
        """Creates or changes an object."""
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))

    def cluster(self) -> Cluster:
        """Returns the cluster as its administrator sees it."""
        return connect(self.name)

    def wait_until_gone(self, kind: str, selector: str, seconds: float) -> None:
        """Fails where an object is still there after so many seconds."""
        limit = time.monotonic() + seconds
        while items := self.get(kind, "--selector", selector)["items"]:
            names = [item["metadata"]["name"] for item in items]
            assert time.monotonic() < limit, f"{kind} {names} are still there after {seconds} s"
            time.sleep(0.5)


@dataclass(frozen=True)
class ClusterSite:
    """Jobs of the conformance tests as pods."""

    namespace: Namespace
    shared: str
    pending_seconds: float = 600.0
    # The kubelet tells what it sees once a second, and reads a log from when it is asked for: later on a busy node.
    seen_seconds: float = 6.0

    def make(self, code: str, **fields: Any) -> dict[str, Any]:
        """Returns a job whose replicas share a folder of the claim."""
        if "replicas" not in fields:
            fields["overlays"] = [of_containers(resources={"requests": ASKED}), *fields.get("overlays", ())]
        return make_job(
            f"pathlib.Path(os.environ['SHARED']).mkdir(exist_ok=True)\n{code}",
            Path(self.shared),
            **{
                "image": self.namespace.image,
                "cpus": 0.25,
                "active_deadline_seconds": 600,
                "namespace": self.namespace.name,
                "volumes": (VOLUME,),
                "volume_mounts": (VOLUME_MOUNT,),
                **fields,
            },
        )

    def backend(self, clock: Callable[[], float] = time.monotonic) -> Backend:
        """Returns the Kubernetes backend."""
        return KubernetesBackend(cluster=self.namespace.cluster(), pending_seconds=self.pending_seconds, clock=clock)

    def addresses(self, manifest: Manifest, seen: dict[str, Any]) -> Addresses:
        """Returns the addresses of the services that the operator makes."""
        return {
            (replica_type, index): service_address(manifest, replica_type, index)
            for replica_type, count in replica_counts(manifest).items()
            for index in range(count)
        }

    def assert_nothing_is_left(self, run: "JobRun") -> None:
        """Fails where a job or a replica of it is still there."""
        assert [job["metadata"]["name"] for job in self.namespace.get("tfjobs")["items"]] == []
        self.namespace.wait_until_gone("pods", "training.kubeflow.org/job-name=mnist", 60)


@contextmanager
def make_namespace(image: str) -> Iterator[Namespace]:
    """Yields a namespace, which is deleted afterwards with all that is in it."""
    name = f"tfjob-speedup-test-{secrets.token_hex(3)}"
    namespace = Namespace(name, image)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        rights = namespace.kubectl("kustomize", str(_BASE)).replace("namespace: kubeflow", f"namespace: {name}")
        namespace.kubectl("apply", "--filename", "-", stdin=rights)
        namespace.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": CLAIM},
                "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "2Gi"}}},
            }
        )
        yield namespace
    finally:
        namespace.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def namespace() -> Iterator[Namespace]:
    with make_namespace(os.environ["TFJOB_TEST_IMAGE"]) as namespace:
        yield namespace


@pytest.fixture
def cluster_site(namespace: Namespace) -> Iterator[ClusterSite]:
    yield ClusterSite(namespace, f"{MOUNT}/{secrets.token_hex(4)}")
    namespace.kubectl("delete", "tfjobs", "--all", "--cascade=background")
    namespace.wait_until_gone("tfjobs", "", 300)


def _read(path: Path) -> str:
    with suppress(OSError):  # it has ended
        return path.read_text()
    return ""
