"""The module of a person's own model: looked at without running it, imported when all is ready, its faults told."""

import ast
import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from typing import Any

from model.errors import ConfigError


def find_module(module: str) -> ModuleSpec | None:
    """Returns where a module is, or None; unlike `importlib.util.find_spec`, without running the packages it is in."""
    try:
        return _find_unimported(module)
    except (ImportError, AttributeError, KeyError, ValueError):  # as a package without __init__.py within one with it
        with contextlib.suppress(ImportError, AttributeError, ValueError):
            return importlib.util.find_spec(module)
        return None


def _find_unimported(module: str) -> ModuleSpec | None:
    name, *rest = module.split(".")
    spec = importlib.util.find_spec(name)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        if spec.loader is None:  # a package without __init__.py, which runs nothing
            importlib.import_module(name)
        path, name = spec.submodule_search_locations, f"{name}.{part}"
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((candidate for candidate in found if candidate is not None), None)
    return spec


def may_have(spec: ModuleSpec, name: str) -> bool:
    """Returns whether a module can have something of this name, as far as its source tells.

    Raises:
        SyntaxError: The source is no Python.
    """
    source = getattr(spec.loader, "get_source", lambda _: None)(spec.name)
    if source is None:  # a package without __init__.py, or a compiled module
        return spec.loader is not None
    for node in ast.walk(ast.parse(source, spec.origin or spec.name)):
        match node:
            case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound) | ast.ClassDef(name=bound):
                names = {bound, "*"} if bound == "__getattr__" else {bound}
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names = {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Name(id=bound):
                names = {"*"} if bound in {"globals", "setattr", "vars"} else {bound}
            case _:
                continue
        if names & {name, "*"}:
            return True
    return False


def import_attribute(module: str, name: str) -> Any:
    """Returns what a module holds under a name, None where it does not; the module is run if it was not yet.

    Raises:
        ConfigError: The module raises an error.
    """
    with told_as_fault_of(module, f"Module {module!r} could not be imported"):
        return getattr(importlib.import_module(module), name, None)


@contextlib.contextmanager
def told_as_fault_of(module: str, what: str) -> Iterator[None]:
    """Turns whatever a person's own code raises into one sentence, with the line of theirs where it happened.

    Args:
        module: The code's.
        what: The sentence's beginning: what was done with it.

    Raises:
        ConfigError: It raised something.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # anybody's code raises anything
        message = " ".join(str(error).split())
        raise ConfigError(f"{what}: {type(error).__name__}: {message}{_locate(error, module)}") from error


def _locate(error: Exception, module: str) -> str:
    """Returns the place in a module's own code that an error came through last, in brackets, or nothing."""
    if isinstance(error, SyntaxError):  # its text says where
        return ""
    origin = getattr(sys.modules.get(module), "__file__", None) or getattr(find_module(module), "origin", None)
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == origin]
    return f" ({lines[-1].filename}, line {lines[-1].lineno})" if lines else ""
