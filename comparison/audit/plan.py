"""Whether the trials are those that were planned: how many, from which seeds, with which settings and target."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comparison.audit.findings import Breach, Evidence, Finding, conclude, state_received
from comparison.groups import SINGLE, Groups, Placed, Trials, list_trials, number_round
from comparison.records import RunInfo, TrialRecord
from comparison.texts import count_trials, list_items, say

PLAN_RULE = "every planned trial there"
TARGET_RULE = "target as it was planned"
SEEDS_RULE = "seeds as they were planned"
SETTINGS_RULE = "settings as they were planned, the same for all"
# In these settings configurations differ: how a training is distributed.
_OF_DISTRIBUTION = frozenset({"strategy", "num_workers", "num_ps", "scaling"})
# With weak scaling these grow with the workers, so that the settings of one worker are the same.
_GROWING = frozenset({"global_batch_size", "learning_rate"})
# A parameter that plans have since rounds come in mirrored pairs.
_OF_MIRRORED = "a_a"
# The planned settings that a record repeats under the same name.
_RECORDED = (
    *("strategy", "num_workers", "num_ps", "model", "model_arguments", "epochs", "global_batch_size"),
    *("learning_rate", "scaling"),
)


def audit_plan(groups: Groups, run_info: RunInfo) -> list[Finding]:
    """Returns whether the trials are those that were planned.

    What was left out flatters what is left, and what is chosen afterwards flatters whom it suits.

    Args:
        groups: The trials of each configuration.
        run_info: The plan. Records of other runs may stand beside this one's: what they planned is not known.
    """
    trials = list_trials(groups)
    own = [trial for trial in trials if trial.run_id == run_info.run_id]
    unknown = say("The plans of other runs are not there") if len(own) < len(trials) else None
    checks: dict[str, Callable[[Trials, RunInfo, str | None], Evidence]] = {
        PLAN_RULE: _check_planned_trials,
        TARGET_RULE: _check_planned_target,
        SEEDS_RULE: _check_planned_seeds,
        SETTINGS_RULE: _check_planned_settings,
    }
    decisive = {PLAN_RULE, SEEDS_RULE}
    return [
        conclude(rule, check(own, run_info, unknown), is_decisive=rule in decisive) for rule, check in checks.items()
    ]


def audit_planned_trials(trials: Sequence[Placed], run_info: RunInfo, baseline: str) -> list[Finding]:
    """Returns whether all planned trials of a person's program are there; nothing where the plan is not known.

    Args:
        trials: All of them.
        run_info: The plan. Trials of other runs may stand beside this one's.
        baseline: What the first configuration of the plan is called: it ran as the smallest job that runs.
    """
    own = [trial for trial in trials if trial.run_id == run_info.run_id]
    names = [baseline, *(str(entry.get("name")) for entry in run_info.configurations[1:])]
    planned = run_info.parameters.get("trials")
    if not own or not isinstance(planned, int) or not run_info.configurations:
        return []
    unknown = say("The plans of other runs are not there") if len(own) < len(trials) else None
    evidence = _count_planned(own, names, planned, unknown, is_mirrored=True)
    return [conclude(PLAN_RULE, evidence, is_decisive=True)]


def _say_unplanned() -> Evidence:
    return Evidence([], "", say("The plan of this run is not there"))


def _check_planned_trials(trials: Trials, run_info: RunInfo, unknown: str | None) -> Evidence:
    planned = run_info.parameters.get("trials")
    names = [entry["name"] for entry in run_info.configurations]
    if planned is None or not names or not trials:
        return _say_unplanned()
    is_mirrored = any(trial.round is not None for trial in trials) or _OF_MIRRORED in run_info.parameters
    return _count_planned(trials, names, planned, unknown, is_mirrored=is_mirrored)


def _count_planned(
    trials: Sequence[Placed], names: Sequence[str], planned: int, unknown: str | None, *, is_mirrored: bool
) -> Evidence:
    """Compares the trials of each configuration, the baseline first, with so many planned ones."""
    found = Counter(trial.configuration for trial in trials)
    expected = dict.fromkeys(names, planned)
    if is_mirrored:
        # A last round without a partner begins and ends with the baseline, which the plan names first.
        expected[names[0]] += planned % 2
    received = "{found} of {planned} planned trials"
    breaches = [
        Breach(name, say(received, found=found[name], planned=expected.get(name, 0)))
        for name in dict.fromkeys([*names, *found])
        if found[name] != expected.get(name, 0)
    ]
    held = say("Received: {trials} of each configuration", trials=count_trials(planned))
    if is_mirrored and planned % 2:
        held = say("Received: {trials} of each configuration, one more of the baseline", trials=count_trials(planned))
    return Evidence(breaches, held, unknown)


def _check_planned_target(trials: Trials, run_info: RunInfo, unknown: str | None) -> Evidence:
    """Accuracy is asked for by a parameter of its own, which says nothing of another metric."""
    if not trials:
        return _say_unplanned()
    if trials[0].is_accuracy:
        planned = run_info.parameters.get("target_accuracy")
        if planned is None:
            return _say_unplanned()
        expected = planned or None  # a target of 0 is none
    else:
        expected = run_info.parameters.get("target_metric")
    clash = "a target of {received}, planned was {planned}"
    breaches = [
        Breach(name, say(clash, received=f"{target}", planned=f"{expected}"))
        for name, target in dict.fromkeys((trial.configuration, trial.target) for trial in trials)
        if target != expected
    ]
    return Evidence(breaches, state_received([f"{expected}"]), unknown)


def _check_planned_seeds(trials: Trials, run_info: RunInfo, unknown: str | None) -> Evidence:
    """Each round has the seed after the one before: rounds that were left out and renumbered leave a gap."""
    first = run_info.parameters.get("seed")
    if first is None or not trials:
        return _say_unplanned()
    clash = "trial {trial} has the seed {seed}, planned was {planned} for round {round}"
    breaches = [
        Breach(
            trial.configuration,
            say(clash, trial=trial.trial, seed=trial.seed, planned=first + number - 1, round=number),
        )
        for trial in trials
        if trial.seed != first + (number := number_round(trial)) - 1
    ]
    return Evidence(breaches, state_received(f"{trial.seed}" for trial in trials), unknown)


def _check_planned_settings(trials: Trials, run_info: RunInfo, unknown: str | None) -> Evidence:
    """Configurations differ in how they distribute and in nothing else, and each was trained as it was planned."""
    plans = {entry["name"]: entry["training"] for entry in run_info.configurations if "training" in entry}
    if not plans or not trials:
        return _say_unplanned()
    base = next((own for own in plans.values() if own.get("strategy") == SINGLE), next(iter(plans.values())))
    breaches = [
        Breach(name, say("{settings} planned", settings=list_items(differences)))
        for name, training in plans.items()
        if (differences := _compare_settings(base, training))
    ]
    for trial in trials:
        if differences := _compare_with_plan(trial, plans.get(trial.configuration, {})):
            unlike = say("trial {trial} trained with {settings}", trial=trial.trial, settings=list_items(differences))
            breaches.append(Breach(trial.configuration, unlike))
    return Evidence(breaches, say("Configurations differ in nothing but how they distribute"), unknown)


def _compare_settings(base: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    """Returns in which settings a configuration differs from the baseline, but for those that tell them apart."""
    growth = training.get("num_workers", 1) if training.get("scaling") == "weak" else 1
    expected = {name: value * growth if name in _GROWING else value for name, value in base.items()}
    return [
        _describe_difference(name, training.get(name), expected.get(name))
        for name in sorted(base.keys() | training.keys())
        if name not in _OF_DISTRIBUTION and training.get(name) != expected.get(name)
    ]


def _compare_with_plan(trial: TrialRecord, training: Mapping[str, Any]) -> list[str]:
    """Returns in which settings a trial differs from the plan of its configuration."""
    return [
        _describe_difference(name, getattr(trial, name), training[name])
        for name in _RECORDED
        if name in training and getattr(trial, name) != training[name]
    ]


def _describe_difference(name: str, received: object, expected: object) -> str:
    return say("{name} {received} instead of {expected}", name=name, received=f"{received}", expected=f"{expected}")
