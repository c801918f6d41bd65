"""Parts of a TFJob as plain JSON, laid over a whole one: what a person or KFP adds to the manifest that a run makes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfjob.job import Manifest
from tfjob.spec import CONTAINER_NAME

Json = dict[str, Any]

# Lists whose items have an identity: an item takes the place of the one that has the same. Any other list is one value.
_IDENTITIES = {
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


@dataclass(frozen=True)
class Overlay:
    """What is laid over a TFJob.

    Args:
        job: Over the job itself.
        template: Over the pod template of each replica.
    """

    job: Json = field(default_factory=dict)
    template: Json = field(default_factory=dict)


def lay_over(manifest: Manifest, overlay: Overlay) -> Json:
    """Returns a TFJob with an overlay: mappings and containers merge, tolerations add up, else the overlay counts."""
    replicas = manifest["spec"]["tfReplicaSpecs"]
    templates = {name: {"template": overlay.template} for name in replicas}
    merged: Json = _merge(_merge(manifest, overlay.job), {"spec": {"tfReplicaSpecs": templates}})
    return merged


def of_metadata(**metadata: Mapping[str, str]) -> Overlay:
    """Returns an overlay on the `metadata` of the job and of its pods: labels, annotations."""
    return Overlay(job={"metadata": metadata}, template={"metadata": metadata})


def of_run_policy(**policy: Any) -> Overlay:
    """Returns an overlay on the job's `runPolicy`."""
    return Overlay(job={"spec": {"runPolicy": policy}})


def of_pods(**spec: Any) -> Overlay:
    """Returns an overlay on the `spec` of all pods."""
    return Overlay(template={"spec": spec})


def of_containers(**container: Any) -> Overlay:
    """Returns an overlay on the container that trains, in all pods."""
    return of_pods(containers=[{"name": CONTAINER_NAME, **container}])


def of_env(variables: Mapping[str, str | Mapping[str, Any]]) -> Overlay:
    """Returns an overlay that sets environment variables, each to a value or to a Kubernetes `valueFrom` source."""
    env = [
        {"name": name, "value" if isinstance(value, str) else "valueFrom": value} for name, value in variables.items()
    ]
    return of_containers(env=env)


def list_variables(overlays: Iterable[Overlay]) -> list[str]:
    """Returns the names of the environment variables that overlays set on the container that trains."""
    containers = [own for overlay in overlays for own in overlay.template.get("spec", {}).get("containers", ())]
    named = [variable["name"] for own in containers if own["name"] == CONTAINER_NAME for variable in own.get("env", ())]
    return list(dict.fromkeys(named))


def _merge(base: Any, over: Any, name: str = "") -> Any:
    """Returns a value with what is laid over it; `name` is that of the field which holds both."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        added = {key: _merge(base[key], value, key) if key in base else value for key, value in over.items()}
        return {**base, **added}
    if not (isinstance(base, list) and isinstance(over, list)):
        return over
    if name in _IDENTITIES:
        identity = _IDENTITIES[name]
        items = {item[identity]: item for item in base}
        for item in over:
            # Containers alone are merged: a variable with both a value and a source would be none.
            known = items.get(item[identity], {}) if name == "containers" else {}
            items[item[identity]] = _merge(known, item)
        return list(items.values())
    return [*base, *over] if name == "tolerations" else over
