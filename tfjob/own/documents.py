"""YAML and JSON that a stranger wrote, as plain JSON values, or one error that says where they are none."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

from tfjob.errors import SpecError

# A manifest is a few kilobytes. As a pipeline's parameter it is a part, in JSON, of one argument of a step's command,
# and Linux takes no argument above 128 KiB.
MAX_BYTES = 96 * 1024
# What is left when every alias is written out, and how deep it goes.
MAX_VALUES = 50_000
MAX_DEPTH = 60
_SHOWN = 60
# No program takes a NUL in an argument, and half of a surrogate pair is no character.
_IS_TEXT = re.compile("[^\0\ud800-\udfff]*")


class _Loader(yaml.SafeLoader):
    """Reads what kubectl reads: a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_documents(text: str) -> list[Any]:
    """Returns the documents of a text, those of a `List` one by one, without empty ones.

    Args:
        text: YAML or JSON.

    Raises:
        SpecError: It is neither, or too large, or no plain data.
    """
    size = len(json.dumps(text))
    if size > MAX_BYTES:
        raise SpecError(
            f"A manifest must have at most {MAX_BYTES // 1024} KiB, written as a text in JSON: leave out what is "
            f"not the TFJob. Received: {size / 1024:.0f} KiB"
        )
    try:
        documents = _read_json(text) if text.lstrip().startswith("{") else None
        if documents is None:
            documents = list(_read_yaml(text))
    except RecursionError:
        raise SpecError(f"A manifest must not be nested so deeply. Received: {_show(text)}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"The manifest is no YAML: {_explain(error)}. Received: {_show(text)}") from None
    except (ValueError, OverflowError) as error:  # a number of 5,000 digits, a date that is none
        raise SpecError(f"The manifest has a value that is none: {error}. Received: {_show(text)}") from None
    for index, document in enumerate(documents):
        _check_plain(f"document {index + 1}", document, 0)
    whole = [document for document in documents if document is not None]
    return [item for document in whole for item in _flatten(document)]


def _read_json(text: str) -> list[Any] | None:
    """Returns the document of a JSON text, which YAML does not take if it is indented by tabs; None if it is none."""
    try:
        return [json.loads(text)]
    except ValueError:
        return None


def _read_yaml(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = cast("yaml.Node", loader.get_node())
            # Counted before anything is made of it: aliases of aliases are small to write and large to read.
            _measure(node, {})
            yield loader.construct_document(node)
    finally:
        loader.dispose()


def _measure(node: yaml.Node, known: dict[int, int]) -> int:
    """Returns how many values a node has with every alias written out."""
    key = id(node)
    if key in known:
        if not known[key]:
            raise SpecError(f"A manifest must not contain itself: the alias at {_place(node.start_mark)} does")
        return known[key]
    known[key] = 0
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        _refuse_twins(node)
        children = [part for pair in node.value for part in pair]
    known[key] = 1 + sum(_measure(child, known) for child in children)
    if known[key] > MAX_VALUES:
        raise SpecError(f"A manifest must have at most {MAX_VALUES} values, its aliases written out")
    return known[key]


def _refuse_twins(node: yaml.MappingNode) -> None:
    """Raises where a mapping has a key twice, of which YAML keeps the last without a word."""
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise SpecError(f"The manifest has {key.value!r} twice in one mapping: {_place(key.start_mark)}")
            seen.add(key.value)


def _check_plain(path: str, value: Any, depth: int) -> None:
    """Raises where a value has no counterpart in JSON, or lies too deep."""
    if depth > MAX_DEPTH:
        raise SpecError(f"A manifest must be nested at most {MAX_DEPTH} levels deep. Received more at {path[:200]}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise SpecError(f"{path} must have texts for keys: put it in quotes. Received: {key!r}")
            _check_plain(f"{path}.{key}" if depth else key, item, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(f"{path}[{index}]", item, depth + 1)
    elif isinstance(value, float) and value - value != 0:
        raise SpecError(f"{path} must be a number that is finite. Received: {value!r}")
    elif isinstance(value, str) and not _IS_TEXT.fullmatch(value):
        raise SpecError(f"{path} must have no NUL and no half of a character in it. Received: {value[:_SHOWN]!r}")
    elif not (value is None or isinstance(value, str | int | float)):
        raise SpecError(f"{path} must be a text, a number, a list or a mapping. Received: {type(value).__name__}")


def _flatten(document: Any) -> list[Any]:
    """Returns the objects of a `List`, as `kubectl get --output yaml` prints it; else the document."""
    is_list = isinstance(document, Mapping) and document.get("kind") == "List"
    items = document.get("items") if is_list else None
    return items if isinstance(items, list) else [document]


def _explain(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or error.context} at {_place(error.problem_mark)}"
    return " ".join(str(error).split())


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _show(text: str) -> str:
    start = text[:_SHOWN]
    return repr(start) if start == text else f"{start!r} …"
