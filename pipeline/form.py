"""What asks a person for the parameters of a comparison: the dashboard's form and the command line."""

import argparse
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args, get_origin

from components.parameters import Parameters

DEFAULTS = Parameters()


def with_form(pipeline: Callable[[Parameters], None]) -> Callable[..., None]:
    """Returns a pipeline as a function with a parameter for each of a comparison's: KFP makes the form of those.

    Args:
        pipeline: Builds the pipeline from parameters whose values are KFP's placeholders.
    """

    def build(*values: Any) -> None:
        pipeline(Parameters(**dict(zip(names, values, strict=True))))

    names = [parameter.name for parameter in fields(Parameters)]
    described = [f"    {parameter.name}: {parameter.metadata['help']}" for parameter in fields(Parameters)]
    build.__doc__ = "\n".join([inspect.getdoc(pipeline) or "", "", "Args:", *described])
    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # a function may have one
        [
            inspect.Parameter(
                parameter.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=parameter.type,
                default=getattr(DEFAULTS, parameter.name),
            )
            for parameter in fields(Parameters)
        ]
    )
    return build


def add_parameter_options(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each parameter of a comparison to a command line."""
    for parameter in fields(Parameters):
        option, kind, default = name_option(parameter.name), parameter.type, getattr(DEFAULTS, parameter.name)
        description = parameter.metadata["help"].replace("%", "%%")
        if kind is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=default, help=description)
        elif get_origin(kind) is list:
            shown = " ".join(map(str, default))
            parser.add_argument(
                option, type=get_args(kind)[0], nargs="+", default=default, help=f"{description} (default: {shown})"
            )
        else:
            parser.add_argument(option, type=kind, default=default, help=f"{description} (default: %(default)s)")


def name_option(name: str) -> str:
    """Returns how a command line calls what a program calls `name`."""
    return "--" + name.replace("_", "-")
