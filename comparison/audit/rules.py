"""Whether the comparison is fair: rules that are checked against the records of the trials, not promised."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from comparison.audit.consistency import list_contradictions
from comparison.audit.disturbances import CALIBRATION_TOLERANCE, Disturbance, list_holdups, list_slow_cores
from comparison.audit.findings import Breach, Evidence, Finding, conclude, list_some, name_trial, state_received
from comparison.audit.rounds import check_interleaving
from comparison.audit.sameness import compare_trials
from comparison.clocks import is_taken_over
from comparison.groups import SINGLE, Groups, Trials
from comparison.records import RunInfo, TrialRecord
from comparison.texts import list_items, say

# Disturbed trials that a warning lists; of more it tells how many, and the worst.
_MAX_TOLD = 3
CONTENTION_RULE = "no trial contended"
PLAN_RULE = "every planned trial there"
TARGET_RULE = "target as it was planned"
CALIBRATION_RULE = "cores as fast before and after every trial"
HOLDUP_RULE = "no trial held up"
_CONSISTENCY_RULE = "counts and clocks add up"
_OVERLAP_RULE = "no two trials at a time"
_SEEDS_RULE = "another seed in each round"
_DISTINCT_RULE = "every trial measured anew"
# Without these an interval over the trials means nothing.
DECISIVE_RULES = frozenset({PLAN_RULE, _DISTINCT_RULE, _OVERLAP_RULE, _SEEDS_RULE, _CONSISTENCY_RULE})
# What the machine did, not the experiment.
DISTURBANCE_RULES = frozenset({CALIBRATION_RULE, HOLDUP_RULE})


def audit_fairness(groups: Groups) -> list[Finding]:
    """Returns what came of every rule, in the order of the report: rules in English, sentences as `say` does."""
    trials = [trial for group in groups.values() for trial in group]
    return [*compare_trials(groups), *(conclude(rule, check(trials)) for rule, check in _CHECKS.items())]


def audit_plan(groups: Groups, run_info: RunInfo) -> list[Finding]:
    """Returns whether the trials are those that were planned, and for the target that was fixed beforehand.

    What was left out flatters what is left, and a target that is chosen afterwards flatters whom it suits.

    Args:
        groups: The trials of each configuration.
        run_info: The plan. Records of other runs may stand beside this one's: what they planned is not known.
    """
    trials = [trial for group in groups.values() for trial in group]
    own = [trial for trial in trials if trial.run_id == run_info.run_id]
    unknown = say("The plans of other runs are not there") if len(own) < len(trials) else None
    checks = {PLAN_RULE: _check_planned_trials, TARGET_RULE: _check_planned_target}
    return [conclude(rule, check(own, run_info, unknown)) for rule, check in checks.items()]


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


def _check_cpus(trials: Trials) -> Evidence:
    """A bigger single node is a row of its own, under a name of its own."""
    configurations = list({trial.configuration: trial for trial in trials}.values())
    singles = [own for own in configurations if own.strategy == SINGLE]
    if not singles:
        return Evidence([], "", say("There is no single node to compare with"))
    baseline = singles[0]
    breaches = [
        Breach(
            own.configuration,
            say("a single node with {cpus} CPUs that is not named for them", cpus=f"{own.cpus_per_replica:g}"),
        )
        for own in singles[1:]
        if not own.configuration.startswith(f"{SINGLE}-")
    ]
    sizes = {single.cpus_per_replica for single in singles}
    unequal = "{cpus} CPUs a replica, single nodes have {sizes}"
    breaches += [
        Breach(own.configuration, say(unequal, cpus=f"{own.cpus_per_replica:g}", sizes=_list_numbers(sizes)))
        for own in configurations
        if own.strategy != SINGLE and own.cpus_per_replica not in sizes
    ]
    return Evidence(breaches, say("Received: {cpus} a replica", cpus=f"{baseline.cpus_per_replica:g}"))


def _check_contention(trials: Trials) -> Evidence:
    contended = say("its replicas asked for more cores than there are; its timings are contended")
    breaches = [Breach(trial.configuration, contended) for trial in trials if trial.contended]
    return Evidence(breaches, say("Every replica had its cores to itself"))


def _check_overlap(trials: Trials) -> Evidence:
    breaches = []
    by_start = sorted(trials, key=lambda trial: trial.started_at)
    latest = by_start[0]
    for trial in by_start[1:]:
        if (seconds := latest.ended_at - trial.started_at) > 0:
            lasts = say(
                "trial {trial} ended {seconds} s after the start of {other}",
                trial=latest.trial,
                seconds=f"{seconds:.3g}",
                other=name_trial(trial),
            )
            starts = say("trial {trial} started before the end of {other}", trial=trial.trial, other=name_trial(latest))
            breaches += [Breach(latest.configuration, lasts), Breach(trial.configuration, starts)]
        latest = max(latest, trial, key=lambda trial: trial.ended_at)
    return Evidence(breaches, say("Every trial had ended when the next one started"))


def _check_planned_trials(trials: Trials, run_info: RunInfo, unknown: str | None) -> Evidence:
    planned = run_info.parameters.get("trials")
    names = [entry["name"] for entry in run_info.configurations]
    if planned is None or not names or not trials:
        return Evidence([], "", say("The plan of this run is not there"))
    found = Counter(trial.configuration for trial in trials)
    received = "{found} of {planned} planned trials"
    breaches = [
        Breach(name, say(received, found=found[name], planned=planned if name in names else 0))
        for name in dict.fromkeys([*names, *found])
        if found[name] != (planned if name in names else 0)
    ]
    return Evidence(breaches, say("Received: {number} trials of each configuration", number=planned), unknown)


def _check_planned_target(trials: Trials, run_info: RunInfo, unknown: str | None) -> Evidence:
    planned = run_info.parameters.get("target_accuracy")
    if planned is None or not trials:
        return Evidence([], "", say("The plan of this run is not there"))
    expected = planned or None  # a target of 0 is none
    clash = "a target of {received}, planned was {planned}"
    breaches = [
        Breach(name, say(clash, received=f"{target}", planned=f"{expected}"))
        for name, target in dict.fromkeys((trial.configuration, trial.target_accuracy) for trial in trials)
        if target != expected
    ]
    return Evidence(breaches, state_received([f"{expected}"]), unknown)


def _check_seeds(trials: Trials) -> Evidence:
    """Rounds from one seed repeat one draw of weights and order: a lucky one would pass for many."""
    breaches = []
    seen: dict[tuple[str, str, int], TrialRecord] = {}
    for trial in trials:
        other = seen.setdefault((trial.run_id, trial.configuration, trial.seed), trial)
        if other is not trial:
            repeated = "trial {trial} has the seed of trial {other}, {seed}"
            received = say(repeated, trial=trial.trial, other=other.trial, seed=trial.seed)
            breaches.append(Breach(trial.configuration, received))
    return Evidence(breaches, state_received(f"{trial.seed}" for trial in trials))


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
    """Returns a sentence on the synchronous trainings that ended with the single node's weights in every round."""
    singles = {(own.run_id, own.trial): own.weights_sha256 for own in reversed(trials) if own.strategy == SINGLE}
    equal: dict[str, bool] = {}
    for own in trials:
        if own.strategy == "all_reduce":
            is_equal = singles.get((own.run_id, own.trial)) == own.weights_sha256
            equal[own.configuration] = equal.get(own.configuration, True) and is_equal
    twins = [name for name, is_equal in equal.items() if is_equal]
    same = "With the very weights of the single node in every round, the same computation shared: {configurations}"
    return [say(same, configurations=list_items(twins))] if twins else []


def _check_distinct(trials: Trials) -> Evidence:
    """No two trainings take the same time to the last digit, and none from two seeds ends with the same weights.

    Such a record is a cached or a copied result. Another configuration may well reach the same weights from one seed.
    """
    breaches = []
    seen: dict[tuple[object, ...], TrialRecord] = {}
    copied = "trial {trial} has the same {what} as {other}: a cached or copied result"
    for trial in trials:
        keys = {
            "clocks": ("clocks", trial.startup_seconds, trial.compile_seconds, trial.train_seconds, trial.eval_seconds),
            "start": ("start", trial.started_at),
            "trained weights": ("weights", trial.run_id, trial.configuration, trial.weights_sha256),
        }
        for what, key in keys.items():
            other = seen.setdefault(key, trial)
            is_repeated = what == "trained weights" and other.seed == trial.seed  # told by another rule
            if other is not trial and not is_repeated:
                received = say(copied, trial=trial.trial, what=say(what), other=name_trial(other))
                breaches.append(Breach(trial.configuration, received))
    distinct = say("{number} measurements, no two with the same clocks or weights", number=f"{len(trials):,}")
    return Evidence(breaches, distinct)


def _check_consistency(trials: Trials) -> Evidence:
    breaches = [
        Breach(trial.configuration, say("in trial {trial} {received}", trial=trial.trial, received=contradiction))
        for trial in trials
        for contradiction in list_contradictions(trial)
    ]
    return Evidence(breaches, say("Images, steps, learning curve and clocks of each trial agree"))


def _check_calibration(trials: Trials) -> Evidence:
    silent = [trial for trial in trials if all(replica.calibration_seconds is None for replica in trial.replicas)]
    tolerance = f"{100 * CALIBRATION_TOLERANCE:g}"
    received = say("A fixed computation took all cores equally long, within {percent} %", percent=tolerance)
    unknown = "The cores' speed was not measured in {number} of {all} trials"
    missing = say(unknown, number=f"{len(silent):,}", all=f"{len(trials):,}") if silent else None
    return _report_disturbances(list_slow_cores(trials), trials, received, missing)


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
    "same CPUs a replica": _check_cpus,
    CONTENTION_RULE: _check_contention,
    _OVERLAP_RULE: _check_overlap,
    "trials in rounds": check_interleaving,
    _SEEDS_RULE: _check_seeds,
    "no restart, no resumption": _check_restarts,
    "same final weights in all replicas of a synchronous training": _check_final_weights,
    _DISTINCT_RULE: _check_distinct,
    _CONSISTENCY_RULE: _check_consistency,
    CALIBRATION_RULE: _check_calibration,
    HOLDUP_RULE: _check_holdups,
}


def _list_numbers(numbers: Iterable[float]) -> str:
    return list_items([f"{number:g}" for number in sorted(numbers)])
