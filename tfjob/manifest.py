"""The TFJob that a run makes, as plain JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from kubeflow.training import (
    ApiClient,
    KubeflowOrgV1ReplicaSpec,
    KubeflowOrgV1RunPolicy,
    KubeflowOrgV1TFJob,
    KubeflowOrgV1TFJobSpec,
)
from kubernetes import client as k8s
from kubernetes.utils import parse_quantity

from tfjob.job import format_cpus
from tfjob.settings import Overlay, lay_over
from tfjob.spec import (
    CONTAINER_NAME,
    DEFAULT_PORT,
    GPU_RESOURCE,
    PORT_NAME,
    ReplicaSpec,
    ReplicaType,
    RestartPolicy,
    SuccessPolicy,
    check_manifest,
)

GRACE_SECONDS = 5
# The sidecar never ends, and its mTLS breaks gRPC between replicas that are addressed by pod. Istio reads the label
# since 1.10, the annotation before.
_NO_ISTIO = {"sidecar.istio.io/inject": "false"}

# As much as NVIDIA's own instructions give a container with several GPUs, and never more than a quarter of its memory.
_SHARED_MEMORY, _SHARED_BYTES, _SEVERAL = "shared-memory", 2**30, 2


def build_manifest(
    name: str,
    *,
    image: str,
    command: Sequence[str],
    replicas: Mapping[ReplicaType, ReplicaSpec],
    namespace: str = "default",
    restart_policy: RestartPolicy = "OnFailure",
    success_policy: SuccessPolicy = "",
    active_deadline_seconds: int = 3600,
    overlays: Iterable[Overlay] = (),
) -> dict[str, Any]:
    """Returns the one manifest of a job, which every backend runs.

    Args:
        name: DNS-1035 label of at most 50 characters.
        image: Container image of every replica.
        command: Program and arguments of every replica; its role comes from TF_CONFIG.
        replicas: What to run, by type.
        namespace: Where.
        restart_policy: What happens to a replica that ended: OnFailure and Always restart it in place, ExitCode
            recreates it after codes of 128 and above, Never fails the job.
        success_policy: Without a Chief: done when worker 0 is (the empty string) or when all workers are.
        active_deadline_seconds: How long the job may take.
        overlays: All else, laid over it one after another.

    Raises:
        SpecError: The operator could not run it.
    """
    job = KubeflowOrgV1TFJob(
        api_version="kubeflow.org/v1",
        kind="TFJob",
        metadata=k8s.V1ObjectMeta(name=name, namespace=namespace),
        spec=KubeflowOrgV1TFJobSpec(
            run_policy=KubeflowOrgV1RunPolicy(
                clean_pod_policy="Running",
                # Over all running replicas. The operator compares with ≥, so that 1 allows as few restarts as 0: none.
                backoff_limit=6,
                active_deadline_seconds=active_deadline_seconds,
                ttl_seconds_after_finished=86400,
            ),
            success_policy=success_policy,
            tf_replica_specs={
                replica_type: KubeflowOrgV1ReplicaSpec(
                    replicas=replica.count,
                    restart_policy=restart_policy,
                    template=_pod_template(image, command, replica),
                )
                for replica_type, replica in replicas.items()
            },
        ),
    )
    manifest: dict[str, Any] = reduce(lay_over, overlays, ApiClient().sanitize_for_serialization(job))
    check_manifest(manifest)
    return manifest


def thread_env(cpus: float) -> dict[str, str]:
    """Returns the environment that fits numerical libraries' thread pools to a CPU limit.

    They count the machine's cores and know nothing of limits. TensorFlow's inter-op pool has at least two threads: with
    one, a server's work can wait for itself.

    Args:
        cpus: The limit.
    """
    threads = max(1, math.ceil(cpus))
    return {
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(max(2, threads)),
    }


def share_memory(gpus: int, memory: str | None) -> dict[str, list[dict[str, Any]]]:
    """Returns the `volumes` and `volumeMounts` by which a replica's GPUs exchange data; none where it has but one.

    NCCL, within a process as between processes, does so by `/dev/shm`, of which a container has 64 MiB. What is in it
    counts as the container's memory. Pods of one node share none, whatever they mount, and use the network.

    Args:
        gpus: The GPUs of a replica.
        memory: Its memory.
    """
    if gpus < _SEVERAL:
        return {}
    size = _SHARED_BYTES if memory is None else min(_SHARED_BYTES, int(parse_quantity(memory)) // 4)
    volume = {"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": f"{size // 2**20}Mi"}}
    mount = {"name": _SHARED_MEMORY, "mountPath": "/dev/shm"}  # noqa: S108 - in the container
    return {"volumes": [volume], "volumeMounts": [mount]}


def _pod_template(image: str, command: Sequence[str], replica: ReplicaSpec) -> k8s.V1PodTemplateSpec:
    shared = share_memory(replica.gpus, replica.memory)
    return k8s.V1PodTemplateSpec(
        metadata=k8s.V1ObjectMeta(labels=_NO_ISTIO, annotations=_NO_ISTIO),
        spec=k8s.V1PodSpec(
            containers=[_container(image, command, replica, shared.get("volumeMounts"))],
            volumes=shared.get("volumes"),
            # Replicas end themselves where they can; one that does not must not hold up what runs next.
            termination_grace_period_seconds=GRACE_SECONDS,
            automount_service_account_token=False,
            security_context=k8s.V1PodSecurityContext(
                run_as_non_root=True, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
            ),
        ),
    )


def _container(
    image: str, command: Sequence[str], replica: ReplicaSpec, volume_mounts: list[dict[str, Any]] | None
) -> k8s.V1Container:
    resources = _resources(replica)
    env = {"PYTHONUNBUFFERED": "1", **thread_env(replica.cpus)}
    return k8s.V1Container(
        name=CONTAINER_NAME,
        image=image,
        image_pull_policy="IfNotPresent",
        command=list(command),
        env=[k8s.V1EnvVar(name=name, value=value) for name, value in env.items()],
        ports=[k8s.V1ContainerPort(name=PORT_NAME, container_port=DEFAULT_PORT)],
        resources=k8s.V1ResourceRequirements(requests=resources, limits=resources),
        volume_mounts=volume_mounts,
        security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
        ),
    )


def _resources(replica: ReplicaSpec) -> dict[str, str]:
    resources = {"cpu": format_cpus(replica.cpus)}
    if replica.memory is not None:
        resources["memory"] = replica.memory
    if replica.gpus:
        resources[GPU_RESOURCE] = str(replica.gpus)
    return resources
