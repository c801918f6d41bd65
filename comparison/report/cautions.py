"""What a reader must know before trusting the figures."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from comparison.audit import Finding, Status, list_violations
from comparison.groups import Groups, add_confusion_matrices, count_reached, find_baseline, find_work_differences
from comparison.report.recorded import translate_recorded
from comparison.statistics import compute_mean, compute_proportion_difference_ci95
from comparison.summary import compare_accuracies, find_outlying_trials
from comparison.table import format_accuracy
from comparison.texts import ENGLISH, count_trials, get_language, list_items, say

# What the local backend warns of, by which a translation knows it.
_CONTENTION = re.compile(
    r"(?P<replicas>\d+) replicas? asks? for (?P<asked>\d+) cores?, this machine has (?P<available>\d+): "
    r"timings are contended"
)
# By so much a model that learned something answers better than with the most frequent class.
_LEARNED = 0.1
_UNBOUND = "this platform cannot bind processes to cores: CPU limits are not kept"
_THREADS = re.compile(
    r"CPUs of (?P<replicas>.+) are threads of the same core, which are slower than cores of their own"
)
_ANEW = re.compile(
    r"trained anew from step 0, and this whole attempt counts; an attempt before it ended: (?P<reason>.+)"
)


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
    """Yields which configurations' models know no more of the test images than which class is the most frequent one.

    Where they know the validation images, which are of the training's, it is not the models that learned nothing.
    """
    for name, trials in groups.items():
        matrix = add_confusion_matrices(trials)
        guessed = max(matrix.count_true().values()) / matrix.total
        accuracy = compute_mean([trial.test_accuracy for trial in trials])
        validation = compute_mean([trial.curve[-1].validation_accuracy if trial.curve else 0.0 for trial in trials])
        if accuracy - guessed > compute_proportion_difference_ci95(guessed, trials[0].test_n_examples):
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
    for name, trials in groups.items():
        baseline = find_baseline(groups, name) or trials
        if compare_accuracies(baseline, trials).direction < 0:
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
    if found := _THREADS.fullmatch(message):
        threads = "CPUs of {replicas} are threads of the same core, which are slower than cores of their own"
        return say(threads, **found.groupdict())
    if found := _ANEW.fullmatch(message):
        anew = "trained anew from step 0, and this whole attempt counts; an attempt before it ended: {reason}"
        return say(anew, **found.groupdict())
    return say(_UNBOUND) if message == _UNBOUND else translate_recorded(message)
