"""What a reader must know before trusting the figures."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comparison.accuracies import compare_quality, find_open_loss
from comparison.audit import CONTENTION_RULE, Finding, warn_of_findings
from comparison.cost import warn_of_lost
from comparison.groups import (
    SINGLE,
    Groups,
    Placed,
    Trials,
    add_confusion_matrices,
    count_reached,
    count_rounds,
    find_baseline,
    find_work_differences,
    list_trials,
)
from comparison.records import TrialRecord
from comparison.report.intervals import warn_of_second_figures
from comparison.report.recorded import translate_recorded
from comparison.statistics import compute_mean, compute_proportion_difference_ci95
from comparison.summary import find_outlying_jobs, find_outlying_trials
from comparison.table import UNKNOWN, format_accuracy, format_metric, format_number
from comparison.texts import count_trials, list_items, say, translate_metric

# What the local backend warns of, by which a translation knows it; of contention the table's mark and the answer tell.
_CONTENTION = re.compile(
    r"(?P<replicas>\d+) replicas? asks? for (?P<asked>\d+) cores?, this machine has (?P<available>\d+): "
    r"timings are contended"
)
# What may befall every trial, each time with other numbers; which were repeated is told in a sentence of its own.
_OF_MANY = (
    re.compile(r"this attempt counts although others took (?P<percent>\d+) % .+"),
    re.compile(r"after \S+ s of waiting the job began on a busy machine: .*?\((?P<percent>\d+) %\).*"),
)
_AGAIN = re.compile("trained once more, and this attempt counts; .+")
# Of those who took the cores: the first ones.
_MAX_NAMED = 3
# By so much a model that learned something answers better than with the most frequent class.
_LEARNED = 0.1
# So many models of different weights have the same metric to the last digit by no chance.
_FEW_MODELS = 3
_UNBOUND = "this platform cannot bind processes to cores: CPU limits are not kept"
_THREADS = re.compile(
    r"CPUs of (?P<replicas>.+) are threads of the same core, which are slower than cores of their own"
)
_ANEW = re.compile(
    r"trained anew from step 0, and this whole attempt counts; an attempt before it ended: (?P<reason>.+)"
)


def collect_warnings(
    groups: Groups, findings: Sequence[Finding], failed: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Returns what a reader must know before trusting the figures, each warning once.

    Args:
        groups: The trials of each configuration.
        findings: What `audit_fairness` returned for them.
        failed: The trials that the run left out, as `RunInfo` has them.
    """
    left_out = "{name}: trial {trial} is left out, because its record was not whole even when it was repeated. {reason}"
    warnings = [
        say(left_out, name=own.get("configuration"), trial=own.get("trial"), reason=own.get("reason")) for own in failed
    ]
    for name, trials in groups.items():
        baseline = find_baseline(groups, name)
        if differences := baseline and find_work_differences(baseline, trials):
            given = say("; ").join(
                say("{configuration}: {received}", configuration=say(field), received=received)
                for field, received in differences.items()
            )
            refusal = "{name}: no speedup, because it is not the same work as its baseline's ({differences})."
            warnings.append(say(refusal, name=name, differences=given))
    warnings += [*_warn_of_guessing_models(groups), *_warn_of_worse_models(groups), *_warn_of_metric(groups)]
    warnings += warn_of_findings(findings, {CONTENTION_RULE})  # of which the mark in the table tells
    warnings += [*_warn_of_repeats(groups), *warn_of_lost(groups, failed)]
    warnings += _warn_of_outliers(groups)
    warnings += warn_of_second_figures(groups)
    for name, trials in groups.items():
        warnings += _repeat_messages(name, trials)
    return list(dict.fromkeys(warnings))


def _warn_of_outliers(groups: Groups) -> Iterator[str]:
    """Yields which trial noise does not explain, by its training or by its whole job."""
    trained = find_outlying_trials(groups)
    for own in trained:
        yield describe_outlier(own.trial, own.factor, is_whole_job=False)
    for own in find_outlying_jobs(groups):
        if own.trial not in [other.trial for other in trained]:
            yield describe_outlier(own.trial, own.factor, is_whole_job=True)


def describe_outlier(trial: Placed, factor: float, *, is_whole_job: bool) -> str:
    """Returns that noise does not explain how long a trial took.

    Args:
        trial: The trial.
        factor: How many times as long as the others predict.
        is_whole_job: Whether that is of the whole job, and not of the training alone.
    """
    training = (
        "{name}: trial {trial} trained {factor}× as long as the other trials let expect, which their noise does not "
        "explain. It is not left out."
    )
    job = (
        "{name}: the whole job of trial {trial} took {factor}× as long as the other trials let expect, which their "
        "noise does not explain. It is not left out."
    )
    values = {"name": trial.configuration, "trial": trial.trial, "factor": f"{factor:.2f}"}
    told = [say(job, **values) if is_whole_job else say(training, **values)]
    if trial.place == 1 and factor > 1:
        told.append(say("It was the run's first, which may have fetched what the others found."))
    return say(" ").join(told)


def collect_notes(groups: Groups) -> list[str]:
    """Returns what a reader must know of how the run was set up: its BatchNorm, and whether the rival was measured."""
    trials = list_trials(groups)
    distributed = [trial for trial in trials if trial.num_workers > 1]
    if not distributed:
        return _note_targets(trials)
    if all(trial.same_batch_norm is not False for trial in trials):
        groups_of = (
            "BatchNorm in groups of {number} images in every configuration: equal weights are possible, but the single "
            "node is slower than it could be, and the speedups are too good."
        )
        notes = [say(groups_of, number=f"{distributed[0].batch_norm_group_size:,}")]
    else:
        notes = [say("BatchNorm over each worker's own share: weights differ, accuracies are compared statistically.")]
    notes += [*_note_targets(trials), *_note_batch_of_bigger_nodes(trials)]
    if any(trial.gpus for trial in trials):
        return [*notes, *_note_rival_with_gpus(trials)]
    nodes = {trial.cpus_per_replica for trial in trials if trial.strategy == SINGLE}
    wanted = {own.num_workers * own.cpus_per_replica: own.host.get("cores") for own in distributed}
    missing = {cpus: cores for cpus, cores in sorted(wanted.items()) if cpus not in nodes}
    if missing:
        cpus = list_items([f"{own:g}" for own in missing])
        too_few = say("One process with the cores of all workers ({cpus}) was not measured: too few cores.", cpus=cpus)
        asked = "One process with the cores of all workers ({cpus}) was not measured; {option} does."
        is_possible = any(cores and cores >= own for own, cores in missing.items())
        notes.append(say(asked, cpus=cpus, option="--bigger-nodes") if is_possible else too_few)
    return notes


def _note_batch_of_bigger_nodes(trials: Trials) -> list[str]:
    """Returns that with weak scaling a bigger node trains with smaller batches than the workers do together."""
    sizes = {trial.cpus_per_replica for trial in trials if trial.strategy == SINGLE}
    if len(sizes) == 1 or all(trial.scaling != "weak" for trial in trials if trial.num_workers > 1):
        return []
    batch = (
        "With weak scaling a bigger node has the batch of one worker: with that of all it might be faster per image."
    )
    return [say(batch)]


def _note_rival_with_gpus(trials: Trials) -> list[str]:
    """Returns that one process with the GPUs of all workers was not measured, where it was not."""
    nodes = {trial.gpus for trial in trials if trial.strategy == SINGLE}
    wanted = {own.num_workers * (own.gpus or 0) for own in trials if own.num_workers > 1}
    missing = [f"{gpus:,}" for gpus in sorted(wanted - nodes - {0})]
    not_measured = "One process with the GPUs of all workers ({gpus}) was not measured: the plan says why."
    return [say(not_measured, gpus=list_items(missing))] if missing else []


def _note_targets(trials: Trials) -> list[str]:
    """Returns whether there is no time to a target, since a target accuracy was no target of these models."""
    if trials[0].is_accuracy or any(trial.target is not None for trial in trials):
        return []
    none = "There is no time to a target: a target accuracy says nothing of models that are judged by their {metric}."
    return [say(none, metric=translate_metric(trials[0].quality.name))]


def _repeat_messages(name: str, trials: Trials) -> Iterator[str]:
    """Yields what the launcher warned of a configuration's trials; of what befell many of them the worst."""
    messages = Counter(message for trial in trials for message in trial.warnings)
    alike: list[dict[str, int]] = []
    for kind in _OF_MANY:
        found = {message: kind.fullmatch(message) for message in messages}
        alike.append({message: int(own["percent"]) for message, own in found.items() if own})
    worst = {max(shares, key=lambda own: shares[own]): shares for shares in alike if shares}
    lesser = {message for shares in worst.values() for message in shares} - worst.keys()
    for message, count in messages.items():
        if message in lesser or _CONTENTION.fullmatch(message) or _AGAIN.fullmatch(message):
            continue
        values = {"name": name, "message": _translate_warning(message)}
        if len(shares := worst.get(message, {})) > 1:
            number = sum(messages[own] for own in shares)
            yield say("{name}: {message} ({trials}, of which this is the worst)", **values, trials=count_trials(number))
        else:
            yield say("{name}: {message} ({trials})", **values, trials=count_trials(count))


def _warn_of_repeats(groups: Groups) -> Iterator[str]:
    """Yields how often trials were made anew, and how long they waited for a machine that others used."""
    for name, trials in groups.items():
        attempts = [attempt for trial in trials for attempt in trial.earlier_attempts or []]
        # Of one that lost a replica or its launcher the trial itself warns.
        if disturbed := sum(attempt.get("train_seconds") is not None for attempt in attempts):
            again = "{name}: {number} of {trials} repeated because the machine was disturbed; both are in the records."
            yield say(again, name=name, number=f"{disturbed:,}", trials=count_trials(len(trials)))
    waits = [own.quiet for own in list_trials(groups) if own.quiet and own.quiet.waited_seconds >= 1]
    if waits:
        # Such as "chrome, 80 % of a core": of each program the first.
        takers = {name.partition(",")[0]: name for wait in reversed(waits) for name in reversed(wait.taken_by)}
        others = [*reversed(takers.values())][:_MAX_NAMED]
        waited = "{trials} waited {seconds} s in all for free cores, taken by {others}."
        seconds = f"{sum(wait.waited_seconds for wait in waits):.0f}"
        yield say(waited, trials=count_trials(len(waits)), seconds=seconds, others=list_items(others or [UNKNOWN]))


def _warn_of_guessing_models(groups: Groups) -> Iterator[str]:
    """Yields which configurations' models know no more of the test images than which class is the most frequent one.

    Where they know the validation images, which are of the training's, it is not the models that learned nothing.
    """
    for name, trials in groups.items():
        if (matrix := add_confusion_matrices(trials)) is None:
            continue
        guessed = max(matrix.count_true().values()) / matrix.total
        accuracy = compute_mean([trial.quality.value for trial in trials])
        validation = compute_mean([trial.curve[-1].value if trial.curve else 0.0 for trial in trials])
        if accuracy - guessed > compute_proportion_difference_ci95(guessed, matrix.total // len(trials)):
            continue
        if validation - guessed > _LEARNED:
            unlike = (
                "{name}: validation {validation} %, test {test} %: the test images seem to be prepared unlike the "
                "training images."
            )
            yield say(unlike, name=name, validation=f"{100 * validation:.0f}", test=f"{100 * accuracy:.0f}")
        else:
            less = (
                "{name}: its models are no better than answering with the most frequent class each time ({own} % "
                "against {guessed} %). How fast something trains that learns nothing says little."
            )
            yield say(less, name=name, own=format_accuracy(accuracy), guessed=format_accuracy(guessed))


def _warn_of_worse_models(groups: Groups) -> Iterator[str]:
    """Yields which configurations bought their speed with accuracy, or reached the target in fewer trials."""
    every = list_trials(groups)
    is_target_far = len(groups) > 1 and not count_reached(every) and all(own.target is not None for own in every)
    if is_target_far:
        yield say("None of the trials of any configuration reached the target.")
    for name, trials in groups.items():
        baseline = find_baseline(groups, name) or trials
        if compare_quality(baseline, trials).direction < 0:
            means = [
                format_metric(compute_mean([trial.quality.value for trial in own]), is_accuracy=own[0].is_accuracy)
                for own in (trials, baseline)
            ]
            less = "{name}: its models are less accurate than the single node's ({own} % against {base} %)."
            yield say(less, name=name, own=means[0], base=means[1])
        if is_target_far or trials[0].target is None:
            continue
        if (reached := count_reached(trials)) < len(trials):
            counts = {"reached": f"{reached:,}", "trials": count_trials(len(trials))}
            if reached:
                some = "{name}: {reached} of {trials} reached the target; the time to it is the mean of these alone."
                yield say(some, name=name, **counts)
            else:
                yield say("{name}: none of {trials} reached the target.", name=name, **counts)


def _warn_of_metric(groups: Groups) -> Iterator[str]:
    """Yields what a metric that counts no answers leaves open: whether models learned anything, and are as good."""
    trials = list_trials(groups)
    if trials[0].is_accuracy:
        return
    metric = translate_metric(trials[0].quality.name)
    if len({trial.weights_sha256 for trial in trials}) >= _FEW_MODELS and len({own.quality for own in trials}) == 1:
        same = "All models have the very same {metric}, though their weights differ: they seem to give one answer."
        yield say(same, metric=metric)
    for name, own in groups.items():
        if all(len(trial.curve) > 1 and not _is_improving(trial) for trial in own):
            idle = (
                "{name}: its validation {metric} is no better at the end than after the first epoch. How fast "
                "something trains that learns nothing says little."
            )
            yield say(idle, name=name, metric=metric)
        baseline = find_baseline(groups, name)
        if baseline and baseline[0].configuration != name and (loss := find_open_loss(baseline, own)) is not None:
            values = {"name": name, "metric": metric, "trials": count_trials(count_rounds(own))}
            far = (
                "{name}: for all that {trials} tell, its {metric} may be worse than the single node's by up to {loss}."
            )
            unknown = "{name}: {trials} cannot tell whether its {metric} is worse than the single node's."
            yield say(far, loss=format_number(loss, 2), **values) if math.isfinite(loss) else say(unknown, **values)


def _is_improving(trial: TrialRecord) -> bool:
    gain = trial.curve[-1].value - trial.curve[0].value
    return gain > 0 if trial.quality.higher_is_better else gain < 0


def _translate_warning(message: str) -> str:
    """Returns a recorded warning in the reader's language, as it is where it is not one of the project's own."""
    if found := _THREADS.fullmatch(message):
        threads = "CPUs of {replicas} are threads of the same core, which are slower than cores of their own"
        return say(threads, **found.groupdict())
    if found := _ANEW.fullmatch(message):
        anew = "trained anew from step 0, and this whole attempt counts; an attempt before it ended: {reason}"
        return say(anew, **found.groupdict())
    return say(_UNBOUND) if message == _UNBOUND else translate_recorded(message)
