"""Running the pipeline on this machine: KFP's local runner executes the steps, the TFJobs' replicas are processes."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import psutil
from kfp import local
from kfp.dsl.component_factory import EXECUTOR_MODULE
from kfp.local import subprocess_task_handler
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from components.planning import (
    FINISHED_FOLDER,
    FREE_CPUS_VARIABLE,
    RUN_ID_VARIABLE,
    STARTED_AT_VARIABLE,
    Parameters,
    RunPlan,
    fill_form,
    hand_over,
    hide_secrets,
    make_hider,
)
from pipeline.live_output import LiveOutput, StepsStopped
from pipeline.local.beside import find_notice, noted
from pipeline.local.resume import ARTIFACTS_FOLDER, WORKSPACE_FOLDER, count_finished, describe_resumption, lock
from pipeline.results import (
    PIPELINE_LOG,
    arrange_results,
    describe_partial_results,
    find_local_results,
    make_folder,
    open_log,
    point_latest,
    shorten,
)
from pipeline.shell import FAILED, INTERRUPTED
from pipeline.speedup import speedup_pipeline
from pipeline.steps import count_steps, read_spec
from pipeline.streams import complain, describe_storage_error
from tfjob.launcher import OWNER_VARIABLE

STEPS_PATIENCE_SECONDS = 15.0


class StorageToldError(Exception):
    """The disk takes no more, and a step has told why: to be said once."""


def run_here(plan: RunPlan, run_dir: Path, prog: str) -> int:
    """Runs the pipeline on this machine and returns the exit code; a disk that is full is told in one sentence.

    Args:
        plan: What will be trained. The first step plans the same, for a run that was started when this one was.
        run_dir: The run's folder, which is empty or as `take_up` left it.
        prog: What this program was called by.
    """
    try:
        return _run(plan, run_dir, prog)
    except StorageToldError:
        complain(_describe_end(plan, run_dir, prog))
        return FAILED
    except OSError as error:
        if not (told := describe_storage_error(error)):
            raise
        complain(f"error: {told}\n{_describe_end(plan, run_dir, prog)}")
        return FAILED


def _run(plan: RunPlan, run_dir: Path, prog: str) -> int:
    began = time.monotonic()
    artifacts, workspace = run_dir / ARTIFACTS_FOLDER, run_dir / WORKSPACE_FOLDER
    for folder in (artifacts, workspace, run_dir / "logs"):
        make_folder(folder, plan.parameters)
    os.environ |= {
        RUN_ID_VARIABLE: run_dir.name,
        STARTED_AT_VARIABLE: str(plan.started_at),
        FREE_CPUS_VARIABLE: "" if plan.free_cpus is None else str(plan.free_cpus),
        OWNER_VARIABLE: str(os.getpid()),
        **hand_over(plan.parameters),
    }
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(artifacts), workspace_root=str(workspace))
    num_steps = count_steps(read_spec(), vars(plan.parameters))
    print(f"Run {run_dir.name}: results will be in {shorten(run_dir)}/", flush=True)
    with (
        open_log(run_dir / PIPELINE_LOG, plan.parameters) as log,
        noted(run_dir, find_notice()) as beside,
    ):
        lock(log)
        if beside:
            complain(beside)
        live = LiveOutput(sys.stdout, log, num_steps, make_hider(plan.parameters))
        with _signals_stop(live), temporary_folder():
            has_succeeded = run_pipeline(plan.parameters, live)
            files, trained = find_local_results(artifacts)
            with _telling_once(live):
                arrange_results(run_dir, files, [workspace / FINISHED_FOLDER, *trained])
    shutil.rmtree(workspace, ignore_errors=True)
    if not has_succeeded:
        complain(_describe_end(plan, run_dir, prog))
        return INTERRUPTED if live.is_stopped else FAILED
    shutil.rmtree(artifacts)
    point_latest(run_dir)
    print(f"\nReport: {shorten(run_dir / 'report.html')} (after {time.monotonic() - began:.0f} s)")
    return 0


def _describe_end(plan: RunPlan, run_dir: Path, prog: str) -> str:
    """Returns what a run that did not come to its end has left, and how to go on with it."""
    kept, placed = count_finished(run_dir), len([*run_dir.glob("models/*/trial-*")])
    whole = describe_partial_results(run_dir)
    told = f"{kept} finished trial(s) are kept, not all in their places." if kept > placed else whole
    return f"{told}{describe_resumption(run_dir, prog, plan)}"


def run_pipeline(parameters: Parameters, live: LiveOutput) -> bool:
    """Runs the pipeline in the local runner and returns whether it succeeded.

    Args:
        parameters: The pipeline's parameters.
        live: Gets everything that the steps print.
    """
    try:
        with contextlib.redirect_stdout(live), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the local runner needs no image, and says so
            with ordered_for_one_machine(speedup_pipeline.pipeline_spec), parameters_left_alone():
                speedup_pipeline(**fill_form(hide_secrets(parameters)))
    except (RuntimeError, StepsStopped):  # how the local runner reports a failed step, whose own message has been shown
        return False
    except OSError as error:  # the local runner's own, between two steps
        if not (told := describe_storage_error(error)):
            raise
        if not live.has_told_storage:
            complain(f"error: {told}")
        return False
    return True


@contextlib.contextmanager
def _telling_once(live: LiveOutput) -> Iterator[None]:
    """Raises another error for a disk of which a step has told what is wrong.

    Raises:
        StorageToldError: The block met it, too.
    """
    try:
        yield
    except OSError as error:
        if live.has_told_storage and describe_storage_error(error):
            raise StorageToldError from error
        raise


@contextlib.contextmanager
def temporary_folder() -> Iterator[None]:
    """Lets the steps keep what is temporary in one folder, which goes with them: KFP leaves one of each step."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="tfjob-speedup-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            del os.environ["TMPDIR"]
            if before is not None:
                os.environ["TMPDIR"] = before


@contextlib.contextmanager
def ordered_for_one_machine(pipeline: PipelineSpec) -> Iterator[None]:
    """Gives the local runner an order that a server does not need while the block runs.

    - One iteration of a loop after another. Without a word the runner takes two at a time, of which the one would wait
      for its turn, and their outputs would mix.
    - A branch after all else of its graph. The runner takes one task after another, in any order that their
      dependencies allow, and ends with the first that fails: the answer is not to wait for the depth study.

    Args:
        pipeline: The pipeline that will be run, which is changed and changed back.
    """
    before = PipelineSpec()
    before.CopyFrom(pipeline)
    for component in pipeline.components.values():
        tasks = component.dag.tasks
        branches = {name for name, task in tasks.items() if task.trigger_policy.condition}
        for name, task in tasks.items():
            if task.HasField("parameter_iterator"):
                task.iterator_policy.parallelism_limit = 1
            if name in branches:
                task.dependent_tasks.extend(sorted(tasks.keys() - branches - {*task.dependent_tasks}))
    try:
        yield
    finally:
        pipeline.CopyFrom(before)


@contextlib.contextmanager
def parameters_left_alone() -> Iterator[None]:
    """Keeps the local runner from changing parameters while the block runs.

    It writes the path of its own interpreter in place of each `python3` of a step's command, and a step's parameters
    stand there, too: a person's `python3 train.py` would run in this project's environment, and
    `/opt/conda/bin/python3` be a path that there is not.
    """
    before = subprocess_task_handler.replace_python_executable
    subprocess_task_handler.replace_python_executable = _name_python
    try:
        yield
    finally:
        subprocess_task_handler.replace_python_executable = before


def _name_python(command: Sequence[str], executable: str) -> list[str]:
    """Returns the command of a step with the interpreter that runs it, in the part that starts it alone."""
    first = next(index for index, part in enumerate(command) if EXECUTOR_MODULE in part)
    return [*(part.replace("python3", executable) for part in command[: first + 1]), *command[first + 1 :]]


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
