"""What of a person's TFJob is not as it seems, or does not follow the number of workers."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tfjob.own.checks import Json
from tfjob.own.placeholders import describe_near_misses, find_placeholders
from tfjob.own.reading import POLICY_FIELDS, Found, find_container, visit_texts
from tfjob.spec import CHIEFS, CONTAINER_NAME

# The label by which the operator's pods know their job, and its older names.
JOB_LABELS = ("training.kubeflow.org/job-name", "job-name", "tf-job-name")
_WORKERS = r"(?:(?:num|n|nb|number[-_]of)?[-_]?(?:workers?|replicas|nodes)|(?:num|n)[-_]?ps|world[-_]size)"
_COUNT_NAME = re.compile(_WORKERS, re.IGNORECASE)
_COUNT_OPTION = re.compile(rf"(?<![\w-])--?({_WORKERS})[=\s]+(\d+)(?!\S)", re.IGNORECASE)
_GANG = re.compile(r"pod-?group|min-?(available|member)", re.IGNORECASE)
# Volumes that outlive a pod, by the field that says so.
_SHARED_VOLUMES = {
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
    "nfs": "path",
    "azureFile": "shareName",
    "cephfs": "path",
    "glusterfs": "path",
}
_READ_WRITE_ONCE = ("ReadWriteOnce", "ReadWriteOncePod")


def find_doubts(found: Found) -> list[str]:
    """Returns what a person should know before their TFJob is run with other numbers of workers."""
    replicas = found.spec["tfReplicaSpecs"]
    told = [
        *_tell_dropped(found),
        *(f"{_name(other)}, in the same file, is not applied: apply it yourself" for other in found.others),
        *_tell_metadata(found),
        *_tell_policies(found.spec),
        *_tell_replicas(found.spec),
        *_tell_texts(replicas),
        *_tell_options(replicas),
    ]
    for kind, replica in replicas.items():
        told += _tell_pod(f"{kind}.template", replica["template"], found)
    return list(dict.fromkeys(told))


def _tell_dropped(found: Found) -> Iterator[str]:
    for path in found.dropped:
        name = path.rpartition(".")[2]
        belongs = f": it belongs in spec.runPolicy.{name}" if name in POLICY_FIELDS else ""
        yield f"{path} is no field of a TFJob and has no effect, the API server drops it{belongs}"


def _name(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{document.get('kind')} {name}" if name else f"{document.get('kind')}"


def _tell_metadata(found: Found) -> Iterator[str]:
    namespace = found.document.get("metadata", {}).get("namespace")
    if namespace:
        yield (
            f"metadata.namespace {namespace} is not kept: trials run in the run's own namespace, where claims, secrets "
            "and service accounts of the manifest must be"
        )
    for path, labels in _list_labels(found):
        for key, value in labels.items():
            if _GANG.search(key):
                yield f"{path}.{key}: {value!r} does not follow the number of workers, and all trials share it"


def _list_labels(found: Found) -> Iterator[tuple[str, Mapping[str, Any]]]:
    places = [("metadata", found.metadata)]
    for kind, replica in found.spec["tfReplicaSpecs"].items():
        places.append((f"{kind}.template.metadata", replica["template"].get("metadata", {})))
    for path, metadata in places:
        for name in ("labels", "annotations"):
            if isinstance(metadata.get(name), Mapping):
                yield f"{path}.{name}", metadata[name]


def _tell_policies(spec: Json) -> Iterator[str]:
    policy = spec["runPolicy"]
    scheduling = policy.get("schedulingPolicy")
    least = scheduling.get("minAvailable") if isinstance(scheduling, Mapping) else None
    if least is not None:
        total = sum(replica["replicas"] for replica in spec["tfReplicaSpecs"].values())
        is_all = least == total
        follows = "is all replicas, and follows their number" if is_all else "does not follow the number of workers"
        yield f"spec.runPolicy.schedulingPolicy.minAvailable {least} {follows}"
    if policy.get("suspend") is True:
        yield "spec.runPolicy.suspend is kept: each trial waits until something, such as Kueue, resumes it"
    policies = {replica.get("restartPolicy", "Never") for replica in spec["tfReplicaSpecs"].values()}
    if policies != {"Never"}:
        names = ", ".join(sorted(policies))
        yield f"restartPolicy {names} becomes Never: a trial whose replica was restarted has no time, and ends there"
    if spec.get("enableDynamicWorker"):
        yield "spec.enableDynamicWorker: in TF_CONFIG each worker sees itself alone, in a map, and the servers"


def _tell_replicas(spec: Json) -> Iterator[str]:
    replicas = spec["tfReplicaSpecs"]
    chief = next((kind for kind in CHIEFS if kind in replicas), None)
    if chief and "PS" not in replicas:
        yield f"a {chief} without servers trains as a worker does: say --chief-trains, else it is not counted"
    if "Evaluator" in replicas:
        yield "the Evaluator runs beside every distributed training, and not beside the single node"
    if chief and "Worker" in replicas and not runs_the_same(replicas[chief], replicas["Worker"]):
        yield (f"{chief} and Worker run different commands: the single node is a {chief} with a worker's resources")


def runs_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Returns whether two replicas run the same command in the same image."""
    fields = ("image", "command", "args")
    first, second = find_container(one), find_container(other)
    return all(first.get(field) == second.get(field) for field in fields)


def _tell_texts(replicas: Mapping[str, Any]) -> Iterator[str]:
    for path, text in visit_texts(replicas):
        yield from describe_near_misses(path, text)
        if "${trialParameters." in text:
            yield f"{path}: ${{trialParameters.…}} is Katib's and is not filled in here"
        variable = path.partition(".env.")[2]
        if variable and _COUNT_NAME.fullmatch(variable) and text.isdecimal():
            yield f'{path}: "{text}" does not follow the number of workers: write "{{workers}}" or "{{num_ps}}"'
        if variable == "TF_CONFIG":
            yield f"{path}: the operator replaces it, but in a job of one replica, where it stays"


def _tell_options(replicas: Mapping[str, Any]) -> Iterator[str]:
    """Tells of `--workers 2`, whose name and number may be two arguments."""
    whole: dict[str, list[str]] = {}
    for path, text in visit_texts(replicas):
        whole.setdefault(path, []).append(text)
    for path, texts in whole.items():
        for name, count in _COUNT_OPTION.findall(" ".join(texts)):
            yield f"{path}: {name} {count} does not follow the number of workers: write {{workers}} or {{num_ps}}"


def _tell_pod(path: str, template: Json, found: Found) -> Iterator[str]:
    pod = template["spec"]
    texts = {text for _, text in visit_texts({"": {"template": template}})}
    unfilled = [text for text in _list_texts(template) if text not in texts and find_placeholders([text])]
    for text in unfilled:
        yield f"{path}: {text!r} is not filled in: placeholders have a meaning in command, args and env alone"
    for volume in pod.get("volumes", ()):
        yield from _tell_volume(f"{path}.spec.volumes.{volume['name']}", volume, found.others)
    if pod.get("hostNetwork"):
        yield (
            f"{path}.spec.hostNetwork: replicas of one node would have the same port, and a trial may meet the port of "
            "the one before"
        )
    for other in pod.get("containers", ()):
        if other["name"] != CONTAINER_NAME:
            yield (
                f"{path}.spec.containers.{other['name']} runs beside the training and takes part of its CPUs; the end "
                f"of {CONTAINER_NAME} is the replica's end, whatever it does"
            )
    if found.name and selects_job({"affinity": pod.get("affinity")}, found.name):
        yield f"{path}.spec.affinity names the job {found.name}: it follows each trial's name"


def _tell_volume(path: str, volume: Json, others: list[Json]) -> Iterator[str]:
    for kind, field in _SHARED_VOLUMES.items():
        source = volume.get(kind)
        if isinstance(source, Mapping) and not source.get("readOnly"):
            what = f"{kind} {source.get(field)}"
            yield (
                f"{path} ({what}) is shared by all trials: what one writes there, the next may find. Write to "
                "{output_dir}"
            )
            claim = f"PersistentVolumeClaim {source.get(field)}"
            modes = next((_read_modes(other) for other in others if _name(other) == claim), ())
            if any(mode in _READ_WRITE_ONCE for mode in modes):
                yield f"{path} ({what}) can be mounted by the pods of one node alone ({', '.join(modes)})"


def _read_modes(claim: Mapping[str, Any]) -> tuple[str, ...]:
    spec = claim.get("spec")
    modes = spec.get("accessModes") if isinstance(spec, Mapping) else None
    return tuple(mode for mode in modes if isinstance(mode, str)) if isinstance(modes, list) else ()


def _list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _list_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _list_texts(item)


def selects_job(value: Any, name: str) -> bool:
    """Returns whether a selector anywhere in a value names a job by the operator's labels."""
    return bool(rename_selected(value, name, f"{name}-") != value)


def rename_selected(value: Any, before: str, name: str) -> Any:
    """Returns a value in which the selectors that name one job name another."""
    if isinstance(value, list):
        return [rename_selected(item, before, name) for item in value]
    if not isinstance(value, Mapping):
        return value
    changed = {key: rename_selected(item, before, name) for key, item in value.items()}
    changed |= {label: name for label in JOB_LABELS if value.get(label) == before}
    if value.get("key") in JOB_LABELS and isinstance(value.get("values"), list):
        changed["values"] = [name if item == before else item for item in value["values"]]
    return changed
