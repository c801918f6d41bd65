"""The answer on a program for other programs: `recommendation.json`, as docs/schemas.md defines it."""

import json
from collections.abc import Sequence
from typing import Any

from comparison.audit import Marks
from comparison.cost import describe_cost
from comparison.groups import count_rounds
from comparison.programs.audit import Case
from comparison.programs.metrics import Metric, Quality
from comparison.programs.rows import count_trials_needed, describe_configuration
from comparison.programs.statements import compute_work_ratio
from comparison.programs.verdict import ProgramAnswer
from comparison.records import SCHEMA_VERSION
from comparison.report import COMMAND, DEFAULT_TRIALS, MOST_TRIALS, Kind, describe_ratio


def format_recommendation(
    answer: ProgramAnswer, case: Case, warnings: Sequence[str], marks: Marks, quality: tuple[Metric, Quality] | None
) -> str:
    """Returns the contents of `recommendation.json`.

    Args:
        answer: The answer.
        case: The trials, and what they are compared by.
        warnings: What a reader must know before trusting the figures.
        marks: What a reader must be warned of.
        quality: The metric, and how the configuration's compares with the baseline's; None where none was told.
    """
    recommendation: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "answer": answer.kind.value,
        "configuration": answer.configuration,
        "speedup": describe_ratio(answer.speedup),
        "whole_job_speedup": describe_ratio(answer.whole_job),
        "is_fair": {answer.configuration, *marks.baselines}.isdisjoint(marks.unfair),
        "cost": describe_cost(answer.cost),
        "reasons": [*answer.sentences, *warnings],
        "next_step": suggest_next_step(answer, case, is_doubtful=quality is not None and quality[1].is_doubtful),
        "program": case.trials[0].program,
        "level": min(trial.level for trial in case.trials),
        "basis": case.measure.basis.value,
        "unit": case.measure.unit,
        "work_ratio": compute_work_ratio(case.baseline, case.groups.get(answer.configuration, ())),
        "baseline": _describe_baseline(case),
        "recommended": answer.recommended,
        "recommended_workers": _count_workers(case, answer.recommended),
        "pays_off_from_workers": answer.pays_off_from,
        "metric": _describe_metric(*quality) if quality else None,
    }
    return json.dumps(recommendation, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def suggest_next_step(answer: ProgramAnswer, case: Case, *, is_doubtful: bool) -> str:
    """Returns the command that tells more, with the options that are to change; empty where none would.

    Args:
        answer: The answer.
        case: The trials, and what they are compared by.
        is_doubtful: Whether too few trials tell if its metric is worse.
    """
    present = max(map(count_rounds, case.groups.values()))
    if is_doubtful and answer.kind is Kind.NO_ANSWER:
        return f"{COMMAND} --trials {2 * present}"
    if answer.kind is not Kind.NOT_DISTINGUISHABLE:
        return ""
    needed = count_trials_needed(case.groups, case.measure) if present > 1 else DEFAULT_TRIALS
    return f"{COMMAND} --trials {needed}" if needed and present < needed <= MOST_TRIALS else ""


def _describe_baseline(case: Case) -> dict[str, Any] | None:
    if not case.baseline:
        return None
    first = case.baseline[0]
    counts = {"workers": first.num_workers, "num_ps": first.num_ps}
    return {"configuration": first.configuration, **counts, "replicas": describe_configuration(first)}


def _count_workers(case: Case, name: str | None) -> int | None:
    return case.groups[name][0].num_workers if name is not None and name in case.groups else None


def _describe_metric(metric: Metric, quality: Quality) -> dict[str, Any]:
    verdict = (
        "not_judged" if quality.reason else {-1: "worse", 0: "not_distinguishable", 1: "better"}[quality.direction]
    )
    return {
        "name": metric.name,
        "higher_is_better": metric.higher_is_better,
        "value": quality.own,
        "baseline_value": quality.base,
        "margin": quality.margin,
        "verdict": verdict,
    }
