"""What a backend reads in a manifest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from tfjob.spec import (
    CONTAINER_NAME,
    GPU_RESOURCE,
    REPLICA_TYPES,
    ReplicaType,
    RestartPolicy,
    SuccessPolicy,
    read_container,
)

Manifest = Mapping[str, Any]

# Marks a job that runs a person's own program, which knows nothing of this project.
FOREIGN_ANNOTATION = "tfjob-speedup/own-program"
# Asks for a TF_CONFIG even in a job of a single replica, to which the operator gives none.
LONE_CONFIG_ANNOTATION = "tfjob-speedup/lone-tf-config"
# What the operator does not limit.
_NO_BACKOFF_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Replica:
    """One replica of a job.

    Args:
        type: Its type.
        index: Its index among replicas of the type.
        command: Program and arguments; empty where the image's own entry point runs.
        env: Environment variables that the manifest gives as values, in its order.
        cpus: Its CPU limit; None for no limit.
        memory: Its memory limit as a Kubernetes quantity; None for no limit.
        gpus: The NVIDIA GPUs that it gets.
        restart_policy: What happens when it ends.
    """

    type: ReplicaType
    index: int
    command: tuple[str, ...]
    env: Mapping[str, str]
    cpus: float | None
    memory: str | None
    gpus: int
    restart_policy: RestartPolicy

    @property
    def name(self) -> str:
        """`worker-0`: what it is called in logs and, after the job's name, in the cluster."""
        return replica_name(self.type, self.index)


@dataclass(frozen=True)
class Job:
    """A job as a backend needs it.

    Args:
        name: The job's name.
        replicas: All replicas, in the order of types and indices.
        success_policy: When the job is done.
        backoff_limit: Number of restarts at which the job fails.
        active_deadline_seconds: How long it may take.
        is_foreign: Whether it runs a person's own program.
        sidecars: The containers that the manifest puts beside the one that trains.
    """

    name: str
    replicas: tuple[Replica, ...]
    success_policy: SuccessPolicy
    backoff_limit: int
    active_deadline_seconds: float
    is_foreign: bool = False
    sidecars: frozenset[str] = frozenset()


def read_job(manifest: Manifest) -> Job:
    """Returns what is to run, of a manifest that passes `check_manifest`. What it lacks is the operator's default."""
    run_policy = manifest["spec"].get("runPolicy", {})
    return Job(
        name=manifest["metadata"]["name"],
        replicas=tuple(
            _read_replica(replica_type, index, manifest["spec"]["tfReplicaSpecs"][replica_type])
            for replica_type, count in replica_counts(manifest).items()
            for index in range(count)
        ),
        success_policy=manifest["spec"].get("successPolicy", ""),
        backoff_limit=run_policy.get("backoffLimit", _NO_BACKOFF_LIMIT),
        active_deadline_seconds=run_policy.get("activeDeadlineSeconds", math.inf),
        is_foreign=FOREIGN_ANNOTATION in manifest["metadata"].get("annotations", {}),
        sidecars=frozenset(
            container["name"]
            for replica in manifest["spec"]["tfReplicaSpecs"].values()
            for container in replica["template"]["spec"]["containers"]
            if container["name"] != CONTAINER_NAME
        ),
    )


def replica_counts(manifest: Manifest) -> dict[ReplicaType, int]:
    """Returns the number of replicas of each type that the job has."""
    specs = manifest["spec"]["tfReplicaSpecs"]
    return {kind: specs[kind].get("replicas", 1) for kind in REPLICA_TYPES if kind in specs}


def replica_name(replica_type: ReplicaType, index: int) -> str:
    """Returns `worker-0` of `Worker` and 0."""
    return f"{replica_type.lower()}-{index}"


def format_cpus(cpus: float) -> str:
    """Returns a number of CPUs as a Kubernetes quantity: 2.0 is `2`, 0.5 is `500m`."""
    millis = round(cpus * 1000)
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def parse_cpus(quantity: str) -> float:
    """Returns the number of CPUs of a Kubernetes quantity: `2` is 2.0, `500m` is 0.5."""
    return float(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


def _read_replica(replica_type: ReplicaType, index: int, replica_spec: Mapping[str, Any]) -> Replica:
    container = read_container(replica_spec)
    limits = container.get("resources", {}).get("limits", {})
    # Arguments alone are the entry point's, which is the image's.
    command = (*container["command"], *container.get("args", ())) if container.get("command") else ()
    return Replica(
        type=replica_type,
        index=index,
        command=command,
        env={item["name"]: item.get("value", "") for item in container.get("env", ()) if "valueFrom" not in item},
        cpus=parse_cpus(str(limits["cpu"])) if "cpu" in limits else None,
        memory=str(limits["memory"]) if limits.get("memory") is not None else None,
        gpus=int(limits.get(GPU_RESOURCE, 0)),
        restart_policy=cast("RestartPolicy", replica_spec.get("restartPolicy", "Never")),
    )
