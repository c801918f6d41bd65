"""Runs that were measured, of an older version: on two cores, on a cluster, and one of a fraction of a second."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from comparison.audit.findings import Finding, Status, list_violations
from comparison.audit.marks import mark_configurations
from comparison.audit.plan import SEEDS_RULE, SETTINGS_RULE, audit_plan
from comparison.audit.rules import CORES_RULE, audit_fairness
from comparison.groups import group_trials
from comparison.records import RunInfo, TrialRecord, read_records, read_run_info

RECORDED = Path(__file__).parent / "recorded"
RUNS = ("local", "cluster", "small")
Change = Callable[[TrialRecord], TrialRecord]


def read(name: str) -> tuple[list[TrialRecord], RunInfo]:
    return read_records(RECORDED / name / "trials.jsonl"), read_run_info(RECORDED / name / "run.json")


def audit(records: list[TrialRecord], plan: RunInfo) -> list[Finding]:
    groups = group_trials(records)
    return [*audit_fairness(groups), *audit_plan(groups, plan)]


@pytest.mark.parametrize("name", RUNS)
def test_an_honest_run_that_was_measured_raises_no_alarm(name: str) -> None:
    records, plan = read(name)

    findings = audit(records, plan)
    marks = mark_configurations(group_trials(records), findings)

    assert [finding.sentence for finding in list_violations(findings)] == []
    assert (marks.disturbed, marks.unfair, marks.unproven, marks.contended) == ([], [], [], [])


def test_what_an_older_run_does_not_say_is_not_known() -> None:
    unknown = {
        name: {finding.rule for finding in audit(*read(name)) if finding.status is Status.UNKNOWN} for name in RUNS
    }

    assert unknown == {"local": {CORES_RULE}, "small": {CORES_RULE}, "cluster": {CORES_RULE, "same software"}}


def copy_rates(own: TrialRecord) -> TrialRecord:
    return replace(own, train_seconds=own.train_seconds * 0.8)


def cut_everywhere(own: TrialRecord) -> TrialRecord:
    """Returns the record with its training's clock cut everywhere but in what it was added up from."""
    share = 0.8
    curve = [replace(point, train_seconds=point.train_seconds * share) for point in own.curve]
    cut = own.train_seconds * (1 - share)
    shorter = replace(own, train_seconds=own.train_seconds * share, total_seconds=own.total_seconds - cut)
    return replace(
        shorter, curve=curve, ended_at=own.ended_at - cut, images_per_second=own.images_seen / shorter.train_seconds
    )


def share_core(own: TrialRecord) -> TrialRecord:
    return replace(own, replicas=[replace(replica, cpus=[0]) for replica in own.replicas])


def forget_restart(own: TrialRecord) -> TrialRecord:
    return replace(own, replicas=[replace(replica, restarts=1) for replica in own.replicas])


@pytest.mark.parametrize("name", ["local", "cluster"])
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (copy_rates, "counts and clocks add up"),
        (cut_everywhere, "counts and clocks add up"),
        (forget_restart, "counts and clocks add up"),
        (lambda own: replace(own, evaluated_at=own.started_at - 100), "counts and clocks add up"),
        (lambda own: replace(own, seed=own.seed + 7), SEEDS_RULE),
        (lambda own: replace(own, learning_rate=0.3), SETTINGS_RULE),
        (lambda own: replace(own, versions=own.versions | {"keras": "2.0.0"}), "same software"),
        (lambda own: replace(own, batch_norm_group_size=32), "same way of BatchNorm"),
    ],
)
def test_a_record_that_was_measured_and_changed_is_told(name: str, change: Change, rule: str) -> None:
    records, plan = read(name)
    changed = [change(own) if own.configuration == "all-reduce-2w" else own for own in records]

    broken = {finding.rule: finding.configurations for finding in list_violations(audit(changed, plan))}

    assert broken.get(rule) == ("all-reduce-2w",)


def test_workers_that_were_measured_on_one_core_are_told() -> None:
    records, plan = read("local")

    broken = {finding.rule for finding in list_violations(audit([share_core(own) for own in records], plan))}

    assert broken == {"counts and clocks add up"}
