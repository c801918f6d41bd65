"""What of the parameters nobody may read in a file: a URL's user and query, and the values of the replicas' variables.

The URLs are the data set's and those in a person's own command or TFJob; the variables those of the job's settings and
of that TFJob.

Of a run on this machine they stand in no file, no log and on no command line: the run's first process hands them to its
steps in the environment, which only its own user can read. A server is given them as parameters; its steps keep them
out of what they write.
"""

import contextlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from components.planning.parameters import Parameters
from model.host import HIDDEN, SHORTEST_SECRET
from tfjob.errors import SpecError
from tfjob.own import read_documents

# Hands the whole of what is hidden elsewhere to the steps of a run on this machine.
SECRETS_VARIABLE = "TFJOB_SPEEDUP_SECRETS"
# The parameters that may hold it.
HOLDERS = ("dataset", "job_settings", "tfjob", "command")
# How a person gives it without writing it on a command line, where everybody on the machine can read it.
GIVEN_BY = {"dataset": "TFJOB_SPEEDUP_DATASET_URL", "job_settings": "TFJOB_SPEEDUP_JOB_SETTINGS"}
# Placeholders in a variable's value are no secret, and say what must be known of the job.
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
# Further objects that may be in a manifest's text, and their fields.
_OBJECTS_WITH_VALUES, _FIELDS_WITH_VALUES = ("Secret", "ConfigMap"), ("data", "stringData", "binaryData")
# In it kubectl keeps a manifest as it was applied, with all values: whoever gets a job as YAML has it once more.
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# How a job's settings and its manifest name a Secret of the cluster.
_SECRET_OF_CLUSTER = re.compile(r"secret_?(key_?)?(ref|name)", re.IGNORECASE)
# An address within a command or another text.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"`\\]+")


def hide_secrets(parameters: Parameters) -> Parameters:
    """Returns parameters as they may be read by anybody; what has no secret is as it was."""
    return replace(parameters, **{name: hide_value(name, getattr(parameters, name)) for name in HOLDERS})


def hide_value(name: str, value: Any) -> Any:
    """Returns the value of a parameter as it may be read by anybody.

    Args:
        name: The parameter.
        value: Its value, which has been checked or is refused later.
    """
    match name:
        case "dataset":
            return _hide_in_url(value)
        case "job_settings":
            return _hide_in_settings(value)
        case "tfjob":
            return _hide_in_manifest(value)
        case "command":
            return _hide_urls(value)
    return value


def find_hidden(parameters: Parameters) -> list[str]:
    """Returns the names of the parameters of which a part has been hidden, so that it must be given again."""
    return [name for name in HOLDERS if HIDDEN in getattr(parameters, name)]


def find_secrets(parameters: Parameters) -> dict[str, str]:
    """Returns the whole values of those parameters that have a secret, by name."""
    values = {name: getattr(parameters, name) for name in HOLDERS}
    return {name: value for name, value in values.items() if hide_value(name, value) != value}


def may_tell_secrets(parameters: Parameters) -> bool:
    """Returns whether a run's programs know secrets, which they may print: its own, or those of a cluster's Secret."""
    return bool(find_secrets(parameters) or _SECRET_OF_CLUSTER.search(parameters.job_settings + parameters.tfjob))


def hand_over(parameters: Parameters) -> dict[str, str]:
    """Returns the variables of the environment in which the steps of a run on this machine find its secrets."""
    return {SECRETS_VARIABLE: json.dumps(find_secrets(parameters))}


def take_given(environ: MutableMapping[str, str] = os.environ) -> dict[str, Any]:
    """Returns the parameters that a person gives in the environment, from which no other program inherits them."""
    given = {name: environ.pop(variable, "") for name, variable in GIVEN_BY.items()}
    return {name: value for name, value in given.items() if value}


def reveal(name: str, value: str, environ: Mapping[str, str] = os.environ) -> str:
    """Returns the whole value of a parameter of which a step was told the part that anybody may read.

    Args:
        name: The parameter.
        value: What the step was told.
        environ: What `hand_over` filled.
    """
    whole = json.loads(environ.get(SECRETS_VARIABLE) or "{}").get(name, value)
    return str(whole) if hide_value(name, whole) in {value, hide_value(name, value)} else value


def reveal_all(parameters: Parameters) -> Parameters:
    """Returns parameters of which a step was told the parts that anybody may read, with their whole values."""
    whole: dict[str, Any] = {name: reveal(name, getattr(parameters, name)) for name in HOLDERS}
    return replace(parameters, **whole)


def make_hider(parameters: Parameters) -> Callable[[str], str]:
    """Returns what takes the secrets of a run out of a text that may hold them, however they are written in JSON."""
    pairs = sorted(_list_forms(parameters).items(), key=lambda pair: -len(pair[0]))

    def hide(text: str) -> str:
        for secret, shown in pairs:
            text = text.replace(secret, shown)
        return text

    return hide


def _hide_in_url(dataset: str) -> str:
    if "://" not in dataset:
        return dataset
    try:
        parts = urlsplit(dataset)
    except ValueError:
        return HIDDEN
    if not (parts.query or parts.fragment or "@" in parts.netloc):
        return dataset
    shown = _hide_text("?".join(filter(None, [parts.query, parts.fragment]))) or HIDDEN
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=shown, fragment="").geturl()


def _hide_urls(text: str) -> str:
    """Returns a text with what may be read of the URLs in it."""
    return _URL.sub(lambda match: _hide_in_url(match[0]), text)


def _hide_in_settings(text: str) -> str:
    settings: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        settings = json.loads(text)
    variables = settings.get("env") if isinstance(settings, dict) else None
    if not variables:
        return text
    # A source, such as a Secret of the cluster, is no secret itself.
    told: Any = HIDDEN
    if isinstance(variables, dict):
        told = {name: value if isinstance(value, Mapping) else HIDDEN for name, value in variables.items()}
    return text if told == variables else json.dumps(settings | {"env": told}, ensure_ascii=False)


def _hide_in_manifest(text: str) -> str:
    try:
        documents = read_documents(text)
    except SpecError:
        return HIDDEN
    hidden = _hide_in_tree(documents)
    if hidden == documents:
        return text
    return yaml.safe_dump_all(hidden, sort_keys=False, allow_unicode=True, width=math.inf)


def _hide_in_tree(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_hide_in_tree(item) for item in tree]
    if isinstance(tree, str):
        return _hide_urls(tree)
    if not isinstance(tree, dict):
        return tree
    values = _FIELDS_WITH_VALUES if tree.get("kind") in _OBJECTS_WITH_VALUES else ()
    return {
        key: _hide_variables(item)
        if key == "env" and isinstance(item, list)
        else dict.fromkeys(item, HIDDEN)
        if key in values and isinstance(item, dict)
        else HIDDEN
        if key == _APPLIED
        else _hide_in_tree(item)
        for key, item in tree.items()
    }


def _hide_variables(variables: list[Any]) -> list[Any]:
    return [
        {**variable, "value": _hide_text(str(variable["value"]))}
        if isinstance(variable, dict) and variable.get("value") not in (None, "")
        else variable
        for variable in variables
    ]


def _hide_text(value: str) -> str:
    """Returns what may be read of a variable's value: its placeholders."""
    placeholders = _PLACEHOLDER.findall(value)
    return value if value in ("".join(placeholders), HIDDEN) else "".join([HIDDEN, *placeholders])


def _list_hidden(tree: Any) -> list[str]:
    """Returns the texts in a manifest that must not be read."""
    if isinstance(tree, list):
        return [text for item in tree for text in _list_hidden(item)]
    if isinstance(tree, str):
        return _list_in_urls(tree)
    if not isinstance(tree, dict):
        return []
    found = []
    for key, item in tree.items():
        if key == "env" and isinstance(item, list):
            values = [str(v["value"]) for v in item if isinstance(v, dict) and v.get("value") is not None]
            found += [value for value in values if _hide_text(value) != value]
        elif tree.get("kind") in _OBJECTS_WITH_VALUES and key in _FIELDS_WITH_VALUES and isinstance(item, dict):
            found += map(str, item.values())
        elif key == _APPLIED:
            found += [str(item), *_list_applied(item)]
        else:
            found += _list_hidden(item)
    return found


def _list_applied(item: Any) -> list[str]:
    """Returns what must not be read of a manifest within a manifest."""
    with contextlib.suppress(ValueError, RecursionError, TypeError):
        return _list_hidden(json.loads(item))
    return []


def _list_in_urls(text: str) -> list[str]:
    """Returns the texts in a text's URLs that must not be read: the user, the query, and their parts."""
    found = []
    for match in _URL.finditer(text):
        with contextlib.suppress(ValueError):  # that is no URL, and hidden as a whole
            parts = urlsplit(match[0])
            user = parts.netloc.rpartition("@")[0]
            found += [parts.query, parts.fragment, user, *user.split(":"), *(v for _, v in parse_qsl(parts.query))]
            found += [piece.partition("=")[2] or piece for piece in parts.query.split("&")]
    return [piece for piece in found if _hide_text(piece) != piece]


def _list_leaves(tree: Any) -> list[str]:
    """Returns all texts and numbers in a value of JSON."""
    if isinstance(tree, Mapping):
        tree = [*tree.values()]
    return [leaf for item in tree for leaf in _list_leaves(item)] if isinstance(tree, list) else [str(tree)]


def _list_forms(parameters: Parameters) -> dict[str, str]:
    """Returns what stands for each text that must not be read, in plain and as a part of JSON in JSON."""
    secrets = find_secrets(parameters)
    texts = {value: hide_value(name, value) for name, value in secrets.items()}
    texts |= _list_lines([text for name in ("dataset", "command") for text in _list_in_urls(secrets.get(name, ""))])
    if "job_settings" in secrets:
        variables = json.loads(secrets["job_settings"])["env"]
        is_object = isinstance(variables, dict)
        told = [v for v in variables.values() if not isinstance(v, Mapping)] if is_object else variables
        texts |= _list_lines(_list_leaves(told))
    if "tfjob" in secrets:
        with contextlib.suppress(SpecError):  # else it is hidden as a whole
            texts |= _list_lines(_list_hidden(read_documents(secrets["tfjob"])))
    forms: dict[str, str] = {}
    for text, shown in texts.items():
        forms |= dict(zip(_write_in_json(text), _write_in_json(shown), strict=True))
    return forms


def _list_lines(told: list[str]) -> dict[str, str]:
    """Returns what stands for each of these texts, and for each of their lines: a log comes line by line."""
    lines = [*told, *(line for value in told for line in value.splitlines())]
    return {value: HIDDEN for value in lines if len(value) >= SHORTEST_SECRET}


def _write_in_json(text: str) -> list[str]:
    """Returns a text in plain, as Python shows it, in JSON, and in JSON that is a text in JSON, also as Go does."""
    forms = [text, repr(text)[1:-1]]
    for is_ascii in (True, False):
        once = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        forms += [once, json.dumps(once, ensure_ascii=is_ascii)[1:-1]]
    for character in "&<>":
        forms = [*forms, *(form.replace(character, f"\\u{ord(character):04x}") for form in forms)]
    return forms
