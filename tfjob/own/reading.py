"""Which document is the TFJob, and what in it the operator would reject or cannot run."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from tfjob.errors import SpecError
from tfjob.own.checks import Json, check_replica, mapping, require_one_of, shorten
from tfjob.settings import fit_annotations, fit_labels, refuse
from tfjob.spec import CHIEFS, CONTAINER_NAME, REPLICA_TYPES, ReplicaType, SuccessPolicy

API_VERSION, KIND = "kubeflow.org/v1", "TFJob"
# The fields that the operator's CRD has; it drops others without a word.
# Source: training-operator v1.9.3, manifests/base/crds/kubeflow.org_tfjobs.yaml.
SPEC_FIELDS = ("enableDynamicWorker", "runPolicy", "successPolicy", "tfReplicaSpecs")
POLICY_FIELDS = (
    "activeDeadlineSeconds",
    "backoffLimit",
    "cleanPodPolicy",
    "managedBy",
    "schedulingPolicy",
    "suspend",
    "ttlSecondsAfterFinished",
)
_REPLICA_FIELDS = ("replicas", "restartPolicy", "template")
# A shell's own syntax: without any of it a command is run without a shell, which hears signals itself.
_POLICY_KINDS: Mapping[str, tuple[type, str]] = {
    "backoffLimit": (int, "a whole number"),
    "suspend": (bool, "true or false"),
}
_SHELL_SYNTAX = frozenset("|&;<>()$`*?~#\n")


@dataclass(frozen=True)
class Found:
    """A TFJob among the documents of a text.

    Args:
        name: Its own name; empty where it has none.
        metadata: What of its metadata a trial's job has, too: labels and annotations.
        spec: Its `spec` as the CRD knows it, the replicas under the types' own names.
        dropped: Paths of fields that the CRD does not know.
        others: The other documents.
        document: All of the TFJob, as it came.
    """

    name: str
    metadata: Json
    spec: Json
    dropped: list[str]
    others: list[Json]
    document: Json


def find_job(documents: Sequence[Any]) -> Found:
    """Returns the one TFJob among documents, checked.

    Raises:
        SpecError: There is none, or more than one, or it is none that the operator could run.
    """
    for index, document in enumerate(documents):
        if not isinstance(document, Mapping):
            refuse(f"document {index + 1}", "must be an object with apiVersion and kind", shorten(document))
    jobs = [document for document in documents if document.get("kind") == KIND]
    if len(jobs) != 1:
        _refuse_number(jobs, documents)
    (job,) = jobs
    if job.get("apiVersion") != API_VERSION:
        refuse("apiVersion", f"must be {API_VERSION}, where policies are in spec.runPolicy", job.get("apiVersion"))
    return _read(_copy(job), [document for document in documents if document is not job])


def make_job(command: str) -> Found:
    """Returns a job of workers that run a command, in an image that is still to be said."""
    container = {
        "name": CONTAINER_NAME,
        "command": split_command(command),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    no_istio = {"sidecar.istio.io/inject": "false"}
    template = {"metadata": {"labels": no_istio, "annotations": no_istio}, "spec": pod}
    spec = {"runPolicy": {}, "successPolicy": "", "tfReplicaSpecs": {"Worker": {"replicas": 1, "template": template}}}
    return Found("", {}, spec, [], [], {"spec": spec})


def replace_command(found: Found, command: str) -> None:
    """Lets the container that trains run another command, in all replicas."""
    for replica in found.spec["tfReplicaSpecs"].values():
        container = find_container(replica)
        container["command"] = split_command(command)
        container.pop("args", None)


def split_command(command: str) -> list[str]:
    """Returns a command as a list: its words, or a shell with it where it has a shell's syntax.

    Raises:
        SpecError: It has no end of a quotation, or no word at all.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        refuse("command", f"must be a command as a shell takes it ({error})", command)
    if not words or "\0" in command:
        refuse("command", "must name a program", command)
    is_for_shell = not _SHELL_SYNTAX.isdisjoint(command) or "=" in words[0]
    return ["sh", "-c", command] if is_for_shell else words


def find_container(replica: Mapping[str, Any]) -> Json:
    """Returns the container whose end is the replica's end."""
    containers: list[Json] = replica["template"]["spec"]["containers"]
    return next(container for container in containers if container["name"] == CONTAINER_NAME)


def _refuse_number(jobs: Sequence[Any], documents: Sequence[Json]) -> None:
    kinds = [f"{document.get('kind')} ({document.get('apiVersion')})" for document in documents]
    if any(document.get("kind") == "Experiment" for document in documents):
        raise SpecError(
            "The manifest must be a TFJob. Received a Katib experiment: take the TFJob from its "
            "spec.trialTemplate.trialSpec, with a value in place of each ${trialParameters.…}"
        )
    received = ", ".join(kinds) or "nothing"
    raise SpecError(
        f"The manifest must have one document of kind {KIND} and apiVersion {API_VERSION}. Received {len(jobs)} of "
        f"that kind among: {received}"
    )


def _read(job: Json, others: list[Json]) -> Found:
    metadata = mapping("metadata", job.get("metadata", {}))
    spec = mapping("spec", job.get("spec"))
    policy = mapping("spec.runPolicy", spec.get("runPolicy", {}))
    dropped = [f"spec.{name}" for name in spec if name not in SPEC_FIELDS]
    dropped += [f"spec.runPolicy.{name}" for name in policy if name not in POLICY_FIELDS]
    for name, (wanted, words) in _POLICY_KINDS.items():
        if name in policy and type(policy[name]) is not wanted:
            refuse(f"spec.runPolicy.{name}", f"must be {words}", shorten(policy[name]))
    success = spec.get("successPolicy", "")
    require_one_of("spec.successPolicy", success, get_args(SuccessPolicy))
    replicas: Json = {}
    path = "spec.tfReplicaSpecs"
    for key, replica in mapping(path, spec.get("tfReplicaSpecs")).items():
        kind = _find_type(f"{path}.{key}", key)
        if kind in replicas:
            refuse(path, f"must have {kind} once, in whatever case", [*spec["tfReplicaSpecs"]])
        replicas[kind] = check_replica(f"{path}.{key}", replica)
        dropped += [f"{path}.{key}.{name}" for name in replica if name not in _REPLICA_FIELDS]
    if replicas.keys() >= {*CHIEFS}:
        refuse(path, "must not have both a Chief and a Master", [*replicas])
    if replicas.keys().isdisjoint({*CHIEFS, "Worker"}):
        refuse(path, "must have Workers, or a Chief or Master", [*replicas])
    kept = {
        "runPolicy": {name: value for name, value in policy.items() if name in POLICY_FIELDS},
        "successPolicy": success,
        "tfReplicaSpecs": replicas,
    }
    if spec.get("enableDynamicWorker"):
        kept["enableDynamicWorker"] = True
    noted = fit_annotations("metadata.annotations", mapping("metadata.annotations", metadata.get("annotations", {})))
    notes = {name: value for name, value in noted.items() if not name.startswith("kubectl.kubernetes.io/")}
    labels = fit_labels("metadata.labels", mapping("metadata.labels", metadata.get("labels", {})))
    name = metadata.get("name") or metadata.get("generateName") or ""
    return Found(str(name), {"labels": labels, "annotations": notes}, kept, dropped, others, job)


def _find_type(path: str, key: str) -> ReplicaType:
    """Returns the type that a key names: the operator takes it in whatever case."""
    kinds = {kind.lower(): kind for kind in REPLICA_TYPES}
    if key.lower() not in kinds:
        refuse(path, f"must be one of {', '.join(REPLICA_TYPES)}", key)
    return kinds[key.lower()]


def _copy(value: Any) -> Any:
    """Returns a value of which no part is shared, as YAML's aliases are, without what is null."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items() if item is not None}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def visit_texts(replicas: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the texts in which placeholders are filled in, each with its path: commands, arguments, variables."""
    texts = []
    for kind, replica in replicas.items():
        for group in ("initContainers", "containers"):
            for container in replica["template"]["spec"].get(group, ()):
                path = f"{kind}.{container['name']}"
                for field in ("command", "args"):
                    texts += [(f"{path}.{field}", text) for text in container.get(field, ())]
                variables = container.get("env", ())
                texts += [(f"{path}.env.{item['name']}", item["value"]) for item in variables if item.get("value")]
    return texts
