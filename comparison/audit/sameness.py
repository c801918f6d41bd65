"""What must be the same in all trials of a comparison, of a kind of scaling or of a round."""

from collections.abc import Callable, Mapping

from comparison.audit.findings import Breach, Evidence, Finding, conclude, state_received
from comparison.audit.rounds import group_rounds
from comparison.groups import Groups, Trials, split_by_scaling
from comparison.records import TrialRecord
from comparison.texts import list_items, say, say_count

# By rule, how its value is read from a trial and said; None where the record does not say it.
Rules = Mapping[str, Callable[[TrialRecord], str | None]]
_SHORT_SHA = 12


def compare_trials(groups: Groups) -> list[Finding]:
    """Returns what came of every rule that asks for sameness, in the order of the report."""
    trials = [trial for group in groups.values() for trial in group]
    compared: list[tuple[Rules, Mapping[str, Trials]]] = [
        (_SAME_IN_COMPARISON, {"": trials}),
        (_SAME_IN_HALF, _group_halves(groups)),
        (_SAME_IN_ROUND, group_rounds(trials)),
    ]
    return [_check_equal(rule, read, own) for rules, own in compared for rule, read in rules.items()]


def _check_equal(rule: str, read: Callable[[TrialRecord], str | None], groups: Mapping[str, Trials]) -> Finding:
    """Returns whether a value is the same in all trials of each of the groups, the first one being the reference."""
    breaches, received, missing = [], [], 0
    for label, trials in groups.items():
        known = [(trial.configuration, value) for trial in trials if (value := read(trial)) is not None]
        missing += len(trials) - len(known)
        others = [(name, value) for name, value in known if value != known[0][1]]
        clash = "{value}{label}, where {reference} has {expected}"
        breaches += [
            Breach(name, say(clash, value=value, label=label, reference=known[0][0], expected=known[0][1]))
            for name, value in others
        ]
        received += [value for _, value in known[:1]]
    unknown = say_count(missing, "One trial does not say", "{number} trials do not say") if missing else None
    return conclude(rule, Evidence(breaches, state_received(received), unknown))


def _group_halves(groups: Groups) -> dict[str, Trials]:
    """Returns the trials of strong and of weak scaling, a comparison each: a label for a sentence, and the trials.

    A training of one worker is the same in both, and counts in each of them.
    """
    halves = split_by_scaling(groups)
    titles = {"strong": say(" with strong scaling"), "weak": say(" with weak scaling")}
    labels = {scaling: titles[scaling] if len(halves) > 1 else "" for scaling in halves}
    return {labels[scaling]: [trial for own in half.values() for trial in own] for scaling, half in halves.items()}


def _describe_batch(trial: TrialRecord) -> str:
    if trial.scaling == "weak":
        return say("{number} images a worker", number=f"{trial.per_replica_batch_size:,}")
    return say("{number} images in a global batch", number=f"{trial.global_batch_size:,}")


def _describe_learning_rate(trial: TrialRecord) -> str:
    """Returns the learning rate, with weak scaling that for an image of the global batch, which it grows with.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.1.
    """
    if trial.scaling == "weak":
        rate = f"{trial.learning_rate / trial.global_batch_size:.6g}"
        return say("{rate} an image of the global batch", rate=rate)
    return f"{trial.learning_rate:.6g}"


def _describe_versions(trial: TrialRecord) -> str | None:
    if not trial.versions or None in trial.versions.values():
        return None
    return list_items([f"{name} {version}" for name, version in sorted(trial.versions.items())])


def _describe_host(trial: TrialRecord) -> str | None:
    """Returns the host's facts; the memory in GiB, because equal machines differ by what their kernels keep back."""
    if not trial.host or None in trial.host.values():
        return None
    facts = {name: value for name, value in trial.host.items() if name != "memory_bytes"}
    if "memory_bytes" in trial.host:
        facts["memory"] = f"{trial.host['memory_bytes'] / 2**30:,.0f} GiB"
    return list_items([f"{say(name.replace('_', ' '))} {value}" for name, value in sorted(facts.items())])


def _describe_image(trial: TrialRecord) -> str | None:
    if trial.image is None and trial.backend == "local":
        return say("none, processes on the host")
    return trial.image


def _describe_model(trial: TrialRecord) -> str:
    arguments = "" if trial.model_arguments == "{}" else say(" with {arguments}", arguments=trial.model_arguments)
    model = f"{trial.model}{arguments}"
    return say("{model}, {number} parameters", model=model, number=f"{trial.num_parameters:,}")


_SAME_IN_COMPARISON: Rules = {
    "same data": lambda trial: list_items([trial.dataset, f"SHA-256 {trial.dataset_sha256[:_SHORT_SHA]}"]),
    "same model": _describe_model,
    "same number of epochs": lambda trial: f"{trial.epochs:,}",
    "same target accuracy": lambda trial: f"{trial.target_accuracy}",
    "same BatchNorm group size": lambda trial: f"{trial.batch_norm_group_size:,}",
    "same software": _describe_versions,
    "same kind of host": _describe_host,
    "same image": _describe_image,
    "same backend": lambda trial: say(trial.backend),
}
# Strong and weak scaling are two comparisons, which differ in these and in nothing else.
_SAME_IN_HALF: Rules = {
    "same scaling": lambda trial: say(trial.scaling),
    "same batch": _describe_batch,
    "same learning rate": _describe_learning_rate,
}
# Of the seed only, and so of what follows from it, each round has its own.
_SAME_IN_ROUND: Rules = {
    "same seed in a round": lambda trial: f"{trial.seed}",
    "same initial weights in a round": lambda trial: f"SHA-256 {trial.initial_weights_sha256[:_SHORT_SHA]}",
}
