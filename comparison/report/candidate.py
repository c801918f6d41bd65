"""Which configuration the answer is about, by a rule that the outcome of no trial turns: the fastest one, in or out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comparison.accuracies import average_quality, compare_quality, is_doubtful
from comparison.audit import Finding, Marks, list_broken_rules
from comparison.groups import (
    SINGLE,
    Groups,
    Trials,
    average_rounds,
    count_rounds,
    find_baseline,
    find_work_differences,
    is_target_missed,
    list_timed,
)
from comparison.records import RunInfo, TrialRecord
from comparison.statistics import compute_mean
from comparison.summary import Row, read_training_clock
from comparison.table import format_metric
from comparison.texts import count_servers, count_trials, count_workers, list_items, say, say_count


@dataclass(frozen=True)
class Candidate:
    """A distributed configuration that the answer may be about.

    Attributes:
        configuration: Its name.
        description: The same in words.
        reason: Why nothing can be said of it, a clause; empty where something can.
    """

    configuration: str
    description: str
    reason: str


def describe_configuration(trial: TrialRecord) -> str:
    """Returns a configuration in words."""
    if trial.strategy == SINGLE:
        cpus = say_count(trial.cpus_per_replica, "{number} CPU", "{number} CPUs")
        return say("a single node with {cpus}", cpus=cpus)
    return _describe(trial.strategy, trial.num_workers, trial.num_ps)


def choose_candidates(
    rows: Sequence[Row], groups: Groups, findings: Sequence[Finding], marks: Marks, planned: Sequence[Candidate]
) -> list[Candidate]:
    """Returns the distributed configurations, the fastest first: the answer is about that one, whatever became of it.

    A configuration of which nothing can be said stands where its fastest trial puts it, since its mean is not known; a
    planned one without any trial before all. So no trial that is left out, and no rule that is broken, makes the answer
    one about another configuration. One worker alone measures overhead: it is a candidate where there is no other.

    Args:
        rows: The table of one kind of scaling.
        groups: Its trials by configuration.
        findings: What the fairness audit found of them.
        marks: What a reader must be warned of.
        planned: What `list_absent` returned.
    """
    several = {row.configuration for row in rows if row.strategy != SINGLE and row.num_workers > 1}
    names = several or {row.configuration for row in rows if row.strategy != SINGLE}
    ratios = {row.configuration: row.ratio for row in rows}
    ranked = []
    for name in (row.configuration for row in rows if row.configuration in names):
        trials = groups[name]
        reason = state_fault(groups, name, findings, marks)
        is_known = ratios[name] is not None and name not in marks.unproven
        seconds = [read_training_clock(trial) for trial in (list_timed(trials) if is_known else trials)]
        place = compute_mean(seconds) if is_known else min(seconds)
        ranked.append((place, Candidate(name, describe_configuration(trials[0]), reason)))
    return [*planned, *(own for _, own in sorted(ranked, key=lambda pair: pair[0]))]


def list_rivals(groups: Groups, configuration: str, run_info: RunInfo) -> list[str]:
    """Returns the names of the bigger single nodes that a person would train on instead.

    First the one with what all workers have together, measured or planned. Then those with less, as far as they were
    measured: one that is as fast is a better choice still.
    """
    own = groups[configuration][0]
    if own.num_workers == 1:
        return []
    most = count_rival_cpus(own), own.num_workers * (own.gpus or 0)
    measured = {
        name: (first.cpus_per_replica, first.gpus or 0)
        for name, (first, *_) in groups.items()
        if first.strategy == SINGLE and own.cpus_per_replica < first.cpus_per_replica
    }
    equal = [name for name, has in measured.items() if has == most]
    smaller = [name for name, has in measured.items() if has != most and has[0] <= most[0] and has[1] <= most[1]]
    planned = [
        str(node.get("name"))
        for node in run_info.configurations
        if node.get("strategy") == SINGLE and node.get("cpus_factor") == own.num_workers
    ]
    return [*(equal or planned)[:1], *smaller]


def count_rival_cpus(trial: TrialRecord) -> float:
    """Returns the CPUs of the single node that a person would train on instead: those of all workers together."""
    return trial.num_workers * trial.cpus_per_replica


def list_absent(groups: Groups, run_info: RunInfo, scaling: str) -> list[Candidate]:
    """Returns the distributed configurations of a kind of scaling that were planned, and that no trial is there of."""
    reason = say("none of its planned trials is there")
    absent = [own for own in run_info.configurations if own.get("name") not in groups and _is_planned(own, scaling)]
    return [
        Candidate(own["name"], _describe(own["strategy"], own["num_workers"], own.get("num_ps", 0)), reason)
        for own in absent
    ]


def state_fault(groups: Groups, name: str, findings: Sequence[Finding], marks: Marks) -> str:
    """Returns why nothing can be said of a configuration, its baseline's own faults left aside."""
    if name not in groups:
        return say("none of its planned trials is there")
    baseline, trials = find_baseline(groups, name), groups[name]
    if not baseline:
        return say("there is no single node with as many CPUs as a replica to compare with")
    if differences := find_work_differences(baseline, trials):
        fields = list_items(map(say, differences))
        return say("it did not do the same work as the single node, they differ in {fields}", fields=fields)
    return state_break(groups, name, findings, marks) or _state_inferiority(baseline, trials)


def state_break(groups: Groups, name: str, findings: Sequence[Finding], marks: Marks) -> str:
    """Returns why the trials of a configuration prove nothing, a clause; empty where they do."""
    trials, timed = groups[name], average_rounds(list_timed(groups[name]), lambda trial: trial.train_seconds)
    if name in marks.unproven:
        rules = list_items(map(say, list_broken_rules(findings, [name])))
        return say("rules of a fair comparison are broken ({rules})", rules=rules)
    if not timed:
        return say("none of its trials has a time, since they were restarted, resumed or taken over")
    if len(timed) == 1 < count_rounds(trials):
        return say("only one of its {trials} has a time", trials=count_trials(count_rounds(trials)))
    return ""


def _state_inferiority(baseline: Trials, trials: Trials) -> str:
    """Returns in what the models are not as good as the baseline's, empty where they are.

    The models of a single round differ by chance, and nothing says how much: they decide no more than their times do.
    """
    if count_rounds(trials) == 1:
        return ""
    own, base = (
        format_metric(compute_mean([*average_quality(group).values()]), is_accuracy=group[0].is_accuracy)
        for group in (trials, baseline)
    )
    if is_doubtful(baseline, trials):
        perhaps = (
            "its models may be less accurate than the single node's ({own} % against {base} %): too few trials to tell"
        )
        return say(perhaps, own=own, base=base)
    if compare_quality(baseline, trials).direction < 0:
        less = "its models are less accurate than the single node's ({own} % against {base} %)"
        return say(less, own=own, base=base)
    if is_target_missed(baseline, trials):
        return say("none of its models reaches the target accuracy, which the single node's do")
    return ""


def _is_planned(configuration: Mapping[str, Any], scaling: str) -> bool:
    """Returns whether a plan has all that a candidate's description needs, and is of that kind of scaling."""
    if not {"strategy", "num_workers"} <= configuration.keys() or configuration["strategy"] == SINGLE:
        return False
    own = configuration.get("training", {}).get("scaling", scaling)
    return bool(configuration["num_workers"] > 1 and own == scaling)


def _describe(strategy: str, num_workers: int, num_ps: int) -> str:
    name, workers = say(strategy.replace("_", "-")), count_workers(num_workers)
    if not num_ps:
        return say("{strategy} with {workers}", strategy=name, workers=workers)
    servers = count_servers(num_ps)
    return say("{strategy} with {workers} and {servers}", strategy=name, workers=workers, servers=servers)
