"""This project's own loop: a Keras model on prepared data, by each strategy, judged on a test split."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from comparison.quality import ConfusionMatrix
from comparison.records import RecordError, RunInfo, TrialRecord, assemble_record, load_json, read_text
from components.planning.names import HEARTBEAT_FILE, LAUNCH_FILE, read_json, read_launched
from components.planning.parameters import Parameters, list_of_own_program, refuse_others
from components.planning.programs.bigger_nodes import check_batch, describe_missing, find_max_factor, is_left_open
from components.planning.programs.idle import describe_prices, refuse_idle
from components.planning.programs.program import Assignment, RecordsMissing, Report
from components.planning.programs.shown import is_noise
from model.data import check_dataset_name
from model.host import UNTOLD_VARIABLE
from model.plan import SINGLE_AGAIN, Configuration, plan_a_a, plan_configurations
from tfjob.backend import JobResult
from tfjob.errors import SpecError, TFJobError
from tfjob.job import Manifest
from tfjob.launch import RUN_LABEL, label_value, print_line
from tfjob.launcher import current_namespace, is_in_pod
from tfjob.local import find_gpus
from tfjob.settings import describe_settings_here, list_variables, of_env, of_metadata, parse_job_settings
from tfjob.signs import SIGNS_VARIABLE
from tfjob.spec import ReplicaSpec, ReplicaType, multiply_quantity

TRAINING_FILE, MODEL_FILE = "training.json", "model.keras"


@dataclass(frozen=True)
class OwnLoop:
    """This project's own loop; see `Program`.

    Attributes:
        parameters: What a person asked for.
    """

    parameters: Parameters
    files: Sequence[str] = (TRAINING_FILE, MODEL_FILE)
    needs_network: bool = False

    @property
    def image(self) -> str:
        """This project's image."""
        return self.parameters.image

    def check(self) -> None:
        """Makes sure of the data's name and the job's settings; what is trained is checked by being planned."""
        refuse_others(self.parameters, list_of_own_program(), "takes a program of your own: `command` or `tfjob`")
        refuse_idle(self.parameters)
        check_dataset_name(self.parameters.dataset)
        parse_job_settings(self.parameters.job_settings)

    def check_machine(self, configurations: Sequence[Configuration], report: Callable[[str], None]) -> None:
        """Makes sure that this machine has the GPUs, and tells which settings have no effect here.

        Raises:
            SpecError: It has too few.
        """
        for configuration in configurations:
            replicas = self.count_replicas(configuration).items()
            asked = {f"{kind}-{index}": replica.gpus for kind, replica in replicas for index in range(replica.count)}
            try:
                find_gpus(asked, may_share=self.parameters.share_gpus)
            except SpecError:
                if configuration.cpus_factor == 1:
                    raise
                raise SpecError(
                    f"bigger_nodes must be left out, or false: one node with the GPUs of {configuration.cpus_factor} "
                    f"workers has {asked['Worker-0']}, and this machine has not as many."
                ) from None
        if told := describe_settings_here(self.parameters.job_settings):
            report(f"Warning: {told}")

    def plan(
        self, find_room: Callable[[Parameters], float | None] = lambda _: None
    ) -> tuple[Sequence[Configuration], float | None]:
        """Returns the baseline, bigger nodes where there is room, and each strategy with each number of workers."""
        parameters = self.parameters
        if parameters.a_a:
            return self._check_batches(plan_a_a(parameters.to_training())), None
        free_cpus = find_room(parameters) if is_left_open(parameters) else None
        configurations = plan_configurations(
            parameters.to_training(),
            strategies=parameters.strategies,
            workers=parameters.workers,
            num_ps=parameters.num_ps,
            scaling=parameters.scaling,
            max_cpus_factor=find_max_factor(parameters, free_cpus),
            bigger_by="gpus" if parameters.gpus_per_replica else "cpus",
            gpus=parameters.gpus_per_replica,
        )
        return self._check_batches(configurations), free_cpus

    def list_forms(self, configuration: Configuration) -> Sequence[Configuration]:
        """Returns the configuration: it runs as it is."""
        return [configuration]

    def list_doubts(self) -> Sequence[str]:
        """Returns nothing: what is set of it leaves no doubt."""
        return []

    def list_remarks(self, configurations: Sequence[Configuration], free_cpus: float | None) -> Sequence[str]:
        """Returns why a bigger node is not compared that nobody forbade, and why there will be no price."""
        planned = [c.cpus_factor for c in configurations if self.is_single_node(c)]
        missing = describe_missing(self.parameters, planned, free_cpus)
        prices = describe_prices(self.parameters, self.parameters.cpus_per_replica, self.parameters.gpus_per_replica)
        return [*([missing] if missing else []), *prices]

    def read_configuration(self, entry: Mapping[str, Any]) -> Configuration:
        """Returns the configuration of an entry in `run.json`."""
        return Configuration.from_json(dict(entry))

    def is_single_node(self, configuration: Configuration) -> bool:
        """Returns whether it is the baseline or a bigger node; the baseline under its second name stands for others."""
        return configuration.training.strategy == "single" and configuration.name != SINGLE_AGAIN

    def may_listen(self, configuration: Configuration) -> bool:
        """Returns whether it is any but a single node, under whichever name: that one opens no port."""
        return configuration.training.strategy != "single"

    def prepare(self, dataset: str, output_dir: Path) -> Mapping[str, Any]:
        """Fetches and checks the data set, splits it into training, validation and test, and writes plain arrays."""
        from model.depth_study import check_data
        from model.prepare import prepare  # takes a second that only this step needs

        parameters = self.parameters
        data = prepare(dataset, output_dir, max_train_images=parameters.max_train_images or None, loss=parameters.loss)
        if parameters.study_depth:  # refused now, not after all trainings
            check_data(data)
        known = {key: data.manifest[key] for key in ("name", "source", "sha256", "num_classes")}
        return {key: value for key, value in known.items() if value is not None}

    def stage(self, prepared: Path, workspace: Path) -> Path:
        """Returns where all replicas find the prepared data: a copy in the workspace, made by the first trial."""
        target = workspace / "dataset"
        if not target.exists():
            partial = workspace / "dataset.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(prepared, partial)
            partial.rename(target)
        return target

    def begin(self, assignment: Assignment) -> "OwnTraining":
        """Returns an attempt at a trial that may be started."""
        return OwnTraining(self, assignment)

    def describe(self, folder: Path) -> dict[str, Any]:
        """Returns the metadata of a trained model for the dashboard."""
        training = read_json(folder / TRAINING_FILE)
        keys = ("model", "num_parameters", "epochs", "train_seconds", "images_per_second")
        name, last = training.get("metric_name", "accuracy"), training["curve"][-1]
        judged = {f"validation_{name}": last.get("validation_metric", last.get("validation_accuracy"))}
        return {"framework": "keras", **{key: training[key] for key in keys}, **judged}

    def describe_software(self, folder: Path) -> Mapping[str, Any] | None:
        """Returns the versions that a finished trial was trained by."""
        return load_json(read_text(folder / TRAINING_FILE), str(folder / TRAINING_FILE)).get("versions") or {}

    def judge(self, prepared: Path, trials: Sequence[Path]) -> list[dict[str, Any]]:
        """Returns the content of `evaluation.json` for every trained model.

        Raises:
            EvaluationError: A model or the data are not those of its training.
        """
        from model.data import PreparedDataset
        from model.evaluate import Evaluator, describe_metric  # imports TensorFlow, which no other step needs

        evaluator = Evaluator(PreparedDataset.open(prepared, verify=True))
        evaluations = []
        for folder in trials:
            configuration, trial = read_launched(folder)
            identity = {"configuration": configuration, "trial": trial}
            evaluation = {**identity, **evaluator.evaluate(folder / MODEL_FILE, read_json(folder / TRAINING_FILE))}
            print_line(f"{configuration}, trial {trial}: test {describe_metric(evaluation['metric'])}")
            evaluations.append(evaluation)
        return evaluations

    def add_confusions(self, trials: Sequence[Path], evaluations: Path) -> Mapping[str, ConfusionMatrix]:
        """Returns what the models of each strategy take for what; nothing where their answers are no classes."""
        from comparison.groups import add_confusion_matrices

        records = read_trials(trials, evaluations)
        strategies = dict.fromkeys(record.strategy for record in records)
        matrices = {name: add_confusion_matrices([r for r in records if r.strategy == name]) for name in strategies}
        return {name: matrix for name, matrix in matrices.items() if matrix is not None}

    def report(self, run_info: RunInfo, trials: Sequence[Path], evaluations: Path, output_dir: Path) -> Report:
        """Returns the comparison of all trials; its files are written into a folder."""
        from comparison.compare import compare  # takes seconds that only the last step needs

        return compare(read_trials(trials, evaluations), run_info, output_dir)

    def count_replicas(self, configuration: Configuration) -> dict[ReplicaType, ReplicaSpec]:
        """Returns the replicas of a configuration. Each may use the same: a worker is what the single node is.

        But a parameter server has no GPU: TensorFlow keeps its variables in the host's memory and updates them there.
        The chief, which computes nothing, has one: it compiles for the workers what its own devices can run.
        """
        training = configuration.training
        replicas: dict[ReplicaType, ReplicaSpec] = {
            "Worker": self._replica(training.num_workers, configuration.cpus_factor)
        }
        if training.strategy == "parameter_server":
            replicas |= {"Chief": self._replica(1), "PS": replace(self._replica(training.num_ps), gpus=0)}
        return replicas

    def _check_batches(self, configurations: Sequence[Configuration]) -> Sequence[Configuration]:
        for configuration in configurations:
            check_batch(configuration, self.parameters.gpus_per_replica * configuration.cpus_factor)
        return configurations

    def _replica(self, count: int, cpus_factor: int = 1) -> ReplicaSpec:
        gpus, memory = self.parameters.gpus_per_replica, self.parameters.memory
        return ReplicaSpec(
            count=count,
            cpus=self.parameters.cpus_per_replica * cpus_factor,
            memory=multiply_quantity(memory, cpus_factor) if gpus else memory,  # a process holds some for each GPU
            gpus=gpus * cpus_factor,
        )


@dataclass
class OwnTraining:
    """One attempt at a trial of the own loop; see `Training`.

    Attributes:
        program: The loop.
        assignment: What is trained, and where.
    """

    program: OwnLoop
    assignment: Assignment
    manifest: Manifest = field(init=False)
    cpus: float | None = field(init=False)
    listen: None = None  # it writes down itself what is measured
    is_measured: None = None

    def __post_init__(self) -> None:
        self.manifest = build_job(self.program, self.assignment)
        self.cpus = self.program.count_replicas(self.assignment.configuration)["Worker"].cpus

    def show(self, line: str) -> None:
        """Prints a line of the job unless it is the runtime's talk about itself."""
        print_readable(line)

    def measure(self, result: JobResult) -> None:
        """Makes sure that it has left the records of all replicas: it has measured itself.

        Raises:
            RecordsMissing: It has not.
        """
        read_whole_training(self.assignment.output_dir / TRAINING_FILE, result)

    def may_run_otherwise(self, error: TFJobError) -> bool:
        """Returns False: it runs as it is."""
        del error
        return False

    def count_queue_seconds(self, result: JobResult) -> float:
        """Returns the seconds from submitting the job until its last replica's process began."""
        return count_queue_seconds(result, self.read_clocks())

    def read_clocks(self) -> dict[str, Any]:
        """Returns its `training.json`."""
        return read_json(self.assignment.output_dir / TRAINING_FILE)

    def keep(self, launch: Mapping[str, Any], folder: Path) -> None:
        """Copies the model and `training.json` into the trial's folder."""
        del launch  # it is beside them
        for file in self.program.files:
            shutil.copyfile(self.assignment.output_dir / file, folder / file)


def read_whole_training(path: Path, result: JobResult) -> dict[str, Any]:
    """Returns the content of a training.json that has a record of each replica of its job.

    Args:
        path: The file.
        result: How the job went.

    Raises:
        RecordsMissing: The file is not there, or lacks a replica.
    """
    if not path.exists():
        raise RecordsMissing(f"Job {result.job_name} succeeded, but left no {path.name}.")
    training: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    told = {(replica["type"], replica["index"]) for replica in training["replicas"]}
    if missing := [replica.name for replica in result.replicas if (replica.type, replica.index) not in told]:
        lacks = f"{path.name} lacks the record of {', '.join(missing)}"
        raise RecordsMissing(
            f"Job {result.job_name} succeeded, but {lacks}: lost in the last second, or unable to write it."
        )
    return training


def build_job(program: OwnLoop, assignment: Assignment) -> Manifest:
    """Returns the TFJob of an attempt; its name follows from that of its output folder and from the run."""
    from tfjob.manifest import build_manifest  # its libraries take a second that only a launch needs

    parameters, configuration, output_dir = program.parameters, assignment.configuration, assignment.output_dir
    config = configuration.for_round(assignment.round_number)
    files = {"--data-dir": assignment.data_dir, "--output-dir": output_dir}
    if is_in_pod():  # processes here end with their launcher; one that is only suspended must not cost them their lives
        files["--heartbeat-file"] = output_dir.parent / HEARTBEAT_FILE
    options = [part for option, path in files.items() for part in (option, str(path))]
    given = [*parse_job_settings(parameters.job_settings), *assignment.overlays]
    untold = list_variables(given)  # of what a replica was given, it records what steers its libraries
    mark = {UNTOLD_VARIABLE: " ".join(untold)} if untold else {}
    own = (
        of_env({"TF_CPP_MIN_LOG_LEVEL": "2", SIGNS_VARIABLE: str(output_dir / "signs"), **mark}),
        of_metadata(labels={RUN_LABEL: label_value(assignment.run_id)}),
    )
    return build_manifest(
        name_job(assignment),
        namespace=current_namespace(),
        image=parameters.image,
        command=("python", "-m", "model.train", *options, *config.to_arguments()),
        replicas=program.count_replicas(configuration),
        # The program ends with 128 or more where another try can help, and below where it cannot.
        restart_policy="ExitCode",
        success_policy="AllWorkers" if config.strategy == "all_reduce" else "",
        active_deadline_seconds=parameters.deadline_minutes * 60,
        overlays=[*own, *given],
    )


def print_readable(line: str) -> None:
    """Prints a line of the job unless it is the runtime's talk about itself."""
    if not is_noise(line):
        print_line(line)


def name_job(assignment: Assignment) -> str:
    """Returns the name of an attempt's TFJob, which no other attempt has, and no other run."""
    digest = hashlib.sha256(assignment.run_id.encode()).hexdigest()[:8]
    return f"{assignment.output_dir.name}-{digest}"


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


def read_trials(trials: Sequence[Path], evaluations_path: Path) -> list[TrialRecord]:
    """Returns the records of all trials.

    Args:
        trials: The folders of the trials.
        evaluations_path: The evaluations of their models, a JSON line each.

    Raises:
        RecordError: The files of a trial do not belong together.
    """
    lines = evaluations_path.read_text(encoding="utf-8").splitlines()
    evaluations = {(e["configuration"], e["trial"]): e for e in map(json.loads, lines)}
    records = []
    for folder in trials:
        name, trial = read_launched(folder)
        launch = read_json(folder / LAUNCH_FILE)
        if (name, trial) not in evaluations:
            raise RecordError(f"{evaluations_path} lacks the evaluation of {name}, trial {trial}.")
        records.append(assemble_record(read_json(folder / TRAINING_FILE), launch, evaluations[name, trial]))
    return records
