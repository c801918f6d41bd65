"""Whether every trial was measured anew: what chance does not repeat stands once on record."""

from collections.abc import Iterator

from comparison.audit.findings import Breach, Evidence, name_trial, state_received
from comparison.groups import Trials, number_round
from comparison.records import TrialRecord
from comparison.texts import say

# Confusions of fewer kinds two models may well have in common. Where there are so many, each about once, two models
# agree in one by a chance of 1 in 3, and in all of them by 1 in 10^9.
_MANY_CONFUSIONS = 20
_FEW_ANSWERS = 20
_SIGNIFICANT = ".7g"


def check_distinct(trials: Trials) -> Evidence:
    """Returns whether no two records share what two trainings never have in common, a cached or a copied result.

    That is the start; the training's clocks, also if all are longer by one factor; trained weights of two seeds; and of
    different weights the very same losses or mistakes, unless most of the models make these: then it is the data.
    """
    common = _find_common_answers(trials)
    breaches = []
    seen: dict[tuple[object, ...], TrialRecord] = {}
    copied = "trial {trial} has the same {what} as {other}: a cached or copied result"
    for trial in trials:
        for what, key in _list_traces(trial):
            other = seen.setdefault(key, trial)
            if other is not trial and key not in common and not _is_explained(what, trial, other):
                received = say(copied, trial=trial.trial, what=say(what), other=name_trial(other))
                breaches.append(Breach(trial.configuration, received))
    distinct = say("{number} measurements, no two with the same clocks or weights", number=f"{len(trials):,}")
    return Evidence(list(dict.fromkeys(breaches)), distinct)


def _list_traces(trial: TrialRecord) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yields what each training leaves of its own: what it is called, and a key for it."""
    clocks = (trial.startup_seconds, trial.compile_seconds, trial.train_seconds, trial.eval_seconds)
    yield "clocks", ("clocks", *clocks)
    yield "start", ("start", trial.started_at)
    yield "trained weights", ("weights", trial.run_id, trial.configuration, trial.weights_sha256)
    if all(clocks):
        ratios = [f"{seconds / trial.train_seconds:{_SIGNIFICANT}}" for seconds in (*clocks, trial.input_seconds)]
        yield "clocks, up to a factor,", ("ratios", *ratios)
    yield "learning curve", ("curve", *((point.train_loss, point.value) for point in trial.curve))
    yield from _list_answers(trial)


def _list_answers(trial: TrialRecord) -> Iterator[tuple[str, tuple[object, ...]]]:
    if trial.confusion is None:
        return
    errors = trial.confusion.errors
    if trial.wrong_images is not None and (trial.num_wrong or 0) >= _FEW_ANSWERS:
        yield "wrong answers", ("wrong", trial.wrong_images)
    if len(errors) >= _MANY_CONFUSIONS:
        yield "confusions", ("confusions", *sorted(errors.items()))


def _find_common_answers(trials: Trials) -> set[tuple[object, ...]]:
    """Returns the mistakes that most of all different models make: wrong labels, or one answer to all images."""
    weights: dict[tuple[object, ...], set[str]] = {}
    for trial in trials:
        for _, key in _list_answers(trial):
            weights.setdefault(key, set()).add(trial.weights_sha256)
    num_models = len({trial.weights_sha256 for trial in trials})
    return {key for key, own in weights.items() if len(own) * 2 > num_models}


def _is_explained(what: str, trial: TrialRecord, other: TrialRecord) -> bool:
    """Returns whether two trainings may have this in common.

    One seed may lead to the same weights, and the same weights to the same curve and answers. Of a configuration only
    one round has a seed, which another rule tells.
    """
    if what == "trained weights":
        return other.seed == trial.seed
    if what in ("learning curve", "wrong answers", "confusions"):
        return other.weights_sha256 == trial.weights_sha256
    # Of clocks that are the same to the last digit nothing more need be said.
    return what == "clocks, up to a factor," and other.train_seconds == trial.train_seconds


def check_seeds(trials: Trials) -> Evidence:
    """Returns whether each round has a seed of its own.

    Rounds from one seed repeat one draw of weights and order: a lucky one would pass for many.
    """
    breaches = []
    seen: dict[tuple[str, str, int], TrialRecord] = {}
    for trial in trials:
        other = seen.setdefault((trial.run_id, trial.configuration, trial.seed), trial)
        if number_round(other) != number_round(trial):
            repeated = "trial {trial} has the seed of trial {other}, {seed}"
            received = say(repeated, trial=trial.trial, other=other.trial, seed=trial.seed)
            breaches.append(Breach(trial.configuration, received))
    return Evidence(breaches, state_received(f"{trial.seed}" for trial in trials))
