"""Values that a person typed, into a form, a file or a command line: taken as their type where they plainly are one."""

import json
import math
from typing import Any, get_args, get_origin

import yaml

from model.errors import ConfigError

_KINDS = {
    bool: "true or false",
    bool | None: "true, false or null",
    int: "a whole number",
    float: "a number",
    str: "text",
    list[int]: "a list of whole numbers",
    list[str]: "a list of texts",
}
_SHOWN = len('{"job":{"env"')


def read_value(name: str, kind: Any, value: Any) -> Any:
    """Returns a value as its type: KFP makes floats of the integers in a list, and people put numbers in quotes.

    Args:
        name: What a person calls it.
        kind: One of _KINDS.
        value: As it came.

    Raises:
        ConfigError: It is something else.
    """
    try:
        return _take(kind, value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ConfigError(f"{name} must be {_KINDS[kind]}. Received: {value!r}.") from None


def read_object(name: str, text: str) -> dict[str, Any]:
    """Returns the object in a text, made of what JSON has; an empty text is an empty object.

    Args:
        name: What a person calls the text.
        text: JSON or YAML.

    Raises:
        ConfigError: It is no such object; the message has the path of the mistake.
    """
    try:
        tree = _load(name, text)
        if not isinstance(tree, dict | None):
            raise ConfigError(f"{name} must be an object, as JSON or YAML. Received: {_begin(text)!r}.")
        _check_tree(name, tree or {})
    except RecursionError:  # an alias of YAML may stand within what it names
        raise ConfigError(f"{name} must not hold itself, nor nest as deeply. Received: {_begin(text)!r}.") from None
    return tree or {}


def _load(name: str, text: str) -> Any:
    try:
        return json.loads(text)  # first, since YAML takes 1e3 for a text
    except ValueError:
        return _load_yaml(name, text)


def _begin(text: str) -> str:
    """Returns the beginning of a text, too short to hold the value of a variable, which may be secret."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _load_yaml(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{name} must be JSON or YAML ({error.problem}{where}). Received: {_begin(text)!r}."
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # such as the 30th of February
        raise ConfigError(f"{name} must be JSON or YAML ({error}). Received: {_begin(text)!r}.") from None


def _check_tree(path: str, value: Any) -> None:
    """Makes sure that a value is made of what JSON has: YAML also has dates, and other names than texts."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{path} must have texts for names: put this one in quotes. Received: {key!r}.")
            _check_tree(f"{path}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_tree(f"{path}[{index}]", item)
    elif not isinstance(value, str | int | None) and not (isinstance(value, float) and math.isfinite(value)):
        expected = "text, a number, true, false or null: put a text in quotes"
        raise ConfigError(f"{path} must be {expected}. Received: {value}.")


def _take(kind: Any, value: Any) -> Any:
    if get_origin(kind) is list:
        if not isinstance(value, list | tuple):
            raise TypeError
        return [_take(get_args(kind)[0], item) for item in value]
    if kind == bool | None and value is None:
        return None
    if kind in (bool, bool | None):
        return _take_switch(value)
    if kind is str:
        if not isinstance(value, str):
            raise TypeError
        return value
    if isinstance(value, bool):
        raise TypeError
    return _take_whole(value) if kind is int else float(value)


def _take_switch(value: Any) -> bool:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.strip().lower()]
    if not isinstance(value, bool):
        raise TypeError
    return value


def _take_whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)
