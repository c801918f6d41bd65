"""Where the time of a job went, part by part and replica by replica, and how much of a run was not training at all."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from comparison.records import Replica, RunInfo, TrialRecord
from comparison.statistics import compute_mean
from comparison.summary import Groups
from comparison.table import UNKNOWN
from comparison.texts import join_clauses, list_items, say


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
# When a process began is known in ticks of the system's clock, rounded down: it seems older than it is by up to one.
_TICK_SECONDS = 0.01
# Without a minus sign where what is below zero is rounded to it.
_SECONDS = "{:z,.2f}"
# What both the trial's record, which is the chief's, and a replica's own hold under the same name.
_OWN_CLOCKS = (
    *("rendezvous_seconds", "compile_seconds", "warmup_seconds", "input_seconds", "update_seconds"),
    *("calibrate_seconds", "eval_seconds", "save_seconds"),
)


@dataclass(frozen=True)
class TimeRow:
    """Where the time of one replica of a configuration went, means over trials.

    Attributes:
        configuration: Whose it was.
        replica: Which one, as in `worker-0`.
        seconds: By the columns of `PARTS`; they add up to `total_seconds`.
        total_seconds: The whole job.
    """

    configuration: str
    replica: str
    seconds: Mapping[str, float]
    total_seconds: float

    @property
    def explained_share(self) -> float:
        """The share of the job's wall time that a clock of this replica accounts for."""
        return 1 - abs(self.seconds["unexplained_seconds"]) / self.total_seconds

    def share(self, column: str) -> float:
        """Returns the share of a part of `PARTS` in the job's wall time."""
        return self.seconds[column] / self.total_seconds

    def add_kinds(self) -> dict[str, float]:
        """Returns the seconds by kind, in the order of `KINDS`."""
        return {kind: math.fsum(self.seconds[part.column] for part in PARTS if part.kind == kind) for kind in KINDS}


@dataclass(frozen=True)
class StragglerRow:
    """How far the workers of a configuration are apart, means over trials; None where the records do not say.

    Attributes:
        configuration: Whose they are.
        slowest_to_mean: Computation of the slowest worker of each step over that of the mean one. Where workers are not
            in step, of an update's mean instead.
        wait_seconds: What the mean worker spent waiting for the slowest of each step.
        transfer_seconds: What communication took without that.
        first_step_to_median: The first step's duration over the median step's: what the warm-up left over.
        explained_share: The share of the job's wall time that the chief's clocks account for.
    """

    configuration: str
    slowest_to_mean: float | None
    wait_seconds: float | None
    transfer_seconds: float | None
    first_step_to_median: float | None
    explained_share: float


def break_down(groups: Groups) -> pd.DataFrame:
    """Returns the seconds of each phase and of the whole job, means over trials, one row a configuration."""
    rows = {row.configuration: _add_phases(row) for row in tabulate_configurations(groups)}
    return pd.DataFrame.from_dict(rows, orient="index")


def tabulate_configurations(groups: Groups) -> list[TimeRow]:
    """Returns where each configuration's time went, as its chief saw it."""
    return [
        _average(name, find_chief(trials[0]).name, trials, [measure_chief(trial) for trial in trials])
        for name, trials in groups.items()
    ]


def tabulate_replicas(groups: Groups) -> list[TimeRow]:
    """Returns where the time of each replica went; those are left out whose records do not say it in every trial."""
    rows = []
    for configuration, trials in groups.items():
        for name in (replica.name for replica in trials[0].replicas):
            own = [
                measure_replica(trial, replica)
                for trial in trials
                for replica in trial.replicas
                if replica.name == name and _is_timed(replica)
            ]
            if len(own) == len(trials):
                rows.append(_average(configuration, name, trials, own))
    return rows


def tabulate_stragglers(groups: Groups) -> list[StragglerRow]:
    """Returns how far the workers of each configuration are apart, and how much of its time is explained."""
    return [
        StragglerRow(
            configuration=row.configuration,
            slowest_to_mean=_mean_of_known([_compare_compute(trial) for trial in trials]),
            wait_seconds=_mean_of_known([_measure_wait(trial) for trial in trials]),
            transfer_seconds=_mean_of_known([trial.transfer_seconds for trial in trials]),
            first_step_to_median=_mean_of_known([_compare_first_step(trial) for trial in trials]),
            explained_share=row.explained_share,
        )
        for row, trials in zip(tabulate_configurations(groups), groups.values(), strict=True)
    ]


def describe_times(groups: Groups) -> dict[str, Any]:
    """Returns what the template `breakdown.html.j2` shows: rows of text, and bars of percentages."""
    rows = tabulate_replicas(groups) or tabulate_configurations(groups)
    names = [join_clauses([row.configuration, row.replica]) for row in rows]
    parts = [part for part in PARTS if any(row.seconds[part.column] for row in rows)]
    return {
        "columns": [say(part.label) for part in parts],
        "rows": [
            [name, *(format_seconds(row.seconds[part.column]) for part in parts)]
            for name, row in zip(names, rows, strict=True)
        ],
        "kinds": [say(kind) for kind in KINDS],
        "bars": [
            {
                "name": name,
                "description": say("{configuration}: {received}", configuration=name, received=_list_shares(row)),
                "percents": list(_compute_percents(row).values()),
            }
            for name, row in zip(names, rows, strict=True)
        ],
        "stragglers": [
            [
                row.configuration,
                _format(row.slowest_to_mean, "{:.3f}"),
                _format(row.wait_seconds, _SECONDS),
                _format(row.transfer_seconds, _SECONDS),
                _format(row.first_step_to_median, "{:.2f}"),
                f"{100 * row.explained_share:.1f} %",
            ]
            for row in tabulate_stragglers(groups)
        ],
    }


def format_seconds(seconds: float) -> str:
    """Returns seconds to a hundredth."""
    return _SECONDS.format(seconds)


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


def compute_overhead_share(records: Iterable[TrialRecord], run_info: RunInfo) -> float | None:
    """Returns the share of a run's wall time in which nothing was trained or evaluated, or None without its trials.

    It is None, too, where the run was interrupted and resumed, for what it lost then is no overhead. The wall time ends
    when the last model has been evaluated; comparing takes a second or two more.
    """
    own = [record for record in records if record.run_id == run_info.run_id]
    if not own or any(record.resumed for record in own):
        return None
    wall_seconds = max(record.evaluated_at for record in own) - run_info.started_at
    busy_seconds = sum(record.train_seconds + record.eval_seconds + record.evaluate_seconds for record in own)
    return 1 - busy_seconds / wall_seconds


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
        **{name: clocks.get(name, 0.0) for name in (*_OWN_CLOCKS, "import_seconds")},
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
    unexplained = trial.total_seconds - math.fsum(seconds.values())
    ordered = seconds | {"unexplained_seconds": unexplained}
    return {part.column: ordered[part.column] for part in PARTS}


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
    names = (*_OWN_CLOCKS, "startup_seconds", "process_start_seconds", "import_seconds", "train_seconds")
    return {name: getattr(trial, name) or 0.0 for name in (*names, "communication_seconds")}


def _is_timed(replica: Replica) -> bool:
    """Returns whether the replica's clocks cover all of its life, which those of older records do not."""
    return replica.clocks is not None and "import_seconds" in replica.clocks and replica.recorded_at is not None


def _average(
    configuration: str, replica: str, trials: Iterable[TrialRecord], measured: list[dict[str, float]]
) -> TimeRow:
    seconds = {part.column: compute_mean([own[part.column] for own in measured]) for part in PARTS}
    return TimeRow(configuration, replica, seconds, compute_mean([trial.total_seconds for trial in trials]))


def _add_phases(row: TimeRow) -> dict[str, float]:
    phases = {
        phase.column: math.fsum(row.seconds[part.column] for part in PARTS if part.phase == phase.column)
        for phase in PHASES
    }
    return phases | {TOTAL.column: row.total_seconds}


def _compute_percents(row: TimeRow) -> dict[str, float]:
    """Returns the width of each part of a replica's bar, by kind."""
    return {kind: max(0.0, 100 * seconds / row.total_seconds) for kind, seconds in row.add_kinds().items()}


def _list_shares(row: TimeRow) -> str:
    return list_items([f"{say(kind)} {percent:.1f} %" for kind, percent in _compute_percents(row).items()])


def _compare_compute(trial: TrialRecord) -> float | None:
    """Returns the slowest worker's computation over the mean one's."""
    if trial.slowest_compute_seconds is not None and trial.mean_compute_seconds:
        return trial.slowest_compute_seconds / trial.mean_compute_seconds
    own = [
        measure_replica(trial, replica)["compute_seconds"] / replica.num_steps
        for replica in trial.replicas
        if replica.num_steps and _is_timed(replica)
    ]
    return max(own) / statistics.fmean(own) if own else None


def _measure_wait(trial: TrialRecord) -> float | None:
    """Returns what the workers of a trial waited for the slowest of each step, on average.

    A step's communication is waiting plus transfer, and the last to arrive waits for nobody: so the least that any
    worker spent in that step is the transfer.
    """
    clocks = [replica.clocks for replica in trial.replicas if replica.type != "ps" and replica.clocks is not None]
    if trial.transfer_seconds is None or not clocks:
        return None
    return statistics.fmean(own["communication_seconds"] for own in clocks) - trial.transfer_seconds


def _compare_first_step(trial: TrialRecord) -> float | None:
    first, median = trial.step_seconds.get("first"), trial.step_seconds.get("p50")
    return first / median if first and median else None


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _format(value: float | None, pattern: str) -> str:
    return UNKNOWN if value is None else pattern.format(value)
