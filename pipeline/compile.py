"""`python -m pipeline.compile` writes the pipeline as the file that the dashboard takes for upload."""

import argparse
import functools
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from pipeline.speedup import speedup_pipeline

PIPELINE_FILE = Path("build/pipeline.yaml")
ACCESS_MODES = ("ReadWriteMany", "ReadWriteOnce")
_DOCUMENTS_BORDER = "\n---\n"
_QUANTITY = re.compile(r"\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?")


@dataclass(frozen=True)
class WorkspaceOptions:
    """What a person wants of the run's shared volume; None leaves it as the pipeline has it.

    It is compiled into the pipeline, because KFP takes no parameters there.

    Attributes:
        access_mode: ReadWriteMany, or ReadWriteOnce where all pods run on one node.
        storage_class: The cluster's storage class.
        size: Kubernetes quantity.
    """

    access_mode: str | None = None
    storage_class: str | None = None
    size: str | None = None

    @classmethod
    def take(cls, options: dict[str, Any]) -> "WorkspaceOptions":
        """Returns what a command line with `add_workspace_options` says, taken out of its options."""
        return cls(**{field.name: options.pop(f"workspace_{field.name}") for field in fields(cls)})


def add_workspace_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the run's shared volume to a command line."""
    group = parser.add_argument_group("the run's shared volume on a cluster, compiled into the pipeline")
    group.add_argument(
        "--workspace-access-mode",
        choices=ACCESS_MODES,
        help="how pods share it; ReadWriteOnce binds all of them to one node (default: ReadWriteMany)",
    )
    group.add_argument("--workspace-storage-class", metavar="NAME", help="storage class (default: the cluster's)")
    group.add_argument("--workspace-size", type=_read_quantity, metavar="SIZE", help="such as 10Gi")


def compile_pipeline(path: Path, workspace: WorkspaceOptions = WorkspaceOptions()) -> None:
    """Writes the compiled pipeline.

    Args:
        path: File to write.
        workspace: What differs from the pipeline's own workspace.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(compile_text(workspace), encoding="utf-8")


@functools.cache
def compile_text(workspace: WorkspaceOptions) -> str:
    """Returns the compiled pipeline: a document for the pipeline, one for the platform.

    Args:
        workspace: What differs from the pipeline's own workspace.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PIPELINE_FILE.name
        compiler.Compiler().compile(speedup_pipeline, str(path))
        text = path.read_text(encoding="utf-8")
    if workspace == WorkspaceOptions():
        return text
    pipeline, platform = text.split(_DOCUMENTS_BORDER)
    return pipeline + _DOCUMENTS_BORDER + yaml.safe_dump(change_workspace(yaml.safe_load(platform), workspace))


def change_workspace(platform: Mapping[str, Any], workspace: WorkspaceOptions) -> dict[str, Any]:
    """Returns the platform part of a compiled pipeline with another workspace.

    Args:
        platform: The platform part, as compiled.
        workspace: What differs.
    """
    changed = deepcopy(dict(platform))
    compiled = changed["platforms"]["kubernetes"]["pipelineConfig"]["workspace"]
    claim = compiled.setdefault("kubernetes", {}).setdefault("pvcSpecPatch", {})
    if workspace.access_mode:
        claim["accessModes"] = [workspace.access_mode]
    if workspace.storage_class:
        claim["storageClassName"] = workspace.storage_class
    if workspace.size:
        compiled["size"] = workspace.size
    return changed


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m pipeline.compile") -> int:
    """Runs the program and returns its exit code."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--output", type=Path, default=PIPELINE_FILE, help="file to write (default: %(default)s)")
    add_workspace_options(parser)
    options = vars(parser.parse_args(arguments))
    path = options.pop("output")
    compile_pipeline(path, WorkspaceOptions.take(options))
    print(f"{path}: upload it in the dashboard under Pipelines")
    return 0


def _read_quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be a Kubernetes quantity such as 10Gi. Received: {text!r}.")
    return text


if __name__ == "__main__":
    sys.exit(main())
