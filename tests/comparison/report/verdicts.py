"""The answer on made-up trials of the own loop."""

from collections.abc import Sequence
from typing import Any

from comparison.audit.marks import mark_configurations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.report.verdict import Answer, answer_question
from comparison.summary import summarize
from tests.comparison.record_factory import make_record, make_run_info

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"


def make_trials(configuration: str, train_seconds: Sequence[float], **changes: Any) -> list[TrialRecord]:
    return [
        make_record(configuration, trial, seconds, **{"total_seconds": seconds + 15} | changes)
        for trial, seconds in enumerate(train_seconds)
    ]


def answer(*trials: list[TrialRecord], planned: Sequence[dict[str, Any]] = ()) -> Answer:
    records = [record for group in trials for record in group]
    groups = group_trials(records)
    findings = audit_fairness(groups)
    plan = make_run_info(configurations=[*planned])
    answers = answer_question(summarize(groups), groups, findings, mark_configurations(groups, findings), plan)
    return next(iter(answers.values()))


def judge(*trials: list[TrialRecord]) -> str:
    return answer(*trials).text


SINGLE = make_trials("single", [60.0, 61.0])
