"""What a program is to a run: what can be asked of it before, while and after it trains, whoever wrote it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from comparison.quality import ConfusionMatrix
from comparison.records import RunInfo
from tfjob.backend import JobResult, LogLine
from tfjob.errors import TFJobError
from tfjob.job import Manifest
from tfjob.settings import Overlay


class Configuration(Protocol):
    """One row of the comparison."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def to_json(self) -> dict[str, Any]:
        """Returns its entry in `run.json`."""


class RecordsMissing(TFJobError):  # noqa: N818 - named like the other ends of a job
    """A job has succeeded, and not all of its replicas have left their records."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One attempt at a trial.

    Attributes:
        run_id: The run.
        configuration: What is trained.
        baseline: The configuration that the others are compared with, as it runs.
        trial: Which repeat of it this is, from 1.
        round_number: The round, from 1.
        place: Where it stands among all trials, from 1.
        data_dir: Where all replicas find the data.
        output_dir: Where they leave what they make: a folder that no other attempt has.
        finished: Folder of the folders of the run's finished trials.
        overlays: What KFP adds to the job's manifest: the workspace's volume, tolerations and the like.
    """

    run_id: str
    configuration: Any
    baseline: Configuration
    trial: int
    round_number: int
    place: int
    data_dir: Path
    output_dir: Path
    finished: Path
    overlays: Sequence[Overlay] = ()


class Training(Protocol):
    """One attempt at a trial, from its manifest to what it leaves."""

    @property
    def manifest(self) -> Manifest:
        """The TFJob."""

    @property
    def cpus(self) -> float | None:
        """CPUs of a worker; None where nobody says."""

    def show(self, line: str) -> None:
        """Prints a line of the job, if a person is to see it."""

    @property
    def listen(self) -> Callable[[LogLine], None] | None:
        """Takes each line of a replica's log; None where nobody listens."""

    @property
    def is_measured(self) -> Callable[[], bool] | None:
        """Tells, asked twice a second, whether enough is measured; None where it trains to its end."""

    def measure(self, result: JobResult) -> None:
        """Takes down what was measured, when the job has succeeded.

        Raises:
            TFJobError: It does not count.
        """

    def may_run_otherwise(self, error: TFJobError) -> bool:
        """Returns whether the same program may run in another form; called when the job has failed."""

    def count_queue_seconds(self, result: JobResult) -> float:
        """Returns the seconds from submitting the job until its last replica's process began."""

    def read_clocks(self) -> Mapping[str, Any]:
        """Returns its `train_seconds`, and of the `replicas` what others took of their cores, as far as it is known."""

    def keep(self, launch: Mapping[str, Any], folder: Path) -> None:
        """Writes what it leaves into the trial's folder; `launch` is what will be the `launch.json` there."""


class Report(Protocol):
    """A run's comparison, as its last step shows it."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """A few figures by name."""

    def terminal_table(self) -> str:
        """Returns the table for a terminal."""

    def answer(self) -> str:
        """Returns what a terminal says below the table."""


class Program(Protocol):
    """What a run trains by, made from a run's parameters."""

    @property
    def files(self) -> Sequence[str]:
        """What a finished trial's folder holds, beside `launch.json`."""

    @property
    def needs_network(self) -> bool:
        """Whether its replicas may have to reach others than each other."""

    @property
    def image(self) -> str:
        """The image of its replicas in a cluster."""

    def check(self) -> None:
        """Makes sure of all that can be told before anything starts.

        Raises:
            ValueError: A parameter cannot be; the message says what came and what was expected.
        """

    def check_machine(self, configurations: Sequence[Any], report: Callable[[str], None]) -> None:
        """Makes sure that this machine can run it, where replicas are its processes, and tells what has no effect.

        Raises:
            SpecError: It cannot.
        """

    def plan(
        self, find_room: Callable[[Any], float | None] = lambda _: None
    ) -> tuple[Sequence[Configuration], float | None]:
        """Returns what is compared, the baseline first, and the CPUs that the largest single node may have.

        Args:
            find_room: Returns those for parameters, None where that is not known; asked only where they decide.
        """

    def list_forms(self, configuration: Any) -> Sequence[Any]:
        """Returns a configuration and, of the baseline, what is tried in its place where it cannot run, in turn."""

    def list_doubts(self) -> Sequence[str]:
        """Returns what a person may not have meant."""

    def list_remarks(self, configurations: Sequence[Any], free_cpus: float | None) -> Sequence[str]:
        """Returns what a person should know of a plan: what is not compared, and why.

        Args:
            configurations: What is compared.
            free_cpus: CPUs of the largest single node that there is room for; None where that is not known.
        """

    def read_configuration(self, entry: Mapping[str, Any]) -> Configuration:
        """Returns the configuration of an entry in `run.json`."""

    def is_single_node(self, configuration: Any) -> bool:
        """Returns whether a configuration is trained by the step of the single nodes."""

    def may_listen(self, configuration: Any) -> bool:
        """Returns whether replicas of a configuration may open a port, as far as that can be known beforehand."""

    def prepare(self, dataset: str, output_dir: Path) -> Mapping[str, Any]:
        """Fetches, checks and splits the data, and returns what the dashboard shows of them.

        Args:
            dataset: What a person named, with what is secret in it.
            output_dir: Folder to make. It is never empty: a store keeps no empty folder.
        """

    def stage(self, prepared: Path, workspace: Path) -> Path:
        """Returns where all replicas find the data, laid there by the run's first trial.

        Args:
            prepared: What `prepare` made.
            workspace: Folder that all replicas see.
        """

    def begin(self, assignment: Assignment) -> Training:
        """Returns an attempt at a trial that may be started."""

    def describe(self, folder: Path) -> dict[str, Any]:
        """Returns what the dashboard shows of a finished trial."""

    def describe_software(self, folder: Path) -> Mapping[str, Any] | None:
        """Returns the software that a finished trial was trained by; None where that is not known."""

    def judge(self, prepared: Path, trials: Sequence[Path]) -> list[dict[str, Any]]:
        """Returns what every trained model is worth on data that no training has seen; nothing where nobody judges.

        Args:
            prepared: What `prepare` made.
            trials: The folders of all trials.
        """

    def add_confusions(self, trials: Sequence[Path], evaluations: Path) -> Mapping[str, ConfusionMatrix]:
        """Returns what the models of each strategy take for what; nothing where that is not known.

        Args:
            trials: The folders of all trials.
            evaluations: What `judge` told, a JSON line each.
        """

    def report(self, run_info: RunInfo, trials: Sequence[Path], evaluations: Path, output_dir: Path) -> Report:
        """Returns the comparison of all trials; its files are written into a folder.

        Args:
            run_info: The run's `run.json`, with the trials that are left out.
            trials: The folders of all trials.
            evaluations: What `judge` told, a JSON line each.
            output_dir: Gets the files.
        """
