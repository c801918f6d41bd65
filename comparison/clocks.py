"""The clocks of a job: their names, what each spans, and how the seconds of a record add up to a replica's wall time.

All are seconds. `PHASES` add up to `TOTAL`, the parts of a phase in `PARTS` to that phase. `TRAINING` spans four
phases: input, computing, communication and update.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import NamedTuple

from comparison.records import Replica, RunInfo, TrialRecord


class Phase(NamedTuple):
    """A part of a job's wall time: its column, its name for a reader and what its clock covers."""

    column: str
    label: str
    definition: str


class Part(NamedTuple):
    """A part of a replica's wall time, within the phase of a column, and the kind of thing that the time went to."""

    column: str
    label: str
    phase: str
    kind: str


# Of older versions: since then a trial has none.
CALIBRATION = Phase(
    "calibrate_seconds", "calibration", "a fixed computation before and after, to know how fast the core is now"
)
PHASES = (
    Phase("queue_seconds", "queue", "from submitting the job until its replicas run (a cluster's queue, image pull)"),
    Phase("startup_seconds", "start-up", "the chief from its process’s start until it is ready: imports, data, model"),
    Phase("rendezvous_seconds", "rendezvous", "until all replicas have found each other and hold the same weights"),
    Phase(
        "compile_seconds",
        "compile",
        "tracing, compiling and a warm-up that is undone, before the training clock starts",
    ),
    Phase("input_seconds", "input", "choosing, reading and shifting the images of a step"),
    Phase(
        "compute_seconds", "compute", "forward and backward: the training clock less input, communication and update"
    ),
    Phase(
        "communication_seconds",
        "communication",
        "the part of the training clock spent exchanging values, waiting for the slowest included",
    ),
    Phase("update_seconds", "update", "the optimizer’s; a parameter server’s is a part of communication"),
    CALIBRATION,
    Phase("eval_seconds", "validation", "measuring validation accuracy after each epoch, off the training clock"),
    Phase("save_seconds", "save", "the chief writing checkpoints and the model, off the training clock"),
    Phase("other_seconds", "other", "the whole job less all of the above; below zero if clocks overlap"),
)
TOTAL = Phase("total_seconds", "whole job", "from submitting the job until its end is known")
TRAINING = Phase(
    "train_seconds", "training", "the steps of all epochs, compiled and synchronised: compute and communication"
)
WAITING, READYING, COMPUTING, COMMUNICATING, SERVING, KEEPING, UNEXPLAINED = (
    *("waiting to run", "getting ready", "computing", "communicating", "serving"),
    *("measuring, saving, ending", "unexplained"),
)
KINDS = (WAITING, READYING, COMPUTING, COMMUNICATING, SERVING, KEEPING, UNEXPLAINED)
PARTS = (
    Part("schedule_seconds", "finding nodes", "queue_seconds", WAITING),
    Part("pull_seconds", "image pull", "queue_seconds", WAITING),
    Part("launch_seconds", "queue, starting", "queue_seconds", WAITING),
    Part("process_start_seconds", "process start", "startup_seconds", READYING),
    Part("import_seconds", "imports", "startup_seconds", READYING),
    Part("build_seconds", "data and model", "startup_seconds", READYING),
    Part("rendezvous_seconds", "rendezvous", "rendezvous_seconds", READYING),
    Part("compile_seconds", "tracing, compiling", "compile_seconds", READYING),
    Part("warmup_seconds", "warm-up", "compile_seconds", READYING),
    Part("input_seconds", "input", "input_seconds", COMPUTING),
    Part("compute_seconds", "forward, backward", "compute_seconds", COMPUTING),
    Part("update_seconds", "update", "update_seconds", COMPUTING),
    Part("wait_seconds", "waiting for the slowest", "communication_seconds", COMMUNICATING),
    Part("transfer_seconds", "communication", "communication_seconds", COMMUNICATING),
    Part("idle_seconds", "serving", "other_seconds", SERVING),
    Part("calibrate_seconds", "calibration", "calibrate_seconds", KEEPING),
    Part("eval_seconds", "validation", "eval_seconds", KEEPING),
    Part("save_seconds", "save", "save_seconds", KEEPING),
    Part("end_seconds", "end", "other_seconds", KEEPING),
    Part("unexplained_seconds", "unexplained", "other_seconds", UNEXPLAINED),
)
# What the chief's clocks may leave unexplained of a whole job, by share or in seconds: a trial of a minute leaves less
# than 0.1 %, one of a few seconds up to 0.2 s.
CLOCK_TOLERANCE = 0.02
_CLOCK_TOLERANCE_SECONDS = 1.0
# When a process began is known in ticks of the system's clock, rounded down: it seems older than it is by up to one.
_TICK_SECONDS = 0.01


def select_phases(seconds: Iterable[Mapping[str, float]]) -> list[Phase]:
    """Returns the phases that a reader is shown: the calibration is left out where none of the trials had one.

    Args:
        seconds: Those of each configuration, by the columns of `PHASES`.
    """
    is_calibrated = any(own[CALIBRATION.column] for own in seconds)
    return [phase for phase in PHASES if phase is not CALIBRATION or is_calibrated]


def find_chief(trial: TrialRecord) -> Replica:
    """Returns the replica whose clocks are the trial's."""
    chiefs = [replica for replica in trial.replicas if replica.type in {"chief", "master"}]
    workers = [replica for replica in trial.replicas if replica.type == "worker"]
    return min(chiefs or workers or trial.replicas, key=lambda replica: replica.index)


def measure_chief(trial: TrialRecord) -> dict[str, float]:
    """Returns the seconds of the chief by the columns of `PARTS`; records that lack its own clocks say less."""
    return _split(trial, find_chief(trial), _read_trial_clocks(trial))


def measure_replica(trial: TrialRecord, replica: Replica) -> dict[str, float]:
    """Returns the seconds of a replica by the columns of `PARTS`, which add up to the whole job."""
    return _split(trial, replica, replica.clocks or {})


def get_clock_tolerance(trial: TrialRecord) -> float:
    """Returns by how many seconds the clocks of a trial may differ from its whole job."""
    return max(_CLOCK_TOLERANCE_SECONDS, CLOCK_TOLERANCE * trial.total_seconds)


def is_taken_over(trial: TrialRecord) -> bool:
    """Returns whether the parts of a job on a cluster last longer than the whole.

    Its first launcher was lost then, and another one took the job over, whose clock knows the end alone.
    """
    return trial.backend == "kubernetes" and measure_chief(trial)["unexplained_seconds"] < -get_clock_tolerance(trial)


def is_wholly_timed(trial: TrialRecord) -> bool:
    """Returns whether a trial was timed from its first step to its last: one that was broken off has no time."""
    is_resumed = bool(trial.restarts) or any(replica.restored_step for replica in trial.replicas)
    return not is_resumed and not is_taken_over(trial)


def measure_waiting_share(trial: TrialRecord) -> float | None:
    """Returns the share of the training for which a trial waited for cores: the replica's that waited longest.

    That is how long the thread that computed most was ready and had no core. None where no replica says.
    """
    seconds = [replica.waited_seconds for replica in trial.replicas if replica.waited_seconds is not None]
    return max(seconds) / trial.train_seconds if seconds else None


def compute_overhead_share(records: Iterable[TrialRecord], run_info: RunInfo) -> float | None:
    """Returns the share of a run's wall time in which nothing was trained or evaluated, or None without its trials.

    It is None, too, where the run was interrupted and resumed, or a trial was not wholly timed, for what was lost then
    is no overhead. An attempt that was repeated since others had disturbed it was training. The wall time ends when the
    last model has been evaluated; comparing takes a second or two more.
    """
    own = [record for record in records if record.run_id == run_info.run_id]
    if not own or any(record.resumed or not is_wholly_timed(record) for record in own):
        return None
    wall_seconds = max(record.evaluated_at for record in own) - run_info.started_at
    busy_seconds = sum(record.train_seconds + record.eval_seconds + record.evaluate_seconds for record in own)
    busy_seconds += sum(
        attempt.get("train_seconds") or 0.0 for record in own for attempt in record.earlier_attempts or ()
    )
    return 1 - busy_seconds / wall_seconds


def is_timed(replica: Replica) -> bool:
    """Returns whether the replica's clocks cover all of its life, which those of older records do not."""
    return replica.clocks is not None and "import_seconds" in replica.clocks and replica.recorded_at is not None


def _split(trial: TrialRecord, replica: Replica, clocks: Mapping[str, float]) -> dict[str, float]:
    """Returns the parts of the job's wall time that the clocks of a replica tell, and what they leave unexplained."""
    queue, end = _measure_ends(trial, replica)
    early = -queue if -_TICK_SECONDS <= queue < 0 else 0.0
    schedule, pull = trial.schedule_seconds or 0.0, trial.pull_seconds or 0.0
    # Of a start-up that is not told apart, all is here.
    build = clocks["startup_seconds"] - clocks.get("process_start_seconds", 0.0) - clocks.get("import_seconds", 0.0)
    train, communication = clocks["train_seconds"], clocks["communication_seconds"]
    wait = communication - trial.transfer_seconds if trial.transfer_seconds is not None else 0.0
    seconds = {
        **{part.column: clocks.get(part.column, 0.0) for part in PARTS},
        "schedule_seconds": schedule,
        "pull_seconds": pull,
        # No process is older than its job: what a tick seems to add to its life was not spent on starting it.
        "launch_seconds": queue + early - schedule - pull,
        "process_start_seconds": clocks.get("process_start_seconds", 0.0) - early,
        "build_seconds": build,
        "compute_seconds": train - clocks["input_seconds"] - communication - clocks["update_seconds"],
        "wait_seconds": wait,
        "transfer_seconds": communication - wait,
        "idle_seconds": max(0.0, clocks["serve_seconds"] - train) if "serve_seconds" in clocks else 0.0,
        "end_seconds": end,
    }
    return seconds | {"unexplained_seconds": trial.total_seconds - math.fsum(seconds.values())}


def _measure_ends(trial: TrialRecord, replica: Replica) -> tuple[float, float]:
    """Returns the seconds before a replica's process began and those after it had written its record.

    Of a replica that was restarted the age says when it began last; the job's queue is all that is known then.
    """
    if replica.recorded_at is None or replica.age_seconds is None:
        return trial.queue_seconds, 0.0
    end = trial.ended_at - replica.recorded_at
    if replica.restarts:
        return trial.queue_seconds, end
    return replica.recorded_at - replica.age_seconds - trial.started_at, end


def _read_trial_clocks(trial: TrialRecord) -> dict[str, float]:
    """Returns the record's own clocks, which are the chief's; 0 where it does not say."""
    names = (field.name for field in fields(trial) if field.name.endswith("_seconds"))
    return {name: getattr(trial, name) or 0.0 for name in names if name != "step_seconds"}
