"""One trial of one configuration: from the plan to what its training leaves, in a folder."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.records import SCHEMA_VERSION
from components.planning import (
    FINISHED_FOLDER,
    HEARTBEAT_FILE,
    LAUNCH_FILE,
    Assignment,
    Place,
    RecordsMissing,
    RunPlan,
    Training,
    list_places,
    name_trial,
    read_launched,
)
from components.trials.attempts import Attempt
from components.trials.disturbance import (
    accepts_noise,
    choose_patience,
    describe_attempts,
    find_disturbance,
    is_disturbed,
)
from components.trials.exposure import find_isolation
from components.trials.finished import RESUMED_FILE, keep_trial
from components.trials.left_out import is_left_out, is_worth_another_try, leave_out
from components.trials.turns import Turns, name_step
from model.files import write_atomically
from tfjob.backend import Backend, JobResult, Placement
from tfjob.errors import SpecError, TFJobError
from tfjob.launch import choose_backend, delete_jobs, list_unfinished_jobs, print_line, run_job
from tfjob.launcher import Heartbeat, is_in_pod
from tfjob.settings import Overlay, read_task_config

# A waiting step bears so long that nothing moves, beside what a replica may wait for its node.
SILENCE_SECONDS = 900.0
# The pods of all iterations start at once. The first trial is not to be beside that, which no other trial is.
GATHER_SECONDS = 120.0


def run_trials(
    plan: RunPlan,
    step: str,
    iteration: int,
    dataset_dir: Path,
    workspace: Path,
    output_dir: Path,
    task_config: Any,
) -> dict[str, Any]:
    """Trains a step's trials, each in its turn, and returns the models' metadata by trial.

    A step for which no trial is left says so in its output, which is never empty: a store keeps no empty folder.

    Args:
        plan: The run's plan.
        step: The step that calls this.
        iteration: The step's iteration of the pipeline's loop, from 1.
        dataset_dir: The prepared data.
        workspace: Folder that all replicas see.
        output_dir: Folder that gets a folder for each trial.
        task_config: What KFP hands this step for the jobs that it launches: a `dsl.TaskConfig`.

    Raises:
        TFJobError: A training did not succeed, or its turn does not come.
    """
    overlay = read_task_config(task_config)
    check_workspace(workspace, task_config)
    places = list_places(plan)
    own = [place for place in places if (place.step, place.iteration) == (step, iteration)]
    if not own:
        return note_nothing_to_train(output_dir)
    parameters = plan.parameters
    backend = choose_backend(
        pending_seconds=parameters.pending_minutes * 60,
        keep_failed=parameters.keep_failed_jobs,
        isolation=find_isolation(plan),
    )
    turns = Turns(
        places,
        name_step(own[0]),
        workspace,
        patience_seconds=SILENCE_SECONDS + parameters.pending_minutes * 60,
        list_jobs=lambda: list_unfinished_jobs(plan.run_id),
        delete_jobs=lambda: delete_jobs(plan.run_id, keep_failed=parameters.keep_failed_jobs),
        gather_seconds=GATHER_SECONDS if is_in_pod() else 0.0,  # on one machine one step starts after another
    )
    metadata = {}
    for place in own:
        folder = output_dir / place.name
        with turns.take(place):
            run_trial(plan, place, dataset_dir, workspace, folder, backend, [overlay])
        if not is_left_out(folder):
            metadata[place.name] = plan.program.describe(folder)
    return metadata


def note_nothing_to_train(output_dir: Path) -> dict[str, Any]:
    """Says in the log and in a step's output that it has trained nothing, and returns the metadata of no model."""
    print_line("Nothing is left to train here: the run ends with the single node, as it began.")
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / "README.txt").write_text("No trial was left for this step: see docs/timing.md.\n", encoding="utf-8")
    return {}


def check_workspace(workspace: Path, task_config: Any) -> None:
    """Makes sure that replicas in pods of their own see this step's workspace.

    Raises:
        SpecError: They would not.
    """
    mounts = [mount["mountPath"] for mount in task_config.volume_mounts or ()]
    if is_in_pod() and not any(workspace.is_relative_to(mount) for mount in mounts):
        raise SpecError(
            f"The replicas cannot mount the workspace {workspace}: this step was told of no volume there. Expected "
            "Kubeflow Pipelines 2.15 or later, which hands the run's volume to the step (TaskConfig), and a pipeline "
            f"compiled from this version. Received mounts: {mounts}"
        )


def run_trial(
    plan: RunPlan,
    place: Place,
    dataset_dir: Path,
    workspace: Path,
    output_dir: Path,
    backend: Backend,
    overlays: Sequence[Overlay] = (),
) -> None:
    """Trains one trial and writes what it left into `output_dir`, with launch.json and logs.

    A trial that was finished before the run, or this step alone, was interrupted is not trained again: what it left is
    in the workspace.

    Args:
        plan: The run's plan.
        place: Which trial.
        dataset_dir: The prepared data.
        workspace: Folder that all replicas see.
        output_dir: Folder for the results.
        backend: What runs the replicas.
        overlays: What KFP adds to the job's manifest: the workspace's volume, tolerations and the like.

    Raises:
        TFJobError: The training did not succeed.
    """
    print_line(f"== {place}, round {place.round_number} of {plan.parameters.trials}")
    finished = workspace / FINISHED_FOLDER / place.name
    if finished.exists():
        print_line("Finished before the interruption: its results are taken, it is not trained again.")
        (workspace / RESUMED_FILE).touch()
        shutil.copytree(finished, output_dir, dirs_exist_ok=True)
        return
    with Heartbeat(workspace / HEARTBEAT_FILE):  # for replicas, which end without it, and for the steps that wait
        dataset = plan.program.stage(dataset_dir, workspace)
        train_trial(plan, place, dataset, workspace, output_dir, backend, overlays)
        keep_trial(output_dir, finished)
    (workspace / RESUMED_FILE).unlink(missing_ok=True)


def train_trial(
    plan: RunPlan,
    place: Place,
    data_dir: Path,
    workspace: Path,
    output_dir: Path,
    backend: Backend,
    overlays: Sequence[Overlay],
) -> None:
    """Trains a trial and writes what it left into `output_dir`; see `run_trial`.

    What was resumed has no time. So a training that loses a replica is given up, and trained anew from step 0, once. So
    is one, once, that others on the machine have disturbed: the second attempt counts, whatever happened to it. One
    that has no whole record even then is left out: see `left_out.py`.

    Args:
        data_dir: Where all replicas find the data.
    """
    baseline = find_baseline(plan, workspace)
    forms = [*plan.program.list_forms(place.configuration)]
    if baseline in forms:
        forms = [baseline]
    may_lose, refusal = True, None
    while True:
        attempt = Attempt.begin(workspace, name_trial(forms[0].name, place.trial))
        training = plan.program.begin(
            Assignment(
                run_id=plan.run_id,
                configuration=forms[0],
                baseline=baseline or forms[0],
                trial=place.trial,
                round_number=place.round_number,
                place=place.number,
                data_dir=data_dir,
                output_dir=workspace / attempt.name,
                finished=workspace / FINISHED_FOLDER,
                overlays=overlays,
            )
        )
        patience = choose_patience(is_first=not (workspace / FINISHED_FOLDER).exists() and not attempt.earlier)
        output_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(output_dir / "logs", ignore_errors=True)  # this step's own log has what an attempt before said
        try:
            result = run_job(
                training.manifest,
                log_dir=output_dir / "logs",
                backend=backend,
                report=training.show,
                max_restarts=0,
                placement=Placement(place.round_number - 1, patience, plan.parameters.share_gpus),
                is_measured=training.is_measured,
                listen=training.listen,
            )
            training.measure(result)
        except TFJobError as error:
            lost = attempt.end(str(error).partition("\n")[0])
            may_run_otherwise = training.may_run_otherwise(error)
            if forms[1:] and may_run_otherwise:
                refusal = refusal or error
                tried = forms.pop(0)
                print_line(f"{error}\n== {tried.name} does not run; tried in its place: {forms[0].describe()}")
                continue
            if refusal and may_run_otherwise:  # none of them runs
                refusal.args = (f"{refusal}\n== {forms[0].name} does not run either:\n{error}",)
                raise refusal from error
            if isinstance(error, RecordsMissing) and not may_lose:
                leave_out(output_dir, place, str(error), lost)
                print_line(f"{error}\n== {place}, is left out: the comparison goes on without it")
                return
            if not (is_worth_another_try(error) and may_lose) or list_unfinished_jobs(plan.run_id) != []:
                raise
            may_lose = False
            print_line(f"{error}\n== {place}, is trained anew from step 0, once")
            continue
        clocks = training.read_clocks()
        disturbance = find_disturbance(clocks, result, training.cpus)
        if not disturbance or accepts_noise() or any(map(is_disturbed, attempt.earlier)):
            break
        attempt.end(disturbance, train_seconds=clocks["train_seconds"])
        print_line(f"== {place}, is trained once more: {disturbance}")
    launch = {
        **describe_launch(plan, result, training),
        "configuration": forms[0].name,
        "trial": place.trial,
        "round": place.round_number,
        "place": place.number,
        "warnings": [*result.warnings, *describe_attempts(attempt.earlier, disturbance)],
        "resumed": (workspace / RESUMED_FILE).exists() or not all(map(is_disturbed, attempt.earlier)),
        "earlier_attempts": attempt.earlier,
    }
    training.keep(launch, output_dir)
    # Last of all, whole or not at all: a folder that has it is a finished trial's.
    write_atomically(output_dir / LAUNCH_FILE, json.dumps(launch, indent=1).encode())


def find_baseline(plan: RunPlan, workspace: Path) -> Any:
    """Returns what the others are compared with, as it ran in a trial that is finished; None before there is one."""
    baseline = plan.configurations[0]
    forms = {form.name: form for form in plan.program.list_forms(baseline)}
    for place in list_places(plan):
        folder = workspace / FINISHED_FOLDER / place.name
        if place.configuration == baseline and (folder / LAUNCH_FILE).exists():
            return forms[read_launched(folder)[0]]
    return None


def describe_launch(plan: RunPlan, result: JobResult, training: Training) -> dict[str, Any]:
    """Returns what launch.json says of the job."""
    return {
        "schema_version": SCHEMA_VERSION,
        **result.to_json(),
        "queue_seconds": training.count_queue_seconds(result),
        "run_id": plan.run_id,
        "image": plan.program.image if is_in_pod() else None,
        "cpus_per_replica": training.cpus,
    }
