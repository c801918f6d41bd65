"""From a spec to the TFJob that is sent, as plain JSON."""

import math
from collections.abc import Mapping
from typing import Any

from kubeflow.training import (
    ApiClient,
    KubeflowOrgV1ReplicaSpec,
    KubeflowOrgV1RunPolicy,
    KubeflowOrgV1TFJob,
    KubeflowOrgV1TFJobSpec,
)
from kubernetes import client as k8s

from tfjob.cpus import format_cpus
from tfjob.job import CONTAINER_NAME, DEFAULT_PORT, GPU_RESOURCE, PORT_NAME
from tfjob.spec import REPLICA_TYPES, ReplicaSpec, TFJobSpec

GRACE_SECONDS = 5
# The sidecar never ends, and its mTLS breaks gRPC between replicas that are addressed by pod. Istio reads the label
# since 1.10, the annotation before.
_NO_ISTIO = {"sidecar.istio.io/inject": "false"}


def build_manifest(spec: TFJobSpec) -> dict[str, Any]:
    """Returns the TFJob of a spec: the one manifest that every backend runs."""
    job = KubeflowOrgV1TFJob(
        api_version="kubeflow.org/v1",
        kind="TFJob",
        metadata=k8s.V1ObjectMeta(
            name=spec.name,
            namespace=spec.namespace,
            labels=dict(spec.labels) or None,
            annotations=dict(spec.annotations) or None,
        ),
        spec=KubeflowOrgV1TFJobSpec(
            run_policy=KubeflowOrgV1RunPolicy(
                clean_pod_policy=spec.clean_pod_policy,
                backoff_limit=spec.backoff_limit,
                active_deadline_seconds=spec.active_deadline_seconds,
                ttl_seconds_after_finished=spec.ttl_seconds_after_finished,
                scheduling_policy=spec.scheduling_policy,
                suspend=spec.suspend or None,
            ),
            success_policy=spec.success_policy,
            tf_replica_specs={
                replica_type: _replica_spec(spec, spec.replicas[replica_type])
                for replica_type in REPLICA_TYPES
                if replica_type in spec.replicas
            },
        ),
    )
    manifest: dict[str, Any] = ApiClient().sanitize_for_serialization(job)
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


def _replica_spec(spec: TFJobSpec, replica: ReplicaSpec) -> KubeflowOrgV1ReplicaSpec:
    return KubeflowOrgV1ReplicaSpec(
        replicas=replica.count,
        restart_policy=spec.restart_policy,
        template=k8s.V1PodTemplateSpec(
            metadata=k8s.V1ObjectMeta(
                labels={**spec.labels, **_NO_ISTIO}, annotations={**spec.annotations, **_NO_ISTIO}
            ),
            spec=_pod_spec(spec, replica),
        ),
    )


def _pod_spec(spec: TFJobSpec, replica: ReplicaSpec) -> k8s.V1PodSpec:
    return k8s.V1PodSpec(
        containers=[_container(spec, replica)],
        volumes=list(spec.volumes) or None,
        tolerations=list(spec.tolerations) or None,
        node_selector=dict(spec.node_selector) or None,
        affinity=spec.affinity,
        priority_class_name=spec.priority_class_name or None,
        image_pull_secrets=[k8s.V1LocalObjectReference(name=name) for name in spec.image_pull_secrets] or None,
        # Replicas end themselves where they can; one that does not must not hold up what runs next.
        termination_grace_period_seconds=GRACE_SECONDS,
        automount_service_account_token=False,
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
        ),
    )


def _container(spec: TFJobSpec, replica: ReplicaSpec) -> k8s.V1Container:
    resources = {**spec.extended_resources, **_resources(replica)}
    return k8s.V1Container(
        name=CONTAINER_NAME,
        image=spec.image,
        image_pull_policy="IfNotPresent",
        command=list(spec.command),
        env=[_env_var(name, value) for name, value in _container_env(spec, replica).items()],
        ports=[k8s.V1ContainerPort(name=PORT_NAME, container_port=DEFAULT_PORT)],
        resources=k8s.V1ResourceRequirements(requests=resources, limits=resources),
        volume_mounts=list(spec.volume_mounts) or None,
        security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
        ),
    )


def _container_env(spec: TFJobSpec, replica: ReplicaSpec) -> dict[str, str | Mapping[str, Any]]:
    return {"PYTHONUNBUFFERED": "1", **thread_env(replica.cpus), **spec.env}


def _env_var(name: str, value: str | Mapping[str, Any]) -> k8s.V1EnvVar:
    return k8s.V1EnvVar(name=name, value=value) if isinstance(value, str) else k8s.V1EnvVar(name=name, value_from=value)


def _resources(replica: ReplicaSpec) -> dict[str, str]:
    resources = {"cpu": format_cpus(replica.cpus)}
    if replica.memory is not None:
        resources["memory"] = replica.memory
    if replica.gpus:
        resources[GPU_RESOURCE] = str(replica.gpus)
    return resources
