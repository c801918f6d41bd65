from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comparison.audit.findings import Finding, list_violations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import TrialRecord
from tests.comparison.record_factory import delay, make_run


def calibrate(record: TrialRecord, *seconds: float) -> TrialRecord:
    replicas = [replace(replica, calibration_seconds=list(seconds)) for replica in record.replicas]
    return replace(record, replicas=replicas)


def make_fair_run() -> list[TrialRecord]:
    """Returns two rounds of three configurations that break no rule and leave nothing unsaid."""
    return [calibrate(replace(record, contended=False), 1.0, 1.01) for record in make_run()]


def shorten(record: TrialRecord, steps: int) -> TrialRecord:
    """Returns the record of a training that had so many steps, in the same time."""
    images = steps * record.global_batch_size
    return replace(
        record,
        steps=steps,
        images_seen=images,
        images_per_second=images / record.train_seconds,
        curve=[replace(point, step=point.step * steps // record.steps) for point in record.curve],
        step_seconds={"p50": record.train_seconds / steps},
    )


def change(records: Sequence[TrialRecord], configuration: str, trial: int, **changes: Any) -> list[TrialRecord]:
    return [
        replace(record, **changes) if (record.configuration, record.trial) == (configuration, trial) else record
        for record in records
    ]


def audit(records: Sequence[TrialRecord]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in audit_fairness(group_trials(records))}


def find_violations(records: Sequence[TrialRecord]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in list_violations(audit_fairness(group_trials(records)))}


def change_replicas(records: Sequence[TrialRecord], configuration: str, **changes: Any) -> list[TrialRecord]:
    return [
        replace(record, replicas=[replace(replica, **changes) for replica in record.replicas])
        if record.configuration == configuration
        else record
        for record in records
    ]


def move_to_another_run(record: TrialRecord) -> TrialRecord:
    """Returns the record of a trial that another run measured two weeks later."""
    later = delay(record, 1e6)
    return replace(later, run_id="run-2", startup_seconds=record.startup_seconds + 0.1)
