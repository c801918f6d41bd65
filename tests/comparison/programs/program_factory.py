"""Simulated trials of a person's program."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comparison.programs import ProgramMetric, ProgramPoint, ProgramReplica, ProgramTrial
from comparison.records import RunInfo

NOISE = (1.0, 1.01, 0.99, 1.005, 0.995, 1.008)
START_SECONDS = 10.0


def name_row(num_workers: int, num_ps: int = 0) -> str:
    if num_workers == 1 and not num_ps:
        return "single"
    return f"workers-{num_workers}" + (f"-ps-{num_ps}" if num_ps else "")


def make_replicas(num_workers: int, num_ps: int, started_at: float, seconds: float) -> list[ProgramReplica]:
    roles = [("worker", index) for index in range(num_workers)] + [("ps", index) for index in range(num_ps)]
    return [
        ProgramReplica(f"{kind}-{index}", kind, index, 0, 0, [place], started_at, started_at + seconds)
        for place, (kind, index) in enumerate(roles)
    ]


def make_trial(
    num_workers: int = 1,
    round_number: int = 1,
    train_seconds: float = 60.0,
    *,
    num_ps: int = 0,
    place: int = 1,
    accuracy: float | None = 0.98,
    **changes: Any,
) -> ProgramTrial:
    """A trial whose program tells all that one can: level 2."""
    seconds = train_seconds * NOISE[(place + num_workers) % len(NOISE)] + 0.001 * place
    job_seconds = seconds + START_SECONDS
    started_at = 1_700_000_000.0 + 1_000.0 * place
    metrics, curve = [], []
    if accuracy is not None:
        value = accuracy + 0.001 * ((place + num_workers) % 3)
        metrics = [ProgramMetric("accuracy", value, True, 10_000, "worker-0")]
        curve = [
            ProgramPoint("accuracy", value * share, seconds * share, round(1_000 * share)) for share in (0.25, 0.5, 1.0)
        ]
    trial = ProgramTrial(
        schema_version=1,
        program="command",
        run_id="run-1",
        configuration=name_row(num_workers, num_ps),
        baseline="single",
        trial=round_number,
        seed=round_number,
        round=round_number,
        place=place,
        num_workers=num_workers,
        num_ps=num_ps,
        cpus_per_replica=1.0,
        memory_per_replica="2Gi",
        global_batch_size=64,
        per_replica_batch_size=None,
        level=2,
        queue_seconds=0.5,
        schedule_seconds=0.1,
        pull_seconds=0.2,
        job_seconds=job_seconds,
        total_seconds=job_seconds + 0.5,
        train_seconds=seconds,
        warmup_seconds=2.0,
        steps=1_000,
        examples=64_000.0,
        unit="images",
        examples_per_second=64_000.0 / seconds,
        step_seconds={"n": 1_000.0, "mean": seconds / 1_000},
        first_step=1,
        was_cut=False,
        metrics=metrics,
        curve=curve,
        replicas=make_replicas(num_workers, num_ps, started_at + 0.5, job_seconds),
        restarts=0,
        contended=False,
        warnings=[],
        notes=[],
        declared=[],
        backend="local",
        started_at=started_at,
        ended_at=started_at + job_seconds + 0.5,
    )
    return replace(trial, **changes)


def make_silent(trial: ProgramTrial) -> ProgramTrial:
    """The same of a program that tells nothing: level 0."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("train_seconds", "warmup_seconds", "steps", "examples", "examples_per_second", "step_seconds", "first_step")
    )
    return replace(trial, level=0, unit="examples", metrics=[], curve=[], global_batch_size=None, **nothing)


def make_program_run(seconds: dict[int, float] | None = None, rounds: int = 3, **changes: Any) -> list[ProgramTrial]:
    """Rounds in mirrored pairs, of each number of workers one trial that takes so many seconds.

    With a training of 60 s alone, 33 s with two workers and 20 s with four.
    """
    seconds = seconds or {1: 60.0, 2: 33.0, 4: 20.0}
    trials: list[ProgramTrial] = []
    for number in range(1, rounds + 1):
        order: Sequence[int] = [*seconds] if number % 2 else [*reversed(seconds)]
        for workers in order:
            trials.append(make_trial(workers, number, seconds[workers], place=len(trials) + 1, **changes))
    return close_gaps(trials)


def close_gaps(trials: Sequence[ProgramTrial]) -> list[ProgramTrial]:
    """The same trials, one right after the other."""
    moved, now = [], 1_700_000_000.0
    for trial in trials:
        shift = now - trial.started_at
        replicas = [
            replace(own, started_at=own.started_at + shift, ended_at=own.ended_at + shift) for own in trial.replicas
        ]
        moved.append(replace(trial, started_at=now, ended_at=trial.ended_at + shift, replicas=replicas))
        now = moved[-1].ended_at + 1.0
    return moved


def make_program_info(trials: Sequence[ProgramTrial] = (), **parameters: Any) -> RunInfo:
    """The plan of a run with one, two and four workers, or of the rows that trials are of."""
    rows = {own.configuration: (own.num_workers, own.num_ps) for own in trials}
    rows = rows or {name_row(workers): (workers, 0) for workers in (1, 2, 4)}
    configurations = [{"name": name, "workers": own[0], "num_ps": own[1]} for name, own in rows.items()]
    return RunInfo(1, "run-1", 1_699_999_990.0, {"command": "python train.py", **parameters}, configurations)
