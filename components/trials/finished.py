"""What an interrupted run has finished, laid ready for the steps of the run that resumes it."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.parsing import RecordError, load_json, read_text
from components.planning import LAUNCH_FILE, RunPlan, name_trial, plan_run, read_launched
from components.trials.trial import MODEL_FILE, RESUMED_FILE, TRAINING_FILE
from components.trials.turns import FAILED_FOLDER, FINISHED_FOLDER
from model.host import describe_versions

# In the workspace: says that every step has stored what it trained.
HANDED_OUT_FILE = "handed-out"


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


def remove_torn_trials(trials: Iterable[Path]) -> None:
    """Removes the folders of trials of which not all is there."""
    for folder in trials:
        if not all((folder / name).exists() for name in (TRAINING_FILE, LAUNCH_FILE, MODEL_FILE)):
            shutil.rmtree(folder)


def check_software(trials: Iterable[Path]) -> None:
    """Makes sure that what is left to train will be trained by the same software.

    Raises:
        RecordError: It would not.
    """
    here = describe_versions()
    for folder in trials:
        there = load_json(read_text(folder / TRAINING_FILE), str(folder / TRAINING_FILE)).get("versions")
        if there != here:
            raise RecordError(
                f"{folder} must have been trained by the software that is installed, or the run is no fair comparison. "
                f"Received: {_describe_differences(there, here)}. Install that again, or start a new run."
            )


def lay_ready(trials: Sequence[tuple[Path, Path]], workspace: Path) -> None:
    """Lets the steps of a run find its finished trials: links in its workspace.

    Args:
        trials: The folder of each trial, and the folder of its logs.
        workspace: Folder that all replicas see.
    """
    for folder, logs in trials:
        place = workspace / FINISHED_FOLDER / name_trial(*read_launched(folder))
        place.mkdir(parents=True)
        for path in folder.iterdir():
            (place / path.name).symlink_to(path.resolve())
        (place / "logs").symlink_to(logs.resolve())


def _describe_differences(there: Mapping[str, Any] | None, here: Mapping[str, Any]) -> str:
    there = there or {}
    names = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    return ", ".join(f"{name} {there.get(name)}, installed is {here.get(name)}" for name in names)
