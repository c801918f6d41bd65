"""Where the time of a job went, phase by phase, and how much of a run was not training at all."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from comparison.records import RunInfo, TrialRecord
from comparison.statistics import compute_mean
from comparison.summary import Groups


class Phase(NamedTuple):
    """A part of a job's wall time: its column, its name for a reader and what its clock covers."""

    column: str
    label: str
    definition: str


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
    Phase("calibrate_seconds", "calibration", "a fixed computation before and after, to know how fast the core is now"),
    Phase("eval_seconds", "validation", "measuring validation accuracy after each epoch, off the training clock"),
    Phase("save_seconds", "save", "the chief writing checkpoints and the model, off the training clock"),
    Phase("other_seconds", "other", "the whole job less all of the above; below zero if clocks overlap"),
)
TOTAL = Phase("total_seconds", "whole job", "from submitting the job until its end is known")
TRAINING = Phase(
    "train_seconds", "training", "the steps of all epochs, compiled and synchronised: compute and communication"
)


def break_down(groups: Groups) -> pd.DataFrame:
    """Returns the seconds of each phase and of the whole job, means over trials, one row a configuration."""
    rows = {
        name: {
            column: compute_mean([_measure_phases(trial)[column] for trial in trials])
            for column in (*(phase.column for phase in PHASES), TOTAL.column)
        }
        for name, trials in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def compute_overhead_share(records: Iterable[TrialRecord], run_info: RunInfo) -> float | None:
    """Returns the share of a run's wall time in which nothing was trained or evaluated, or None without its trials.

    The wall time ends when the last model has been evaluated; comparing takes a second or two more.
    """
    own = [record for record in records if record.run_id == run_info.run_id]
    if not own:
        return None
    wall_seconds = max(record.evaluated_at for record in own) - run_info.started_at
    busy_seconds = sum(record.train_seconds + record.eval_seconds + record.evaluate_seconds for record in own)
    return 1 - busy_seconds / wall_seconds


def _measure_phases(trial: TrialRecord) -> dict[str, float]:
    seconds = {
        "queue_seconds": trial.queue_seconds,
        "startup_seconds": trial.startup_seconds,
        "rendezvous_seconds": trial.rendezvous_seconds,
        "compile_seconds": trial.compile_seconds,
        "input_seconds": trial.input_seconds,
        "compute_seconds": trial.train_seconds
        - trial.input_seconds
        - trial.communication_seconds
        - trial.update_seconds,
        "communication_seconds": trial.communication_seconds,
        "update_seconds": trial.update_seconds,
        "calibrate_seconds": trial.calibrate_seconds,
        "eval_seconds": trial.eval_seconds,
        "save_seconds": trial.save_seconds,
    }
    return seconds | {"other_seconds": trial.total_seconds - sum(seconds.values()), TOTAL.column: trial.total_seconds}
