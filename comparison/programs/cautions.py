"""What a reader must know before trusting the figures of a program, and what is taken on a person's word."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from comparison.audit import Finding, Status, warn_of_findings
from comparison.cost import warn_of_lost
from comparison.programs.audit import AGREEMENT_RULE, RULES_TOLD_APART, SHARING_RULE, Case
from comparison.programs.evidence import Evidence, find_wanted
from comparison.programs.measure import Basis, ProgramTrials, measure_work
from comparison.programs.metrics import is_metric_asked
from comparison.programs.rows import ProgramRow, describe_configuration, find_outlying_trials, is_plain
from comparison.programs.statements import state_quality
from comparison.report import describe_outlier, translate_recorded
from comparison.texts import count_trials, list_items, say

# What no record of a program that is not ours can prove.
DECLARED = ("data and their order", "initial weights", "hyper-parameters")
# What a person may add to it.
OPTIONS = {"batch_size_per_replica": "the batch of a worker"}
# Of each configuration; what a program prints may be anything.
_MOST_MESSAGES, _MOST_LETTERS = 8, 300
_NUMBER = re.compile(r"\d[\d.,e+-]*")
# Of a worker's share of the work in the time of one: so near to perfect as only workers are that share nothing.
_PERFECT = 0.95


def collect_warnings(evidence: Evidence) -> list[str]:
    """Returns what a reader must know before trusting the figures, each warning once."""
    case, findings = evidence.case, evidence.findings
    warnings = [
        *_warn_of_metric(evidence),
        *_warn_of_baseline(case),
        *_warn_of_steps(case),
        *_warn_of_perfection(case, evidence.rows, findings),
    ]
    warnings += warn_of_findings(findings, RULES_TOLD_APART)
    warnings += warn_of_lost(case.groups, evidence.run_info.failed_trials)
    warnings += _warn_of_outliers(case)
    for name, trials in case.groups.items():
        warnings += _repeat_messages(name, trials)
    return list(dict.fromkeys(warnings))


def list_notes(case: Case) -> list[str]:
    """Returns what was noted while trials were measured, notes that differ in their numbers alone once."""
    notes: list[str] = []
    for name, trials in case.groups.items():
        alike: dict[str, list[str]] = {}
        for note in (note for trial in trials for note in dict.fromkeys(trial.notes)):
            alike.setdefault(_NUMBER.sub("#", note), []).append(_shorten(note))
        for own in [*alike.values()][:_MOST_MESSAGES]:
            values = {"name": name, "message": own[0], "trials": count_trials(len(own))}
            notes.append(say("{name}: {message} ({trials})", **values))
    return notes


def list_declared(trials: ProgramTrials) -> str:
    """Returns in a line what was taken on the person's word: what nobody can know here, and what the records add."""
    told = [own for trial in trials for own in trial.declared]
    # One that tells nothing may have ended well without having trained.
    items = [say("that anything was trained")] if any(trial.level == 0 for trial in trials) else []
    items += [say(OPTIONS.get(own, own)) for own in dict.fromkeys([*DECLARED, *(own[:_MOST_LETTERS] for own in told)])]
    return say("Declared, and not known: {items}.", items=list_items(items[: 2 * _MOST_MESSAGES]))


def _warn_of_metric(evidence: Evidence) -> Iterator[str]:
    """Yields where another metric than the one that was asked for is judged, and what is worse or not judged."""
    metric, wanted = evidence.metric, find_wanted(evidence.run_info)
    if wanted and metric is None:
        yield say("The metric {wanted} was never told.", wanted=wanted)
    if metric is None:
        return
    if wanted and not is_metric_asked(metric.name, wanted):
        yield say("The metric {wanted} was never told: {metric} is judged.", wanted=wanted, metric=metric.name)
    for name, quality in evidence.qualities.items():
        if quality.is_no_gain or quality.reason:
            yield say("{name}: {quality}.", name=name, quality=state_quality(metric, quality))


def _warn_of_baseline(case: Case) -> Iterator[str]:
    if case.baseline and not is_plain(case.baseline[0]):
        named = "All is compared with {configuration}, the smallest that runs, not with one worker without servers."
        yield say(named, configuration=describe_configuration(case.baseline[0]))


def _warn_of_steps(case: Case) -> Iterator[str]:
    """Yields that equally many steps with more workers may be more work, where nobody tells how much a step takes."""
    trials = case.trials
    steps, counts = {trial.steps for trial in trials}, {trial.num_workers for trial in trials}
    is_untold = any(measure_work(trial) is None for trial in trials)
    if (
        case.measure.basis is Basis.WHOLE_JOB
        and is_untold
        and len(counts) > 1
        and len(steps) == 1
        and None not in steps
    ):
        grows = (
            "Every training made as many steps ({steps}): if each worker has a batch of its own, the work grew with "
            "the workers ({option} tells it)."
        )
        yield say(grows, steps=f"{next(iter(steps)):,}", option="--batch-size-per-replica")


def _warn_of_outliers(case: Case) -> Iterator[str]:
    """Yields which trial noise does not explain, by what is compared or by its whole job."""
    is_apart = case.measure.basis is not Basis.WHOLE_JOB
    trained = find_outlying_trials(case.groups, case.measure.read_seconds) if is_apart else []
    for trial, factor in trained:
        yield describe_outlier(trial, factor, is_whole_job=False)
    jobs = [] if case.measure.is_cut else find_outlying_trials(case.groups, lambda trial: trial.job_seconds)
    for trial, factor in jobs:
        if trial not in [own for own, _ in trained]:
            yield describe_outlier(trial, factor, is_whole_job=True)


def _warn_of_perfection(case: Case, rows: Sequence[ProgramRow], findings: Sequence[Finding]) -> Iterator[str]:
    """Yields which workers each did the work of one in its time, where nothing proves that they worked together."""
    if case.measure.basis is not Basis.THROUGHPUT:
        return
    is_proven = {finding.rule: finding.status is Status.HOLDS for finding in findings}
    if is_proven.get(SHARING_RULE) or is_proven.get(AGREEMENT_RULE):
        return
    perfect = (
        "{name}: each worker seems to do as much as the single one, and as fast. That they work together at all is not "
        "proven: have each of them tell its metric."
    )
    for row in rows:
        if row.configuration != case.baseline_name and (row.scaling_efficiency or 0.0) >= _PERFECT:
            yield say(perfect, name=row.configuration)


def _repeat_messages(name: str, trials: ProgramTrials) -> Iterator[str]:
    """Yields what was warned of and noted while a configuration's trials ran."""
    messages = Counter(_shorten(message) for trial in trials for message in dict.fromkeys(trial.warnings))
    for message, count in [*messages.items()][:_MOST_MESSAGES]:
        values = {"name": name, "message": translate_recorded(message), "trials": count_trials(count)}
        yield say("{name}: {message} ({trials})", **values)
    if (left := len(messages) - _MOST_MESSAGES) > 0:
        yield say("{name}: {number} more warnings are in the records", name=name, number=f"{left:,}")


def _shorten(message: str) -> str:
    return message if len(message) <= _MOST_LETTERS else f"{message[:_MOST_LETTERS]}…"
