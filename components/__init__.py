"""The steps of the pipeline; first, whether Python finds this project's packages and not a person's own modules."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

_PACKAGES = ("comparison", "components", "model", "program", "tfjob")


def check_packages() -> None:
    """Ends the program where a file in the current folder, or on the path, has the name of one of the packages.

    Looked for on the path, where another process will look, even where this one has the package already.
    """
    home = Path(__file__).resolve().parents[1]
    for name in _PACKAGES:
        spec = PathFinder.find_spec(name)
        if spec is None:  # an editable installation is not on the path
            continue
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ()))).resolve()
        if found != home / name / "__init__.py":
            sys.exit(
                f"error: {found} is found in place of this project's own {name}. Give it another name, and --model the "
                "same one."
            )


check_packages()
