"""What an interrupted run has finished, laid ready for the steps of the run that resumes it."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.records import RecordError, load_json, read_text
from components.run_plan import RunPlan, plan_run
from components.trial import FINISHED_FOLDER, LAUNCH_FILE, MODEL_FILE, TRAINING_FILE, name_trial, read_json
from model.host import describe_versions


def read_resumable_plan(path: Path) -> RunPlan:
    """Returns the plan of a run, if this version of the project would plan the same.

    Raises:
        ValueError: It would not, or there is no plan.
    """
    plan = RunPlan.read(path)
    if plan_run(plan.run_id, plan.parameters).configurations != plan.configurations:
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
        launch = read_json(folder / LAUNCH_FILE)
        place = workspace / FINISHED_FOLDER / name_trial(launch["configuration"], launch["trial"])
        place.mkdir(parents=True)
        for path in folder.iterdir():
            (place / path.name).symlink_to(path.resolve())
        (place / "logs").symlink_to(logs.resolve())


def _describe_differences(there: Mapping[str, Any] | None, here: Mapping[str, Any]) -> str:
    there = there or {}
    names = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    return ", ".join(f"{name} {there.get(name)}, installed is {here.get(name)}" for name in names)
