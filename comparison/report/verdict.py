"""Whether distributing the training pays off: one answer, in two sentences at most and for programs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from comparison.accuracies import average_quality, compare_quality, find_open_loss
from comparison.audit import CORES_RULE, Finding, Marks, find_fastest, list_broken_rules, list_violations
from comparison.clocks import is_wholly_timed
from comparison.cost import Cost, compute_cost
from comparison.groups import (
    Groups,
    Trials,
    count_reached,
    count_rounds,
    find_baseline,
    is_any_contended,
    list_timed,
    split_by_scaling,
)
from comparison.records import RunInfo, TrialRecord
from comparison.report.candidate import (
    Candidate,
    choose_candidates,
    count_rival_cpus,
    list_absent,
    list_rivals,
    state_break,
    state_fault,
)
from comparison.statistics import Ratio, compute_mean
from comparison.summary import Row, compute_speedups, compute_whole_job_speedups, find_possibly_fastest, split_rows
from comparison.table import format_metric, format_number, format_range, format_times
from comparison.texts import capitalize, count_trials, join_clauses, list_items, say, say_count, translate_metric

# Images that do not fill a last batch are left out, which hardly matters where there are many.
_SAME_WORK = 0.01


class Kind(StrEnum):
    """What the answer is, as `recommendation.json` names it."""

    PAYS_OFF = "pays_off"
    TRAINING_ONLY = "pays_off_in_training_only"
    BIGGER_NODE = "bigger_node_is_as_good"
    NOT = "does_not_pay_off"
    NOT_DISTINGUISHABLE = "not_distinguishable"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True)
class Answer:
    """The answer on one kind of scaling.

    Attributes:
        kind: What it is.
        configuration: The name of the configuration that it is about.
        sentences: It in words, two at most.
        speedup: How many times as fast as the baseline it trained; None where that means nothing.
        whole_job: The same of the whole job, start-up included.
        cost: What it cost beside the baseline.
        fastest: The configurations that may be the fastest; none where nothing can be said or nothing was told apart.
    """

    kind: Kind
    configuration: str
    sentences: Sequence[str]
    speedup: Ratio | None = None
    whole_job: Ratio | None = None
    cost: Cost | None = None
    fastest: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The answer in words."""
        return say(" ").join(self.sentences)


@dataclass(frozen=True)
class _Case:
    """What is known of one kind of scaling: its trials, its table, what the audit found, and the plan."""

    groups: Groups
    rows: Sequence[Row]
    findings: Sequence[Finding]
    marks: Marks
    run_info: RunInfo

    @property
    def ratios(self) -> dict[str, Ratio | None]:
        """The speedups by configuration."""
        return {row.configuration: row.ratio for row in self.rows}


@dataclass(frozen=True)
class _Rival:
    """A bigger single node, and how many times as fast as it a configuration is: its training, and its whole job."""

    name: str
    training: Ratio
    whole_job: Ratio


def answer_question(
    rows: Sequence[Row], groups: Groups, findings: Sequence[Finding], marks: Marks, run_info: RunInfo
) -> dict[str, Answer]:
    """Returns the answer on each kind of scaling that was measured.

    It is about the fastest distributed configuration, as `choose_candidates` ranks them. Where nothing can be said of
    that one, there is no answer, and no other configuration takes its place.

    Args:
        rows: The table.
        groups: The trials of each configuration, for what the table does not hold.
        findings: What the fairness audit found of them.
        marks: What a reader must be warned of.
        run_info: The plan.
    """
    tables = split_rows(rows)
    answers = {}
    for scaling, own in split_by_scaling(groups).items():
        candidates = choose_candidates(tables[scaling], own, findings, marks, list_absent(groups, run_info, scaling))
        answers[scaling] = _answer(_Case(own, tables[scaling], findings, marks, run_info), candidates)
    return answers


def _answer(case: _Case, candidates: Sequence[Candidate]) -> Answer:
    groups, ratios = case.groups, case.ratios
    if not candidates:
        return Answer(Kind.NO_ANSWER, next(iter(groups)), [say("No answer: no distributed training was measured.")])
    best, *others = candidates
    baseline = find_baseline(groups, best.configuration) if best.configuration in groups else None
    if baseline and (broken := state_break(groups, baseline[0].configuration, case.findings, case.marks)):
        # Without the baseline no figure of the others means anything either.
        no_baseline = "No answer, because of the single node that all is compared with: {reason}."
        return Answer(Kind.NO_ANSWER, best.configuration, [say(no_baseline, reason=broken)])
    if best.reason:
        refused = "No answer about {configuration}: {reason}."
        sentences = [say(refused, configuration=best.description, reason=best.reason)]
        sound = [own for own in others if not own.reason and ratios[own.configuration]]
        if sound:
            speedup = ratios[sound[0].configuration] or Ratio(1.0)
            instead = "Of the others, {configuration} trained {speedup} as fast as a single node."
            sentences.append(say(instead, configuration=sound[0].description, speedup=format_times(speedup)))
        return Answer(Kind.NO_ANSWER, best.configuration, sentences)
    return _judge(case, best, others)


def _judge(case: _Case, best: Candidate, others: Sequence[Candidate]) -> Answer:
    """Returns the answer about a configuration that something can be said of."""
    groups, ratios, name = case.groups, case.ratios, best.configuration
    baseline, trials = find_baseline(groups, name) or [], groups[name]
    speedup, whole_job = ratios[name] or Ratio(1.0), compute_whole_job_speedups(groups)[name]
    nodes = list_rivals(groups, name, case.run_info)
    faults = {node: fault for node in nodes if (fault := state_fault(groups, node, case.findings, case.marks))}
    rivals = [_compare_with_rival(groups, name, node) for node in nodes if node not in faults]
    kind, opening = _decide(speedup, whole_job, rivals)
    cost = compute_cost(baseline, trials, case.run_info, _read_whole_job, _count_cpus)
    fastest = find_fastest(case.rows, groups, case.marks)
    left_out = [(own.description, own.reason) for own in others if own.reason]
    notes = [
        *_state_peers(case, best, [own for own in others if not own.reason], fastest),
        *(clause for rival in rivals for clause in _state_rival(groups, trials[0], rival)),
        *(_state_open_quality(baseline, trials) if speedup.direction > 0 else ()),
        *_state_target(baseline, trials),
        *_state_broken_rules(list_broken_rules(case.findings, [name, baseline[0].configuration])),
        *_state_contention(baseline, trials),
        *_state_taken_cores(case.findings, [baseline[0].configuration, name]),
        *(
            say("nothing is said of {configuration}: {reason}", configuration=name, reason=reason)
            for name, reason in [*faults.items(), *left_out]
        ),
    ]
    clauses = [
        _state_speedup(best.description, speedup, baseline, trials),
        _state_whole_job(whole_job, baseline, trials),
        cost.state(),
        _state_quality(baseline, trials),
        _state_place(trials[0]),
    ]
    sentences = [say("{opening}: {clauses}.", opening=opening, clauses=join_clauses(clauses))]
    if notes:
        sentences.append(capitalize(say("{clauses}.", clauses=say("; ").join(notes))))
    return Answer(kind, name, sentences, speedup, whole_job, cost, fastest)


def _compare_with_rival(groups: Groups, configuration: str, rival: str) -> _Rival:
    """Returns how a configuration compares with a bigger single node, which takes the baseline's place.

    The intervals are those that the table's speedups have, all configurations being compared with that node.
    """
    cpus = groups[configuration][0].cpus_per_replica
    node = {rival: [replace(trial, cpus_per_replica=cpus) for trial in groups[rival]]}
    own: Groups = node | {name: [*trials] for name, trials in groups.items() if name != rival}
    return _Rival(rival, compute_speedups(own)[configuration], compute_whole_job_speedups(own)[configuration])


def _decide(speedup: Ratio, whole_job: Ratio, rivals: Sequence[_Rival]) -> tuple[Kind, str]:
    """Returns what the answer is, and the words that it opens with."""
    if speedup.low is None:
        return Kind.NOT_DISTINGUISHABLE, say("Not decided by a single trial")
    if speedup.direction == 0:
        return Kind.NOT_DISTINGUISHABLE, say("Not distinguishable")
    if speedup.direction < 0:
        return Kind.NOT, say("Distributing does not pay off here")
    rivals = [rival for rival in rivals if rival.training.low is not None]
    if (least := min((rival.training.direction for rival in rivals), default=1)) <= 0:
        as_good = say("Distributing is faster here, but one bigger node is as good")
        better = say("Distributing is faster here, but one bigger node is faster still")
        return Kind.BIGGER_NODE, better if least < 0 else as_good
    if whole_job.direction > 0 and all(rival.whole_job.direction > 0 for rival in rivals):
        return Kind.PAYS_OFF, say("Distributing pays off here")
    return Kind.TRAINING_ONLY, say("Distributing pays off here in training time only")


def _state_speedup(description: str, speedup: Ratio, baseline: Trials, trials: Trials) -> str:
    basis = [_state_counts(baseline, trials)]
    if speedup.low is not None and speedup.high is not None:
        basis = [say("95 % interval {range}", range=format_range(speedup.low, speedup.high)), *basis]
    values = {
        "configuration": description,
        "model": trials[0].model,
        "data": trials[0].dataset,
        "speedup": f"{speedup.value:.2f}",
        "basis": join_clauses(basis),
    }
    if trials[0].scaling == "weak":
        throughput = (
            "{configuration}, training {model} on {data}, processed images {speedup}× as fast as a single node "
            "({basis})"
        )
        return say(throughput, **values)
    return say("{configuration} trained {model} on {data} {speedup}× as fast as a single node ({basis})", **values)


def _state_whole_job(whole_job: Ratio, baseline: Trials, trials: Trials) -> str:
    """Returns how whole jobs compare, and of how many images where these differ: with weak scaling by a last batch."""
    speedup = format_times(whole_job)
    own, base = (compute_mean([trial.images_seen for trial in list_timed(group)]) for group in (trials, baseline))
    if abs(own / base - 1) <= _SAME_WORK:
        return say("the whole job {speedup}", speedup=speedup)
    return say("the whole job, of {work}× as many images, {speedup}", work=f"{own / base:.2f}", speedup=speedup)


def _state_place(trial: TrialRecord) -> str:
    """Returns on what machine, and on which backend, the trials ran."""
    cores, cpu_model = trial.host.get("cores"), trial.host.get("cpu_model")
    machine = list_items(
        [
            *([say_count(cores, "{number} core", "{number} cores")] if cores else []),
            *([str(cpu_model)] if cpu_model else []),
        ]
    )
    where = say("in pods of a cluster") if trial.backend == "kubernetes" else say("in processes of one machine")
    return say("{where} ({machine})", where=where, machine=machine) if machine else where


def _state_quality(baseline: Trials, trials: Trials) -> str:
    """Returns how the models compare on the test examples, and how large a difference these trials leave open."""
    is_accuracy = trials[0].is_accuracy
    means = {
        name: compute_mean([*average_quality(own).values()]) for name, own in {"own": trials, "base": baseline}.items()
    }
    values = {name: format_metric(mean, is_accuracy=is_accuracy) for name, mean in means.items()}
    difference = compare_quality(baseline, trials)
    if difference.is_same_weights:
        return say("with the same weights, bit for bit (accuracy {own} %)", own=values["own"])
    if not difference.is_known:
        single = "with models that a single trial cannot tell apart ({metric} {own} against {base})"
        return say(single, metric=translate_metric(trials[0].quality.name), **values)
    half_width = difference.half_width
    values["margin"] = f"{100 * half_width:.2f}" if is_accuracy else format_number(half_width, 2)
    return {
        -1: say("at lower accuracy ({own} % against {base} %, ± {margin})", **values),
        0: say("at indistinguishable accuracy ({own} % against {base} %, ± {margin})", **values),
        1: say("at higher accuracy ({own} % against {base} %, ± {margin})", **values),
    }[difference.direction]


def _state_open_quality(baseline: Trials, trials: Trials) -> Sequence[str]:
    """Returns how much worse the models of what is faster may be, where that matters: equal was not shown."""
    loss = find_open_loss(baseline, trials)
    if loss is None or not math.isfinite(loss):  # of a single trial the answer says so
        return ()
    leaves = "these trials leave open whether the {metric} of its models is worse by up to {loss}"
    return (say(leaves, metric=translate_metric(trials[0].quality.name), loss=format_number(loss, 2)),)


def _state_peers(case: _Case, best: Candidate, others: Sequence[Candidate], fastest: Sequence[str]) -> Sequence[str]:
    """Returns which other ways of distributing may be as fast as the one that the answer is about, or faster.

    Args:
        case: What is known.
        best: The one that the answer is about.
        others: The other distributed ones of which something can be said.
        fastest: What `find_fastest` returned: who shares the star is named, too.
    """
    ratios, name = case.ratios, best.configuration
    if not (speedup := ratios[name]) or speedup.low is None:
        return ()  # a single trial tells nothing apart, which the answer opens with
    possible = find_possibly_fastest(case.groups, {name, *(own.configuration for own in others)})
    together = {*possible, *(fastest if name in fastest else ())}
    peers = [
        say("{configuration} at {speedup}", configuration=own.description, speedup=format_times(ratio))
        for own in others
        if own.configuration in together and (ratio := ratios[own.configuration])
    ]
    return (say("not told apart from it as the fastest: {names}", names=list_items(peers)),) if peers else ()


def _state_target(baseline: Trials, trials: Trials) -> Sequence[str]:
    """Returns how many trials reached the target accuracy, where that is not as it should be."""
    own, base = count_reached(trials), count_reached(baseline)
    if own * len(baseline) >= base * len(trials):
        return ()
    counts = {"own": own, "trials": len(trials), "base": base, "baseline": len(baseline)}
    fewer = "the target accuracy was reached in {own} of {trials} trials (the single node's in {base} of {baseline})"
    return (say(fewer, **{name: f"{count:,}" for name, count in counts.items()}),)


def _state_broken_rules(rules: Sequence[str]) -> Sequence[str]:
    """Returns which rules of a fair comparison the answer's configurations break."""
    return (say("it is not a fair comparison (broken: {rules})", rules=list_items(map(say, rules))),) if rules else ()


def _state_rival(groups: Groups, trial: TrialRecord, rival: _Rival) -> Sequence[str]:
    """Returns how one process did that has what all workers have, which is what a person would run instead.

    One with less is told of only where it is as good. Its whole job is told of where that says something else than its
    training: it starts one process, and waits for nobody.
    """
    node = groups[rival.name][0]
    values = {"configuration": rival.name, "cpus": say_count(node.cpus_per_replica, "{number} CPU", "{number} CPUs")}
    has = node.cpus_per_replica, node.gpus or 0
    is_equal = has == (count_rival_cpus(trial), trial.num_workers * (trial.gpus or 0))
    subject = (
        say("one process with the {cpus} of all workers ({configuration})", **values)
        if is_equal
        else say("one process with {cpus} ({configuration})", **values)
    )
    speedup, whole_job = (
        format_times(compute(groups).get(rival.name, Ratio(1.0)))
        for compute in (compute_speedups, compute_whole_job_speedups)
    )
    if rival.training.low is None:
        return (say("{node} trained {speedup} as fast as one node", node=subject, speedup=speedup),) if is_equal else ()
    directions = rival.training.direction, rival.whole_job.direction
    if not is_equal and min(directions) > 0:
        return ()
    trained = {
        -1: say("{node} was faster: {speedup}", node=subject, speedup=speedup),
        0: say("{node} was not told apart: {speedup}", node=subject, speedup=speedup),
        1: say("{node} was slower: {speedup}", node=subject, speedup=speedup),
    }[directions[0]]
    if directions[0] == directions[1]:
        return (trained,)
    return (
        {
            -1: say("{clause}, its whole job faster: {speedup}", clause=trained, speedup=whole_job),
            0: say("{clause}, its whole job not told apart: {speedup}", clause=trained, speedup=whole_job),
            1: say("{clause}, its whole job slower: {speedup}", clause=trained, speedup=whole_job),
        }[directions[1]],
    )


def _state_contention(baseline: Trials, trials: Trials) -> Sequence[str]:
    if not is_any_contended([*baseline, *trials]):
        return ()
    return (say("the replicas shared too few cores, so that this says little about separate machines"),)


def _state_taken_cores(findings: Sequence[Finding], configurations: Sequence[str]) -> Sequence[str]:
    """Returns whose trainings others disturbed: those of the single node alone would flatter all that is compared."""
    broken = {
        own for finding in list_violations(findings) if finding.rule == CORES_RULE for own in finding.configurations
    }
    if not (names := [own for own in configurations if own in broken]):
        return ()
    return (say("others had the cores during trainings of {configurations}", configurations=list_items(names)),)


def _state_counts(baseline: Trials, trials: Trials) -> str:
    counts = sorted({count_rounds(list_timed(group)) for group in (baseline, trials)})
    if len(counts) == 1:
        return f"n = {count_trials(counts[0])}"
    return say("n = {fewer} and {more} trials", fewer=f"{counts[0]:,}", more=f"{counts[1]:,}")


def _read_whole_job(trial: TrialRecord) -> float | None:
    """Returns the seconds of a trial's whole job; None where it has no time."""
    return trial.total_seconds if is_wholly_timed(trial) else None


def _count_cpus(trial: TrialRecord) -> float:
    """Returns the CPUs that a trial's replicas held: each as many."""
    return len(trial.replicas) * trial.cpus_per_replica
