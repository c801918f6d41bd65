"""What asks a person for the parameters of a comparison: the dashboard's form and the command line."""

import argparse
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_origin

from components.planning import GIVEN_BY, Parameters, hide_value, list_form

DEFAULTS = Parameters()
_MOST_BYTES = 1 << 20


def with_form(pipeline: Callable[[SimpleNamespace], None], image: str) -> Callable[..., None]:
    """Returns a pipeline as a function with a parameter for each field of the form: KFP makes the form of those.

    Args:
        pipeline: Builds the pipeline from the form, whose values are KFP's placeholders.
        image: Default of the field `image`.
    """

    def build(*values: Any) -> None:
        pipeline(SimpleNamespace(**{entry.name: value for entry, value in zip(form, values, strict=True)}))

    form = [replace(entry, default=image) if entry.name == "image" else entry for entry in list_form()]
    described = [f"    {entry.name}: {entry.description}" for entry in form]
    build.__doc__ = "\n".join([inspect.getdoc(pipeline) or "", "", "Args:", *described])
    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # a function may have one
        [
            inspect.Parameter(
                entry.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=entry.kind, default=entry.default
            )
            for entry in form
        ]
    )
    return build


def add_parameter_options(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each parameter of a comparison to a command line."""
    for parameter in fields(Parameters):
        option, kind, default = name_option(parameter.name), parameter.type, getattr(DEFAULTS, parameter.name)
        description = parameter.metadata["help"].replace("%", "%%")
        if parameter.metadata.get("is_file"):
            parser.add_argument(option, action=_ReadFile, metavar="FILE", default=default, help=description)
        elif kind in (bool, bool | None):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=default, help=description)
        elif get_origin(kind) is list:
            shown = " ".join(map(str, default)) or "none"
            parser.add_argument(
                option, type=get_args(kind)[0], nargs="+", default=default, help=f"{description} (default: {shown})"
            )
        else:
            parser.add_argument(option, type=kind, default=default, help=f"{description} (default: %(default)s)")


class _ReadFile(argparse.Action):
    """Takes the text of a file, which is looked for before anything starts."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse calls it so
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,  # noqa: ARG002 - likewise
    ) -> None:
        """Stores the text of the file.

        Raises:
            argparse.ArgumentError: It cannot be read.
        """
        expected = f"expected the path of a text file of at most {_MOST_BYTES >> 20} MiB."
        path = Path(values)
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            text = content.decode("utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise argparse.ArgumentError(self, f"{expected} Received: {values!r} ({reason})") from None
        if len(content) > _MOST_BYTES or not text.strip():
            told = "it is empty" if not text.strip() else "it is larger"
            raise argparse.ArgumentError(self, f"{expected} Received: {values!r} ({told})")
        setattr(namespace, self.dest, text)


def describe_exposure(said: Mapping[str, Any]) -> list[str]:
    """Returns a sentence on each secret that stands on the command line, where everybody on this machine can read it.

    Args:
        said: What the command line says of parameters; None where it is silent.
    """
    exposed = [name for name in GIVEN_BY if said[name] is not None and hide_value(name, said[name]) != said[name]]
    return [
        f"what is secret in {name_option(name)} can be read in this machine's list of processes: give it by "
        f"{GIVEN_BY[name]} in the environment instead. Nothing else of the run shows it."
        for name in exposed
    ]


def name_option(name: str) -> str:
    """Returns how a command line calls what a program calls `name`."""
    return "--" + name.replace("_", "-")
