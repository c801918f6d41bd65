"""What is laid over a job's manifest: what a person typed, and what KFP hands a step for the job that it launches."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tfjob.errors import SpecError
from tfjob.overlay import Overlay, of_containers, of_env, of_metadata, of_pods, of_run_policy
from tfjob.spec import CONTAINER_NAME

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
# What a person may set: its JSON type, and where in the manifest it goes.
_SETTINGS: Mapping[str, tuple[tuple[type[Any], str], Callable[[Any], Overlay]]] = {
    "queue_name": (_TEXT, queue_in),
    "priority_class_name": (_TEXT, lambda name: of_pods(priorityClassName=name)),
    "scheduling_policy": (_OBJECT, lambda policy: of_run_policy(schedulingPolicy=policy)),
    "node_selector": (_OBJECT, lambda labels: of_pods(nodeSelector=labels)),
    "tolerations": (_ARRAY, lambda tolerations: of_pods(tolerations=tolerations)),
    "affinity": (_OBJECT, lambda affinity: of_pods(affinity=affinity)),
    "labels": (_OBJECT, lambda labels: of_metadata(labels=labels)),
    "annotations": (_OBJECT, lambda annotations: of_metadata(annotations=annotations)),
    "env": (_OBJECT, of_env),
    "image_pull_secrets": (_ARRAY, lambda names: of_pods(imagePullSecrets=[{"name": name} for name in names])),
    "extended_resources": (_OBJECT, lambda amounts: of_containers(resources=_further(amounts))),
}


def parse_job_settings(text: str) -> list[Overlay]:
    """Returns what a person set on the TFJobs.

    Args:
        text: A JSON object. `queue_name` stands for Kueue's label and a job that waits for its admission.

    Raises:
        SpecError: It is no such object.
    """
    expected = f"job_settings must be a JSON object with any of {', '.join(_SETTINGS)}"
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{expected}: {error}. Received: {text!r}") from None
    if not isinstance(settings, dict):
        raise SpecError(f"{expected}. Received: {text!r}")
    overlays = []
    for name, value in settings.items():
        if name not in _SETTINGS:
            raise SpecError(f"{expected}. Received: {name!r}")
        (kind, kind_name), lay = _SETTINGS[name]
        if not isinstance(value, kind):
            raise SpecError(f"job_settings: {name} must be a JSON {kind_name}. Received: {value!r}")
        overlays.append(lay(value))
    return overlays


def read_task_config(task_config: Any) -> Overlay:
    """Returns what KFP's TaskConfig, which is empty outside of a cluster, gives to the replicas.

    Args:
        task_config: A `dsl.TaskConfig`: what the step's task was given with `task_config_passthroughs`.

    Raises:
        SpecError: It gives CPUs or memory, which are parameters of the pipeline, since the comparison depends on them.
    """
    container = {
        "env": [_env_variable(variable) for variable in task_config.env or ()],
        "volumeMounts": task_config.volume_mounts,
        "resources": _further((task_config.resources or {}).get("limits", {})),
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
    own = sorted(name for name in _OWN_RESOURCES if name in amounts)
    if own:
        raise SpecError(
            f"The training steps must not be given {' and '.join(own)} of their own: every replica gets the parameters "
            f"cpus_per_replica and memory_per_replica. Received: {amounts!r}"
        )
    return {"limits": amounts, "requests": amounts}


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
