"""The answer for programs: `recommendation.json`, as docs/schemas.md defines it."""

import json
import math
from collections.abc import Sequence
from typing import Any

from comparison.accuracies import average_quality, compare_quality, is_doubtful
from comparison.audit import Marks
from comparison.cost import describe_cost
from comparison.groups import SINGLE, Groups, Trials, count_rounds, find_baseline
from comparison.records import SCHEMA_VERSION
from comparison.report.a_a import is_a_a, is_fit
from comparison.report.candidate import count_rival_cpus
from comparison.report.verdict import Answer, Kind
from comparison.statistics import Ratio, compute_mean
from comparison.summary import count_trials_needed

RECOMMENDATION_FILE = "recommendation.json"
COMMAND, _A_A = "tfjob-speedup run", "--a-a"
# Of each configuration, where nothing says how many are needed.
DEFAULT_TRIALS = 3
# What would need more of them needs another machine, or a quieter one: an A/A run tells.
MOST_TRIALS = 30


def format_recommendation(answer: Answer, warnings: Sequence[str], groups: Groups, marks: Marks) -> str:
    """Returns the contents of `recommendation.json`.

    Args:
        answer: The answer, of two kinds of scaling that on strong scaling.
        warnings: What a reader must know before trusting the figures.
        groups: The trials of each configuration.
        marks: What a reader must be warned of.
    """
    recommendation: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "answer": answer.kind.value,
        "configuration": answer.configuration,
        "speedup": describe_ratio(answer.speedup),
        "whole_job_speedup": describe_ratio(answer.whole_job),
        **_describe_metrics(groups, answer.configuration),
        "is_fair": not {answer.configuration, *marks.unfair_baselines} & {*marks.unfair},
        "cost": describe_cost(answer.cost),
        "reasons": [*answer.sentences, *warnings],
        "next_step": suggest_next_step(answer, groups, marks),
    }
    return json.dumps(recommendation, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _describe_metrics(groups: Groups, configuration: str) -> dict[str, Any]:
    """Returns the metric of the configuration's models and its baseline's; nothing of accuracy, which needs no name."""
    trials = groups.get(configuration) or next(iter(groups.values()))
    if trials[0].is_accuracy:
        return {}
    baseline = find_baseline(groups, configuration) if configuration in groups else None
    metric, difference = trials[0].quality, compare_quality(baseline, trials) if baseline else None
    return {
        "test_accuracy": None,
        "metric": {
            "name": metric.name,
            "higher_is_better": metric.higher_is_better,
            "value": _average(groups.get(configuration)),
            "baseline": _average(baseline),
            "margin": difference.half_width if difference and difference.is_known else None,
        },
    }


def _average(trials: Trials | None) -> float | None:
    return compute_mean([*average_quality(trials).values()]) if trials else None


def suggest_next_step(answer: Answer, groups: Groups, marks: Marks) -> str:
    """Returns the command that tells more, with the options that are to change; empty where none would."""
    options = _suggest_options(answer, groups, marks)
    return f"{COMMAND} {options}".rstrip() if options is not None else ""


def _suggest_options(answer: Answer, groups: Groups, marks: Marks) -> str | None:
    """Returns options of the command; None: it is not worth repeating."""
    if is_a_a(groups):
        return None if answer.speedup and is_fit(answer.speedup) else _ask_for_trials(groups, _A_A)
    if all(trials[0].strategy == SINGLE for trials in groups.values()):
        return "--workers 2"
    if answer.kind is Kind.NO_ANSWER:
        return _suggest_again(answer.configuration, groups, marks)
    if answer.kind is Kind.NOT_DISTINGUISHABLE:
        return _ask_for_trials(groups)
    if answer.kind in {Kind.PAYS_OFF, Kind.TRAINING_ONLY}:
        return _suggest_more(answer.configuration, groups)
    return None


def _suggest_again(configuration: str, groups: Groups, marks: Marks) -> str | None:
    """Returns what to do without an answer: again, worse models would be worse, doubtful ones need more trials."""
    if configuration not in marks.worse:
        return ""
    baseline = find_baseline(groups, configuration)
    is_open = baseline is not None and is_doubtful(baseline, groups[configuration])
    return f"--trials {2 * max(map(count_rounds, groups.values()))}" if is_open else None


def _ask_for_trials(groups: Groups, *others: str) -> str | None:
    """Returns how many trials find 10 %, where these are many whether the machine is fit.

    None where no number of them would, or where those that are there should.
    """
    present = max(map(count_rounds, groups.values()))
    needed = count_trials_needed(groups) if present > 1 else DEFAULT_TRIALS
    if needed is not None and needed > max(present, MOST_TRIALS):
        return _A_A if _A_A not in others else None
    return " ".join([*others, f"--trials {needed}"]) if needed is not None and needed > present else None


def _suggest_more(configuration: str, groups: Groups) -> str | None:
    """Returns what to measure next beside what pays off: the node that a person would take, or twice the workers.

    With GPUs nothing: how many a machine has is not recorded, and the bigger node is compared wherever there is one.
    """
    trial = groups[configuration][0]
    if trial.gpus:
        return None
    cpus, cores = count_rival_cpus(trial), trial.host.get("cores") or 0
    if cores < cpus:
        return None
    sizes = {trials[0].cpus_per_replica for trials in groups.values() if trials[0].strategy == SINGLE}
    if cpus not in sizes:
        return "--bigger-nodes"
    if cores < 2 * cpus:
        return None
    counts = {trials[0].num_workers for trials in groups.values() if trials[0].strategy != SINGLE}
    more = " ".join(map(str, sorted({*counts, 2 * trial.num_workers})))
    return f"--workers {more}" if 2 * trial.num_workers not in counts else None


def describe_ratio(ratio: Ratio | None) -> dict[str, float | None] | None:
    """Returns a ratio with its bounds; JSON has no infinity, so that a bound without an end is None."""
    if ratio is None or not math.isfinite(ratio.value):
        return None
    bounds = {"low": ratio.low, "high": ratio.high}
    return {"value": ratio.value} | {
        name: bound if bound is not None and math.isfinite(bound) else None for name, bound in bounds.items()
    }
