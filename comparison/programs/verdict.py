"""Whether distributing a person's program pays off: one answer, whose first words say by what it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from comparison.audit import list_broken_rules
from comparison.cost import Cost, compute_cost
from comparison.groups import count_rounds
from comparison.programs.audit import RULES_TOLD_APART
from comparison.programs.evidence import Evidence
from comparison.programs.measure import STEPS, Basis, Measure, ProgramTrials, is_timed
from comparison.programs.record import ProgramTrial
from comparison.programs.rows import (
    count_replicas,
    describe_baseline,
    describe_configuration,
    find_possibly_fastest,
)
from comparison.programs.statements import (
    is_same_work,
    state_lead,
    state_place,
    state_quality,
    state_ratio,
    state_whole_job,
)
from comparison.report import Answer, Candidate, Kind
from comparison.statistics import Ratio, compute_mean
from comparison.table import format_times
from comparison.texts import capitalize, count_trials, count_workers, join_clauses, list_items, say

# With one row beside the baseline there is nothing to choose.
_A_PAIR = 2
_FASTER = frozenset({Kind.PAYS_OFF, Kind.TRAINING_ONLY})


@dataclass(frozen=True)
class ProgramAnswer(Answer):
    """The answer about a program.

    `speedup` is None where whole jobs are all that is compared, and `whole_job` where trainings were cut.

    Attributes:
        ratio: How many times as fast as the baseline it is by what is compared; None where that means nothing.
        recommended: The configuration to take: the fewest replicas of those that may be the fastest, or the baseline;
            None where nothing was decided.
        pays_off_from: The number of workers from which on all that were measured are faster; None where there is none.
    """

    ratio: Ratio | None = None
    recommended: str | None = None
    pays_off_from: int | None = None


def answer_programs(evidence: Evidence) -> ProgramAnswer:
    """Returns the answer: about the fastest distributed configuration, whatever became of it.

    Where nothing can be said of that one there is no answer, and no other configuration takes its place.
    """
    candidates = _rank(evidence)
    case, measure = evidence.case, evidence.measure
    lead = state_lead(measure, evidence.metric)
    if not candidates:
        none = say("{lead}, no answer: nothing beside the baseline was measured.", lead=lead)
        return ProgramAnswer(Kind.NO_ANSWER, next(iter(case.groups)), [none])
    best = candidates[0]
    if fault := _state_baseline_fault(evidence):
        refused = "{lead}, no answer, because of the baseline that all is compared with: {reason}."
        return ProgramAnswer(Kind.NO_ANSWER, best.configuration, [say(refused, lead=lead, reason=fault)])
    if best.reason:
        refused = "{lead}, no answer about {configuration}: {reason}."
        sentences = [say(refused, lead=lead, configuration=best.description, reason=best.reason)]
        return ProgramAnswer(Kind.NO_ANSWER, best.configuration, [*sentences, *_state_others(evidence, candidates)])
    return _judge(evidence, lead, best, candidates[1:])


def _rank(evidence: Evidence) -> list[Candidate]:
    """Returns the distributed configurations, the fastest first; a planned one without any trial before all.

    One of which nothing can be said stands where its fastest trial puts it: no rule that is broken makes the answer
    one about another configuration.
    """
    case = evidence.case
    others = {name: trials for name, trials in case.groups.items() if name != case.baseline_name}
    most = case.baseline[0].num_workers if case.baseline else 0
    several = {name: trials for name, trials in others.items() if trials[0].num_workers > most}
    ranked = []
    for name, trials in (several or others).items():
        timed = [trial for trial in trials if is_timed(trial)]
        reason = _state_fault(evidence, name)
        is_known = bool(timed) and name not in evidence.marks.unproven
        seconds = [evidence.measure.read_seconds(trial) for trial in (timed if is_known else trials)]
        place = compute_mean(seconds) if is_known else min(seconds)
        ranked.append((place, Candidate(name, describe_configuration(trials[0]), reason)))
    return [*_list_absent(evidence), *(own for _, own in sorted(ranked, key=lambda pair: pair[0]))]


def _list_absent(evidence: Evidence) -> list[Candidate]:
    """Returns the configurations that were planned, and that no trial is there of."""
    absent = []
    most = evidence.case.baseline[0].num_workers if evidence.case.baseline else 0
    for plan in evidence.run_info.configurations:
        name, workers, num_ps = plan.get("name"), plan.get("workers"), plan.get("num_ps") or 0
        is_told = isinstance(name, str) and isinstance(workers, int) and isinstance(num_ps, int)
        if is_told and name not in evidence.case.groups and int(workers or 0) > most:
            described = count_replicas(int(workers or 0), num_ps)
            absent.append(Candidate(str(name), described, say("none of its planned trials is there")))
    return absent


def _state_baseline_fault(evidence: Evidence) -> str:
    """Returns why nothing can be compared with the baseline, a clause; empty where something can."""
    case, measure = evidence.case, evidence.measure
    if not case.baseline or case.baseline_name is None:
        return say("none of its trials is there")
    if measure.is_cut and measure.basis is Basis.WHOLE_JOB:
        return say("the trainings were cut, and a job that was cut says nothing by its length")
    return _state_break(evidence, case.baseline_name)


def _state_fault(evidence: Evidence, name: str) -> str:
    """Returns why nothing can be said of a configuration, the baseline's own faults left aside."""
    if reason := _state_break(evidence, name):
        return reason
    ratio, quality = evidence.ratios[name], evidence.qualities.get(name)
    if evidence.measure.unit == STEPS:
        batch = (
            "it makes {speedup} as many steps a second, and whether a step takes more examples with more workers is "
            "not told ({option} tells it)"
        )
        return say(batch, speedup=format_times(ratio or Ratio(1.0)), option="--batch-size-per-replica")
    if quality and quality.is_no_gain and evidence.metric:
        worse = "it is {speedup} as fast, but {quality}"
        described = state_quality(evidence.metric, quality)
        return say(worse, speedup=format_times(ratio or Ratio(1.0)), quality=described)
    return ""


def _state_break(evidence: Evidence, name: str) -> str:
    trials = evidence.case.groups[name]
    timed = [trial for trial in trials if is_timed(trial)]
    if name in evidence.marks.unproven:
        decisive = [own for own in evidence.findings if own.is_decisive]
        rules = list_items(map(say, list_broken_rules(decisive, [name], RULES_TOLD_APART)))
        return say("rules of a fair comparison are broken ({rules})", rules=rules)
    if not timed:
        return say("none of its trials has a time, since they were restarted")
    if count_rounds(timed) == 1 < count_rounds(trials):
        return say("only one of its {trials} has a time", trials=count_trials(count_rounds(trials)))
    return ""


def _judge(evidence: Evidence, lead: str, best: Candidate, others: Sequence[Candidate]) -> ProgramAnswer:
    """Returns the answer about a configuration that something can be said of."""
    case, measure, name = evidence.case, evidence.measure, best.configuration
    trials, row = case.groups[name], next(own for own in evidence.rows if own.configuration == name)
    ratio, whole_job = row.ratio or Ratio(1.0), row.whole_job
    kind, opening = _decide(measure, ratio, whole_job)
    fastest = _find_fastest(evidence)
    answer = ProgramAnswer(
        kind,
        name,
        [],
        ratio if measure.basis is not Basis.WHOLE_JOB else None,
        whole_job,
        _compute_cost(evidence, trials) if whole_job and is_same_work(measure) else None,
        fastest,
        ratio,
        _recommend(evidence, kind, fastest),
        _find_first_workers(evidence),
    )
    clauses = [
        state_ratio(case, name, ratio),
        *state_whole_job(measure, whole_job, case.baseline, trials),
        *([state_quality(evidence.metric, evidence.qualities[name])] if evidence.metric else []),
        state_place(case.trials),
    ]
    sentences = [say("{lead}, {opening}: {clauses}.", lead=lead, opening=opening, clauses=join_clauses(clauses))]
    if notes := [
        *_state_choice(evidence, answer),
        *_state_missing_rival(answer, trials),
        *_state_doubts(evidence, best, others),
    ]:
        sentences.append(capitalize(say("{clauses}.", clauses=say("; ").join(notes))))
    return replace(answer, sentences=sentences)


def _decide(measure: Measure, ratio: Ratio, whole_job: Ratio | None) -> tuple[Kind, str]:
    """Returns what the answer is, and the words that follow its first ones."""
    if ratio.low is None:
        return Kind.NOT_DISTINGUISHABLE, say("nothing is decided by a single trial")
    if ratio.direction == 0:
        return Kind.NOT_DISTINGUISHABLE, say("nothing is distinguishable")
    if ratio.direction < 0:
        return Kind.NOT, say("distributing does not pay off here")
    if measure.basis is not Basis.WHOLE_JOB and measure.is_work_equal and whole_job and whole_job.direction <= 0:
        return Kind.TRAINING_ONLY, say("distributing pays off here in training time only")
    return Kind.PAYS_OFF, say("distributing pays off here")


def _state_choice(evidence: Evidence, answer: ProgramAnswer) -> Sequence[str]:
    """Returns from how many workers on it pays off, and which configuration is recommended."""
    notes: list[str] = []
    if len(evidence.rows) <= _A_PAIR:
        return notes
    if answer.kind in _FASTER and answer.pays_off_from is not None:
        notes.append(
            say("it is faster from {workers} on, of those measured", workers=count_workers(answer.pays_off_from))
        )
    if answer.kind in _FASTER and answer.recommended is not None:
        described = describe_configuration(evidence.case.groups[answer.recommended][0])
        if len(answer.fastest) > 1:
            few = "recommended: {configuration}, the fewest of those that may be the fastest"
            notes.append(say(few, configuration=described))
        else:
            notes.append(say("recommended: {configuration}, the fastest", configuration=described))
    return notes


def _state_missing_rival(answer: ProgramAnswer, trials: ProgramTrials) -> Sequence[str]:
    """Returns that nobody measured what a person might run instead: one worker with what all of them have.

    Whether a program would use it is not known, so that it is no row. A worker without limits has it already.
    """
    is_limited = any(trial.cpus_per_replica or trial.gpus_held for trial in trials)
    if answer.kind not in _FASTER or not is_limited:
        return ()
    return (say("one worker with what all have together, which might do as well, was not measured"),)


def _state_doubts(evidence: Evidence, best: Candidate, others: Sequence[Candidate]) -> Sequence[str]:
    names = [best.configuration, *evidence.marks.baselines]
    doubts = []
    if rules := list_broken_rules(evidence.findings, names, RULES_TOLD_APART):
        doubts.append(say("it is not a fair comparison (broken: {rules})", rules=list_items(map(say, rules))))
    if not {*names}.isdisjoint(evidence.marks.contended):
        doubts.append(say("the replicas shared too few cores, so that this says little about separate machines"))
    if held := [name for name in names if name in evidence.marks.disturbed]:
        doubts.append(say("trials of {configurations} were held up", configurations=list_items(held)))
    nothing = "nothing is said of {configuration}: {reason}"
    doubts += [say(nothing, configuration=own.description, reason=own.reason) for own in others if own.reason]
    return doubts


def _state_others(evidence: Evidence, candidates: Sequence[Candidate]) -> Sequence[str]:
    """Returns how the next configuration did of which something can be said."""
    sound = [own for own in candidates if not own.reason and evidence.ratios.get(own.configuration)]
    if not sound:
        return ()
    speedup = format_times(evidence.ratios[sound[0].configuration] or Ratio(1.0))
    instead = "Of the others, {configuration}: {speedup} as fast as {baseline}."
    baseline = describe_baseline(evidence.case.baseline[0])
    return (say(instead, configuration=sound[0].description, speedup=speedup, baseline=baseline),)


def _find_fastest(evidence: Evidence) -> list[str]:
    """Returns the configurations that may be the fastest: the winner, and what the trials cannot tell from it."""
    marks, base = evidence.marks, evidence.case.baseline_name
    out = {*marks.unproven, *marks.worse}
    measured = {name: own for name, own in evidence.ratios.items() if own and own.low is not None and name != base}
    sound = {name: own for name, own in measured.items() if name not in out}
    winner = max(sound, key=lambda name: sound[name].value, default=None)
    if winner is not None and sound[winner].direction > 0:
        possible = {winner, *find_possibly_fastest(evidence.case.groups, evidence.measure, {*sound})}
        return [row.configuration for row in evidence.rows if row.configuration in possible]
    is_slower = len(measured) == len(evidence.rows) - 1 and all(own.direction < 0 for own in measured.values())
    return [base] if base is not None and is_slower and measured else []


def _recommend(evidence: Evidence, kind: Kind, fastest: Sequence[str]) -> str | None:
    """Returns the configuration to take: the fewest replicas of those that may be the fastest."""
    if kind is Kind.NOT:
        return evidence.case.baseline_name
    if kind not in _FASTER:
        return None
    sizes = {row.configuration: (row.num_workers + row.num_ps, row.num_workers) for row in evidence.rows}
    return min(fastest, key=lambda name: sizes[name], default=None)


def _find_first_workers(evidence: Evidence) -> int | None:
    """Returns the number of workers from which on every number that was measured has a configuration that is faster."""
    base = evidence.case.baseline[0].num_workers
    out = {*evidence.marks.unproven, *evidence.marks.worse}
    is_faster: dict[int, bool] = {}
    for row in evidence.rows:
        if row.num_workers > base:
            own = row.ratio is not None and row.ratio.low is not None and row.ratio.direction > 0
            is_faster[row.num_workers] = is_faster.get(row.num_workers, False) or (own and row.configuration not in out)
    first = None
    for count in sorted(is_faster, reverse=True):
        if not is_faster[count]:
            break
        first = count
    return first


def _compute_cost(evidence: Evidence, trials: ProgramTrials) -> Cost | None:
    """Returns what a configuration and its baseline cost; None where their cores are not known."""
    baseline = evidence.case.baseline
    if not all(_count_cpus(trial) for trial in (*baseline, *trials)):
        return None
    return compute_cost(
        baseline,
        trials,
        evidence.run_info,
        lambda own: own.job_seconds if is_timed(own) else None,
        lambda own: _count_cpus(own) or 0.0,
    )


def _count_cpus(trial: ProgramTrial) -> float | None:
    """Returns the CPUs that the replicas of a trial held; older records say what a worker may use, and no other."""
    if trial.cpus_held is not None or not trial.cpus_per_replica:
        return trial.cpus_held
    return trial.cpus_per_replica * sum(replica.type != "evaluator" for replica in trial.replicas)
