"""What is laid over a job's manifest: what a person typed, and what KFP hands a step for the job that it launches."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tfjob.errors import SpecError
from tfjob.overlay import (
    Overlay,
    of_containers,
    of_env,
    of_metadata,
    of_pods,
    of_resources,
    of_run_policy,
)

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
# Resources that the replicas' own specification gives.
_OWN_RESOURCES = ("cpu", "memory")
_JSON_NAMES = {str: "string", dict: "object", list: "array"}
# What a person may set: its JSON type, and where in the manifest it goes. Kueue's webhook suspends a job in a queue,
# too; without Kueue the job must not run past its queue.
_SETTINGS: Mapping[str, tuple[type[Any], Callable[[Any], tuple[Overlay, ...]]]] = {
    "queue_name": (str, lambda queue: queue_in(queue) if queue else ()),
    "priority_class_name": (str, lambda name: (of_pods(priorityClassName=name),)),
    "scheduling_policy": (dict, lambda policy: (of_run_policy(schedulingPolicy=policy),)),
    "node_selector": (dict, lambda labels: (of_pods(nodeSelector=labels),)),
    "tolerations": (list, lambda tolerations: (of_pods(tolerations=tolerations),)),
    "affinity": (dict, lambda affinity: (of_pods(affinity=affinity),)),
    "labels": (dict, lambda labels: (of_metadata(labels=labels),)),
    "annotations": (dict, lambda annotations: (of_metadata(annotations=annotations),)),
    "env": (dict, lambda variables: (of_env(variables),)),
    "image_pull_secrets": (list, lambda names: (of_pods(imagePullSecrets=[{"name": name} for name in names]),)),
    "extended_resources": (dict, lambda amounts: (of_resources(_further(amounts)),)),
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
    overlays: list[Overlay] = []
    for name, value in settings.items():
        if name not in _SETTINGS:
            raise SpecError(f"{expected}. Received: {name!r}")
        kind, place = _SETTINGS[name]
        if not isinstance(value, kind):
            raise SpecError(f"job_settings: {name} must be a JSON {_JSON_NAMES[kind]}. Received: {value!r}")
        overlays += place(value)
    return overlays


def queue_in(queue: str) -> tuple[Overlay, ...]:
    """Returns what makes a job wait for its admission by Kueue's LocalQueue of that name."""
    return of_metadata(labels={QUEUE_LABEL: queue}), of_run_policy(suspend=True)


def read_task_config(task_config: Any) -> list[Overlay]:
    """Returns what KFP's TaskConfig, which is empty outside of a cluster, gives to the replicas.

    Args:
        task_config: A `dsl.TaskConfig`: what the step's task was given with `task_config_passthroughs`.

    Raises:
        SpecError: It gives CPUs or memory, which are parameters of the pipeline, since the comparison depends on them.
    """
    pod = {
        "volumes": task_config.volumes,
        "tolerations": task_config.tolerations,
        "nodeSelector": task_config.node_selector,
        "affinity": task_config.affinity,
    }
    container = {
        "env": [_env_variable(variable) for variable in task_config.env or ()],
        "volumeMounts": task_config.volume_mounts,
    }
    limits = _further((task_config.resources or {}).get("limits", {}))
    return [
        of_pods(**{name: _whole(value) for name, value in pod.items() if value}),
        of_containers(**{name: value for name, value in container.items() if value}),
        of_resources(limits),
    ]


def _further(amounts: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the resources beyond the replicas' own."""
    own = sorted(name for name in _OWN_RESOURCES if name in amounts)
    if own:
        raise SpecError(
            f"The training steps must not be given {' and '.join(own)} of their own: every replica gets the parameters "
            f"cpus_per_replica and memory_per_replica. Received: {amounts!r}"
        )
    return amounts


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
