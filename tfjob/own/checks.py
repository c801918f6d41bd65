"""What the API server or the operator would reject in a TFJob, told before it is submitted, by the field's path."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from tfjob.errors import SpecError
from tfjob.job import parse_cpus
from tfjob.settings import fit_quantity, refuse
from tfjob.spec import CONTAINER_NAME, GPU_RESOURCE, RestartPolicy, check_variable

Json = dict[str, Any]

MAX_REPLICAS = 10_000
_SHOWN = 60


def check_replica(path: str, replica: Any) -> Json:
    """Returns what the operator knows of a replica's specification, checked."""
    count = mapping(path, replica).get("replicas", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_REPLICAS:
        refuse(f"{path}.replicas", f"must be a whole number from 1 to {MAX_REPLICAS}", shorten(count))
    if replica.get("restartPolicy") is not None:
        require_one_of(f"{path}.restartPolicy", replica["restartPolicy"], get_args(RestartPolicy))
    template = mapping(f"{path}.template", replica.get("template"))
    pod = mapping(f"{path}.template.spec", template.get("spec"))
    where = f"{path}.template.spec"
    volumes = named(f"{where}.volumes", pod.get("volumes"))
    containers = named(f"{where}.containers", pod.get("containers"))
    if CONTAINER_NAME not in containers:
        refuse(
            f"{where}.containers", f"must have one named {CONTAINER_NAME}, which the operator looks at", [*containers]
        )
    seconds = pod.get("terminationGracePeriodSeconds", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        refuse(f"{where}.terminationGracePeriodSeconds", "must be a whole number from 0 on", shorten(seconds))
    _check_affinity(f"{where}.affinity", pod.get("affinity", {}))
    named(f"{where}.imagePullSecrets", pod.get("imagePullSecrets"))
    named(f"{where}.initContainers", pod.get("initContainers"))
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(pod.get(kind, ())):
            _check_container(f"{where}.{kind}[{index}]", container, volumes)
    kept = {name: replica[name] for name in ("restartPolicy",) if name in replica}
    return {"replicas": count, **kept, "template": template}


def _check_affinity(path: str, affinity: Any) -> None:
    for kind, rules in mapping(path, affinity).items():
        rule = "requiredDuringSchedulingIgnoredDuringExecution"
        required = mapping(f"{path}.{kind}", rules).get(rule)
        if kind != "nodeAffinity":
            listed(f"{path}.{kind}.{rule}", required)


def _check_container(path: str, container: Json, volumes: Mapping[str, Any]) -> None:
    if not isinstance(container.get("image"), str) or not container["image"]:
        refuse(f"{path}.image", "must name an image", container.get("image"))
    for name in ("command", "args"):
        _check_texts(f"{path}.{name}", container.get(name))
    for index, variable in enumerate(listed(f"{path}.env", container.get("env"))):
        _check_variable(f"{path}.env[{index}]", mapping(f"{path}.env[{index}]", variable))
    resources = mapping(f"{path}.resources", container.get("resources", {}))
    for name in ("limits", "requests"):
        amounts = mapping(f"{path}.resources.{name}", resources.get(name, {}))
        for resource, amount in amounts.items():
            _check_amount(f"{path}.resources.{name}.{resource}", resource, amount)
    for index, mount in enumerate(listed(f"{path}.volumeMounts", container.get("volumeMounts"))):
        where = f"{path}.volumeMounts[{index}]"
        if not isinstance(mapping(where, mount).get("mountPath"), str):
            refuse(f"{where}.mountPath", "must be a path", mount.get("mountPath"))
        if mount.get("name") not in [*volumes]:
            refuse(f"{where}.name", f"must be one of the pod's volumes: {', '.join(volumes)}", mount.get("name"))
    for index, port in enumerate(listed(f"{path}.ports", container.get("ports"))):
        _check_port(f"{path}.ports[{index}]", mapping(f"{path}.ports[{index}]", port))


def _check_port(path: str, port: Json) -> None:
    if not isinstance(port.get("name", ""), str):
        refuse(f"{path}.name", "must be a name", shorten(port["name"]))
    if type(port.get("containerPort", 0)) is not int:
        refuse(f"{path}.containerPort", "must be a whole number", shorten(port["containerPort"]))


def _check_amount(path: str, resource: str, amount: Any) -> None:
    quantity = fit_quantity(path, amount)
    if resource == GPU_RESOURCE and not quantity.isdecimal():
        refuse(path, "must be a whole number", amount)
    if resource == "cpu":
        try:
            parse_cpus(quantity)
        except ValueError:
            raise SpecError(f"{path} must be a number of CPUs such as 2 or 500m. Received: {amount!r}") from None


def _check_texts(path: str, texts: Any) -> None:
    if texts is None:
        return
    if not isinstance(texts, list):
        refuse(path, 'must be a list of texts such as ["sh", "-c", "…"]', texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            refuse(f"{path}[{index}]", "must be a text: put it in quotes", text)


def _check_variable(path: str, variable: Json) -> None:
    name, value = variable.get("name"), variable.get("value")
    if not isinstance(name, str):
        refuse(f"{path}.name", "must be a text", name)
    check_variable(path, name)
    if not (value is None or isinstance(value, str)):
        refuse(f"{path}.value", "must be a text: put it in quotes", value)
    source = mapping(f"{path}.valueFrom", variable.get("valueFrom", {}))
    if value and source:
        refuse(path, "must have a value or a source (valueFrom), not both", name)


def named(path: str, items: Any) -> dict[str, Json]:
    """Returns objects by their names."""
    named: dict[str, Json] = {}
    for index, item in enumerate(listed(path, items)):
        name = mapping(f"{path}[{index}]", item).get("name")
        if not isinstance(name, str) or not name or name in named:
            refuse(f"{path}[{index}].name", "must be a name that no other has", name)
        named[name] = item
    return named


def listed(path: str, value: Any) -> list[Any]:
    """Returns a value that must be a list, or absent."""
    if not (value is None or isinstance(value, list)):
        refuse(path, "must be a list", shorten(value))
    return value or []


def mapping(path: str, value: Any) -> Json:
    """Returns a value that must be an object."""
    if not isinstance(value, dict):
        refuse(path, "must be an object", shorten(value))
    return value


def require_one_of(path: str, value: Any, known: Sequence[str]) -> None:
    """Raises where a value is none of those that there are."""
    if value not in known:
        refuse(path, f"must be one of {', '.join(map(repr, known))}", value)


def shorten(value: Any) -> str:
    """Returns a value as a text that an error can show."""
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
