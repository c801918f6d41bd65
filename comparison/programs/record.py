"""What one trial of a person's own program left behind: a line of `trials.jsonl`, as docs/schemas.md defines it."""

from dataclasses import dataclass
from typing import Any

from comparison.records import QuietWait


@dataclass(frozen=True)
class ProgramMetric:
    """How good a trained model is, by one number; see docs/schemas.md."""

    name: str
    value: float
    higher_is_better: bool | None = None
    num_examples: int | None = None
    replica: str | None = None


@dataclass(frozen=True)
class ProgramPoint:
    """A metric on its way, `train_seconds` after the training began."""

    name: str
    value: float
    train_seconds: float
    step: int | None = None


@dataclass(frozen=True)
class ProgramReplica:
    """One replica: where it ran, and how it ended; its own steps, examples and final metrics where it tells them."""

    name: str
    type: str
    index: int
    restarts: int
    exit_code: int | None
    cpus: list[int]
    started_at: float
    ended_at: float
    node: str | None = None
    steps: int | None = None
    examples: float | None = None
    metrics: dict[str, float] | None = None
    cpu_seconds: float | None = None
    waited_seconds: float | None = None


@dataclass(frozen=True)
class ProgramTrial:
    """Everything known of one trial of one configuration of a person's program.

    `program` is `command` or `tfjob`; a record of this project's own loop lacks it. `baseline` names the
    configuration that this one is compared with, the smallest that runs. `level` says how much the program tells: 0
    nothing, 1 what it prints, 2 its progress file. `job_seconds` are those from the moment at which the last
    replica's process began to the job's end, so without queue, node and image; every other clock is null where it
    cannot be known. `num_workers` counts replicas that train (a Chief or Master with `chief_trains`). `declared`
    lists what was taken on the person's word.
    """

    schema_version: int
    program: str
    run_id: str
    configuration: str
    baseline: str
    trial: int
    seed: int
    round: int
    place: int
    num_workers: int
    num_ps: int
    cpus_per_replica: float | None
    memory_per_replica: str | None
    global_batch_size: int | None
    per_replica_batch_size: int | None
    level: int
    queue_seconds: float
    schedule_seconds: float
    pull_seconds: float
    job_seconds: float
    total_seconds: float
    train_seconds: float | None
    warmup_seconds: float | None
    steps: int | None
    examples: float | None
    unit: str
    examples_per_second: float | None
    step_seconds: dict[str, float] | None
    first_step: int | None
    was_cut: bool
    metrics: list[ProgramMetric]
    curve: list[ProgramPoint]
    replicas: list[ProgramReplica]
    restarts: int
    contended: bool
    warnings: list[str]
    notes: list[str]
    declared: list[str]
    backend: str
    started_at: float
    ended_at: float
    boot_id: str | None = None
    started_monotonic: float | None = None
    ended_monotonic: float | None = None
    image: str | None = None
    image_digest: str | None = None
    resumed: bool = False
    earlier_attempts: list[dict[str, Any]] | None = None
    quiet: QuietWait | None = None
    gpus_held: int | None = None
    cpus_held: float | None = None
