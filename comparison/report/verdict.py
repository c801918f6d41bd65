"""What may be concluded from the measurements, in one sentence, and what a reader must be warned of."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from comparison.audit.disturbances import CALIBRATION_TOLERANCE, measure_core
from comparison.audit.findings import Finding, Status, list_violations
from comparison.audit.marks import Marks, list_broken_rules, mark_configurations
from comparison.records import TrialRecord
from comparison.statistics import (
    RELEVANT_POWER,
    RELEVANT_RATIO,
    Ratio,
    compute_mean,
    compute_proportion_difference_ci95,
    count_trials_range,
)
from comparison.summary import (
    SINGLE,
    Groups,
    Trials,
    add_confusion_matrices,
    compare_accuracies,
    compute_speedups,
    compute_whole_job_speedups,
    count_reached,
    count_trials_needed,
    estimate_trial_noise,
    find_baseline,
    find_outlying_trials,
    find_work_differences,
    is_any_contended,
    is_target_missed,
    list_rows,
    read_speedup,
    split_by_scaling,
    split_table,
)
from comparison.table import format_accuracy, format_number, format_range
from comparison.texts import (
    ENGLISH,
    count_servers,
    count_trials,
    count_workers,
    get_language,
    join_clauses,
    list_items,
    say,
    say_count,
)

# What the local backend warns of, by which a translation knows it.
_CONTENTION = re.compile(
    r"(?P<replicas>\d+) replicas? asks? for (?P<asked>\d+) cores?, this machine has (?P<available>\d+): "
    r"timings are contended"
)
_UNBOUND = "this platform cannot bind processes to cores: CPU limits are not kept"


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


def state_verdict(table: pd.DataFrame, groups: Groups, findings: Sequence[Finding]) -> str:
    """Returns one sentence that answers whether distributing the training pays off; one for each kind of scaling.

    It is about the distributed configuration that trains fastest, of those whose models are as good as the baseline's
    and whose trials can prove anything, if there is one.

    Args:
        table: What `summarize` returned.
        groups: The trials of each configuration, for what the table does not hold.
        findings: What the fairness audit found of them.
    """
    tables, marks = split_table(table), mark_configurations(groups, findings)
    return _join_scalings(
        {
            scaling: _state_verdict(tables[scaling], own, findings, marks)
            for scaling, own in split_by_scaling(groups).items()
        }
    )


def _join_scalings(sentences: Mapping[str, str]) -> str:
    """Returns what is said of each kind of scaling, by name where there is more than one."""
    if len(sentences) == 1:
        return next(iter(sentences.values()))
    titles = {"strong": say("Strong scaling"), "weak": say("Weak scaling")}
    return " ".join(say("{scaling}: {sentence}", scaling=titles[name], sentence=own) for name, own in sentences.items())


def _state_verdict(table: pd.DataFrame, groups: Groups, findings: Sequence[Finding], marks: Marks) -> str:
    """Returns the verdict on one kind of scaling."""
    rows = list_rows(table)
    distributed = [row for row in rows if row["strategy"] != SINGLE]
    speedups = {row["configuration"]: speedup for row in distributed if (speedup := read_speedup(row))}
    if not distributed:
        return say("No answer: no distributed training was measured.")
    if not speedups:
        return _state_refusal(groups)
    sound = [name for name in speedups if name not in {*marks.worse, *marks.unproven}]
    best = max(sound or speedups, key=lambda name: speedups[name].value)
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
        *_state_cores(baseline, trials),
        *_state_bigger_node(speedup, trials[0], rows),
        *_state_contention(baseline, trials),
    ]
    return say("{clauses}.", clauses=join_clauses(clauses))


def collect_warnings(groups: Groups, findings: Sequence[Finding]) -> list[str]:
    """Returns what a reader must know before trusting the figures, each warning once.

    Args:
        groups: The trials of each configuration.
        findings: What `audit_fairness` returned for them.
    """
    warnings: list[str] = []
    for name, trials in groups.items():
        baseline = find_baseline(groups, name)
        if differences := baseline and find_work_differences(baseline, trials):
            given = say("; ").join(
                say("{configuration}: {received}", configuration=say(field), received=received)
                for field, received in differences.items()
            )
            refusal = "{name}: no speedup, because it is not the same work as its baseline's ({differences})."
            warnings.append(say(refusal, name=name, differences=given))
    warnings += [*_warn_of_guessing_models(groups), *_warn_of_worse_models(groups)]
    warnings += [
        say("Rule broken: {rule}. {sentence}", rule=say(finding.rule), sentence=finding.brief or finding.sentence)
        for finding in list_violations(findings)
    ]
    if unknown := [say(finding.rule) for finding in findings if finding.status is Status.UNKNOWN]:
        warnings.append(say("Not known, for the records do not say it all: {rules}.", rules=list_items(unknown)))
    warnings += [
        say(
            "{name}: trial {trial} trained {factor}× as long as the other trials let expect, which their noise does "
            "not explain. It is not left out.",
            name=own.trial.configuration,
            trial=own.trial.trial,
            factor=f"{own.factor:.2f}",
        )
        for own in find_outlying_trials(groups)
    ]
    for name, trials in groups.items():
        messages = Counter(message for trial in trials for message in trial.warnings)
        warnings += [
            say(
                "{name}: {message} ({trials})",
                name=name,
                message=_translate_warning(message),
                trials=count_trials(count),
            )
            for message, count in messages.items()
        ]
    return list(dict.fromkeys(warnings))


def _warn_of_guessing_models(groups: Groups) -> Iterator[str]:
    """Yields which configurations' models learned no more than which class is the most frequent one."""
    for name, trials in groups.items():
        matrix = add_confusion_matrices(trials)
        guessed = max(map(sum, matrix)) / sum(map(sum, matrix))
        accuracy = compute_mean([trial.test_accuracy for trial in trials])
        if accuracy - guessed <= compute_proportion_difference_ci95(guessed, trials[0].test_n_examples):
            less = (
                "{name}: its models are no better than answering with the most frequent class each time ({own} % "
                "against {guessed} %). How fast something trains that learns nothing says little."
            )
            yield say(less, name=name, own=format_accuracy(accuracy), guessed=format_accuracy(guessed))


def _warn_of_worse_models(groups: Groups) -> Iterator[str]:
    """Yields which configurations bought their speed with accuracy, or reached the target in fewer trials."""
    for name, trials in groups.items():
        baseline = find_baseline(groups, name) or trials
        if compare_accuracies(baseline, trials) < 0:
            accuracies = [
                format_accuracy(compute_mean([trial.test_accuracy for trial in own])) for own in (trials, baseline)
            ]
            less = "{name}: its models are less accurate than the single node's ({own} % against {base} %)."
            yield say(less, name=name, own=accuracies[0], base=accuracies[1])
        if (reached := count_reached(trials)) < len(trials) and trials[0].target_accuracy is not None:
            counts = {"reached": f"{reached:,}", "trials": count_trials(len(trials))}
            if reached:
                some = "{name}: {reached} of {trials} reached the target; the time to it is the mean of these alone."
                yield say(some, name=name, **counts)
            else:
                yield say("{name}: none of {trials} reached the target.", name=name, **counts)


def _translate_warning(message: str) -> str:
    """Returns a recorded warning in the reader's language, as it is where it is not one of the project's own."""
    if found := _CONTENTION.fullmatch(message):
        asked = "{replicas} replicas ask for {asked} cores, this machine has {available}: timings are contended"
        return message if get_language() == ENGLISH else say(asked, **found.groupdict())
    return say(_UNBOUND) if message == _UNBOUND else message


def describe_statistics(groups: Groups) -> str:
    """Returns what the intervals of the speedups rest on, in a few sentences on each kind of scaling."""
    return _join_scalings({scaling: _describe_statistics(own) for scaling, own in split_by_scaling(groups).items()})


def _describe_statistics(groups: Groups) -> str:
    """Returns what the intervals of one kind of scaling rest on."""
    speedups = compute_speedups(groups)
    num_compared = sum(speedup.low is not None for speedup in speedups.values())
    if not num_compared:
        return say("Without repeated trials a speedup has no interval, and nothing is decided.")
    sentences = [
        say_count(
            num_compared,
            "{number} comparison with a baseline: intervals of speedups are 95 % intervals.",
            "{number} comparisons with a baseline: intervals of speedups are 95 % intervals that hold for all of them "
            "together.",
        )
    ]
    noise = estimate_trial_noise(groups)
    if noise.degrees_of_freedom:
        degrees = say_count(noise.degrees_of_freedom, "{number} degree of freedom", "{number} degrees of freedom")
        if noise.is_blocked:
            degrees = join_clauses([degrees, say("differences between rounds taken out")])
        scatter = (
            "Trials of a configuration scatter by {percent} %, estimated from all configurations with a core for each "
            "replica ({degrees})."
        )
        sentences.append(say(scatter, percent=f"{100 * noise.relative_sd:.1f}", degrees=degrees))
    if (needed := count_trials_needed(groups)) is not None:
        values = {"percent": f"{100 * (RELEVANT_RATIO - 1):.0f}", "share": f"{100 * RELEVANT_POWER:.0f}"}
        enough = (
            "At this noise {trials} of each configuration find a difference of {percent} % in {share} % of runs{doubt}."
        )
        doubt = _state_doubt(*count_trials_range(noise))
        sentences.append(say(enough, trials=count_trials(needed), doubt=doubt, **values))
    return " ".join(sentences)


def _state_doubt(fewest: int | None, most: int | None) -> str:
    """Returns between how many trials the noise's interval leaves it, nothing where that makes no difference."""
    if fewest == most:
        return ""
    low, high = (say("more than a thousand") if count is None else f"{count:,}" for count in (fewest, most))
    return say("; over the 95 % interval of the noise it is {low} to {high}", low=low, high=high)


def _state_refusal(groups: Groups) -> str:
    """Returns why no distributed configuration has a speedup."""
    differences: dict[str, str] = {}
    for name, trials in groups.items():
        differences |= find_work_differences(find_baseline(groups, name) or [], trials)
    if differences:
        refusal = "No answer: the trials did not do the same work, they differ in {fields}."
        return say(refusal, fields=list_items(map(say, differences)))
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
    if compare_accuracies(baseline, trials) < 0:
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
    own, base = ([trial.test_accuracy for trial in group] for group in (trials, baseline))
    accuracies = {"own": format_accuracy(compute_mean(own)), "base": format_accuracy(compute_mean(base))}
    return {
        -1: say("at lower accuracy ({own} % against {base} %)", **accuracies),
        0: say("at indistinguishable accuracy ({own} % against {base} %)", **accuracies),
        1: say("at higher accuracy ({own} % against {base} %)", **accuracies),
    }[compare_accuracies(baseline, trials)]


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
    own, base = (format_number(compute_mean([trial.total_seconds for trial in group])) for group in (trials, baseline))
    if whole_job.direction > 0:
        return (say("but the whole job, start-up included, was faster ({own} s against {base} s)", own=own, base=base),)
    if whole_job.direction < 0:
        return (
            say("but the whole job, start-up included, took longer ({own} s against {base} s)", own=own, base=base),
        )
    equal = "but the whole job, start-up included, was not distinguishable ({own} s against {base} s)"
    return (say(equal, own=own, base=base),)


def _state_bigger_node(speedup: Ratio, trial: TrialRecord, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Returns that one node with the workers' CPUs together is at least as fast, where that was measured."""
    cpus = trial.num_workers * trial.cpus_per_replica
    nodes = [row for row in rows if row["strategy"] == SINGLE and row["cpus_per_replica"] == cpus]
    bigger = [node for row in nodes if (node := read_speedup(row)) and trial.num_workers > 1]
    if not bigger or bigger[0].value < speedup.value:
        return ()
    factor = f"{bigger[0].value:.2f}"
    return (say("while one node with {cpus} was {factor}× as fast", cpus=_count_cpus(cpus), factor=factor),)


def _state_cores(baseline: Trials, trials: Trials) -> Sequence[str]:
    """Returns that the cores were not as fast in the two configurations' trials, where that alone explains a part."""
    change = measure_core(trials) / measure_core(baseline) - 1
    # Contended replicas slow each other's cores down, which is told apart.
    if is_any_contended([*baseline, *trials]) or not abs(change) > CALIBRATION_TOLERANCE:
        return ()
    slower = "though a fixed computation took its cores {percent} % longer than the single node's"
    faster = "though a fixed computation took its cores {percent} % less time than the single node's"
    percent = f"{100 * abs(change):.0f}"
    return (say(slower, percent=percent) if change > 0 else say(faster, percent=percent),)


def _state_contention(baseline: Trials, trials: Trials) -> Sequence[str]:
    if not is_any_contended([*baseline, *trials]):
        return ()
    return (say("with replicas that shared too few cores, so that this says little about separate machines"),)


def _state_counts(baseline: Trials, trials: Trials) -> str:
    counts = sorted({len(baseline), len(trials)})
    if len(counts) == 1:
        return f"n = {count_trials(counts[0])}"
    return say("n = {fewer} and {more} trials", fewer=f"{counts[0]:,}", more=f"{counts[1]:,}")


def _count_cpus(number: float) -> str:
    return say_count(number, "{number} CPU", "{number} CPUs")
