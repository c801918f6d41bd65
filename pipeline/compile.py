"""`python -m pipeline.compile` writes the pipeline as the file that the dashboard takes for upload."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kfp import compiler

from pipeline.speedup import speedup_pipeline

PIPELINE_FILE = Path("build/pipeline.yaml")


def compile_pipeline(path: Path) -> None:
    """Writes the compiled pipeline to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(speedup_pipeline, str(path))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.compile", description=__doc__)
    parser.add_argument("--output", type=Path, default=PIPELINE_FILE, help="file to write (default: %(default)s)")
    path = parser.parse_args(arguments).output
    compile_pipeline(path)
    print(f"{path}: upload it in the dashboard under Pipelines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
