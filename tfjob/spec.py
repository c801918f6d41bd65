"""What a TFJob may be, where the training operator does not say so itself."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from tfjob.errors import SpecError

ReplicaType = Literal["Chief", "Master", "Worker", "PS", "Evaluator"]
RestartPolicy = Literal["Never", "OnFailure", "Always", "ExitCode"]
CleanPodPolicy = Literal["None", "Running", "All"]
SuccessPolicy = Literal["", "AllWorkers"]

REPLICA_TYPES: tuple[ReplicaType, ...] = get_args(ReplicaType)
# Who decides alone over the job's success, where there is one: two names of the same.
CHIEFS: tuple[ReplicaType, ...] = ("Chief", "Master")

# Names and numbers that the operator knows a TFJob's container by.
CONTAINER_NAME = "tensorflow"
PORT_NAME = "tfjob-port"
DEFAULT_PORT = 2222
GPU_RESOURCE = "nvidia.com/gpu"

# The operator appends `-worker-12` and the result must be a DNS label of at most 63 characters: jobs with longer names
# get pods but neither services nor a status.
MAX_NAME_LENGTH = 50
# Kubernetes counts CPUs in thousandths.
MIN_CPUS = 0.001

_DNS_1035_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Kubernetes allows more, but no shell hands on what it cannot name.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"(?=.*[1-9])(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>[KMGTPE]i|[kMGTPE])?")


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
            self.memory is None or is_quantity(self.memory),
            "memory must be a Kubernetes quantity such as 2Gi",
            self.memory,
        )
        _require(self.gpus >= 0, "gpus must not be negative", self.gpus)


def is_quantity(text: str) -> bool:
    """Returns whether a text is an amount above zero as Kubernetes writes it."""
    return _QUANTITY.fullmatch(text) is not None


def multiply_quantity(text: str, factor: int) -> str:
    """Returns so many times an amount that `is_quantity`, in its own unit.

    Raises:
        SpecError: It is no quantity.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise SpecError(f"{text!r} must be a Kubernetes quantity such as 2Gi.")
    return f"{(Decimal(found['number']) * factor).normalize():f}{found['unit'] or ''}"


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Checks that a TFJob has nothing that the operator's webhook lets pass but that it cannot run.

    Raises:
        SpecError: It has; the message names the field by its path.
    """
    metadata, spec = manifest["metadata"], manifest["spec"]
    name, namespace, replicas = metadata["name"], metadata["namespace"], spec["tfReplicaSpecs"]
    _require(
        _DNS_1035_LABEL.fullmatch(name) is not None,
        "metadata.name must be a DNS-1035 label: lower-case letters, digits and '-', a letter first, no '-' last",
        name,
    )
    _require(len(name) <= MAX_NAME_LENGTH, f"metadata.name must have at most {MAX_NAME_LENGTH} characters", name)
    _require(_DNS_1123_LABEL.fullmatch(namespace) is not None, "metadata.namespace must be a DNS label", namespace)
    _require_one_of("spec.successPolicy", spec["successPolicy"], get_args(SuccessPolicy))
    _check_run_policy(spec["runPolicy"])
    _require(
        not replicas.keys().isdisjoint({*CHIEFS, "Worker"}),
        "spec.tfReplicaSpecs must include a Chief or Workers, or the job could never succeed",
        sorted(replicas),
    )
    for replica_type, replica in replicas.items():
        _require_one_of("a key of spec.tfReplicaSpecs", replica_type, REPLICA_TYPES)
        _check_replica(f"spec.tfReplicaSpecs.{replica_type}", replica)
    _require(not replicas.keys() >= {*CHIEFS}, "spec.tfReplicaSpecs must not have a Chief and a Master", [*replicas])
    for chief in replicas.keys() & {*CHIEFS}:
        chiefs = replicas[chief]["replicas"]
        _require(chiefs <= 1, f"spec.tfReplicaSpecs.{chief}.replicas must be at most 1", chiefs)


def _check_run_policy(policy: Mapping[str, Any]) -> None:
    _require_one_of("spec.runPolicy.cleanPodPolicy", policy["cleanPodPolicy"], get_args(CleanPodPolicy))
    for name, least in (("backoffLimit", 0), ("activeDeadlineSeconds", 1), ("ttlSecondsAfterFinished", 0)):
        _require(policy[name] >= least, f"spec.runPolicy.{name} must be at least {least}", policy[name])


def _check_replica(path: str, replica: Mapping[str, Any]) -> None:
    _require(replica["replicas"] >= 1, f"{path}.replicas must be at least 1", replica["replicas"])
    _require_one_of(f"{path}.restartPolicy", replica["restartPolicy"], get_args(RestartPolicy))
    container = read_container(replica)
    _require(bool(container.get("image")), f"{path}: image must not be empty", container.get("image"))
    if "command" in container:  # without, the image's own entry point runs
        command = container["command"]
        _require(bool(command and command[0]), f"{path}: command must name a program", command)
    for variable in container.get("env", ()):
        check_variable(f"{path}: env", variable["name"])


def check_variable(path: str, name: str) -> None:
    """Checks that an environment variable has a name that every shell hands on.

    Raises:
        SpecError: It has not.
    """
    is_name = _VARIABLE.fullmatch(name) is not None
    _require(is_name, f"{path} must have letters, digits and '_' in its names, no digit first", name)


def read_container(replica: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the container that the operator looks at among those of a replica."""
    containers: list[Mapping[str, Any]] = replica["template"]["spec"]["containers"]
    return next(container for container in containers if container["name"] == CONTAINER_NAME)


def _require(is_met: bool, expectation: str, received: object) -> None:
    if not is_met:
        raise SpecError(f"{expectation}. Received: {received!r}")


def _require_one_of(what: str, received: str, known: Collection[str]) -> None:
    _require(received in known, f"{what} must be one of {', '.join(map(repr, known))}", received)
