"""A run as it is recorded today, told with everything a record can tell: two configurations in mirrored rounds."""

import base64
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from comparison.audit.findings import Finding, list_violations
from comparison.audit.plan import audit_plan
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.quality import ConfusionMatrix
from comparison.records import QuietWait, RunInfo, TrialRecord
from tests.comparison.record_factory import hash_weights, make_record, make_run_info

SINGLE, SHARED = "single", "all-reduce-2w"
NUM_ROUNDS = 4
SECONDS = {SINGLE: (60.0, 61.2, 59.5, 60.4), SHARED: (36.0, 35.4, 36.6, 36.1)}
STARTED_AT, BOOTED_AT = 1_700_000_000.0, 1_699_000_000.0
PAUSE = 0.5
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", "OMP_NUM_THREADS": "1"}
SETTINGS: dict[str, Any] = {
    "model_arguments": "{}",
    "batch_norm_group_size": 0,
    "same_batch_norm": False,
    "jit_compile": False,
    "max_shift": 2,
    "momentum": 0.9,
    "seed": 0,
}
Run = list[TrialRecord]
Alteration = Callable[[Run], Run]


def make_mirrored_run() -> Run:
    """Returns four rounds, S A | A S | S A | A S, half a second between two trials."""
    records: Run = []
    moment = STARTED_AT
    for number in range(1, NUM_ROUNDS + 1):
        for name in (SINGLE, SHARED) if number % 2 else (SHARED, SINGLE):
            record = _make_trial(name, number, place=len(records) + 1, started_at=moment)
            records.append(record)
            moment = record.ended_at + PAUSE
    return [replace(record, evaluated_at=moment + 2.0 * place) for place, record in enumerate(records)]


def describe_plan(**changes: Any) -> RunInfo:
    """Returns what was planned for it; `changes` replace settings of the distributed training."""
    settings = {name: {**_read_settings(make_record(name)), **SETTINGS} for name in (SINGLE, SHARED)}
    settings[SHARED] |= changes
    return make_run_info(
        parameters={"trials": NUM_ROUNDS, "seed": 0, "target_accuracy": 0.98},
        configurations=[{"name": name, "training": training} for name, training in settings.items()],
    )


def audit_run(records: Iterable[TrialRecord], plan: RunInfo | None = None) -> dict[str, Finding]:
    """Returns what the audit finds, by rule."""
    groups = group_trials(records)
    findings = [*audit_fairness(groups), *audit_plan(groups, plan or describe_plan())]
    return {finding.rule: finding for finding in findings}


def find_broken(records: Iterable[TrialRecord], plan: RunInfo | None = None) -> dict[str, Finding]:
    """Returns the rules that a run breaks."""
    return {finding.rule: finding for finding in list_violations(audit_run(records, plan).values())}


def alter(
    change: Callable[[TrialRecord], TrialRecord], *, name: str = SHARED, rounds: Sequence[int] = ()
) -> Alteration:
    """Returns what changes the trials of a configuration, of all rounds where none is named."""

    def altered(records: Run) -> Run:
        return [
            change(own) if own.configuration == name and (not rounds or own.round in rounds) else own for own in records
        ]

    return altered


def change_fields(*, name: str = SHARED, rounds: Sequence[int] = (), **changes: Any) -> Alteration:
    """Returns what replaces fields of such trials."""
    return alter(lambda record: replace(record, **changes), name=name, rounds=rounds)


def change_replicas(*, name: str = SHARED, rounds: Sequence[int] = (), index: int = -1, **changes: Any) -> Alteration:
    """Returns what replaces fields of the replicas of such trials, of one of them where it is named."""

    def change(record: TrialRecord) -> TrialRecord:
        replicas = [replace(own, **changes) if index in (-1, own.index) else own for own in record.replicas]
        return replace(record, replicas=replicas)

    return alter(change, name=name, rounds=rounds)


def stretch(record: TrialRecord, factor: float, *clocks: str) -> TrialRecord:
    """Returns the record with all that follows from its training's clock times a factor, and other clocks likewise."""
    curve = [replace(point, train_seconds=point.train_seconds * factor) for point in record.curve]
    train_seconds = record.train_seconds * factor
    changes: dict[str, Any] = {name: getattr(record, name) * factor for name in clocks}
    longer = train_seconds - record.train_seconds + sum(changes[name] - getattr(record, name) for name in clocks)
    ended: dict[str, Any] = {
        name: getattr(record, name) + longer for name in ("ended_at", "ended_monotonic", "total_seconds")
    }
    stretched = replace(
        record,
        **changes,
        **ended,
        train_seconds=train_seconds,
        curve=curve,
        seconds_to_target=record.seconds_to_target and curve[0].train_seconds,
        images_per_second=record.images_seen / train_seconds,
    )
    return replace(stretched, replicas=[_give_clocks(stretched, index) for index in range(len(record.replicas))])


def confuse(seed: int, wrong: int = 60) -> dict[str, Any]:
    """Returns the answers of a model to ten classes of a hundred test images each."""
    generator = random.Random(seed)
    missed = generator.sample(range(1000), wrong)
    counts = {(true, true): 100 for true in range(10)}
    for image in missed:
        true = image % 10
        pair = (true, (true + generator.randint(1, 9)) % 10)
        counts[pair] = counts.get(pair, 0) + 1
        counts[true, true] -= 1
    matrix = ConfusionMatrix(10, counts)
    bits = sum(1 << (999 - image) for image in missed)
    return {
        "confusion_matrix": [[matrix.counts.get((row, column), 0) for column in range(10)] for row in range(10)],
        "wrong_images": base64.b64encode(bits.to_bytes(125)).decode(),
        "test_n_correct": 1000 - wrong,
        "test_n_examples": 1000,
    }


def _make_trial(name: str, number: int, *, place: int, started_at: float) -> TrialRecord:
    seconds = SECONDS[name][number - 1]
    seed = number - 1
    record = make_record(name, number, seconds)
    salt = 10 * number + record.num_workers
    weights = hash_weights(salt)
    record = replace(
        record,
        seed=seed,
        initial_weights_sha256=f"{seed}" * 64,
        weights_sha256=weights,
        startup_seconds=5.0 + salt / 1000,
        total_seconds=record.total_seconds + salt / 1000,
        batch_norm_group_size=record.per_replica_batch_size,
        same_batch_norm=False,
        curve=[replace(point, train_loss=point.train_loss + salt / 1000) for point in record.curve],
        round=number,
        place=place,
        started_at=started_at,
        boot_id="boot-1",
        started_monotonic=started_at - BOOTED_AT,
        quiet=QuietWait(0.0, []),
        **confuse(salt),
    )
    ends: dict[str, Any] = {"ended_at": started_at, "ended_monotonic": started_at - BOOTED_AT}
    record = replace(record, **{field: moment + record.total_seconds for field, moment in ends.items()})
    replicas = [replace(own, weights_sha256=weights, host="node-1", environment=ENVIRONMENT) for own in record.replicas]
    record = replace(record, replicas=replicas)
    return replace(record, replicas=[_give_clocks(record, index) for index in range(len(replicas))])


def _give_clocks(record: TrialRecord, index: int) -> Any:
    """Returns a replica with the clocks of the record, and the life that they fill."""
    names = ["startup_seconds", "rendezvous_seconds", "compile_seconds", "train_seconds", "input_seconds"]
    names += ("communication_seconds", "update_seconds", "calibrate_seconds", "eval_seconds", "save_seconds")
    age = record.total_seconds - 0.4
    return replace(
        record.replicas[index],
        clocks={name: getattr(record, name) for name in names},
        age_seconds=age,
        recorded_at=record.ended_at - 0.2,
        cpu_seconds=age * (0.9 if record.num_workers == 1 else 0.8),
    )


def _read_settings(record: TrialRecord) -> dict[str, Any]:
    names = ("strategy", "num_workers", "num_ps", "model", "epochs", "global_batch_size", "learning_rate", "scaling")
    return {name: getattr(record, name) for name in names}
