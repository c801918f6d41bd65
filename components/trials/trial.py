"""One trial of one configuration: from the plan to a trained model and its records in a folder."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.parsing import SCHEMA_VERSION
from components.planning import LAUNCH_FILE, Place, RunPlan, list_places, read_launched
from components.trials.attempts import Attempt
from components.trials.disturbance import (
    accepts_noise,
    choose_patience,
    describe_attempts,
    find_disturbance,
    is_disturbed,
)
from components.trials.left_out import (
    RecordsMissing,
    is_left_out,
    is_worth_another_try,
    leave_out,
    read_whole_training,
)
from components.trials.turns import FINISHED_FOLDER, HEARTBEAT_FILE, Turns, name_step
from model.plan import Configuration
from tfjob.backend import Backend, JobResult, Placement
from tfjob.environment import current_namespace, is_in_pod
from tfjob.errors import SpecError, TFJobError
from tfjob.heartbeat import Heartbeat
from tfjob.job import Manifest
from tfjob.launch import RUN_LABEL, choose_backend, delete_jobs, label_value, list_unfinished_jobs, print_line, run_job
from tfjob.local import find_gpus
from tfjob.overlay import Overlay, of_env, of_metadata
from tfjob.settings import describe_settings_here, parse_job_settings, read_task_config
from tfjob.signs import SIGNS_VARIABLE
from tfjob.spec import ReplicaSpec, ReplicaType

TRAINING_FILE, MODEL_FILE = "training.json", "model.keras"
# In the workspace: says that the run goes on after an interruption.
RESUMED_FILE = "resumed"
# A waiting step bears so long that nothing moves, beside what a replica may wait for its node.
SILENCE_SECONDS = 900.0
# The pods of all iterations start at once. The first trial is not to be beside that, which no other trial is.
GATHER_SECONDS = 120.0
# What TensorFlow's runtime says about itself, which the log files keep.
_RUNTIME_NOISE = re.compile(r"\[[\w-]+\] ([IWEF]\d{4} \d\d:|[IWEF]0{4} |WARNING: All log messages before absl|$)")


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
    backend = choose_backend(pending_seconds=parameters.pending_minutes * 60, keep_failed=parameters.keep_failed_jobs)
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
            metadata[place.name] = describe_model(folder)
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
    """Trains one trial and writes what it left into `output_dir`: model, training.json, launch.json and logs.

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
        dataset = stage_dataset(dataset_dir, workspace)
        train_trial(plan, place, dataset, workspace, output_dir, backend, overlays)
        keep_trial(output_dir, finished)
    (workspace / RESUMED_FILE).unlink(missing_ok=True)


def train_trial(
    plan: RunPlan,
    place: Place,
    dataset: Path,
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
        dataset: The prepared data, where all replicas see them.
    """
    configuration = place.configuration
    cpus = count_replicas(plan, configuration)["Worker"].cpus
    may_lose = True
    while True:
        attempt = Attempt.begin(workspace, place.name)
        training_dir = workspace / attempt.name
        manifest = build_job(plan, configuration, place.round_number, dataset, training_dir, overlays)
        patience = choose_patience(is_first=not (workspace / FINISHED_FOLDER).exists() and not attempt.earlier)
        output_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(output_dir / "logs", ignore_errors=True)  # this step's own log has what an attempt before said
        try:
            result = run_job(
                manifest,
                log_dir=output_dir / "logs",
                backend=backend,
                report=print_readable,
                max_restarts=0,
                placement=Placement(first_core=place.round_number - 1, patience_seconds=patience),
            )
            training = read_whole_training(training_dir / TRAINING_FILE, result)
        except TFJobError as error:
            attempt.end(str(error).partition("\n")[0])
            if isinstance(error, RecordsMissing) and not may_lose:
                leave_out(output_dir, place, str(error), attempt.earlier)
                print_line(f"{error}\n== {place}, is left out: the comparison goes on without it")
                return
            if not (is_worth_another_try(error) and may_lose) or list_unfinished_jobs(plan.run_id) != []:
                raise
            may_lose = False
            print_line(f"{error}\n== {place}, is trained anew from step 0, once")
            continue
        disturbance = find_disturbance(training, result, cpus)
        if not disturbance or accepts_noise() or any(map(is_disturbed, attempt.earlier)):
            break
        attempt.end(disturbance, train_seconds=training["train_seconds"])
        print_line(f"== {place}, is trained once more: {disturbance}")
    for file in (TRAINING_FILE, MODEL_FILE):
        shutil.copyfile(training_dir / file, output_dir / file)
    launch = {
        **describe_launch(plan, result, training),
        "cpus_per_replica": cpus,
        "configuration": configuration.name,
        "trial": place.trial,
        "round": place.round_number,
        "place": place.number,
        "warnings": [*result.warnings, *describe_attempts(attempt.earlier, disturbance)],
        "resumed": (workspace / RESUMED_FILE).exists() or not all(map(is_disturbed, attempt.earlier)),
        "earlier_attempts": attempt.earlier,
    }
    (output_dir / LAUNCH_FILE).write_text(json.dumps(launch, indent=1), encoding="utf-8")


def describe_launch(plan: RunPlan, result: JobResult, training: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what launch.json says of the job."""
    return {
        "schema_version": SCHEMA_VERSION,
        **result.to_json(),
        "queue_seconds": count_queue_seconds(result, training),
        "run_id": plan.run_id,
        "image": plan.parameters.image if is_in_pod() else None,
    }


def count_queue_seconds(result: JobResult, training: Mapping[str, Any]) -> float:
    """Returns the seconds from submitting a job until its last replica's process began.

    A pod's timestamps are whole seconds; the replicas themselves know better when they began. Where one was restarted,
    or does not tell, the pods' word stands.

    Args:
        result: How the job went.
        training: Its training.json.
    """
    ages = [(replica.get("recorded_at"), replica.get("age_seconds")) for replica in training["replicas"]]
    began: list[float] = [recorded_at - age for recorded_at, age in ages if recorded_at is not None and age is not None]
    is_told = len(began) == len(result.replicas) and not any(replica.restarts for replica in result.replicas)
    if result.backend != "kubernetes" or not is_told:
        return result.queue_seconds
    return min(max(0.0, max(began) - result.started_at), result.total_seconds)


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


def build_job(
    plan: RunPlan,
    configuration: Configuration,
    round_number: int,
    dataset_dir: Path,
    output_dir: Path,
    overlays: Sequence[Overlay] = (),
) -> Manifest:
    """Returns the TFJob of a trial of a round; its name follows from that of its output folder and from the run."""
    from tfjob.manifest import build_manifest  # its libraries take a second that only a launch needs

    parameters = plan.parameters
    digest = hashlib.sha256(plan.run_id.encode()).hexdigest()[:8]
    config = configuration.for_round(round_number)
    files = {"--data-dir": dataset_dir, "--output-dir": output_dir}
    if is_in_pod():  # processes here end with their launcher; one that is only suspended must not cost them their lives
        files["--heartbeat-file"] = output_dir.parent / HEARTBEAT_FILE
    options = [part for option, path in files.items() for part in (option, str(path))]
    signs = str(output_dir / "signs")
    own = (
        of_env({"TF_CPP_MIN_LOG_LEVEL": "2", SIGNS_VARIABLE: signs}),
        of_metadata(labels={RUN_LABEL: label_value(plan.run_id)}),
    )
    return build_manifest(
        f"{output_dir.name}-{digest}",
        namespace=current_namespace(),
        image=parameters.image,
        command=("python", "-m", "model.train", *options, *config.to_arguments()),
        replicas=count_replicas(plan, configuration),
        # The program ends with 128 or more where another try can help, and below where it cannot.
        restart_policy="ExitCode",
        success_policy="AllWorkers" if config.strategy == "all_reduce" else "",
        active_deadline_seconds=parameters.deadline_minutes * 60,
        overlays=[*own, *parse_job_settings(parameters.job_settings), *overlays],
    )


def count_replicas(plan: RunPlan, configuration: Configuration) -> dict[ReplicaType, ReplicaSpec]:
    """Returns the replicas of a configuration. Each may use the same, so that a worker is what the single node is."""
    training = configuration.training
    replicas: dict[ReplicaType, ReplicaSpec] = {"Worker": plan.replica(training.num_workers, configuration.cpus_factor)}
    if training.strategy == "parameter_server":
        replicas |= {"Chief": plan.replica(1), "PS": plan.replica(training.num_ps)}
    return replicas


def check_machine(plan: RunPlan, report: Callable[[str], None] = print_line) -> None:
    """Checks that this machine has what a plan asks for, and tells what has no effect on it. A cluster needs no look.

    Args:
        plan: What is to be trained.
        report: Gets a line about settings that have no effect here.

    Raises:
        SpecError: It has too few GPUs.
    """
    if is_in_pod():
        return
    for configuration in plan.configurations:
        replicas = count_replicas(plan, configuration).items()
        find_gpus({f"{kind}-{index}": replica.gpus for kind, replica in replicas for index in range(replica.count)})
    if told := describe_settings_here(plan.parameters.job_settings):
        report(f"Warning: {told}")


def stage_dataset(dataset_dir: Path, workspace: Path) -> Path:
    """Returns where all replicas find the prepared data: a copy in the workspace, made by the first trial."""
    target = workspace / "dataset"
    if not target.exists():
        partial = workspace / "dataset.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(dataset_dir, partial)
        partial.rename(target)
    return target


def describe_model(output_dir: Path) -> dict[str, Any]:
    """Returns the metadata of a trained model for the dashboard."""
    training = read_json(output_dir / TRAINING_FILE)
    keys = ("model", "num_parameters", "epochs", "train_seconds", "images_per_second")
    accuracy = training["curve"][-1]["validation_accuracy"]
    return {"framework": "keras", **{key: training[key] for key in keys}, "validation_accuracy": accuracy}


def list_trials(trained: Sequence[Path]) -> list[Path]:
    """Returns the folders that `run_trial` wrote below the given ones, one for each trial of each configuration."""
    return sorted(launch.parent for folder in trained for launch in folder.glob(f"*/{LAUNCH_FILE}"))


def evaluate_trials(dataset_dir: Path, trained: Sequence[Path]) -> list[dict[str, Any]]:
    """Returns the content of `evaluation.json` for every trained model.

    Args:
        dataset_dir: The prepared data.
        trained: Folders that hold the folders of trials.

    Raises:
        EvaluationError: A model or the data are not those of its training.
    """
    from model.data import PreparedDataset
    from model.evaluate import Evaluator  # imports TensorFlow, which no other step needs

    evaluator = Evaluator(PreparedDataset.open(dataset_dir, verify=True))
    evaluations = []
    for folder in list_trials(trained):
        configuration, trial = read_launched(folder)
        identity = {"configuration": configuration, "trial": trial}
        evaluation = {**identity, **evaluator.evaluate(folder / MODEL_FILE, read_json(folder / TRAINING_FILE))}
        accuracy = evaluation["n_correct"] / evaluation["n_examples"]
        print_line(f"{configuration}, trial {trial}: test accuracy {accuracy:.2%}")
        evaluations.append(evaluation)
    return evaluations


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def print_readable(line: str) -> None:
    """Prints a line of the job unless it is the runtime's talk about itself."""
    if not _RUNTIME_NOISE.match(line):
        print_line(line)
