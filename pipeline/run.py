"""Runs the comparison on this machine: the same pipeline, the same TFJob manifests, replicas as processes.

The results are in runs/<run id>/: report.html, comparison.csv, comparison.md, trials.jsonl, models/ and logs/;
runs/latest points at the newest.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from kfp import local

from components.errors import TOLD_PLAINLY
from components.run_plan import RUN_ID_VARIABLE, plan_run
from pipeline.live_output import LiveOutput, StepsStopped
from pipeline.results import arrange_results, create_run_dir, find_local_results, point_latest
from pipeline.speedup import speedup_pipeline
from tfjob.owner import OWNER_VARIABLE

ENDPOINT_VARIABLE = "KFP_ENDPOINT"
USER_ERROR_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130
STEPS_PATIENCE_SECONDS = 15.0
_STEPS_OF_A_RUN, _STEPS_OF_A_TRIAL = 4, 2
_TYPES = {"String": str, "Integer": int, "Float": float}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code: 0; 1 a step failed, 2 a parameter was refused, 130 interrupted."""
    options = vars(build_parser().parse_args(arguments))
    runs_dir: Path = options.pop("runs_dir")
    if os.environ.get(ENDPOINT_VARIABLE):  # a run here would pass for one on that cluster
        print(
            f"error: {ENDPOINT_VARIABLE} is set, and this version runs on this machine only. Unset it, or upload what "
            "`make compile` writes.",
            file=sys.stderr,
        )
        return USER_ERROR_EXIT_CODE
    try:
        plan_run("check", options)
        run_dir = create_run_dir(runs_dir).resolve()
    except (*TOLD_PLAINLY, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR_EXIT_CODE
    return run_here(options, run_dir)


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line: one option for each of the pipeline's parameters."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="folder of all runs' results (default: %(default)s)"
    )
    for name, parameter in speedup_pipeline.component_spec.inputs.items():
        option = "--" + name.replace("_", "-")
        default, description = parameter.default, (parameter.description or "").replace("%", "%%")
        if isinstance(default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=default, help=description)
        elif isinstance(default, list):
            shown = " ".join(map(str, default))
            parser.add_argument(
                option, type=type(default[0]), nargs="+", default=default, help=f"{description} (default: {shown})"
            )
        else:
            parser.add_argument(
                option, type=_TYPES[parameter.type], default=default, help=f"{description} (default: %(default)s)"
            )
    return parser


def run_here(parameters: dict[str, Any], run_dir: Path) -> int:
    """Runs the pipeline on this machine and returns the exit code.

    Args:
        parameters: The pipeline's parameters.
        run_dir: The run's folder, which exists and is empty.
    """
    began = time.monotonic()
    artifacts, workspace = run_dir / "artifacts", run_dir / "workspace"
    for folder in (artifacts, workspace, run_dir / "logs"):
        folder.mkdir()
    os.environ |= {RUN_ID_VARIABLE: run_dir.name, OWNER_VARIABLE: str(os.getpid())}
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(artifacts), workspace_root=str(workspace))
    num_steps = _STEPS_OF_A_RUN + _STEPS_OF_A_TRIAL * parameters["trials"] + parameters["study_depth"]
    print(f"Run {run_dir.name}: results will be in {_shorten(run_dir)}/", flush=True)
    with (run_dir / "logs" / "pipeline.log").open("w", encoding="utf-8") as log:
        live = LiveOutput(sys.stdout, log, num_steps)
        with _signals_stop(live):
            has_succeeded = run_pipeline(parameters, live)
            arrange_results(run_dir, *find_local_results(artifacts))
    shutil.rmtree(workspace, ignore_errors=True)
    if not has_succeeded:
        print(describe_partial_results(run_dir), file=sys.stderr)
        return INTERRUPTED_EXIT_CODE if live.is_stopped else 1
    shutil.rmtree(artifacts)
    point_latest(run_dir)
    print(f"\nReport: {_shorten(run_dir / 'report.html')} (after {time.monotonic() - began:.0f} s)")
    return 0


def run_pipeline(parameters: dict[str, Any], live: LiveOutput) -> bool:
    """Runs the pipeline in the local runner and returns whether it succeeded.

    Args:
        parameters: The pipeline's parameters.
        live: Gets everything that the steps print.
    """
    try:
        with contextlib.redirect_stdout(live), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the local runner needs no image, and says so
            speedup_pipeline(**parameters)
    except (RuntimeError, StepsStopped):  # how the local runner reports a failed step, whose own message has been shown
        return False
    return True


def stop_steps() -> None:
    """Ends the processes of the running step: it stops its replicas itself when it is told to end."""
    session = os.getsid(0)
    steps = [child for child in psutil.Process().children(recursive=True) if _session_of(child) == session]
    for step in steps:
        with contextlib.suppress(psutil.NoSuchProcess):
            step.terminate()
    patience_ends = time.monotonic() + STEPS_PATIENCE_SECONDS
    # Watched, not waited for: their exit codes are the local runner's.
    while any(map(_is_running, steps)) and time.monotonic() < patience_ends:
        time.sleep(0.1)
    for step in steps:
        with contextlib.suppress(psutil.NoSuchProcess):
            step.kill()


def describe_partial_results(run_dir: Path) -> str:
    """Returns where a reader finds what a run left that did not come to its end."""
    finished = sorted(str(path.relative_to(run_dir / "models")) for path in run_dir.glob("models/*/trial-*"))
    models = f"{len(finished)} finished trial(s): {', '.join(finished)}, in {_shorten(run_dir / 'models')}"
    return (
        f"{models if finished else 'No trial was finished'}.\nThe steps' logs: "
        f"{_shorten(run_dir / 'logs' / 'pipeline.log')}; what was unfinished: {_shorten(run_dir / 'artifacts')}"
    )


@contextlib.contextmanager
def _signals_stop(live: LiveOutput) -> Iterator[None]:
    """Turns Ctrl-C and SIGTERM into the end of the running step, and so of the run.

    An exception would not do: the local runner meets it by running all trials that are left, in a thread of its own.
    """
    has_ended = threading.Event()

    def stop_all() -> None:
        live.stop()
        print(f"\nInterrupted: stopping {live.current_step or 'the run'} …", file=sys.stderr, flush=True)
        while not has_ended.wait(0.1):  # again and again: a step may have been about to start
            stop_steps()

    stopping = threading.Thread(target=stop_all)

    def stop(_signum: int, _frame: FrameType | None) -> None:
        if not live.is_stopped:  # a handler must not print: it may have interrupted a print
            live.is_stopped = True
            stopping.start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        has_ended.set()
        if live.is_stopped:
            stopping.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _shorten(path: Path) -> Path:
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path


if __name__ == "__main__":
    sys.exit(main())
