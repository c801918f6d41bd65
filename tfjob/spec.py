"""What a training job is, before it is a manifest."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tfjob.errors import SpecError

ReplicaType = Literal["Chief", "Worker", "PS"]
RestartPolicy = Literal["Never", "OnFailure", "Always", "ExitCode"]
CleanPodPolicy = Literal["None", "Running", "All"]
SuccessPolicy = Literal["", "AllWorkers"]

REPLICA_TYPES: tuple[ReplicaType, ...] = get_args(ReplicaType)

# The operator appends `-worker-12` and the result must be a DNS label of at most 63 characters: jobs with longer names
# get pods but neither services nor a status.
MAX_NAME_LENGTH = 50
# Kubernetes counts CPUs in thousandths.
MIN_CPUS = 0.001

_DNS_1035_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Kubernetes allows more, but no shell hands on what it cannot name.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"(?=.*[1-9])[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?")


@dataclass(frozen=True, kw_only=True)
class ReplicaSpec:
    """One type of replica: how many, and what each may use.

    Args:
        count: Number of replicas.
        cpus: CPUs of each.
        memory: Memory of each as a Kubernetes quantity (`2Gi`), or None for no limit.
        gpus: NVIDIA GPUs of each.
    """

    count: int = 1
    cpus: float = 1.0
    memory: str | None = None
    gpus: int = 0

    def __post_init__(self) -> None:
        _require(self.count >= 1, "count must be at least 1", self.count)
        _require(MIN_CPUS <= self.cpus < math.inf, f"cpus must be a number from {MIN_CPUS} on", self.cpus)
        _require(
            self.memory is None or _QUANTITY.fullmatch(self.memory) is not None,
            "memory must be a Kubernetes quantity such as 2Gi",
            self.memory,
        )
        _require(self.gpus >= 0, "gpus must not be negative", self.gpus)


@dataclass(frozen=True, kw_only=True)
class TFJobSpec:
    """A TFJob. What the operator's webhook lets pass but cannot run is refused here.

    Args:
        name: DNS-1035 label of at most 50 characters.
        image: Container image of every replica.
        command: Program and arguments of every replica; its role comes from TF_CONFIG.
        replicas: What to run, by type.
        namespace: Where.
        env: Environment variables: a value, or a Kubernetes `valueFrom` source.
        restart_policy: What happens to a replica that ended: OnFailure and Always restart it in place, ExitCode
            recreates it after codes of 128 and above, Never fails the job.
        backoff_limit: Number of restarts, over all running replicas, at which the job fails. The operator compares
            with ≥, so that 1 allows as few as 0: none.
        active_deadline_seconds: How long the job may take.
        clean_pod_policy: Which pods are deleted when the job has ended.
        ttl_seconds_after_finished: When the job itself is deleted.
        success_policy: Without a Chief: done when worker 0 is (the empty string) or when all workers are.
        volumes: Kubernetes volumes of every pod.
        volume_mounts: Where the container mounts them.
        labels: Of the job and its pods.
        annotations: Likewise.
        tolerations: Kubernetes tolerations of every pod.
        node_selector: Labels of the nodes to run on.
        affinity: Kubernetes affinity of every pod.
        priority_class_name: Priority class of every pod.
        image_pull_secrets: Names of the secrets that pull the image.
        extended_resources: Further resources of each replica, `rdma/hca` say, by amount.
        scheduling_policy: The run policy's `schedulingPolicy`, for a gang scheduler.
        suspend: Whether the job waits until a queue admits it.
    """

    name: str
    image: str
    command: tuple[str, ...]
    replicas: Mapping[ReplicaType, ReplicaSpec]
    namespace: str = "default"
    env: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    restart_policy: RestartPolicy = "OnFailure"
    backoff_limit: int = 6
    active_deadline_seconds: int = 3600
    clean_pod_policy: CleanPodPolicy = "Running"
    ttl_seconds_after_finished: int = 86400
    success_policy: SuccessPolicy = ""
    volumes: tuple[Mapping[str, Any], ...] = ()
    volume_mounts: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: Mapping[str, Any] | None = None
    priority_class_name: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    extended_resources: Mapping[str, str] = field(default_factory=dict)
    scheduling_policy: Mapping[str, Any] | None = None
    suspend: bool = False

    def __post_init__(self) -> None:
        self._check_names()
        self._check_replicas()
        _require_one_of("restart_policy", self.restart_policy, get_args(RestartPolicy))
        _require_one_of("clean_pod_policy", self.clean_pod_policy, get_args(CleanPodPolicy))
        _require_one_of("success_policy", self.success_policy, get_args(SuccessPolicy))
        _require(self.backoff_limit >= 0, "backoff_limit must not be negative", self.backoff_limit)
        _require(
            self.active_deadline_seconds >= 1, "active_deadline_seconds must be positive", self.active_deadline_seconds
        )
        _require(
            self.ttl_seconds_after_finished >= 0,
            "ttl_seconds_after_finished must not be negative",
            self.ttl_seconds_after_finished,
        )

    def _check_names(self) -> None:
        _require(
            _DNS_1035_LABEL.fullmatch(self.name) is not None,
            "name must be a DNS-1035 label: lower-case letters, digits and '-', a letter first, no '-' last",
            self.name,
        )
        _require(len(self.name) <= MAX_NAME_LENGTH, f"name must have at most {MAX_NAME_LENGTH} characters", self.name)
        _require(_DNS_1123_LABEL.fullmatch(self.namespace) is not None, "namespace must be a DNS label", self.namespace)
        _require(bool(self.image), "image must not be empty", self.image)
        _require(
            bool(self.command) and bool(self.command[0]),
            "command must be a non-empty tuple of program and arguments",
            self.command,
        )

        for variable in self.env:
            _require(
                _VARIABLE.fullmatch(variable) is not None,
                "env must have letters, digits and '_' in its names, no digit first",
                variable,
            )

    def _check_replicas(self) -> None:
        for replica_type in self.replicas:
            _require_one_of("a replica's type", replica_type, REPLICA_TYPES)
        chiefs = self.replicas["Chief"].count if "Chief" in self.replicas else 0
        _require(chiefs <= 1, "there must be at most one Chief", chiefs)
        _require(
            "Chief" in self.replicas or "Worker" in self.replicas,
            "replicas must include a Chief or Workers, or the job could never succeed",
            sorted(self.replicas),
        )


def _require(is_met: bool, expectation: str, received: object) -> None:
    if not is_met:
        raise SpecError(f"{expectation}. Received: {received!r}")


def _require_one_of(what: str, received: str, known: Collection[str]) -> None:
    _require(received in known, f"{what} must be one of {', '.join(map(repr, known))}", received)
