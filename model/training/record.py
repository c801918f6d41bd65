"""What a training leaves on record: `training.json`, of the replicas' own records, as docs/schemas.md defines them."""

import json
import math
import platform
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import PeerLost
from model.files import SCHEMA_VERSION, write_json
from model.host import (
    cpu_seconds,
    describe_environment,
    describe_host,
    describe_versions,
    peak_rss_bytes,
    seconds_since_process_start,
)
from model.objectives import ACCURACY, Metric
from model.training.clocks import read_clocks
from model.training.disturbance import Span, add_others
from model.training.role import Role
from model.training.state import CurvePoint, State, Values
from model.training.task import StepTiming, Task

FINISHED_FILE = "finished"
REPLICAS_FOLDER = "replicas"
COMPARED = ("transfer_seconds", "slowest_compute_seconds", "mean_compute_seconds")
RECORDS_PATIENCE_SECONDS = 30.0
_MICROSECOND_DIGITS = 6


class StepParts:
    """What of each step is compared between the replicas, or added up for each worker that the chief hands steps to.

    Where the parts of the timed steps are not told apart, those of a few traced ones stand for them.
    """

    def __init__(self) -> None:
        self.traced: Sequence[StepTiming] = ()
        self.compute_seconds: list[float] = []
        self.communication_seconds: list[float] = []
        self.workers: dict[str, dict[str, float]] = {}
        self.num_steps: dict[str, int] = {}

    def add(self, timing: StepTiming) -> None:
        """Takes a step of the training."""
        if timing.worker is None:
            if not self.traced:
                self._add_parts(timing)
            return
        clocks = self.workers.setdefault(timing.worker, {})
        for name, seconds in {"train_seconds": timing.seconds, **timing.parts}.items():
            clocks[name] = clocks.get(name, 0.0) + seconds
        self.num_steps[timing.worker] = self.num_steps.get(timing.worker, 0) + len(timing.losses)

    def trace(self, timings: Sequence[StepTiming]) -> None:
        """Takes the steps that were made for their parts alone; none where the training's own tell theirs."""
        self.traced = timings

    def stand_for(self, train_seconds: float) -> dict[str, float]:
        """Lets the traced steps stand for a whole training, and returns the seconds of its parts; once, at its end.

        Args:
            train_seconds: How long all of its steps took.
        """
        clocks: dict[str, float] = {}
        factor = train_seconds / math.fsum(timing.seconds for timing in self.traced) if self.traced else 0.0
        for timing in self.traced:
            parts = {name: seconds * factor for name, seconds in timing.parts.items()}
            self._add_parts(replace(timing, seconds=timing.seconds * factor, parts=parts))
            for name, seconds in parts.items():
                clocks[name] = clocks.get(name, 0.0) + seconds
        return clocks

    def _add_parts(self, timing: StepTiming) -> None:
        self.compute_seconds.append(timing.compute_seconds)
        self.communication_seconds.append(timing.parts.get("communication_seconds", 0.0))

    def to_json(self) -> dict[str, list[float]]:
        """Returns the seconds of each step, to the microsecond."""
        lists = {"compute_seconds": self.compute_seconds, "communication_seconds": self.communication_seconds}
        return {name: [round(second, _MICROSECOND_DIGITS) for second in seconds] for name, seconds in lists.items()}


def begin(output_dir: Path, role: Role) -> None:
    """Makes the training's folder, and removes from it what an earlier start left of its end. The chief's to do."""
    if role.is_chief:
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / FINISHED_FILE).unlink(missing_ok=True)
        shutil.rmtree(output_dir / REPLICAS_FOLDER, ignore_errors=True)


def write_replica_record(
    output_dir: Path,
    role: Role,
    clocks: Mapping[str, float],
    values: Values | None = None,
    *,
    restored_step: int | None = None,
    steps: StepParts | None = None,
    disturbance: Mapping[str, Any] | None = None,
    gpu: Mapping[str, Any] | None = None,
) -> None:
    """Writes what this replica used and measured.

    Args:
        output_dir: The training's folder.
        role: This replica's.
        clocks: Its seconds by section.
        values: What it ended with; None for those that only serve, which hold none of their own.
        restored_step: The step at which it took up a checkpoint.
        steps: What its steps took; None for those that only serve.
        disturbance: What the machine did meanwhile, as `disturbance.describe` tells it.
        gpu: What its GPU is and did, as `gpu.GpuWatch` tells it.
    """
    record = {
        "type": role.task_type,
        "index": role.task_index,
        "cpu_seconds": cpu_seconds(),
        "peak_rss_bytes": peak_rss_bytes(),
        "weights_sha256": values and values.sha256,
        "restored_step": restored_step,
        "clocks": read_clocks(clocks),
        "age_seconds": seconds_since_process_start(),
        "recorded_at": time.time(),
        "host": platform.node(),
        "environment": describe_environment(),
        "gpu": gpu,
        "steps": steps and steps.to_json(),
        **(disturbance or {}),
    }
    directory = output_dir / REPLICAS_FOLDER
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / f"{role.name}.json", record)


def finish(output_dir: Path, role: Role, spans: Sequence[Span] = ()) -> None:
    """Waits until every replica has written its record, so that none ends while another still needs it.

    A collective cannot tell that: the first to leave it takes those down that still receive its last bytes.

    Args:
        output_dir: The training's folder.
        role: This replica's.
        spans: When its training's clock ran, for those that only serve.

    Raises:
        PeerLost: A replica has not. Who ended all the same would not be there for it when it starts again; the chief
            goes on, and leaves the record of those that have.
    """
    expected = role.num_workers
    if role.strategy == "parameter_server":
        write_json(output_dir / FINISHED_FILE, spans)  # what the workers and parameter servers wait for
        expected += role.num_ps + 1
    deadline = time.monotonic() + RECORDS_PATIENCE_SECONDS
    while (found := len(list((output_dir / REPLICAS_FOLDER).glob("*.json")))) < expected:
        if time.monotonic() > deadline:
            patience = f"{RECORDS_PATIENCE_SECONDS:.0f} s"
            told = f"only {found} of {expected} replicas wrote their record in {patience}"
            if not role.is_chief:
                raise PeerLost(told)
            print(told, flush=True)
            return
        time.sleep(0.05)


def describe_training(
    task: Task,
    role: Role,
    state: State,
    initial_weights_sha256: str,
    output_dir: Path,
    *,
    steps: StepParts,
    collective: Mapping[str, Any] | None,
    computing: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the content of `training.json`, as docs/schemas.md defines it.

    Args:
        task: What was trained.
        role: The chief's.
        state: What the training ended with.
        initial_weights_sha256: Digest of the weights that it began with.
        output_dir: The training's folder, with the records of all replicas.
        steps: What the chief knows of the steps.
        collective: What the strategy's exchange costs by itself; None where nothing is exchanged.
        computing: How it computed, as the trainer tells it.
    """
    config = task.config
    images_seen = state.step * config.global_batch_size
    clocks = read_clocks(state.clocks)
    replicas = read_replica_records(output_dir)
    add_worker_clocks(replicas, steps)
    add_others(replicas)
    return {
        "schema_version": SCHEMA_VERSION,
        "strategy": config.strategy,
        "scaling": config.scaling,
        "num_workers": role.num_workers,
        "num_ps": role.num_ps,
        "seed": config.seed,
        "model": config.model,
        "model_arguments": config.model_arguments,
        "num_parameters": len(state.values.weights),
        "dataset": task.dataset.name,
        "dataset_sha256": task.dataset.sha256,
        "global_batch_size": config.global_batch_size,
        "per_replica_batch_size": config.per_replica_batch_size,
        "same_batch_norm": config.same_batch_norm,
        "batch_norm_group_size": config.group_size,
        "loss_name": task.objective.loss,
        "metric_name": task.objective.metric.name,
        "metric_higher_is_better": task.objective.metric.higher_is_better,
        "example_shape": task.dataset.input_shape,
        "learning_rate": config.learning_rate,
        **computing,
        "traced_steps": len(steps.traced) or None,
        "epochs": config.epochs,
        "steps": state.step,
        "images_seen": images_seen,
        "initial_weights_sha256": initial_weights_sha256,
        "weights_sha256": state.values.sha256,
        **clocks,
        "collective": collective,
        **compare_steps([replica.pop("steps") for replica in replicas], role),
        "images_per_second": images_seen / clocks["train_seconds"],
        "step_seconds": describe_steps(state.step_seconds),
        "curve": [describe_point(point, task.objective.metric) for point in state.curve],
        "target_accuracy": task.target_accuracy or None,
        "seconds_to_target": seconds_to_target(state.curve, task.target_accuracy),
        "versions": describe_versions(),
        "host": describe_host(),
        "replicas": replicas,
    }


def read_replica_records(output_dir: Path) -> list[dict[str, Any]]:
    """Returns what the replicas have written, in the order of their names."""
    paths = sorted((output_dir / REPLICAS_FOLDER).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def compare_steps(steps: Sequence[Mapping[str, Sequence[float]] | None], role: Role) -> dict[str, float | None]:
    """Returns what only a comparison of the workers of a synchronous training tells, step by step.

    All of them wait for the one that is last to begin the reduction, and it waits for nobody. So of each step

    - `transfer_seconds` is the least that a worker spends communicating; what another one spends more is waiting;
    - `slowest_compute_seconds` is the most that a worker computes, `mean_compute_seconds` the mean over the workers;

    all added up over the steps. None where workers are not in step, or their records are not of the same steps: after
    a restart, say.

    Args:
        steps: Of each replica its `StepParts`; None for one without.
        role: The chief's.
    """
    known = [own for own in steps if own is not None]
    lengths = {len(seconds) for own in known for seconds in own.values()}
    if role.strategy == "parameter_server" or len(known) < role.num_workers or len(lengths) > 1:
        return dict.fromkeys(COMPARED)
    communication = zip(*(own["communication_seconds"] for own in known), strict=True)
    compute = list(zip(*(own["compute_seconds"] for own in known), strict=True))
    sums = (map(min, communication), map(max, compute), map(statistics.fmean, compute))
    return dict(zip(COMPARED, map(math.fsum, sums), strict=True))


def add_worker_clocks(replicas: Sequence[dict[str, Any]], steps: StepParts) -> None:
    """Adds to the records of workers that only serve what the chief knows of the steps that it handed to them."""
    for replica in replicas:
        name = f"{replica['type']}-{replica['index']}"
        if name in steps.workers:
            replica["clocks"] |= steps.workers[name]
            replica["num_steps"] = steps.num_steps[name]


def describe_steps(seconds: Sequence[float]) -> dict[str, float]:
    """Returns the duration of the first step and the percentiles of all."""
    names = ("p50", "p90", "p99")
    known = seconds or [0.0]
    return {"first": known[0], **dict(zip(names, np.percentile(known, [50, 90, 99]).tolist(), strict=True))}


def describe_point(point: CurvePoint, metric: Metric) -> dict[str, float]:
    """Returns a point of the record's `curve`; accuracy has its own name there, too."""
    known = point._asdict()
    return known if metric.name != ACCURACY.name else {**known, "validation_accuracy": point.validation_metric}


def seconds_to_target(curve: Sequence[CurvePoint], target_accuracy: float) -> float | None:
    """Returns the training seconds at the first epoch whose validation accuracy reaches the target, or None."""
    if not target_accuracy:
        return None
    reached = (point.train_seconds for point in curve if point.validation_metric >= target_accuracy)
    return next(reached, None)
