"""What is laid over a job's manifest: what a person typed, and what KFP hands a step for the job that it launches."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfjob.errors import SpecError
from tfjob.settings.fit import (
    fit_annotations,
    fit_label,
    fit_labels,
    fit_model,
    fit_name,
    fit_quantity,
    fit_text,
    refuse,
)
from tfjob.settings.overlay import Overlay, of_containers, of_env, of_metadata, of_pods, of_run_policy
from tfjob.spec import CONTAINER_NAME, GPU_RESOURCE, check_variable

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
# Resources that the replicas' own specification gives.
_OWN_RESOURCES = ("cpu", "memory")


def queue_in(name: str) -> Overlay:
    """Returns what lets a job wait for its admission by Kueue's LocalQueue of that name; by none if it is empty."""
    if not name:
        return Overlay()
    labels = {"labels": {QUEUE_LABEL: name}}
    # Kueue's webhook suspends it, too; without Kueue the job must not run past its queue.
    return Overlay(job={"metadata": labels, "spec": {"runPolicy": {"suspend": True}}}, template={"metadata": labels})


_TEXT, _OBJECT, _ARRAY = (str, "string"), (dict, "object"), (list, "array")
# What a person may set: its JSON type, and what is laid over the manifest for it, of where it was typed and its value.
_SETTINGS: Mapping[str, tuple[tuple[type[Any], str], Callable[[str, Any], Overlay]]] = {
    "queue_name": (_TEXT, lambda path, name: queue_in(fit_label(path, name))),
    "priority_class_name": (_TEXT, lambda _, name: of_pods(priorityClassName=name)),
    "service_account": (_TEXT, lambda path, name: of_pods(serviceAccountName=fit_name(path, name))),
    "scheduling_policy": (
        _OBJECT,
        lambda path, policy: of_run_policy(schedulingPolicy=fit_model(path, "KubeflowOrgV1SchedulingPolicy", policy)),
    ),
    "node_selector": (_OBJECT, lambda path, labels: of_pods(nodeSelector=fit_labels(path, labels))),
    "tolerations": (_ARRAY, lambda path, items: of_pods(tolerations=_fit_each(path, items, _fit_toleration))),
    "affinity": (_OBJECT, lambda path, affinity: of_pods(affinity=fit_model(path, "V1Affinity", affinity))),
    "labels": (_OBJECT, lambda path, labels: of_metadata(labels=fit_labels(path, labels))),
    "annotations": (_OBJECT, lambda path, notes: of_metadata(annotations=fit_annotations(path, notes))),
    "env": (_OBJECT, lambda path, variables: of_env(_fit_env(path, variables))),
    "image_pull_secrets": (_ARRAY, lambda path, names: of_pods(imagePullSecrets=_fit_secrets(path, names))),
    "extended_resources": (
        _OBJECT,
        lambda path, amounts: of_containers(resources=_further(_fit_amounts(path, amounts))),
    ),
}
# What processes of this machine get, too.
_HERE = ("env",)
_SHOWN = len('{"env":{"A":')
# As kubectl writes taints: key, key=value, either with an effect.
_TAINT = re.compile(r"(?P<key>[^=:]+)(=(?P<value>[^=:]*))?(:(?P<effect>[^=:]+))?")


def parse_job_settings(text: str) -> list[Overlay]:
    """Returns what a person set on the TFJobs, in the types that Kubernetes wants.

    Args:
        text: A JSON object. `queue_name` stands for Kueue's label and a job that waits for its admission.

    Raises:
        SpecError: It is no such object, or a setting is not known or cannot be; the message has the mistake's path.
    """
    overlays = []
    for name, value in _parse(text).items():
        if name not in _SETTINGS:
            raise SpecError(f"{_expect()}. Received: {name!r}")
        (kind, kind_name), lay = _SETTINGS[name]
        if not isinstance(value, kind):
            refuse(f"job_settings.{name}", f"must be a JSON {kind_name}", value)
        overlays.append(lay(f"job_settings.{name}", value))
    return overlays


def read_node_labels(text: str) -> dict[str, str] | None:
    """Returns the labels of the nodes that a person's settings choose; None where an affinity chooses among them, too.

    Args:
        text: A JSON object, as `parse_job_settings` takes it.

    Raises:
        SpecError: It is no such object.
    """
    settings = _parse(text)
    if settings.get("affinity"):
        return None
    return fit_labels("job_settings.node_selector", settings.get("node_selector", {}))


def describe_settings_here(text: str) -> str | None:
    """Returns which of a person's settings have no effect on processes of this machine; None where all have."""
    settings = _parse(text)
    sources = [f"env.{name}" for name, value in settings.get("env", {}).items() if isinstance(value, Mapping)]
    idle = [name for name, value in settings.items() if value and name not in _HERE] + sources
    return f"on this machine these job_settings have no effect: {', '.join(idle)}" if idle else None


def _expect() -> str:
    return f"job_settings must be a JSON object with any of {', '.join(_SETTINGS)}"


def _parse(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except RecursionError:
        raise SpecError(f"{_expect()}, not nested so deeply. Received: {_begin(text)!r}") from None
    except ValueError as error:
        raise SpecError(f"{_expect()}: {error}. Received: {_begin(text)!r}") from None
    if not isinstance(settings, dict):
        raise SpecError(f"{_expect()}. Received: {_begin(text)!r}")
    return settings


def _begin(text: str) -> str:
    """Returns the beginning of a text, too short to hold the value of a variable, which may be secret."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _fit_each(path: str, items: Sequence[Any], fit: Callable[[str, Any], Any]) -> list[Any]:
    return [fit(f"{path}[{index}]", item) for index, item in enumerate(items)]


def _fit_toleration(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, str):
        return fit_model(path, "V1Toleration", value)
    found = _TAINT.fullmatch(value)
    if found is None:
        refuse(path, "must be an object or a taint such as key=value:NoSchedule", value)
    fields = {name: part for name, part in found.groupdict().items() if part is not None}
    return fit_model(path, "V1Toleration", {**fields, "operator": "Equal" if "value" in fields else "Exists"})


def _fit_env(path: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    for name in variables:
        check_variable(path, name)
    return {name: _fit_variable(f"{path}.{name}", value) for name, value in variables.items()}


def _fit_variable(path: str, value: Any) -> str | dict[str, Any]:
    if value is None or isinstance(value, list):  # not shown: it may hold what is secret
        refuse(path, "must be text, a number, true or false", type(value).__name__)
    if not isinstance(value, Mapping):
        return fit_text(path, value)
    source = fit_model(path, "V1EnvVarSource", value)
    if len(source) != 1:
        refuse(path, "must have one source", value)
    return source


def _fit_secrets(path: str, names: Sequence[Any]) -> list[dict[str, Any]]:
    objects = [{"name": name} if isinstance(name, str) else name for name in names]
    fitted = _fit_each(path, objects, lambda place, item: fit_model(place, "V1LocalObjectReference", item))
    for index, item in enumerate(fitted):
        if not item.get("name"):
            refuse(f"{path}[{index}]", "must be the name of a secret", names[index])
    return list({item["name"]: item for item in fitted}.values())


def _fit_amounts(path: str, amounts: Mapping[str, Any]) -> dict[str, str]:
    for name in amounts:
        if name == GPU_RESOURCE:
            refuse(f"{path}.{name}", "must be left out: it is the parameter gpus_per_replica", amounts[name])
        if name not in _OWN_RESOURCES and not ("/" in name or name.startswith("hugepages-")):
            refuse(path, "must have names such as rdma/hca or hugepages-2Mi", name)
    return {name: fit_quantity(f"{path}.{name}", amounts[name]) for name in fit_annotations(path, amounts)}


def read_task_config(task_config: Any) -> Overlay:
    """Returns what KFP's TaskConfig, which is empty outside of a cluster, gives to the replicas.

    Args:
        task_config: A `dsl.TaskConfig`: what the step's task was given with `task_config_passthroughs`.

    Raises:
        SpecError: It gives CPUs or memory, which are parameters of the pipeline, since the comparison depends on them.
    """
    resources = task_config.resources or {}
    # KFP has requests for CPUs and memory alone. It gives them to these jobs, and not to the step that launches them.
    _refuse_own(resources.get("requests") or {})
    container = {
        "env": [_env_variable(variable) for variable in task_config.env or ()],
        "volumeMounts": task_config.volume_mounts,
        "resources": _further(resources.get("limits") or {}),
    }
    pod = {
        "containers": [{"name": CONTAINER_NAME, **_given(container)}],
        "volumes": task_config.volumes,
        "tolerations": task_config.tolerations,
        "nodeSelector": task_config.node_selector,
        "affinity": task_config.affinity,
    }
    return of_pods(**_whole(_given(pod)))


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _further(amounts: Mapping[str, str]) -> dict[str, Any]:
    """Returns the `resources` that give a container more than the replicas' own."""
    _refuse_own(amounts)
    return {"limits": amounts, "requests": amounts}


def _refuse_own(amounts: Mapping[str, str]) -> None:
    own = sorted(name for name in _OWN_RESOURCES if name in amounts)
    if own:
        raise SpecError(
            f"The training steps must not be given {' and '.join(own)} of their own: every replica gets the parameters "
            f"cpus_per_replica and memory_per_replica. Received: {amounts!r}"
        )


def _env_variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    given = "valueFrom" if "valueFrom" in variable else "value"
    return {"name": variable["name"], given: variable.get(given, "")}


def _whole(value: Any) -> Any:
    """Returns a JSON value with the integers that KFP made floats of."""
    if isinstance(value, Mapping):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
