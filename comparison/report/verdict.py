"""What may be concluded from the measurements, in one sentence."""

from collections.abc import Sequence

from comparison.audit import Finding, Marks, list_broken_rules
from comparison.groups import (
    SINGLE,
    Groups,
    Trials,
    average_rounds,
    count_reached,
    count_rounds,
    find_baseline,
    find_work_differences,
    is_any_contended,
    is_target_missed,
    list_timed,
    select_timed,
    split_by_scaling,
)
from comparison.records import TrialRecord
from comparison.statistics import Ratio, compute_mean
from comparison.summary import Row, compare_accuracies, compute_whole_job_speedups, split_rows
from comparison.table import format_accuracy, format_number, format_range
from comparison.texts import (
    count_servers,
    count_trials,
    count_workers,
    join_clauses,
    join_scalings,
    list_items,
    say,
    say_count,
)


def describe_configuration(trial: TrialRecord) -> str:
    """Returns a configuration in words."""
    if trial.strategy == SINGLE:
        return say("a single node with {cpus}", cpus=_count_cpus(trial.cpus_per_replica))
    strategy, workers = name_strategy(trial.strategy), count_workers(trial.num_workers)
    if not trial.num_ps:
        return say("{strategy} with {workers}", strategy=strategy, workers=workers)
    servers = count_servers(trial.num_ps)
    return say("{strategy} with {workers} and {servers}", strategy=strategy, workers=workers, servers=servers)


def name_strategy(strategy: str) -> str:
    """Returns a strategy's name for a reader."""
    return say(strategy.replace("_", "-"))


def state_verdict(rows: Sequence[Row], groups: Groups, findings: Sequence[Finding], marks: Marks) -> str:
    """Returns one sentence that answers whether distributing the training pays off; one for each kind of scaling.

    It is about the distributed configuration of several workers that trains fastest, of those whose models are as good
    as the baseline's and whose trials can prove anything, if there is one. One worker alone measures overhead.

    Args:
        rows: The table.
        groups: The trials of each configuration, for what the table does not hold.
        findings: What the fairness audit found of them.
        marks: What a reader must be warned of.
    """
    tables = split_rows(rows)
    return join_scalings(
        {
            scaling: _state_verdict(tables[scaling], own, findings, marks)
            for scaling, own in split_by_scaling(groups).items()
        }
    )


def _state_verdict(rows: Sequence[Row], groups: Groups, findings: Sequence[Finding], marks: Marks) -> str:
    """Returns the verdict on one kind of scaling."""
    distributed = [row for row in rows if row.strategy != SINGLE]
    speedups = {row.configuration: ratio for row in distributed if (ratio := row.ratio)}
    if not distributed:
        return say("No answer: no distributed training was measured.")
    if not speedups:
        return _state_refusal(groups)
    several = [row.configuration for row in distributed if row.ratio and row.num_workers > 1]
    candidates = several or list(speedups)
    sound = [name for name in candidates if name not in {*marks.worse, *marks.unproven}]
    best = max(sound or candidates, key=lambda name: speedups[name].value)
    trials, baseline = groups[best], find_baseline(groups, best) or []
    judged = [best, *(trial.configuration for trial in baseline[:1])]
    speedup, whole_job = speedups[best], compute_whole_job_speedups(groups)[best]
    broken = list_broken_rules(findings, judged)
    if set(judged) & set(marks.unproven):
        speedup = Ratio(speedup.value)
        answer = say("No answer, because of a broken rule ({rules})", rules=list_items(map(say, broken)))
        notes: Sequence[str] = ()
    else:
        answer = _state_answer(speedup, whole_job, baseline, trials)
        notes = [*_state_whole_job(speedup, whole_job, baseline, trials), *_state_broken_rules(broken)]
    how_fast, how_accurate = _state_speedup(speedup, baseline, trials), _state_accuracy(baseline, trials)
    clauses = [
        say("{answer}: {speedup} {accuracy}", answer=answer, speedup=how_fast, accuracy=how_accurate),
        *_state_target(baseline, trials),
        *notes,
        *_state_bigger_node(speedup, trials[0], rows),
        *_state_contention(baseline, trials),
    ]
    return say("{clauses}.", clauses=join_clauses(clauses))


def _state_refusal(groups: Groups) -> str:
    """Returns why no distributed configuration has a speedup."""
    differences: dict[str, str] = {}
    for name, trials in groups.items():
        differences |= find_work_differences(find_baseline(groups, name) or [], trials)
    if differences:
        refusal = "No answer: the trials did not do the same work, they differ in {fields}."
        return say(refusal, fields=list_items(map(say, differences)))
    if len(select_timed(groups)) < len(groups):
        return say(
            "No answer: trials that were restarted, resumed or taken over have no time, and too few others are there."
        )
    return say("No answer: there is no single node with as many CPUs as a replica to compare with.")


def _state_answer(speedup: Ratio, whole_job: Ratio, baseline: Trials, trials: Trials) -> str:
    if speedup.low is None:
        return say("Not decided by a single trial")
    if speedup.direction == 0:
        return say("Not distinguishable at {basis}", basis=_state_counts(baseline, trials))
    if speedup.direction < 0:
        return say("Distributing does not pay off here")
    return _state_gain(whole_job, baseline, trials)


def _state_gain(whole_job: Ratio, baseline: Trials, trials: Trials) -> str:
    """Returns what faster training is worth."""
    if compare_accuracies(baseline, trials).direction < 0:
        return say("Distributing is faster here, but its models are less accurate")
    if is_target_missed(baseline, trials):
        return say("Distributing is faster here, but misses the target accuracy")
    if whole_job.direction > 0:
        return say("Distributing pays off here")
    return say("Distributing pays off here in training time only")


def _state_speedup(speedup: Ratio, baseline: Trials, trials: Trials) -> str:
    basis = [_state_counts(baseline, trials)]
    if speedup.low is not None and speedup.high is not None:
        basis = [say("95 % interval {range}", range=format_range(speedup.low, speedup.high)), *basis]
    values = {
        "configuration": describe_configuration(trials[0]),
        "speedup": f"{speedup.value:.2f}",
        "basis": join_clauses(basis),
    }
    if trials[0].scaling == "weak":
        return say("{configuration} processed images {speedup}× as fast as a single node ({basis})", **values)
    return say("{configuration} trained {speedup}× as fast as a single node ({basis})", **values)


def _state_accuracy(baseline: Trials, trials: Trials) -> str:
    """Returns how the test accuracies compare, given the test set's size and the scatter between trials."""
    own, base = (average_rounds(group, lambda trial: trial.test_accuracy).values() for group in (trials, baseline))
    accuracies = {"own": format_accuracy(compute_mean([*own])), "base": format_accuracy(compute_mean([*base]))}
    return {
        -1: say("at lower accuracy ({own} % against {base} %)", **accuracies),
        0: say("at indistinguishable accuracy ({own} % against {base} %)", **accuracies),
        1: say("at higher accuracy ({own} % against {base} %)", **accuracies),
    }[compare_accuracies(baseline, trials).direction]


def _state_target(baseline: Trials, trials: Trials) -> Sequence[str]:
    """Returns how many trials reached the target accuracy, where that is not as it should be."""
    own, base = count_reached(trials), count_reached(baseline)
    if own * len(baseline) >= base * len(trials):
        return ()
    counts = {"own": own, "trials": len(trials), "base": base, "baseline": len(baseline)}
    fewer = "with the target accuracy reached in {own} of {trials} trials (the single node in {base} of {baseline})"
    return (say(fewer, **{name: f"{count:,}" for name, count in counts.items()}),)


def _state_broken_rules(rules: Sequence[str]) -> Sequence[str]:
    """Returns which rules of a fair comparison the answer's configurations break."""
    if not rules:
        return ()
    return (say("though not a fair comparison (broken: {rules})", rules=list_items(map(say, rules))),)


def _state_whole_job(speedup: Ratio, whole_job: Ratio, baseline: Trials, trials: Trials) -> Sequence[str]:
    """Returns what the clock of the whole job says, where that is not what the training's says."""
    if whole_job.direction == speedup.direction:
        return ()
    own, base = (
        format_number(compute_mean([*average_rounds(list_timed(group), lambda trial: trial.total_seconds).values()]))
        for group in (trials, baseline)
    )
    if whole_job.direction > 0:
        return (say("but the whole job, start-up included, was faster ({own} s against {base} s)", own=own, base=base),)
    if whole_job.direction < 0:
        return (
            say("but the whole job, start-up included, took longer ({own} s against {base} s)", own=own, base=base),
        )
    equal = "but the whole job, start-up included, was not distinguishable ({own} s against {base} s)"
    return (say(equal, own=own, base=base),)


def _state_bigger_node(speedup: Ratio, trial: TrialRecord, rows: Sequence[Row]) -> Sequence[str]:
    """Returns that one node with the workers' CPUs together is at least as fast, where that was measured."""
    cpus = trial.num_workers * trial.cpus_per_replica
    nodes = [row.ratio for row in rows if row.strategy == SINGLE and row.cpus_per_replica == cpus]
    bigger = [ratio for ratio in nodes if ratio and trial.num_workers > 1]
    if not bigger or bigger[0].value < speedup.value:
        return ()
    factor = f"{bigger[0].value:.2f}"
    return (say("while one node with {cpus} was {factor}× as fast", cpus=_count_cpus(cpus), factor=factor),)


def _state_contention(baseline: Trials, trials: Trials) -> Sequence[str]:
    if not is_any_contended([*baseline, *trials]):
        return ()
    return (say("with replicas that shared too few cores, so that this says little about separate machines"),)


def _state_counts(baseline: Trials, trials: Trials) -> str:
    counts = sorted({count_rounds(list_timed(group)) for group in (baseline, trials)})
    if len(counts) == 1:
        return f"n = {count_trials(counts[0])}"
    return say("n = {fewer} and {more} trials", fewer=f"{counts[0]:,}", more=f"{counts[1]:,}")


def _count_cpus(number: float) -> str:
    return say_count(number, "{number} CPU", "{number} CPUs")
