"""Further settings of a job, from what a person typed and from what KFP hands a step for the job that it launches."""

import json
from collections.abc import Mapping
from typing import Any

from tfjob.errors import SpecError

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
# Resources that the replicas' own specification gives.
_OWN_RESOURCES = ("cpu", "memory")
_JSON_NAMES = {"str": "string", "dict": "object", "list": "array"}
_TYPES: Mapping[str, type[Any]] = {
    "queue_name": str,
    "priority_class_name": str,
    "scheduling_policy": dict,
    "node_selector": dict,
    "tolerations": list,
    "affinity": dict,
    "labels": dict,
    "annotations": dict,
    "env": dict,
    "image_pull_secrets": list,
    "extended_resources": dict,
}


def parse_job_settings(text: str) -> dict[str, Any]:
    """Returns fields of `TFJobSpec` from their JSON.

    Args:
        text: A JSON object. `queue_name` stands for Kueue's label and a job that waits for its admission; every other
            name is a field of `TFJobSpec`.

    Raises:
        SpecError: It is no such object.
    """
    expected = f"job_settings must be a JSON object with any of {', '.join(_TYPES)}"
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{expected}: {error}. Received: {text!r}") from None
    if not isinstance(settings, dict):
        raise SpecError(f"{expected}. Received: {text!r}")
    for name, value in settings.items():
        if name not in _TYPES:
            raise SpecError(f"{expected}. Received: {name!r}")
        if not isinstance(value, _TYPES[name]):
            raise SpecError(
                f"job_settings: {name} must be a JSON {_JSON_NAMES[_TYPES[name].__name__]}. Received: {value!r}"
            )
    queue = settings.pop("queue_name", None)
    if queue:
        settings["labels"] = {**settings.get("labels", {}), QUEUE_LABEL: queue}
        settings["suspend"] = True  # Kueue's webhook says so, too; without Kueue the job must not run past its queue
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def read_task_config(task_config: Any) -> dict[str, Any]:
    """Returns fields of `TFJobSpec` from KFP's TaskConfig, which is empty outside of a cluster.

    Args:
        task_config: A `dsl.TaskConfig`: what the step's task was given with `task_config_passthroughs`.

    Raises:
        SpecError: It gives CPUs or memory, which are parameters of the pipeline, since the comparison depends on them.
    """
    resources = (task_config.resources or {}).get("limits", {})
    own = sorted(name for name in _OWN_RESOURCES if name in resources)
    if own:
        raise SpecError(
            f"The training steps must not be given {' and '.join(own)} of their own: every replica gets the parameters "
            f"cpus_per_replica and memory_per_replica. Received: {resources!r}"
        )
    fields = {
        "env": {variable["name"]: _env_value(variable) for variable in task_config.env or ()},
        "volumes": tuple(_whole(task_config.volumes or ())),
        "volume_mounts": tuple(task_config.volume_mounts or ()),
        "tolerations": tuple(_whole(task_config.tolerations or ())),
        "node_selector": task_config.node_selector or {},
        "affinity": _whole(task_config.affinity),
        "extended_resources": resources,
    }
    return {name: value for name, value in fields.items() if value}


def merge_fields(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of all parts: lists and mappings joined, else the last one's."""
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, Mapping) and name != "affinity":
                merged[name] = {**merged.get(name, {}), **value}
            elif isinstance(value, tuple):
                merged[name] = (*merged.get(name, ()), *value)
            else:
                merged[name] = value
    return merged


def _env_value(variable: Mapping[str, Any]) -> Any:
    return variable["valueFrom"] if "valueFrom" in variable else variable.get("value", "")


def _whole(value: Any) -> Any:
    """Returns a JSON value with the integers that KFP made floats of."""
    if isinstance(value, Mapping):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
