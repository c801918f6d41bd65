"""Runs the comparison: the same pipeline, the same TFJob manifests, here or on a Kubeflow Pipelines server.

Without --endpoint (KFP_ENDPOINT) it runs on this machine, with replicas as processes. With it, the pipeline is
uploaded, run there and followed, and its results are fetched.

The results are in runs/<run id>/: report.html, comparison.csv, comparison.md, recommendation.json, trials.jsonl,
models/ and logs/; runs/latest points at the newest.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from components.errors import TOLD_PLAINLY
from components.planning import Parameters, fill_form, find_room, make_hider, plan_run, take_given
from components.trials import check_machine
from pipeline.compile import add_workspace_options, take_workspace
from pipeline.form import add_parameter_options, describe_exposure, name_option
from pipeline.local import ResumeError, describe_killed, run_here, take_up
from pipeline.remote import (
    DEFAULT_PACE,
    ENDPOINT_VARIABLE,
    Access,
    Pace,
    Server,
    ServerError,
    check_form,
    list_doubts,
    read_parameters,
    start_run,
    terminate,
    watch,
)
from pipeline.results import create_run_dir
from pipeline.shell import INTERRUPTED, REFUSED, RUN, read_name
from pipeline.speedup import speedup_pipeline
from pipeline.streams import complain, describe_storage_error, replace_unencodable, speak_utf8_with_children
from pipeline.upload import add_server_options

_OF_A_NEW_RUN_THERE = (
    "experiment",
    "run_name",
    "service_account",
    "workspace_access_mode",
    "workspace_storage_class",
    "workspace_size",
)
_ONLY_ON_A_SERVER = ("terminate", "namespace", *_OF_A_NEW_RUN_THERE)
_NOT_YET_NAMED = "run"


def main(arguments: Sequence[str] | None = None, pace: Pace = DEFAULT_PACE, *, prog: str = RUN) -> int:
    """Runs the program and returns its exit code: 0; 1 a step failed, 2 something was refused, 130 interrupted.

    Args:
        arguments: The command line; None takes the program's.
        pace: How often a run on a server is looked at.
        prog: What the program was called by.
    """
    replace_unencodable()
    speak_utf8_with_children()
    parser = build_parser(prog)
    options = vars(parser.parse_args(arguments))
    parameters = Parameters(**{parameter.name: options.pop(parameter.name) for parameter in fields(Parameters)})
    unset = argparse.Namespace(**dict.fromkeys(vars(parameters)))  # an attribute that is there gets no default
    said = vars(parser.parse_args(arguments, unset))
    if said["command"] == "":  # a shell's variable that is not set, and no wish for this project's own loop
        parser.error("argument --command: expected a command. Received: ''")
    for exposed in describe_exposure(said):
        complain(f"warning: {exposed}")
    of_parameters = [
        name_option(name) for name, value in said.items() if name in vars(parameters) and value is not None
    ]
    unsaid = {name: value for name, value in take_given().items() if said[name] is None}
    said |= unsaid
    parameters = replace(parameters, **unsaid)
    check_options(parser, options, of_parameters)
    try:
        if options["endpoint"]:
            return run_there(parameters, options, said, pace, prog)
        if options["resume"]:
            run_dir = options["runs_dir"].resolve() / options["resume"]
            plan = take_up(run_dir, said)
        else:
            # Before there is a folder, after which the run is named.
            plan = plan_run(_NOT_YET_NAMED, parameters, find_room)
            check_machine(plan, report=lambda _: None)  # the first step tells what has no effect here
            if killed := describe_killed(options["runs_dir"], prog):
                complain(killed)
            run_dir = create_run_dir(options["runs_dir"]).resolve()
    except (*TOLD_PLAINLY, ResumeError, ServerError) as error:
        complain(make_hider(parameters)(f"error: {error}"))
        return REFUSED
    except OSError as error:
        told = f"{error.filename} cannot be used: {error.strerror}" if error.filename else str(error)
        complain(make_hider(parameters)(f"error: {describe_storage_error(error) or told}"))
        return REFUSED
    return run_here(plan, run_dir, prog)


def check_options(parser: argparse.ArgumentParser, options: Mapping[str, Any], of_parameters: Sequence[str]) -> None:
    """Ends the program where an option would be left aside without a word.

    Args:
        parser: The command line.
        options: Its values, but for the parameters'.
        of_parameters: The options of parameters that are given.
    """

    def list_given(names: Iterable[str]) -> list[str]:
        return [name_option(name) for name in names if options[name] != parser.get_default(name)]

    if not options["endpoint"]:
        if given := list_given(_ONLY_ON_A_SERVER):
            told = f"only for a run on a server, which {ENDPOINT_VARIABLE} or --endpoint names"
            parser.error(f"{', '.join(given)}: {told}")
        return
    taken = next((name for name in ("terminate", "resume") if options[name]), None)
    if taken and (idle := [*of_parameters, *list_given(_OF_A_NEW_RUN_THERE)]):
        parser.error(f"{', '.join(idle)}: must be left out with {name_option(taken)}, which starts no run")
    if options["terminate"] and options["resume"]:
        parser.error("--terminate and --resume must not both be given: a run is ended, or followed")


def run_there(parameters: Parameters, options: dict[str, Any], said: dict[str, Any], pace: Pace, prog: str) -> int:
    """Does on a server what the command line asks for, and returns the exit code.

    Args:
        parameters: Those of a new run.
        options: The command line's other values.
        said: What the command line says itself.
        pace: How often the run is looked at.
        prog: What the program was called by.

    Raises:
        ValueError: A parameter cannot be.
        ServerError: The server cannot be used, or refuses.
        OSError: The folder for results cannot be made.
    """
    server = Server(Access.read(options["endpoint"], options["namespace"]))
    if options["terminate"]:
        return terminate(server, options["terminate"])
    if not options["resume"]:
        check_form(parameters)
        for doubt in list_doubts(parameters, is_image_given=said["image"] is not None):
            complain(make_hider(parameters)(f"warning: {doubt}"))
    runs_dir: Path = options["runs_dir"]
    runs_dir.mkdir(parents=True, exist_ok=True)
    if run_id := options["resume"]:
        return watch(server, run_id, read_parameters(server, run_id), runs_dir, prog=prog, pace=pace)
    try:
        run_id = start_run(
            server,
            fill_form(parameters),
            take_workspace(options),
            experiment=options["experiment"],
            run_name=options["run_name"],
            service_account=options["service_account"],
        )
    except KeyboardInterrupt:
        complain(f"\nInterrupted. Whether a run was started, the dashboard knows: {server.access.endpoint}")
        return INTERRUPTED
    return watch(server, run_id, vars(parameters), runs_dir, prog=prog, pace=pace)


def _read_folder(text: str) -> Path:
    """Returns an option's text as a path; see `read_name`."""
    return Path(read_name(text))


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Returns the command line: one option for each of the pipeline's parameters, and those of where it runs."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs-dir", type=_read_folder, default=Path("runs"), help="folder of all runs' results (default: %(default)s)"
    )
    parser.add_argument(
        "--resume",
        type=read_name,
        metavar="RUN_ID",
        help="start no run, but take up this one, with its own parameters: of an interrupted one in the runs' folder, "
        "train what is not finished; on a server, follow it and fetch its results",
    )
    add_parameter_options(parser)
    add_server_options(parser)
    group = parser.add_argument_group("a run on that server")
    group.add_argument(
        "--experiment",
        default=speedup_pipeline.name,
        metavar="NAME",
        help="KFP's folder of runs (default: %(default)s)",
    )
    group.add_argument("--run-name", default="", metavar="NAME", help="name in the dashboard (default: with the time)")
    group.add_argument(
        "--service-account",
        default="",
        metavar="NAME",
        help="account of the steps' pods, which start the TFJobs (default: the server's)",
    )
    group.add_argument("--terminate", type=read_name, metavar="RUN_ID", help="end this run; start none")
    add_workspace_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
