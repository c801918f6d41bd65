"""Values that a person typed, into a form, a file or a command line: taken as their type where they plainly are one."""

from typing import Any, get_args, get_origin

from model.errors import ConfigError

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list[int]: "a list of whole numbers",
    list[str]: "a list of texts",
}


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


def _take(kind: Any, value: Any) -> Any:
    if get_origin(kind) is list:
        if not isinstance(value, list | tuple):
            raise TypeError
        return [_take(get_args(kind)[0], item) for item in value]
    if kind is bool:
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
