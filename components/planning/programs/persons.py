"""A person's own program: a TFJob manifest, or a command, with each number of workers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from comparison.quality import ConfusionMatrix
from comparison.records import OF_MANIFEST, OF_OWN_LOOP, SCHEMA_VERSION, RunInfo, parse_object
from components.planning.names import read_json
from components.planning.parameters import Parameters, refuse_others
from components.planning.programs.forms import NEEDS_TF_CONFIG, ProgramConfiguration, name_configuration
from components.planning.programs.idle import describe_prices, refuse_sharing
from components.planning.programs.persons_training import TRIAL_FILE, PersonsTraining
from components.planning.programs.program import Assignment, Report
from model.errors import ConfigError
from program.listener import Listener
from program.settings import read_settings
from tfjob.job import format_cpus
from tfjob.launch import print_line
from tfjob.local import find_gpus
from tfjob.own import BATCHES, OwnJob, read_own_job
from tfjob.settings import Overlay, describe_settings_here, of_containers, of_env, of_pods, parse_job_settings
from tfjob.spec import GPU_RESOURCE

_PLACEMENTS = ("any", "together", "spread")
_NOTHING_PREPARED = "Nothing is prepared: the program reads data of its own."
_NOTHING_JUDGED = "Nothing is judged: a program of one's own tells its metrics itself."


@dataclass(frozen=True)
class PersonsProgram:
    """A person's own program; see `Program`.

    Attributes:
        parameters: What a person asked for: `tfjob`, `command`, or both.
    """

    parameters: Parameters
    files: Sequence[str] = (TRIAL_FILE,)

    @cached_property
    def job(self) -> OwnJob:
        """The TFJob that a person wrote, or that runs the command."""
        return read_own_job(self.parameters.tfjob, self.parameters.command)

    @property
    def kind(self) -> str:
        """What records call it."""
        return "tfjob" if self.parameters.tfjob else "command"

    @property
    def cpus(self) -> float | None:
        """CPUs of a worker; None where the manifest sets no limit."""
        return self.job.cpus_per_replica if self.parameters.tfjob else self.parameters.cpus_per_replica

    @property
    def memory(self) -> str | None:
        """Memory of a worker; None where the manifest sets no limit."""
        return self.job.memory_per_replica if self.parameters.tfjob else self.parameters.memory

    @property
    def gpus(self) -> int:
        """GPUs of a worker."""
        return self.job.gpus_per_replica if self.parameters.tfjob else self.parameters.gpus_per_replica

    @property
    def needs_network(self) -> bool:
        """True: it may read its data from there."""
        return True

    @property
    def image(self) -> str:
        """The image of the replicas."""
        return self.job.image or self.parameters.image

    def check(self) -> None:
        """Makes sure of the manifest, of how progress is told, and that nothing is asked for that has no meaning."""
        parameters = self.parameters
        refuse_others(parameters, OF_OWN_LOOP, f"says something of this project's own loop, not of your `{self.kind}`")
        if parameters.tfjob:
            refuse_others(parameters, OF_MANIFEST, "is said by the manifest in `tfjob`: set it there")
        job = self.job
        if parameters.num_ps != Parameters().num_ps and not job.num_ps:
            raise ConfigError(
                "num_ps must be left out: the program has no parameter servers, of which a `tfjob` with PS replicas "
                f"tells. Received: {parameters.num_ps}."
            )
        if parameters.chief_trains and not job.has_chief:
            raise ConfigError("chief_trains must be left out: the job has neither a Chief nor a Master.")
        if parameters.placement not in _PLACEMENTS:
            raise ConfigError(f"placement must be {', '.join(_PLACEMENTS)}. Received: {parameters.placement!r}.")
        if parameters.batch_size_per_replica and parameters.global_batch_size != Parameters().global_batch_size:
            raise ConfigError(
                "batch_size_per_replica and global_batch_size must not both be given: a step has either one batch for "
                f"all workers or one for each. Received: {parameters.batch_size_per_replica} and "
                f"{parameters.global_batch_size}."
            )
        if not parameters.batch_size_per_replica and self.job.placeholders.isdisjoint(BATCHES):
            batches = " or ".join(f"{{{name}}}" for name in BATCHES)
            never = f"reaches your `{self.kind}` in place of {batches} alone, and it has neither"
            refuse_others(parameters, ("global_batch_size",), never)
        refuse_sharing(parameters, self.gpus)
        parse_job_settings(parameters.job_settings)
        self.listen(self.plan()[0][-1]).close()

    def check_machine(self, configurations: Sequence[ProgramConfiguration], report: Callable[[str], None]) -> None:
        """Makes sure that the command and its GPUs can be had, and tells what has no counterpart on this machine."""
        self.job.check_here("command" if self.parameters.command else "")
        workers = max(configuration.workers for configuration in configurations)
        lacking = self._check_gpus({f"worker-{index}": self.gpus for index in range(workers)})
        told = [*self.job.describe_here(), lacking, describe_settings_here(self.parameters.job_settings)]
        for line in filter(None, told):
            report(f"Warning: {line}")

    def _check_gpus(self, asked: Mapping[str, int]) -> str:
        may_share, may_lack = self.parameters.share_gpus, bool(self.parameters.tfjob)
        if any(find_gpus(asked, may_share=may_share, may_lack=may_lack).values()) or not self.gpus:
            return ""
        return f"limit of {GPU_RESOURCE}: this machine has no GPU, and the trainings do without"

    def plan(
        self, find_room: Callable[[Parameters], float | None] = lambda _: None
    ) -> tuple[Sequence[ProgramConfiguration], float | None]:
        """Returns one worker without servers, and then each number of workers with the servers of the job.

        Raises:
            ConfigError: Numbers of workers cannot be, or cannot share a batch.
        """
        del find_room  # a bigger node would take another manifest
        workers, num_ps = self.parameters.workers, self.count_servers()
        if not workers or min(workers) < 1 or len(set(workers)) < len(workers):
            raise ConfigError(f"workers must be numbers of workers that differ, at least 1 each. Received: {workers}.")
        if max(workers) == 1:
            raise ConfigError(f"workers must have a number above 1: one worker is the baseline. Received: {workers}.")
        rows = [ProgramConfiguration(name_configuration(n, num_ps), n, num_ps) for n in workers if n > 1]
        if not self.parameters.batch_size_per_replica:
            self.job.check_batch([row.workers for row in rows], self.parameters.global_batch_size)
        return [ProgramConfiguration(name_configuration(1, 0), 1, 0), *rows], None

    def count_servers(self) -> int:
        """Returns the parameter servers of what is distributed: those of the manifest, unless a person says another."""
        given = self.parameters.num_ps
        return given if self.job.num_ps and given != Parameters().num_ps else self.job.num_ps

    def list_forms(self, configuration: ProgramConfiguration) -> list[ProgramConfiguration]:
        """Returns a configuration and, of the baseline, the smallest others that may run where it does not."""
        if not self.is_single_node(configuration):
            return [configuration]
        forms = [configuration, ProgramConfiguration(NEEDS_TF_CONFIG, 1, 0, has_tf_config=True)]
        return [*forms, ProgramConfiguration(name_configuration(1, 1), 1, 1)] if self.job.num_ps else forms

    def read_configuration(self, entry: Mapping[str, Any]) -> ProgramConfiguration:
        """Returns the configuration of an entry in `run.json`."""
        return parse_object(ProgramConfiguration, entry, "a configuration in run.json")

    def is_single_node(self, configuration: ProgramConfiguration) -> bool:
        """Returns whether it is the baseline."""
        return configuration.workers == 1

    def list_doubts(self) -> Sequence[str]:
        """Returns what a person may not have meant by the manifest."""
        return self.job.doubts

    def list_remarks(self, configurations: Sequence[ProgramConfiguration], free_cpus: float | None) -> Sequence[str]:
        """Returns that one process with the GPUs of all workers is not compared, and why there will be no price."""
        del free_cpus
        counts = ", ".join(str(configuration.workers) for configuration in configurations if configuration.workers > 1)
        not_known = "whether the program would train on all of them is not known"
        missing = f"Not compared with one process that has the GPUs of {counts} workers: {not_known}."
        return [*([missing] if self.gpus else []), *describe_prices(self.parameters, self.cpus, self.gpus)]

    def may_listen(self, configuration: ProgramConfiguration) -> bool:
        """Returns True: what a program opens is its own affair, and a worker alone may be given a TF_CONFIG, too."""
        del configuration
        return True

    def prepare(self, dataset: str, output_dir: Path) -> Mapping[str, Any]:
        """Says that there is nothing to do, in a folder that a store keeps."""
        del dataset
        _note(_NOTHING_PREPARED, output_dir)
        return {}

    def stage(self, prepared: Path, workspace: Path) -> Path:
        """Returns `{data_dir}`: a folder that all trials share, for what a program would else fetch in each."""
        del prepared
        folder = workspace / "data"
        make_writable(folder)
        return folder

    def begin(self, assignment: Assignment) -> PersonsTraining:
        """Returns an attempt at a trial that may be started."""
        make_writable(assignment.output_dir)
        return PersonsTraining(self, assignment)

    def describe(self, folder: Path) -> dict[str, Any]:
        """Returns a few figures of a trial for the dashboard."""
        told = read_json(folder / TRIAL_FILE)
        keys = ("level", "job_seconds", "train_seconds", "examples_per_second")
        metrics = {metric["name"]: metric["value"] for metric in told["metrics"]}
        return {"framework": self.kind, **{key: told[key] for key in keys if told[key] is not None}, **metrics}

    def describe_software(self, folder: Path) -> None:
        """Returns None: what is in a person's image or environment is not known."""

    def judge(self, prepared: Path, trials: Sequence[Path]) -> list[dict[str, Any]]:
        """Returns a line that says why there is none."""
        del prepared, trials
        print_line(_NOTHING_JUDGED)
        return [{"schema_version": SCHEMA_VERSION, "note": _NOTHING_JUDGED}]

    def add_confusions(self, trials: Sequence[Path], evaluations: Path) -> Mapping[str, ConfusionMatrix]:
        """Returns nothing: what a program takes for what is not known."""
        del trials, evaluations
        return {}

    def report(self, run_info: RunInfo, trials: Sequence[Path], evaluations: Path, output_dir: Path) -> Report:
        """Returns the comparison of all trials; its files are written into a folder."""
        from comparison.programs import compare_programs, read_program_trials  # takes seconds

        del evaluations
        records = [record for folder in trials for record in read_program_trials(folder / TRIAL_FILE)]
        return compare_programs(records, run_info, output_dir)

    def listen(self, configuration: ProgramConfiguration) -> Listener:
        """Returns what listens to one training.

        Args:
            configuration: What is trained.

        Raises:
            ProgramError: What a person says of the program's progress cannot be.
        """
        told = self.parameters
        settings = read_settings(
            progress=told.progress,
            regexes=told.progress_regex,
            metric=told.metric,
            direction=told.metric_direction,
            batch_size_per_replica=self.find_batches(configuration)[1],
            measure_steps=told.measure_steps,
            num_workers=configuration.workers,
            num_ps=configuration.num_ps,
        )
        return Listener(settings)

    def find_batches(self, configuration: ProgramConfiguration) -> tuple[int | None, int | None]:
        """Returns the batch of all workers together and that of each; None where only the program knows it."""
        workers, each = configuration.workers, self.parameters.batch_size_per_replica
        if each:
            return each * workers, each
        if self.job.placeholders.isdisjoint(BATCHES):
            return None, None
        together = self.parameters.global_batch_size
        return together, None if together % workers else together // workers

    def fill(self, assignment: Assignment) -> dict[str, str]:
        """Returns what stands in place of the placeholders, but for the numbers of replicas."""
        together, each = self.find_batches(assignment.configuration)
        values = {
            "seed": self.find_seed(assignment.round_number),
            "trial": assignment.trial,
            "global_batch_size": together,
            "per_replica_batch_size": each,
            "output_dir": assignment.output_dir,
            "data_dir": assignment.data_dir,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    def find_seed(self, round_number: int) -> int:
        """Returns the seed of all trials of a round."""
        return self.parameters.seed + round_number - 1

    def list_overlays(self) -> list[Overlay]:
        """Returns what is laid over the job of a command: image, what each replica may use, and that all must end."""
        if self.parameters.tfjob:
            return []
        from tfjob.manifest import share_memory, thread_env  # its libraries take a second that only a launch needs

        parameters = self.parameters
        amounts = {"cpu": format_cpus(parameters.cpus_per_replica), "memory": parameters.memory}
        if parameters.gpus_per_replica:
            amounts[GPU_RESOURCE] = str(parameters.gpus_per_replica)
        resources = {"limits": amounts, "requests": amounts}
        shared = share_memory(parameters.gpus_per_replica, parameters.memory)
        mounts = {"volumeMounts": shared["volumeMounts"]} if shared else {}
        container = of_containers(image=parameters.image, imagePullPolicy="IfNotPresent", resources=resources, **mounts)
        volumes = [of_pods(volumes=shared["volumes"])] if shared else []
        # Else the job is over, and the others are ended, when the first worker is.
        all_workers = Overlay(job={"spec": {"successPolicy": "AllWorkers"}})
        return [container, *volumes, of_env(thread_env(parameters.cpus_per_replica)), all_workers]


def make_writable(folder: Path) -> None:
    """Makes a folder that a program of whatever user can write to."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)


def _note(text: str, output_dir: Path) -> None:
    print_line(text)
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / "README.txt").write_text(f"{text}\n", encoding="utf-8")
