"""What nobody meant, made of what somebody did: values, trees and texts that are altered and damaged."""

import copy
import json
import math
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(fuzz, max_examples=max(5, EXAMPLES // 100))

PIECES = (
    *("[" * 100_000, '{"a":' * 100_000, "\0", "\\u0000", "\\ud800", "NaN", "-Infinity", "1e999", "9" * 5_000),
    *("null", "true", "-1", "0", "{}", "[]", '""', "\n", "\ufeff", "\x1b[2J", "9" * 400),
    *("&a [*a]", "!!python/object:os.system"),
)
WILD = st.one_of(
    st.sampled_from([None, True, False, -1, 0, 1, 2**31, 2**63, 10**400, 1e308, -1e-308, math.nan, math.inf, 0.5]),
    st.sampled_from(["", "\0", "\ud800", "../..", "a" * 10_000, "<script>", "\x1b[2J", "nan"]),
    st.sampled_from(["[]", "{}", "[[]]", '{"": null}', "[null, null, null]"]).map(json.loads),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    ),
    st.integers(1, 300).map(lambda depth: json.loads("[" * depth + "]" * depth)),
)
DEEPEST = 9


def list_places(tree: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if len(place) > DEEPEST:
        return []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place, *(below for key, item in items for below in list_places(item, (*place, key)))]


@st.composite
def altered(draw: st.DrawFn, tree: Any) -> Any:
    """A tree in which a few values, names or items are others, missing or more."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        places = [place for place in list_places(tree) if place]
        if not places:  # all of it was removed
            break
        *way, last = draw(st.sampled_from(places))
        holder = tree
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["change", "change", "remove", "add"])):
            case "change":
                holder[last] = draw(WILD)
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=4))] = draw(WILD)
    return tree


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """A text in which pieces are cut out or put in."""
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 9)))
        text = text[:start] + draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[end:]
    return text


def as_text(tree: Any) -> st.SearchStrategy[str]:
    return damaged(json.dumps(tree)) | altered(tree).map(json.dumps) | st.text()
