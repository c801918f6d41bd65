"""One attempt at a trial of a person's own program: its TFJob, what it is heard to tell, and what is kept of it."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from comparison.records import SCHEMA_VERSION
from components.planning.names import read_json
from components.planning.programs.forms import ProgramConfiguration, name_configuration
from components.planning.programs.own_loop import name_job
from components.planning.programs.program import Assignment
from components.planning.programs.shown import ShownLines
from model.files import write_json
from program.helper import install_helper, progress_env
from program.measurement import Measurement
from tfjob.backend import JobResult, LogLine
from tfjob.errors import JobFailed, TFJobError
from tfjob.job import Manifest, read_job, replica_counts, replica_name
from tfjob.launch import RUN_LABEL, label_value, print_line
from tfjob.launcher import current_namespace
from tfjob.settings import lay_over, of_env, of_metadata, parse_job_settings

if TYPE_CHECKING:
    from components.planning.programs.persons import PersonsProgram
    from tfjob.own import PodPlacement

TRIAL_FILE = "trial.json"
# Beside the trials' folders in the workspace: what a program may import to tell its progress.
HELPER_FOLDER = "helper"
# Half a second is how often a launcher looks; files on a network are looked at less often.
_FOLLOW_SECONDS = 1.0
# Later than that a program has trained: what it failed on then is not that it was alone.
_ALONE_SECONDS = 300.0
# Codes of a shell, and words, of a program that would start with no number of workers.
_NOT_STARTED = (126, 127)
_NOT_STARTED_WORDS = ("can't open file", "No such file or dir", "SyntaxError", "ModuleNotFoundError", "ImportError")
_ONE_CORE = "A worker of a job with servers may wait for itself on one core: TF_NUM_INTEROP_THREADS=2 cures it."
# What a record says as `launch.json` does.
_OF_LAUNCH = (
    *("run_id", "configuration", "trial", "round", "place", "queue_seconds", "schedule_seconds", "pull_seconds"),
    *("total_seconds", "contended", "warnings", "backend", "started_at", "ended_at", "boot_id", "started_monotonic"),
    *("ended_monotonic", "image", "image_digest", "resumed", "earlier_attempts", "quiet", "gpus_held"),
)


class NotMeasuredError(TFJobError):
    """A training ended well, and yet nothing of it counts."""


@dataclass
class PersonsTraining:
    """One attempt at a trial of a person's own program; see `Training`.

    Attributes:
        program: The program.
        assignment: What is trained, and where.
        silent_seconds: For how long no progress is told before that is said, with the replicas' last lines.
    """

    program: "PersonsProgram"
    assignment: Assignment
    silent_seconds: float = 60.0
    manifest: Manifest = field(init=False)
    _began: float = field(default_factory=time.monotonic)
    _followed: float = 0.0
    _heard: float = field(default_factory=time.monotonic)
    _last_told: float | None = None
    _last_lines: dict[str, str] = field(default_factory=dict)
    _shown: ShownLines = field(default_factory=lambda: ShownLines(print_line))
    _measurement: Measurement | None = None

    def __post_init__(self) -> None:
        self._listener = self.program.listen(self.assignment.configuration)
        install_helper(self._helper_dir)
        self.manifest = build_job(self.program, self.assignment, self._helper_dir)

    @property
    def cpus(self) -> float | None:
        """CPUs of a worker; None where the manifest sets no limit."""
        return self.program.cpus

    @property
    def _helper_dir(self) -> Path:
        return self.assignment.output_dir.parent / HELPER_FOLDER

    def show(self, line: str) -> None:
        """Prints a line of the job, as far as a person can read along."""
        self._shown.show(line)

    def listen(self, line: LogLine) -> None:
        """Takes a line of a replica's log."""
        if not self._last_lines:  # it has begun
            self._heard = time.monotonic()
        self._last_lines[line.replica] = line.text
        self._listener.hear(line.replica, line.text, time.time() if line.at is None else line.at)

    def is_measured(self) -> bool:
        """Returns whether enough is measured; reads what the program has written meanwhile, and tells of silence."""
        now = time.monotonic()
        if now >= self._followed + _FOLLOW_SECONDS:
            self._followed = now
            self._listener.follow(self.assignment.output_dir)
            self._tell_silence(now)
        return bool(self._listener.is_measured)

    def measure(self, result: JobResult) -> None:
        """Takes down what was measured, when the job has succeeded.

        Raises:
            NotMeasuredError: It told nothing of what it was to tell, so that it may not have trained at all.
        """
        del result  # what was heard says more
        self._shown.end()
        self._listener.follow(self.assignment.output_dir)
        self._measurement = self._listener.finish()
        parameters = self.program.parameters
        silence = self._listener.describe_silence()
        if silence is None:
            return
        is_asked = parameters.progress != "auto" or parameters.progress_regex or parameters.metric
        which = f"{self.assignment.configuration.name}, trial {self.assignment.trial},"
        if is_asked or parameters.measure_steps:
            raise NotMeasuredError(f"{which} ended well, and what it was to tell was not found in it. {silence}")
        levels = _list_levels(self.assignment.finished)
        if any(levels):
            raise NotMeasuredError(
                f"{which} ended well without a sign of a training, of which a trial before it told: it does not count. "
                f"{silence}"
            )
        if not levels:  # after the first trial, and not after each
            print_line(f"Whole jobs are compared, start and end included. {silence}")

    def may_run_otherwise(self, error: TFJobError) -> bool:
        """Returns whether a failure may be that the program does not run alone: it failed soon, and trained nothing."""
        self._shown.end()
        self._listener.close()
        if not isinstance(error, JobFailed) or error.exit_code in (None, *_NOT_STARTED):
            return False
        has_trained = self._listener.last_told_at is not None or time.monotonic() - self._began > _ALONE_SECONDS
        told = "\n".join(error.last_lines)
        return not has_trained and not any(word in told for word in _NOT_STARTED_WORDS)

    def count_queue_seconds(self, result: JobResult) -> float:
        """Returns the seconds from submitting the job until its last replica's process began."""
        return result.queue_seconds

    def read_clocks(self) -> Mapping[str, Any]:
        """Returns for how long it trained; what others took of its cores is not known."""
        return {"train_seconds": self._measured.train_seconds, "replicas": []}

    def keep(self, launch: Mapping[str, Any], folder: Path) -> None:
        """Writes `trial.json`, the trial's record."""
        write_json(folder / TRIAL_FILE, self._describe(launch))

    @property
    def _measured(self) -> Measurement:
        if self._measurement is None:
            raise ValueError("what was measured is asked for before it is")
        return self._measurement

    def _describe(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the trial's record, a `ProgramTrial`: without that class, whose package takes seconds to import."""
        assignment, told = self.assignment, self._measured
        configuration: ProgramConfiguration = assignment.configuration
        together, each = self.program.find_batches(configuration)
        declared = self.program.parameters.batch_size_per_replica
        is_smallest = configuration.workers == 1 and configuration.name != name_configuration(1, 0)
        notes = [f"{configuration.name}: {configuration.describe()}, the smallest job that runs"] if is_smallest else []
        return {
            "schema_version": SCHEMA_VERSION,
            "program": self.program.kind,
            **{name: launch[name] for name in _OF_LAUNCH},
            "baseline": assignment.baseline.name,
            "seed": self.program.find_seed(assignment.round_number),
            "num_workers": configuration.workers,
            "num_ps": configuration.num_ps,
            "cpus_per_replica": self.cpus,
            "cpus_held": count_cpus_held(self.manifest),
            "memory_per_replica": self.program.memory,
            "global_batch_size": together,
            "per_replica_batch_size": each,
            "job_seconds": max(launch["total_seconds"] - launch["queue_seconds"], 1e-3),
            **{name: value for name, value in asdict(told).items() if name != "by_replica"},
            "replicas": [self._describe_replica(replica) for replica in launch["replicas"]],
            "restarts": sum(replica["restarts"] for replica in launch["replicas"]),
            "notes": [*told.notes, *notes],
            "declared": [f"batch_size_per_replica {declared}"] if declared else [],
        }

    def _describe_replica(self, replica: Mapping[str, Any]) -> dict[str, Any]:
        told = self._measured.by_replica.get(replica["name"], {})
        return {**replica, **{name: told.get(name) or None for name in ("steps", "examples", "metrics")}}

    def _tell_silence(self, now: float) -> None:
        if not self._last_lines or self.program.parameters.progress == "none":
            return
        if self._listener.last_told_at != self._last_told:
            self._last_told, self._heard = self._listener.last_told_at, now
        elif now - self._heard > self.silent_seconds:
            self._heard = float("inf")  # once
            lines = [f"  [{replica}] {text[-200:]}" for replica, text in sorted(self._last_lines.items())]
            told = f"No progress for {self.silent_seconds:.0f} s. The replicas' last lines:"
            print_line("\n".join([told, *lines, *([_ONE_CORE] if self.assignment.configuration.num_ps else [])]))


def build_job(program: "PersonsProgram", assignment: Assignment, helper_dir: Path) -> Manifest:
    """Returns the TFJob of an attempt; its name follows from that of its output folder and from the run."""
    parameters, configuration = program.parameters, assignment.configuration
    env = progress_env(helper_dir, assignment.output_dir)
    manifest = program.job.build(
        name=name_job(assignment),
        namespace=current_namespace(),
        workers=configuration.workers,
        num_ps=configuration.num_ps,
        values=program.fill(assignment),
        chief_trains=parameters.chief_trains,
        deadline_seconds=parameters.deadline_minutes * 60,
        overlays=[
            *program.list_overlays(),
            of_metadata(labels={RUN_LABEL: label_value(assignment.run_id)}),
            *parse_job_settings(parameters.job_settings),
            *assignment.overlays,
        ],
        placement=cast("PodPlacement", parameters.placement),
        env=env,
        lone_tf_config=configuration.has_tf_config,
    )
    kinds = [kind for kind, count in replica_counts(manifest).items() for _ in range(count)]
    if len(kinds) > 1:
        return manifest
    # One alone has no TF_CONFIG that would tell the helper whose progress it writes.
    named = progress_env(helper_dir, assignment.output_dir, replica_name(kinds[0], 0)).items() - env.items()
    return lay_over(manifest, of_env(dict(named)))


def count_cpus_held(manifest: Manifest) -> float | None:
    """Returns the CPUs that the replicas of a job may use together; None where one has no limit.

    An Evaluator's are left out: it runs beside distributed trainings alone, and does what the single node leaves.
    """
    limits = [replica.cpus for replica in read_job(manifest).replicas if replica.type != "Evaluator"]
    known = [cpus for cpus in limits if cpus is not None]
    return math.fsum(known) if len(known) == len(limits) else None


def _list_levels(finished: Path) -> list[int]:
    """Returns how much each finished trial has told."""
    return [int(read_json(trial)["level"]) for trial in finished.glob(f"*/{TRIAL_FILE}")]
