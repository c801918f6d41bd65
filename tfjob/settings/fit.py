"""Values as a person types them, brought into the types that Kubernetes wants, or refused with the path of the mistake.

YAML makes a number of `4` and a boolean of `true`, where an environment variable or a label wants text; Python's names
are snake_case, Kubernetes' are camelCase.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from tfjob.errors import SpecError

_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_VALUE = re.compile(f"({_NAME})?")
_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([KMGTPE]i|[numkMGTPE])?")
_LIST, _DICT = re.compile(r"list\[(.+)\]"), re.compile(r"dict\(str, (.+)\)")
_MAX_INTEGER = 2**31 - 1
# The client takes this one for any text.
_TYPES = {("V1ResourceFieldSelector", "divisor"): "Quantity"}
# What the API server takes only when it makes the pods, which is too late to tell.
_CHOICES: Mapping[tuple[str, str], Collection[str]] = {
    ("V1Toleration", "effect"): ("", "NoSchedule", "PreferNoSchedule", "NoExecute"),
    ("V1Toleration", "operator"): ("", "Exists", "Equal"),
    ("V1NodeSelectorRequirement", "operator"): ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
    ("V1LabelSelectorRequirement", "operator"): ("In", "NotIn", "Exists", "DoesNotExist"),
}


def refuse(path: str, expectation: str, received: object) -> NoReturn:
    """Raises what tells where a mistake is and what was expected there."""
    raise SpecError(f"{path} {expectation}. Received: {received!r}")


def fit_text(path: str, value: object) -> str:
    """Returns a text, number or boolean as the text that was typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    refuse(path, "must be text, a number, true or false", value)


def fit_texts(path: str, values: Mapping[str, object]) -> dict[str, str]:
    """Returns a mapping with texts as its values."""
    return {name: fit_text(f"{path}.{name}", value) for name, value in values.items()}


def fit_annotations(path: str, values: Mapping[str, object]) -> dict[str, str]:
    """Returns annotations."""
    for name in values:
        if not _KEY.fullmatch(name):
            refuse(path, "must have names such as team or example.com/team", name)
    return fit_texts(path, values)


def fit_labels(path: str, values: Mapping[str, object]) -> dict[str, str]:
    """Returns labels."""
    labels = fit_annotations(path, values)
    for name, value in labels.items():
        fit_label(f"{path}.{name}", value)
    return labels


def fit_label(path: str, value: str) -> str:
    """Returns the value of a label."""
    if not _LABEL_VALUE.fullmatch(value):
        refuse(
            path, "must have at most 63 letters, digits, '-', '_' and '.', the first and last a letter or digit", value
        )
    return value


def fit_name(path: str, value: str) -> str:
    """Returns the name of an object of the cluster."""
    if not _DNS_NAME.fullmatch(value):
        refuse(
            path, "must be a name of lower-case letters, digits, '-' and '.', the first and last no '-' or '.'", value
        )
    return value


def fit_quantity(path: str, value: object) -> str:
    """Returns an amount as a Kubernetes quantity."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if isinstance(value, bool) else fit_text(path, value)
    if not _QUANTITY.fullmatch(text):
        refuse(path, "must be an amount such as 2, 500m or 1Gi", value)
    return text


def fit_model(path: str, kind: str, value: object) -> dict[str, Any]:
    """Returns an object of Kubernetes.

    Args:
        path: Where it was typed.
        kind: A model's name in `kubernetes.client` or `kubeflow.training`, whose fields and types count.
        value: What was typed: fields in camelCase or snake_case.

    Raises:
        SpecError: It has a field that the kind does not have or has not one that it needs, or a value cannot be what
            the field wants.
    """
    model = _find_model(kind)
    if not isinstance(value, Mapping):
        refuse(path, "must be an object", value)
    names = {camel: snake for snake, camel in model.attribute_map.items()}
    fields: dict[str, Any] = {}
    for given, item in value.items():
        field = names[given] if given in names else str(given)
        if field not in model.openapi_types:
            refuse(path, f"must have no fields but {', '.join(names)}", given)
        if field in fields:
            refuse(path, f"must have {model.attribute_map[field]} once", given)
        if item is not None:
            where = f"{path}.{given}"
            fields[field] = _fit(where, _TYPES.get((kind, field), model.openapi_types[field]), item)
            choices = _CHOICES.get((kind, field))
            if choices is not None and fields[field] not in choices:
                refuse(where, f"must be one of {', '.join(filter(None, choices))}", item)
    try:
        model(**fields)
    except ValueError as error:  # a field is missing that the client names in backquotes
        refuse(path, f"must have {model.attribute_map[str(error).split('`')[1]]}", value)
    return {model.attribute_map[field]: item for field, item in fields.items()}


def _fit(path: str, kind: str, value: object) -> Any:
    """Returns a value of one of the types that a model's fields have."""
    if found := _LIST.fullmatch(kind):
        if not isinstance(value, list):
            refuse(path, "must be an array", value)
        return [_fit(f"{path}[{index}]", found[1], item) for index, item in enumerate(value)]
    if found := _DICT.fullmatch(kind):
        if not isinstance(value, Mapping):
            refuse(path, "must be an object", value)
        return {name: _fit(f"{path}.{name}", found[1], item) for name, item in value.items()}
    scalars: Mapping[str, Callable[[str, object], Any]] = {
        "str": fit_text,
        "int": _fit_integer,
        "bool": _fit_boolean,
        "Quantity": fit_quantity,
    }
    return scalars[kind](path, value) if kind in scalars else fit_model(path, kind, value)


def _fit_integer(path: str, value: Any) -> int:
    is_text = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value) is not None
    is_whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (is_text or is_whole or isinstance(value, int)):
        refuse(path, "must be a whole number", value)
    number = int(value)
    if abs(number) > _MAX_INTEGER:
        refuse(path, f"must be at most {_MAX_INTEGER}", value)
    return number


def _fit_boolean(path: str, value: object) -> bool:
    if value not in (True, False, "true", "false") or not isinstance(value, bool | str):
        refuse(path, "must be true or false", value)
    return value in (True, "true")


def _find_model(kind: str) -> Any:
    # A second that nobody pays who types no such object.
    import kubeflow.training  # noqa: PLC0415
    import kubernetes.client  # noqa: PLC0415

    return getattr(kubernetes.client, kind, None) or getattr(kubeflow.training, kind)
