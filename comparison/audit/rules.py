"""Whether the comparison is fair: rules that are checked against the records of the trials, not promised."""

from collections import Counter
from collections.abc import Callable, Sequence

from comparison.audit.consistency import is_clock_short, list_contradictions
from comparison.audit.copies import check_distinct, check_seeds
from comparison.audit.cores import check_contention, check_cpus, check_efficiency
from comparison.audit.disturbances import (
    DISTURBED_SHARE,
    Disturbance,
    is_disturbance_known,
    list_holdups,
    list_taken_cores,
)
from comparison.audit.findings import Breach, Evidence, Finding, conclude, list_some, name_trial
from comparison.audit.moments import check_overlap
from comparison.audit.plan import PLAN_RULE, SEEDS_RULE
from comparison.audit.rounds import check_interleaving
from comparison.audit.sameness import compare_trials
from comparison.clocks import is_taken_over
from comparison.groups import SINGLE, Groups, Trials, list_trials, name_round
from comparison.texts import list_items, say

# Disturbed trials that a warning lists; of more it tells how many, and the worst.
_MAX_TOLD = 3
CONTENTION_RULE = "no trial contended"
CORES_RULE = "cores free during every training"
HOLDUP_RULE = "no trial held up"
ROUNDS_RULE = "trials in rounds"
_CONSISTENCY_RULE = "counts and clocks add up"
OVERLAP_RULE = "no two trials at a time"
_SEEDS_RULE = "another seed in each round"
_DISTINCT_RULE = "every trial measured anew"
# Without these an interval over the trials means nothing.
DECISIVE_RULES = frozenset({PLAN_RULE, SEEDS_RULE, _DISTINCT_RULE, OVERLAP_RULE, _SEEDS_RULE, _CONSISTENCY_RULE})
# What the machine did, not the experiment.
DISTURBANCE_RULES = frozenset({CORES_RULE, HOLDUP_RULE})


def audit_fairness(groups: Groups) -> list[Finding]:
    """Returns what came of every rule, in the order of the report: rules in English, sentences as `say` does."""
    trials = list_trials(groups)
    checked = (conclude(rule, check(trials), is_decisive=rule in DECISIVE_RULES) for rule, check in _CHECKS.items())
    return [*compare_trials(groups), *checked]


def _check_rounds(trials: Trials) -> Evidence:
    """The baseline is the smallest single node."""
    singles = [trial for trial in trials if trial.strategy == SINGLE]
    baseline = min(singles, key=lambda trial: (trial.cpus_per_replica, trial.configuration), default=None)
    return check_interleaving(trials, baseline.configuration if baseline else None)


def _check_images(trials: Trials) -> Evidence:
    """With weak scaling, whole global batches of different sizes leave different remainders of an epoch."""
    first = trials[0]
    breaches = []
    for trial in trials:
        batch = max(trial.global_batch_size, first.global_batch_size)
        tolerance = batch * first.epochs if trial.scaling == "weak" else 0
        if abs(trial.images_seen - first.images_seen) > tolerance:
            clash = "{number} images, where {reference} has {expected}"
            values = {"number": f"{trial.images_seen:,}", "expected": f"{first.images_seen:,}"}
            breaches.append(Breach(trial.configuration, say(clash, **values, reference=first.configuration)))
    return Evidence(breaches, say("Received: {number} images", number=f"{first.images_seen:,}"))


def _check_restarts(trials: Trials) -> Evidence:
    """What breaks it counts for the accuracy alone."""
    breaches = []
    silent = []
    for trial in trials:
        steps = [replica.restored_step for replica in trial.replicas if replica.restored_step is not None]
        if not steps:
            silent.append(name_trial(trial))
        if trial.restarts:
            restarted = "{number} restarted in trial {trial}, which has no time"
            breaches.append(Breach(trial.configuration, say(restarted, number=trial.restarts, trial=trial.trial)))
        elif any(steps):
            resumed = "trial {trial} was resumed from step {step}, and has no time"
            breaches.append(Breach(trial.configuration, say(resumed, trial=trial.trial, step=f"{max(steps):,}")))
        elif is_taken_over(trial):
            over = "trial {trial} was taken over from a launcher that was lost, and has no time"
            breaches.append(Breach(trial.configuration, say(over, trial=trial.trial)))
        if (number := sum("train_seconds" in attempt for attempt in trial.earlier_attempts or ())) > 1:
            again = "trial {trial} was measured again {number} times, once is what a disturbance allows"
            breaches.append(Breach(trial.configuration, say(again, trial=trial.trial, number=number)))
    unknown = say("Not said from which step on: {trials}", trials=list_some(silent)) if silent else None
    return Evidence(breaches, say("Every trial ran from its first step to its last in one go"), unknown)


def _check_final_weights(trials: Trials) -> Evidence:
    """Replicas of a synchronous training that drift apart silently train more than one model.

    No breach, but told: which ended with the single node's weights, so that equal accuracies surprise nobody.
    """
    synchronous = [trial for trial in trials if trial.strategy == "all_reduce"]
    breaches = []
    silent = []
    for trial in synchronous:
        digests = {replica.weights_sha256 for replica in trial.replicas}
        if len(digests - {None} | {trial.weights_sha256}) > 1:
            apart = say("{number} different ones in trial {trial}", number=len(digests), trial=trial.trial)
            breaches.append(Breach(trial.configuration, apart))
        elif None in digests:
            silent.append(name_trial(trial))
    received = say("Received: one digest in each of {number} trials", number=f"{len(synchronous):,}")
    unknown = say("Not said by all replicas: {trials}", trials=list_some(silent)) if silent else None
    notes = [] if breaches else _list_twins(trials)
    return Evidence(breaches, received if synchronous else say("None was trained"), unknown, notes)


def _list_twins(trials: Trials) -> list[str]:
    """Returns a sentence on the synchronous trainings that ended with the single node's weights in every round.

    Where BatchNorm normalises over the same groups everywhere, that is the same computation shared, and else, with
    more than one worker, no result of chance.
    """
    singles = {name_round(own): own.weights_sha256 for own in reversed(trials) if own.strategy == SINGLE}
    equal: dict[str, bool] = {}
    is_shared: dict[str, bool] = {}
    for own in trials:
        if own.strategy == "all_reduce":
            is_equal = singles.get(name_round(own)) == own.weights_sha256
            equal[own.configuration] = equal.get(own.configuration, True) and is_equal
            is_shared[own.configuration] = own.same_batch_norm is not False or own.num_workers == 1
    same = "With the very weights of the single node in every round, the same computation shared: {configurations}"
    odd = "With the very weights of the single node in every round, though not the same computation: {configurations}"
    twins = [name for name, is_equal in equal.items() if is_equal]
    shared = [name for name in twins if is_shared[name]]
    unlike = [name for name in twins if not is_shared[name]]
    notes = [say(same, configurations=list_items(shared))] if shared else []
    return [*notes, say(odd, configurations=list_items(unlike))] if unlike else notes


def _check_consistency(trials: Trials) -> Evidence:
    breaches = [
        Breach(trial.configuration, say("in trial {trial} {received}", trial=trial.trial, received=contradiction))
        for trial in trials
        for contradiction in list_contradictions(trial)
    ]
    return Evidence(breaches, say("Images, steps, learning curve and clocks of each trial agree"))


def _check_clocks(trials: Trials) -> Evidence:
    """What others had of the cores explains steps of two lengths, and so a clock that seems short."""
    explained = {id(own.trial) for own in list_taken_cores(trials)}
    short = (
        "trial {trial} trained {train} s, {steps} median steps take {expected} s: its clock did not run in all of them"
    )
    breaches = [
        Breach(
            trial.configuration,
            say(
                short,
                trial=trial.trial,
                train=f"{trial.train_seconds:.1f}",
                steps=f"{trial.steps:,}",
                expected=f"{trial.steps * trial.step_seconds['p50']:.1f}",
            ),
        )
        for trial in trials
        if is_clock_short(trial) and id(trial) not in explained
    ]
    return Evidence(breaches, say("The median step explains no more than the training of each trial"))


def _check_cores(trials: Trials) -> Evidence:
    silent = [trial for trial in trials if not is_disturbance_known(trial)]
    percent = f"{100 * DISTURBED_SHARE:g}"
    received = say("Others had the cores of no trial for more than {percent} % of its training", percent=percent)
    unknown = "Who had the cores was not measured in {number} of {all} trials"
    missing = say(unknown, number=f"{len(silent):,}", all=f"{len(trials):,}") if silent else None
    return _report_disturbances(list_taken_cores(trials), trials, received, missing)


def _check_holdups(trials: Trials) -> Evidence:
    received = say("The median step explains as much of the training in each trial of a configuration")
    return _report_disturbances(list_holdups(trials), trials, received)


def _report_disturbances(
    disturbances: Sequence[Disturbance], trials: Trials, received: str, unknown: str | None = None
) -> Evidence:
    breaches = [
        Breach(trial.configuration, say("trial {trial} was disturbed, {reason}", trial=trial.trial, reason=reason))
        for trial, _, reason in disturbances
    ]
    brief = _summarize_disturbances(disturbances, len(trials)) if len(disturbances) > _MAX_TOLD else ""
    return Evidence(breaches, received, unknown, brief=brief)


def _summarize_disturbances(disturbances: Sequence[Disturbance], num_trials: int) -> str:
    """Returns how many trials of which configurations were disturbed, and the worst of it."""
    counts = Counter(own.trial.configuration for own in disturbances)
    worst = max(disturbances, key=lambda own: own.change)
    return say(
        "{number} of {all} trials were disturbed: {counts}. The worst: {trial}, {reason}.",
        number=f"{len(disturbances):,}",
        all=f"{num_trials:,}",
        counts=list_items(
            [
                say("{number} of {configuration}", number=f"{count:,}", configuration=name)
                for name, count in counts.items()
            ]
        ),
        trial=name_trial(worst.trial).strip(),
        reason=worst.reason,
    )


_CHECKS: dict[str, Callable[[Trials], Evidence]] = {
    "same number of images": _check_images,
    "same CPUs a replica": check_cpus,
    "no faster than its cores": check_efficiency,
    CONTENTION_RULE: check_contention,
    OVERLAP_RULE: check_overlap,
    ROUNDS_RULE: _check_rounds,
    _SEEDS_RULE: check_seeds,
    "no restart, no resumption": _check_restarts,
    "same final weights in all replicas of a synchronous training": _check_final_weights,
    _DISTINCT_RULE: check_distinct,
    _CONSISTENCY_RULE: _check_consistency,
    "clocks that run in every step": _check_clocks,
    CORES_RULE: _check_cores,
    HOLDUP_RULE: _check_holdups,
}
