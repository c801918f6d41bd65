"""Runs a person's own TFJob as pods."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.site import ASKED, Namespace
from tfjob.backend import JobResult, LogLine
from tfjob.cluster.backend import KubernetesBackend
from tfjob.launch import run_job
from tfjob.own import read_own_job

SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SMALL = {"limits": {"cpu": "200m", "memory": "256Mi"}, "requests": ASKED}


@dataclass
class OwnRun:
    """Runs a person's TFJob of the session's image."""

    namespace: Namespace
    log_dir: Path
    heard: list[LogLine] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def make_replica(self, code: str, *, before: tuple[dict[str, Any], ...] = (), **pod: Any) -> dict[str, Any]:
        """Returns a replica as people write it: without restart policy, ports or a number."""
        own = self.make_container("tensorflow", code)
        security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        return {"template": {"spec": {"containers": [*before, own], "securityContext": security, **pod}}}

    def make_container(self, name: str, code: str) -> dict[str, Any]:
        """Returns a container that runs a few lines of Python."""
        command = ["python", "-S", "-c", code]
        image = self.namespace.image
        return {"name": name, "image": image, "command": command, "securityContext": SECURE, "resources": SMALL}

    def __call__(
        self,
        replicas: dict[str, Any],
        *,
        workers: int = 2,
        num_ps: int = 0,
        is_measured: Callable[[], bool] | None = None,
        pending_seconds: float = 600.0,
        **fields: Any,
    ) -> JobResult:
        job = {
            "apiVersion": "kubeflow.org/v1",
            "kind": "TFJob",
            "metadata": {"name": "theirs"},
            "spec": {"tfReplicaSpecs": replicas},
        }
        own = read_own_job(yaml.safe_dump(job))
        values = {"seed": "7", **fields.pop("values", {})}
        manifest = own.build(
            name="trial-1",
            namespace=self.namespace.name,
            workers=workers,
            num_ps=num_ps,
            values=values,
            deadline_seconds=1800,
            **fields,
        )
        return run_job(
            manifest,
            log_dir=self.log_dir,
            backend=KubernetesBackend(cluster=self.namespace.cluster(), pending_seconds=pending_seconds),
            report=self.told.append,
            max_restarts=0,
            is_measured=is_measured,
            listen=self.heard.append,
        )

    def lines(self, replica: str) -> list[str]:
        return [line.text for line in self.heard if line.replica == replica]
