"""What an interrupted run has finished, laid ready for the steps of the run that resumes it."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.records import RecordError
from components.planning import FINISHED_FOLDER, LAUNCH_FILE, Program, RunPlan, name_trial, plan_run, read_launched
from components.trials.turns import FAILED_FOLDER
from model.host import describe_versions

# In the workspace: says that every step has stored what it trained.
HANDED_OUT_FILE = "handed-out"
# Likewise: says that the run goes on after an interruption.
RESUMED_FILE = "resumed"


def keep_trial(folder: Path, place: Path) -> None:
    """Copies the folder of a finished trial to its place in the workspace: all of it or, if that fails, nothing.

    What is there is on the disk, so that not even a loss of power takes it away.

    Args:
        folder: What `run_trial` wrote.
        place: Folder to make.
    """
    partial = place.parent.with_name(f"{FINISHED_FOLDER}.partial") / place.name
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial)
    for path in (*partial.rglob("*"), partial):
        _flush(path)
    place.parent.mkdir(exist_ok=True)
    partial.rename(place)
    _flush(place.parent)


def _flush(path: Path) -> None:
    """Waits until a file or folder is on the disk; some network file systems cannot tell of folders."""
    descriptor = os.open(path, os.O_RDONLY)
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)


def note_handed_out(workspace: Path) -> None:
    """Notes that every step has stored what it trained: whoever calls this comes after them all."""
    (workspace / HANDED_OUT_FILE).touch()


def hand_out_finished(workspace: Path, output_dir: Path) -> int:
    """Copies the finished trials of a run that broke off, and returns their number.

    KFP stores nothing of a step that fails but its log; what it had finished is in the workspace, which goes with the
    run. Whatever goes on in this workspace, because the run is tried again, goes on after an interruption.

    Args:
        workspace: Folder that all steps see.
        output_dir: Folder to make, for a folder of each trial. It is never empty: a store keeps no empty folder.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(workspace / FAILED_FOLDER, ignore_errors=True)
    is_broken_off = not (workspace / HANDED_OUT_FILE).exists()
    finished = sorted((workspace / FINISHED_FOLDER).glob("*")) if is_broken_off else []
    for folder in finished:
        shutil.copytree(folder, output_dir / folder.name)
    if finished:
        (workspace / RESUMED_FILE).touch()
    else:
        (output_dir / "README.txt").write_text("The steps have stored all that they trained.\n", encoding="utf-8")
    return len(finished)


def read_resumable_plan(path: Path) -> RunPlan:
    """Returns the plan of a run, if this version of the project would plan the same.

    Raises:
        ValueError: It would not, or there is no plan.
    """
    plan = RunPlan.read(path)
    if plan_run(plan.run_id, plan.parameters, lambda _: plan.free_cpus).configurations != plan.configurations:
        raise RecordError(
            f"{path} must hold what this version plans from its parameters. It was written by another one, with which "
            "the run can be resumed."
        )
    return plan


def remove_torn_trials(program: Program, trials: Iterable[Path]) -> None:
    """Removes the folders of trials of which not all is there."""
    for folder in trials:
        if not all((folder / name).exists() for name in (LAUNCH_FILE, *program.files)):
            shutil.rmtree(folder)


def check_software(program: Program, trials: Iterable[Path]) -> None:
    """Makes sure that what is left to train will be trained by the same software, as far as it is known.

    Raises:
        RecordError: It would not.
    """
    here = describe_versions()
    for folder in trials:
        there = program.describe_software(folder)
        if there not in (None, here):
            raise RecordError(
                f"{folder} must have been trained by the software that is installed, or the run is no fair comparison. "
                f"Received: {_describe_differences(there, here)}. Install that again, or start a new run."
            )


def lay_ready(plan: RunPlan, trials: Sequence[tuple[Path, Path]], workspace: Path) -> None:
    """Lets the steps of a run find its finished trials: links in its workspace.

    Args:
        plan: The run's plan.
        trials: The folder of each trial, and the folder of its logs.
        workspace: Folder that all replicas see.
    """
    # The baseline may have run in another form than was planned, which names its records.
    planned = {form.name: c.name for c in plan.configurations for form in plan.program.list_forms(c)[::-1]}
    for folder, logs in trials:
        name, trial = read_launched(folder)
        place = workspace / FINISHED_FOLDER / name_trial(planned.get(name, name), trial)
        place.mkdir(parents=True)
        for path in folder.iterdir():
            (place / path.name).symlink_to(path.resolve())
        (place / "logs").symlink_to(logs.resolve())


def _describe_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    names = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    return ", ".join(f"{name} {there.get(name)}, installed is {here.get(name)}" for name in names)
