"""Jobs whose replicas all run the same few lines of Python, as every replica of a training runs the same program."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfjob.job import Manifest, replica_name
from tfjob.manifest import build_manifest
from tfjob.settings import Overlay, of_containers, of_env, of_pods, of_run_policy
from tfjob.spec import PORT_NAME, ReplicaSpec, ReplicaType, read_container

PRELUDE = """
import json, os, pathlib, signal, subprocess, sys, time
config = json.loads(os.environ.get("TF_CONFIG", "null"))
role = "{type}-{index}".format(**config["task"]) if config else "worker-0"
def path(name): return pathlib.Path(os.environ["SHARED"], name)
def wait_for(name):
    while not path(name).exists(): time.sleep(0.01)
"""
# Fields that are no arguments of `build_manifest`.
OVERLAYS: Mapping[str, Callable[[Any], Overlay]] = {
    "env": of_env,
    "backoff_limit": lambda limit: of_run_policy(backoffLimit=limit),
    "clean_pod_policy": lambda policy: of_run_policy(cleanPodPolicy=policy),
    "ttl_seconds_after_finished": lambda seconds: of_run_policy(ttlSecondsAfterFinished=seconds),
    "suspend": lambda is_suspended: of_run_policy(suspend=is_suspended),
    "volumes": lambda volumes: of_pods(volumes=list(volumes)),
    "volume_mounts": lambda mounts: of_containers(volumeMounts=list(mounts)),
}


def make_job(
    code: str, shared: Path, *, workers: int = 1, chief: bool = False, ps: int = 0, cpus: float = 1.0, **fields: Any
) -> dict[str, Any]:
    """Returns the manifest of a job that runs `code` after `PRELUDE`, its replicas sharing a folder."""
    counts: dict[ReplicaType, int] = {"Chief": int(chief), "Worker": workers, "PS": ps}
    fields = {"env": {"SHARED": str(shared)}, **fields}
    overlays = [OVERLAYS[name](value) for name, value in fields.items() if name in OVERLAYS]
    overlays += fields.pop("overlays", ())
    return build_manifest(
        **{
            "name": "mnist",
            "image": "registry.example/speedup:1",
            "command": ("python", "-S", "-c", PRELUDE + code),
            "replicas": {name: ReplicaSpec(count=count, cpus=cpus) for name, count in counts.items() if count},
            "overlays": overlays,
            **{name: value for name, value in fields.items() if name not in OVERLAYS},
        }
    )


def service_address(manifest: Manifest, replica_type: ReplicaType, index: int) -> str:
    """Returns where a replica is reached in a cluster: the headless service that the operator makes for it."""
    metadata = manifest["metadata"]
    host = f"{metadata['name']}-{replica_name(replica_type, index)}.{metadata['namespace']}.svc"
    ports = read_container(manifest["spec"]["tfReplicaSpecs"][replica_type])["ports"]
    return f"{host}:{next(port['containerPort'] for port in ports if port['name'] == PORT_NAME)}"
