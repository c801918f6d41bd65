"""What the kubelet does to a command before it runs.

Source: kubernetes third_party/forked/golang/expansion/expand.go, pkg/kubelet/container/helpers.go.
"""

import re
from collections.abc import Mapping, Sequence

_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Returns a text with `$(NAME)` as the variable's value and `$$` as `$`; an unknown name stays as it is."""
    return _REFERENCE.sub(lambda found: _value(found, variables), text)


def expand_all(texts: Sequence[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the parts of a command, expanded."""
    return tuple(expand(text, variables) for text in texts)


def expand_env(env: Mapping[str, str]) -> dict[str, str]:
    """Returns a container's variables, each of which may refer to those before it."""
    expanded: dict[str, str] = {}
    for name, value in env.items():
        expanded[name] = expand(value, expanded)
    return expanded


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name = found["name"]
    return "$" if name is None else variables.get(name, found[0])
