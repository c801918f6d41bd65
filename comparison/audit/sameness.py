"""What must be the same in all trials of a comparison, of a kind of scaling or of a round."""

import hashlib
from collections.abc import Callable, Mapping

from comparison.audit.findings import (
    Breach,
    Evidence,
    Finding,
    conclude,
    count_silent,
    find_clashes,
    state_received,
)
from comparison.audit.rounds import group_rounds
from comparison.audit.surroundings import check_backend, check_hosts, check_image, check_software
from comparison.groups import Groups, Trials, list_trials, split_by_scaling
from comparison.records import TrialRecord
from comparison.texts import list_items, say

# By rule, how its value is read from a trial and said; None: the record does not say it.
Rules = Mapping[str, Callable[[TrialRecord], str | None]]
_SHORT_SHA = 12
# Of more classes a digest says as well that the test images are the same.
_FEW_CLASSES = 10


def compare_trials(groups: Groups) -> list[Finding]:
    """Returns what came of every rule that asks for sameness, in the order of the report."""
    trials = list_trials(groups)
    surroundings = {
        "same software": check_software,
        "same kind of host": check_hosts,
        "same image": check_image,
        "same backend": check_backend,
    }
    compared: list[tuple[Rules, Mapping[str, Trials]]] = [
        (_SAME_IN_HALF, _group_halves(groups)),
        (_SAME_IN_ROUND, group_rounds(trials)),
    ]
    return [
        *(_check_equal(rule, read, {"": trials}) for rule, read in _SAME_IN_COMPARISON.items()),
        *(conclude(rule, check(trials)) for rule, check in surroundings.items()),
        *(_check_equal(rule, read, own) for rules, own in compared for rule, read in rules.items()),
    ]


def _check_equal(rule: str, read: Callable[[TrialRecord], str | None], groups: Mapping[str, Trials]) -> Finding:
    """Returns whether a value is the same in all trials of each of the groups."""
    breaches: list[Breach] = []
    received = []
    num_silent = 0
    for label, trials in groups.items():
        values = [(trial.configuration, value) for trial in trials if (value := read(trial)) is not None]
        num_silent += len(trials) - len(values)
        if values:
            clashes, expected = find_clashes(values, label)
            breaches += clashes
            received.append(expected)
    return conclude(rule, Evidence(breaches, state_received(received), count_silent(num_silent)))


def _group_halves(groups: Groups) -> dict[str, Trials]:
    """Returns the trials of strong and of weak scaling, a comparison each: a label for a sentence, and the trials.

    A training of one worker is the same in both, and counts in each of them.
    """
    halves = split_by_scaling(groups)
    titles = {"strong": say(" with strong scaling"), "weak": say(" with weak scaling")}
    labels = {scaling: titles[scaling] if len(halves) > 1 else "" for scaling in halves}
    return {labels[scaling]: list_trials(half) for scaling, half in halves.items()}


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


def _describe_batch_norm(trial: TrialRecord) -> str:
    """Returns over what BatchNorm normalises; older records, which do not say, are of groups that all share."""
    group, share = trial.batch_norm_group_size, trial.per_replica_batch_size
    if trial.same_batch_norm is False and group == share:
        return say("over each replica's own share")
    return say("over groups of {number} images", number=f"{group:,}")


def _describe_computing(trial: TrialRecord) -> str:
    """Returns what the layers compute in and on; determinism is looked at where it takes time, on GPUs."""
    parts = [trial.precision or "float32", say("on a GPU") if trial.gpus else say("on CPUs")]
    parts += [say("with XLA")] if trial.jit_compile else []
    parts += [say("deterministic")] if trial.gpus and trial.deterministic else []
    return list_items(parts)


def _describe_test_images(trial: TrialRecord) -> str | None:
    """Returns how many images of which class were answered: other images are rarely as many of each.

    A metric that counts no answers says at the most of how many examples it is a share.
    """
    if trial.confusion is None:
        number = trial.quality.num_examples
        return None if number is None else say("{number} examples", number=f"{number:,}")
    sums = [count for _, count in sorted(trial.confusion.count_true().items())]
    of_classes = f"{list_items(f'{count:,}' for count in sums)}"
    if len(sums) > _FEW_CLASSES:
        of_classes = f"SHA-256 {hashlib.sha256(repr(sums).encode()).hexdigest()[:_SHORT_SHA]}"
    return say("{number} images, by class {counts}", number=f"{trial.test_n_examples:,}", counts=of_classes)


def _describe_model(trial: TrialRecord) -> str:
    arguments = "" if trial.model_arguments == "{}" else say(" with {arguments}", arguments=trial.model_arguments)
    model = f"{trial.model}{arguments}"
    return say("{model}, {number} parameters", model=model, number=f"{trial.num_parameters:,}")


_SAME_IN_COMPARISON: Rules = {
    "same data": lambda trial: list_items([trial.dataset, f"SHA-256 {trial.dataset_sha256[:_SHORT_SHA]}"]),
    "same model": _describe_model,
    "same number of epochs": lambda trial: f"{trial.epochs:,}",
    "same target accuracy": lambda trial: f"{trial.target}",
    "same way of BatchNorm": _describe_batch_norm,
    "same test images": _describe_test_images,
    "same way of computing": _describe_computing,
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
