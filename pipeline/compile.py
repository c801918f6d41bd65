"""`python -m pipeline.compile` writes the pipeline as the file that the dashboard takes for upload."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from kfp import compiler

from components.image import DEFAULT_IMAGE
from pipeline.shell import REFUSED
from pipeline.speedup import DEFAULT_WORKSPACE, Workspace, build_pipeline
from pipeline.streams import complain, replace_unencodable

PIPELINE_FILE = Path("build/pipeline.yaml")
ACCESS_MODES = ("ReadWriteMany", "ReadWriteOnce")
_QUANTITY = re.compile(r"\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?")


def compile_pipeline(path: Path, workspace: Workspace = DEFAULT_WORKSPACE, image: str = DEFAULT_IMAGE) -> None:
    """Writes the compiled pipeline: a document for the pipeline, one for the platform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(build_pipeline(workspace, image), str(path))


def add_image_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option of the image that the form shows to a command line."""
    parser.add_argument(
        "--image",
        default=DEFAULT_IMAGE,
        help="what the form's field `image` shows: the name by which the cluster pulls it (default: %(default)s)",
    )


def add_workspace_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the run's shared volume to a command line."""
    group = parser.add_argument_group("the run's shared volume on a cluster, compiled into the pipeline")
    group.add_argument(
        "--workspace-access-mode",
        choices=ACCESS_MODES,
        default=Workspace.access_mode,
        help="how pods share it; ReadWriteOnce binds all of them to one node (default: %(default)s)",
    )
    group.add_argument(
        "--workspace-storage-class",
        default=Workspace.storage_class,
        metavar="NAME",
        help="storage class (default: the cluster's)",
    )
    group.add_argument(
        "--workspace-size",
        type=_read_quantity,
        default=Workspace.size,
        metavar="SIZE",
        help="such as 10Gi (default: %(default)s)",
    )


def take_workspace(options: dict[str, Any]) -> Workspace:
    """Returns what a command line with `add_workspace_options` says, taken out of its options."""
    return Workspace(**{field.name: options.pop(f"workspace_{field.name}") for field in fields(Workspace)})


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m pipeline.compile") -> int:
    """Runs the program and returns its exit code: 0, or 2 where the file cannot be written."""
    replace_unencodable()
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--output", type=Path, default=PIPELINE_FILE, help="file to write (default: %(default)s)")
    add_image_option(parser)
    add_workspace_options(parser)
    options = vars(parser.parse_args(arguments))
    path: Path = options.pop("output")
    if path.suffix != ".yaml":  # KFP knows the format by it
        parser.error(f"--output must end with .yaml. Received: {path}.")
    try:
        compile_pipeline(path, take_workspace(options), options["image"])
    except OSError as error:
        complain(f"error: {path} cannot be written: {error.strerror}")
        return REFUSED
    print(f"{path}: upload it in the dashboard under Pipelines")
    return 0


def _read_quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be a Kubernetes quantity such as 10Gi. Received: {text!r}.")
    return text


if __name__ == "__main__":
    sys.exit(main())
