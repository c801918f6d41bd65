"""The dashboard's form: a field for each parameter that is commonly set, and a text for all that are rarely set."""

import json
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from components.planning.parameters import Parameters
from components.planning.values import read_object, read_value
from model.errors import ConfigError
from tfjob.errors import SpecError
from tfjob.settings import parse_job_settings

SETTINGS = "settings"
_EXAMPLE = '{"seed": 1, "job": {"queue_name": "team-a"}}'
# The dashboard's Markdown takes the underscores of a name for emphasis, and shows all_reduce as allreduce.
_CODE_OR_NAME = re.compile(r"`[^`]*`|[\w.]*_[\w.:]*\w")


@dataclass(frozen=True)
class FormField:
    """A field of the form, with the type of its values."""

    name: str
    kind: Any
    default: Any
    description: str


def list_form() -> list[FormField]:
    """Returns the fields of the form."""
    default = Parameters()
    common = [
        FormField(parameter.name, parameter.type, getattr(default, parameter.name), parameter.metadata["help"])
        for parameter in fields(Parameters)
        if not _is_rare(parameter)
    ]
    return [*common, FormField(SETTINGS, str, "{}", f"What is rarely set, as JSON or YAML, such as `{_EXAMPLE}`.")]


def describe_form() -> str:
    """Returns what the fields mean, in Markdown: the dashboard shows the pipeline's description and none of theirs.

    It shows it in a card that grows upward out of the window, and has no bar to scroll. So this is short, and what is
    in `settings` is named alone.
    """
    return "\n".join(
        f"- **`{entry.name}`**: {_protect_names(entry.description)}{_show_more(entry)}" for entry in list_form()
    )


def read_form(form: Mapping[str, Any]) -> Parameters:
    """Returns the parameters that a form gives; forms of older versions had a field for each.

    Raises:
        ConfigError: One is not of its type, or there is no such one; the message has the path of the mistake.
    """
    common = {name: value for name, value in form.items() if name != SETTINGS}
    return Parameters.read(common | _read_settings(form.get(SETTINGS, "")))


def fill_form(parameters: Parameters) -> dict[str, Any]:
    """Returns the values of the fields from which `read_form` makes these parameters, which have been checked."""
    common = {p.name: getattr(parameters, p.name) for p in fields(Parameters) if not _is_rare(p)}
    settings, default = {}, Parameters()
    for name, parameter in _list_settings().items():
        value = getattr(parameters, parameter.name)
        if value != getattr(default, parameter.name):
            settings[name] = json.loads(value) if parameter.metadata["is_object"] else value
    return {**common, SETTINGS: json.dumps(settings, ensure_ascii=False)}


def keeps_failed_jobs(settings: str) -> bool:
    """Returns what the form's `settings` say of it; those that the first step refused have let no job start."""
    try:
        return read_form({SETTINGS: settings}).keep_failed_jobs
    except ConfigError:
        return False


def _read_settings(text: Any) -> dict[str, Any]:
    known = _list_settings()
    settings = {}
    for name, value in read_object(SETTINGS, read_value(SETTINGS, str, text)).items():
        if name not in known:
            raise ConfigError(f"{SETTINGS} must have names out of {', '.join(known)}. Received: {name!r}.")
        parameter = known[name]
        is_object = parameter.metadata["is_object"] and isinstance(value, dict)
        told = json.dumps(value, ensure_ascii=False) if is_object else value
        settings[parameter.name] = read_value(f"{SETTINGS}.{name}", parameter.type, told)
    _check_job(settings.get("job_settings", "{}"), f"{SETTINGS}.job")
    return settings


def _check_job(text: str, path: str) -> None:
    """Makes sure that the TFJobs' settings can be; the message calls them what they are called in the form."""
    try:
        parse_job_settings(text)
    except SpecError as error:
        raise ConfigError(str(error).replace("job_settings", path)) from None


def _list_settings() -> dict[str, Field[Any]]:
    """Returns the parameters that are rarely set, by their names in `settings`."""
    return {p.metadata["setting"] or p.name: p for p in fields(Parameters) if _is_rare(p)}


def _protect_names(description: str) -> str:
    return _CODE_OR_NAME.sub(lambda match: f"`{match[0].strip('`')}`", description)


def _show_more(entry: FormField) -> str:
    """Returns how a list is written, and what there is in `settings`."""
    if isinstance(entry.default, list):
        return f" A list: `{json.dumps(entry.default)}`."
    if entry.name == SETTINGS:
        named = [f"`{name}`" for name, p in _list_settings().items() if "is_of_own_program" not in p.metadata]
        return f" In it: {', '.join(named)}; docs/schemas.md describes them and more."
    return ""


def _is_rare(parameter: Field[Any]) -> bool:
    return "setting" in parameter.metadata
