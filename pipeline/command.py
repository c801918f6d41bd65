"""The one command, `tfjob-speedup`: each of its sub-commands is a program that `python -m` runs, too."""

import argparse
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from components import check_packages

NAME = "tfjob-speedup"


@dataclass(frozen=True)
class Program:
    """A sub-command.

    Attributes:
        module: Where its `main` is, imported only when it is asked for: some take seconds.
        does: What it does, in a few words.
        example: What may follow its name.
    """

    module: str
    does: str
    example: str


PROGRAMS = {
    "run": Program("pipeline.run", "run the comparison, here or on a server", "--workers 2 4 --trials 3"),
    "report": Program("comparison.__main__", "rebuild a run's report, or compare two runs", "runs/latest"),
    "preflight": Program("tfjob.preflight.__main__", "check what a cluster needs for TFJobs", "--namespace team-a"),
    "compile": Program("pipeline.compile", "write the pipeline, for upload in the dashboard", "--output pipeline.yaml"),
    "upload": Program(
        "pipeline.upload", "put the pipeline on a server", "--endpoint https://kubeflow.example/pipeline"
    ),
    "power": Program("comparison.power", "print how often a comparison errs, by simulation", ""),
    "prepare": Program("model.prepare", "fetch, check and split a data set", "--dataset mnist --output-dir data/mnist"),
    "train": Program("model.train", "train once", "--data-dir data/mnist --output-dir trained"),
    "depth-study": Program(
        "model.depth_study",
        "train residual and plain networks alike",
        "--data-dir data/mnist --output-file depth_study.json",
    ),
    "depth-page": Program("comparison.depth_study.__main__", "make the page of a depth study", "depth_study.json"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a sub-command's program and returns its exit code."""
    from pipeline.streams import replace_unencodable  # noqa: PLC0415 - the command itself imports nothing

    replace_unencodable()
    options = build_parser().parse_args(arguments)
    # Where a person's own model is, as `python -m` finds it; a console script has its own folder there.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - sys.path holds text
    check_packages()
    program = importlib.import_module(PROGRAMS[options.command].module)
    return int(program.main(options.rest, prog=f"{NAME} {options.command}"))


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line up to the sub-command, whose program reads the rest."""
    width = max(map(len, PROGRAMS))
    described = [
        f"  {name:<{width}}  {program.does}\n  {'':<{width}}    {NAME} {name} {program.example}".rstrip()
        for name, program in PROGRAMS.items()
    ]
    parser = argparse.ArgumentParser(
        prog=NAME,
        description=importlib.metadata.metadata(NAME)["Summary"],
        epilog="\n".join(["commands, each with an example:", *described, "", f"All options: {NAME} COMMAND --help"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {importlib.metadata.version(NAME)}")
    parser.add_argument("command", choices=PROGRAMS, help="one of those below")
    parser.add_argument("rest", metavar="…", nargs=argparse.REMAINDER, help="options of that command")
    return parser


if __name__ == "__main__":
    sys.exit(main())
