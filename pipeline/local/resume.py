"""Resuming a run on this machine: its plan stands, and only what it has not finished is trained."""

import fcntl
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from components.planning import (
    FINISHED_FOLDER,
    GIVEN_BY,
    HOLDERS,
    Parameters,
    RunPlan,
    find_hidden,
    find_secrets,
    hide_value,
    list_trials,
)
from components.trials import check_software, lay_ready, read_resumable_plan, remove_torn_trials
from pipeline.form import name_option
from pipeline.results import PIPELINE_LOG, arrange_results, find_local_results, shorten
from pipeline.shell import write_run

# What a run on this machine works with; both are gone when it has succeeded.
ARTIFACTS_FOLDER, WORKSPACE_FOLDER = "artifacts", "workspace"
_PLAN_FILE, _REPORT_FILE = "run.json", "report.html"


class ResumeError(ValueError):
    """The run cannot be resumed; the message says why."""


def take_up(run_dir: Path, said: Mapping[str, Any]) -> RunPlan:
    """Returns the plan of an interrupted run, of which all that is finished has been laid ready for the steps.

    Args:
        run_dir: The run's folder.
        said: What the command line says of the pipeline's parameters; None where it is silent.

    Raises:
        ResumeError: There is nothing to resume.
        ValueError: Another version of the project or of the software began the run.
        OSError: The folder cannot be used.
    """
    name = run_dir.name
    artifacts, workspace = run_dir / ARTIFACTS_FOLDER, run_dir / WORKSPACE_FOLDER
    if not (artifacts.exists() or (run_dir / _PLAN_FILE).exists()):
        raise ResumeError(f"There is no run {name} in {shorten(run_dir.parent)}. Expected the name of a folder there.")
    if (run_dir / _REPORT_FILE).exists() and not artifacts.exists():
        raise ResumeError(f"Run {name} is complete: {shorten(run_dir / _REPORT_FILE)}. There is nothing to resume.")
    check_nobody_runs(run_dir)
    _claim(run_dir)
    rescue_results(run_dir)
    if not (run_dir / _PLAN_FILE).exists():
        raise ResumeError(f"Run {name} ended before it was planned: there is nothing to resume. Start a new run.")
    plan = read_resumable_plan(run_dir / _PLAN_FILE)
    if plan.run_id != name:
        raise ResumeError(f"The folder of run {plan.run_id} must have its name. Received: {name}. Rename it.")
    plan = replace(plan, parameters=complete_parameters(plan.parameters, said))
    remove_torn_trials(plan.program, run_dir.glob("models/*/trial-*"))
    trials = {
        folder: run_dir / "logs" / folder.relative_to(run_dir / "models") for folder in run_dir.glob("models/*/*")
    }
    check_software(plan.program, trials)
    # Of results that found no room it may be the only one, and without the folders it stands for a run's end.
    (run_dir / _REPORT_FILE).unlink(missing_ok=True)
    for folder in (artifacts, workspace):
        shutil.rmtree(folder, ignore_errors=True)
    lay_ready(plan, [*trials.items()], workspace)
    return plan if trials else replace(plan, started_at=time.time())  # nothing is left of its first start


def complete_parameters(planned: Parameters, said: Mapping[str, Any]) -> Parameters:
    """Returns what was planned, with the secrets that are not stored: the command line or the environment says them.

    Args:
        planned: The parameters that the run was planned with.
        said: What the command line and the environment say of parameters; None where they are silent.

    Raises:
        ResumeError: They ask for something else, or do not say what is not stored.
    """
    for name, value in vars(planned).items():
        asked, known = hide_value(name, said[name]) if said[name] is not None else None, hide_value(name, value)
        if asked not in (None, known):
            raise ResumeError(
                f"{name_option(name)} must be left out, or be that of the run, {known!r}. Received: {asked!r}."
            )
    secrets = {name: said[name] for name in HOLDERS if said[name] is not None}
    for name in find_hidden(planned):
        if name not in secrets:
            raise ResumeError(
                f"{name_option(name)} of the run was {getattr(planned, name)!r}: what is hidden is stored nowhere. "
                f"Give it again as a whole: {_describe_giving(name)}."
            )
    return replace(planned, **secrets)


def rescue_results(run_dir: Path) -> None:
    """Moves to their places the plan and the finished trials of a run that could not: it was killed, or had no room.

    KFP's runner removes the workspace when it ends. What could not be moved then is where the steps have left it.
    """
    files, trained = find_local_results(run_dir / ARTIFACTS_FOLDER)
    workspace = run_dir / WORKSPACE_FOLDER
    plan = {name: path for name, path in files.items() if name == _PLAN_FILE and not (run_dir / name).exists()}
    arrange_results(run_dir, plan, [workspace / FINISHED_FOLDER] if workspace.exists() else trained)


def lock(log: TextIO) -> None:
    """Lets other programs know that a run goes on, for as long as its log is open.

    Raises:
        BlockingIOError: Another program runs it.
    """
    fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_nobody_runs(run_dir: Path) -> None:
    """Makes sure that no other program runs this run.

    Raises:
        ResumeError: One does.
    """
    path = run_dir / PIPELINE_LOG
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        try:
            lock(log)
        except BlockingIOError:
            raise ResumeError(f"Run {run_dir.name} is running: interrupt it first, or let it end.") from None


def _claim(run_dir: Path) -> None:
    """Lets no other program take this run up, from now until this one ends: what is laid ready is removed first.

    Of a lock on a region only other processes know; the log is open until then, and its lock no other's.

    Raises:
        ResumeError: Another one has.
    """
    descriptor = os.open(run_dir / PIPELINE_LOG, os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ResumeError(f"Run {run_dir.name} is being resumed by another program: let that one go on.") from None


def describe_resumption(run_dir: Path, prog: str, plan: RunPlan | None = None) -> str:
    """Returns a line on how an interrupted run is resumed; nothing where it cannot be.

    Args:
        run_dir: The run's folder.
        prog: What this program was called by.
        plan: What the run trains, with the secrets that must be given again.
    """
    if not _is_planned(run_dir):
        return ""
    runs_dir = shorten(run_dir.parent)
    place = "" if runs_dir == Path("runs") else f"--runs-dir {runs_dir} "
    names = find_secrets(plan.parameters) if plan else {}
    secrets = " ".join(f"{GIVEN_BY[name]}=…" for name in names if name in GIVEN_BY)
    options = "".join(f" {_write_option(name)}" for name in names if name not in GIVEN_BY)
    return f"\nTrain what is left: {write_run(prog, f'{place}--resume {run_dir.name}{options}', secrets)}"


def describe_killed(runs_dir: Path, prog: str) -> str:
    """Returns how the newest run is resumed that could not say so itself, because it was killed; nothing without one.

    Args:
        runs_dir: The folder of all runs.
        prog: What this program was called by.
    """
    for workspace in sorted(runs_dir.glob(f"*/{WORKSPACE_FOLDER}"), reverse=True):  # which goes with a run that ends
        run_dir = workspace.parent
        if not run_dir.is_symlink() and (told := describe_resumption(run_dir, prog)) and not _is_running(run_dir):
            return (
                f"Note: run {run_dir.name} was killed before its end, or its machine was: {count_finished(run_dir)} "
                f"trial(s) are finished.{told}\nOr delete {shorten(run_dir)}, and this is not said again."
            )
    return ""


def count_finished(run_dir: Path) -> int:
    """Returns how many finished trials a run holds that had no time to put all of them in their places."""
    finished = (folder.name for folder in (run_dir / WORKSPACE_FOLDER / FINISHED_FOLDER).glob("*"))
    left = (folder.name for folder in list_trials(find_local_results(run_dir / ARTIFACTS_FOLDER)[1]))
    placed = (f"{folder.parent.name}-t{folder.name.removeprefix('trial-')}" for folder in run_dir.glob("models/*/*"))
    return len({*finished, *left, *placed})


def _is_planned(run_dir: Path) -> bool:
    return (run_dir / _PLAN_FILE).exists() or _PLAN_FILE in find_local_results(run_dir / ARTIFACTS_FOLDER)[0]


def _is_running(run_dir: Path) -> bool:
    try:
        check_nobody_runs(run_dir)
    except (ResumeError, OSError):  # what cannot be opened is not this user's to resume
        return True
    return False


def _describe_giving(name: str) -> str:
    """Returns how a person gives a parameter of which a part is hidden."""
    in_environment = f"{GIVEN_BY[name]}=… in the environment, or " if name in GIVEN_BY else ""
    return f"{in_environment}{_write_option(name)}"


def _write_option(name: str) -> str:
    """Returns how a secret is given on the command line."""
    return f"{name_option(name)} {'FILE' if name == 'tfjob' else '…'}"
