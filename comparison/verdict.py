"""What may be concluded from the measurements, in one sentence, and what a reader must be warned of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from comparison.audit import CONTENTION_RULE, audit_fairness, list_violations
from comparison.records import RunInfo, TrialRecord
from comparison.statistics import (
    Ratio,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
)
from comparison.summary import (
    SINGLE,
    Groups,
    Trials,
    compute_speedups,
    compute_whole_job_speedups,
    estimate_trial_noise,
    find_baseline,
    find_outlying_trials,
    find_work_differences,
    is_any_contended,
    list_rows,
    read_speedup,
)
from comparison.table import TIMES, format_accuracy, format_number, format_range


def describe_configuration(trial: TrialRecord) -> str:
    """Returns a configuration in words."""
    if trial.strategy == SINGLE:
        return f"a single node with {_count(trial.cpus_per_replica, 'CPU')}"
    servers = f" and {_count(trial.num_ps, 'server')}" if trial.num_ps else ""
    return f"{trial.strategy.replace('_', '-')} with {_count(trial.num_workers, 'worker')}{servers}"


def list_contended(groups: Groups) -> list[str]:
    """Returns the configurations of which a trial asked for more cores than there are."""
    return [name for name, trials in groups.items() if is_any_contended(trials)]


def list_unfair(groups: Groups) -> list[str]:
    """Returns the configurations that break a rule of the fairness audit, but for contention: `list_contended`."""
    violations = [finding for finding in list_violations(audit_fairness(groups)) if finding.rule != CONTENTION_RULE]
    broken = {name for finding in violations for name in finding.configurations}
    return [name for name in groups if name in broken]


def find_winner(table: pd.DataFrame) -> str | None:
    """Returns the configuration that trains fastest, or None where the trials cannot tell it from the baseline."""
    speedups = {row["configuration"]: read_speedup(row) for row in list_rows(table)}
    measured = {name: speedup for name, speedup in speedups.items() if speedup and speedup.low is not None}
    if not measured:
        return None
    fastest = max(measured, key=lambda name: measured[name].value)
    if measured[fastest].direction > 0:
        return str(fastest)
    is_baseline_fastest = len(measured) == len(table) - 1 and measured[fastest].direction < 0
    return str(table["configuration"].iloc[0]) if is_baseline_fastest else None


def state_verdict(table: pd.DataFrame, groups: Groups) -> str:
    """Returns one sentence that answers whether distributing the training pays off.

    It is about the distributed configuration that trains fastest.

    Args:
        table: What `summarize` returned.
        groups: The trials of each configuration, for what the table does not hold.
    """
    rows = list_rows(table)
    distributed = [row for row in rows if row["strategy"] != SINGLE]
    speedups = {row["configuration"]: speedup for row in distributed if (speedup := read_speedup(row))}
    if not distributed:
        return "No answer: no distributed training was measured."
    if not speedups:
        return _state_refusal(groups)
    best = max(speedups, key=lambda name: speedups[name].value)
    trials, baseline = groups[best], find_baseline(groups, best) or []
    whole_job = compute_whole_job_speedups(groups)[best]
    answer = _state_answer(speedups[best], whole_job, baseline, trials)
    clauses = [
        f"{answer}: {_state_speedup(speedups[best], baseline, trials)} {_state_accuracy(baseline, trials)}",
        *_state_whole_job(speedups[best], whole_job, baseline, trials),
        *_state_bigger_node(speedups[best], trials[0], rows),
        *_state_contention(baseline, trials),
    ]
    return ", ".join(clauses) + "."


def collect_warnings(groups: Groups, run_info: RunInfo) -> list[str]:
    """Returns what a reader must know before trusting the figures, each warning once."""
    warnings = list(run_info.warnings)
    for name, trials in groups.items():
        baseline = find_baseline(groups, name)
        if differences := baseline and find_work_differences(baseline, trials):
            given = "; ".join(f"{field}: {received}" for field, received in differences.items())
            warnings.append(f"{name}: no speedup, because it is not the same work as its baseline's ({given}).")
    violations = list_violations(audit_fairness(groups))
    warnings += [f"Rule broken: {finding.rule}. {finding.sentence}" for finding in violations]
    warnings += [
        f"{own.trial.configuration}: trial {own.trial.trial} trained {own.factor:.2f}{TIMES} as long as "
        "the other trials let expect, which their noise does not explain. It is not left out."
        for own in find_outlying_trials(groups)
    ]
    for name, trials in groups.items():
        messages = Counter(message for trial in trials for message in trial.warnings)
        warnings += [f"{name}: {message} ({_count(count, 'trial')})" for message, count in messages.items()]
    return list(dict.fromkeys(warnings))


def describe_statistics(groups: Groups) -> str:
    """Returns what the intervals of the speedups rest on, in a few sentences."""
    speedups = compute_speedups(groups)
    num_compared = sum(speedup.low is not None for speedup in speedups.values())
    if not num_compared:
        return "Without repeated trials a speedup has no interval, and nothing is decided."
    together = "" if num_compared == 1 else " that hold for all of them together"
    sentences = [
        f"{_count(num_compared, 'comparison')} with a baseline: intervals of speedups are 95 % intervals{together}."
    ]
    noise = estimate_trial_noise(groups)
    if noise.degrees_of_freedom:
        without = ", differences between rounds taken out" if noise.is_blocked else ""
        sentences.append(
            f"Trials of a configuration scatter by {100 * noise.relative_sd:.1f} %, estimated from all configurations "
            f"with a core for each replica ({_count(noise.degrees_of_freedom, 'degree')} of freedom{without})."
        )
    return " ".join(sentences)


def _state_refusal(groups: Groups) -> str:
    """Returns why no distributed configuration has a speedup."""
    differences: dict[str, str] = {}
    for name, trials in groups.items():
        differences |= find_work_differences(find_baseline(groups, name) or [], trials)
    if differences:
        return f"No answer: the trials did not do the same work, they differ in {', '.join(differences)}."
    return "No answer: there is no single node with as many CPUs as a replica to compare with."


def _state_answer(speedup: Ratio, whole_job: Ratio, baseline: Trials, trials: Trials) -> str:
    if speedup.low is None:
        return "Not decided by a single trial"
    if speedup.direction == 0:
        return f"Not distinguishable at {_state_counts(baseline, trials)}"
    if speedup.direction < 0:
        return "Distributing does not pay off here"
    return "Distributing pays off here" + ("" if whole_job.direction > 0 else " in training time only")


def _state_speedup(speedup: Ratio, baseline: Trials, trials: Trials) -> str:
    did = "processed images" if trials[0].scaling == "weak" else "trained"
    basis = _state_counts(baseline, trials)
    if speedup.low is not None and speedup.high is not None:
        basis = f"95 % interval {format_range(speedup.low, speedup.high)}, {basis}"
    return f"{describe_configuration(trials[0])} {did} {speedup.value:.2f}{TIMES} as fast as a single node ({basis})"


def _state_accuracy(baseline: Trials, trials: Trials) -> str:
    """Returns how the test accuracies compare, given the test set's size and the scatter between trials."""
    own, base = ([trial.test_accuracy for trial in group] for group in (trials, baseline))
    difference = compute_mean(own) - compute_mean(base)
    sampling_ci95 = compute_proportion_difference_ci95(compute_mean([*own, *base]), trials[0].test_n_examples)
    is_equal = abs(difference) <= max(sampling_ci95, compute_difference_ci95(own, base) or 0)
    kind = "indistinguishable" if is_equal else "higher" if difference > 0 else "lower"
    return (
        f"at {kind} accuracy ({format_accuracy(compute_mean(own))} % against {format_accuracy(compute_mean(base))} %)"
    )


def _state_whole_job(speedup: Ratio, whole_job: Ratio, baseline: Trials, trials: Trials) -> Sequence[str]:
    """Returns what the clock of the whole job says, where that is not what the training's says."""
    if whole_job.direction == speedup.direction:
        return ()
    verbs = {1: "was faster", 0: "was not distinguishable", -1: "took longer"}
    own, base = (compute_mean([trial.total_seconds for trial in group]) for group in (trials, baseline))
    seconds = f"{format_number(own)} s against {format_number(base)} s"
    return (f"but the whole job, start-up included, {verbs[whole_job.direction]} ({seconds})",)


def _state_bigger_node(speedup: Ratio, trial: TrialRecord, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Returns that one node with the workers' CPUs together is at least as fast, where that was measured."""
    cpus = trial.num_workers * trial.cpus_per_replica
    nodes = [row for row in rows if row["strategy"] == SINGLE and row["cpus_per_replica"] == cpus]
    bigger = [node for row in nodes if (node := read_speedup(row)) and trial.num_workers > 1]
    if not bigger or bigger[0].value < speedup.value:
        return ()
    return (f"while one node with {_count(cpus, 'CPU')} was {bigger[0].value:.2f}{TIMES} as fast",)


def _state_contention(baseline: Trials, trials: Trials) -> Sequence[str]:
    if not is_any_contended([*baseline, *trials]):
        return ()
    return ("with replicas that shared too few cores, so that this says little about separate machines",)


def _state_counts(baseline: Trials, trials: Trials) -> str:
    counts = sorted({len(baseline), len(trials)})
    return f"n = {' and '.join(map(str, counts))} {'trial' if counts == [1] else 'trials'}"


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"
