"""Whether the trials took place in rounds: each with every configuration, one round after the other."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby, pairwise
from typing import TypeVar

from comparison.audit.findings import Breach, Evidence, name_trial
from comparison.audit.moments import choose_timeline, find_holes, format_duration
from comparison.groups import Placed, name_round, number_round
from comparison.table import UNKNOWN
from comparison.texts import count_trials, list_items, say, say_count

# By chance two rounds often agree in a place.
_FEW_ROUNDS = 3
_TWICE = 2
_FEW_NAMES = 3


_Placed = TypeVar("_Placed", bound=Placed)


def group_rounds(trials: Sequence[_Placed]) -> dict[str, Sequence[_Placed]]:
    """Returns the trials of each round: a label for a sentence, and those with the same run and round."""
    return {
        say(" in round {round} of {run}", round=number, run=run_id): list(own)
        for (run_id, number), own in groupby(sorted(trials, key=name_round), key=name_round)
    }


def check_interleaving(trials: Sequence[Placed], baseline: str | None) -> Evidence:
    """Returns whether every round has every configuration, ends before its run's next one, and none is left out.

    Where the records tell the places of the trials, these are those of an order that favours nobody. No breach, but
    told: where a run was interrupted, for how long, and what had the same place in every round.

    Args:
        trials: All of them.
        baseline: The configuration that may be twice in a run's last round; None where there is none.
    """
    rounds = group_rounds(trials)
    runs: dict[str, list[Sequence[Placed]]] = {}
    for own in rounds.values():
        runs.setdefault(own[0].run_id, []).append(own)
    breaches = [*_find_absences(rounds.values())]
    for own_rounds in runs.values():
        own = [trial for each in own_rounds for trial in each]
        breaches += [
            *_find_gaps(own_rounds),
            *_find_repeats(own_rounds, baseline),
            *_find_early_starts(own_rounds),
            *_find_displacements(own, own_rounds),
            *_find_reboots(own),
            *find_holes(own, own_rounds),
        ]
    notes = [*_list_fixed_places(rounds.values()), *_list_interruptions(trials), *_list_waits(trials)]
    one = "One round with every configuration"
    received = say_count(len(rounds), one, "{number} rounds, each with every configuration once")
    return Evidence(breaches, received, notes=notes)


def _find_absences(rounds: Collection[Sequence[Placed]]) -> list[Breach]:
    """Returns which configurations are not in a round, or in none of a run: it then met another machine than they."""
    runs: dict[str, dict[str, None]] = {}
    for own in rounds:
        runs.setdefault(own[0].run_id, {}).update(dict.fromkeys(trial.configuration for trial in own))
    everywhere = dict.fromkeys(name for names in runs.values() for name in names)
    breaches = [
        Breach(name, say("no {trials}", trials=say("trial of {run}", run=run_id)))
        for run_id, names in runs.items()
        for name in everywhere
        if name not in names
    ]
    for own in rounds:
        present = {trial.configuration for trial in own}
        breaches += [
            Breach(name, say("no {trials}", trials=say("trial in round {round}", round=number_round(own[0]))))
            for name in runs[own[0].run_id]
            if name not in present
        ]
    return breaches


def _find_gaps(rounds: Sequence[Sequence[Placed]]) -> list[Breach]:
    """Returns which rounds of a run are not there, though later ones are."""
    breaches = []
    last = 0
    for own in rounds:
        number = number_round(own[0])
        if missing := _describe_rounds(last + 1, number - 1):
            gap = say("no {trials}, where there is a round {round}", trials=missing, round=number)
            breaches += [Breach(each.configuration, gap) for each in own]
        last = number
    return breaches


def _find_repeats(rounds: Sequence[Sequence[Placed]], baseline: str | None) -> list[Breach]:
    """Returns what is in a round more than once: the baseline may begin and end the last one, nothing else may."""
    breaches = []
    for own in rounds:
        counts = Counter(trial.configuration for trial in own)
        for name, count in counts.items():
            if count > (_TWICE if name == baseline and own is rounds[-1] else 1):
                often = say("{number} trials in round {round}", number=f"{count:,}", round=number_round(own[0]))
                breaches.append(Breach(name, often))
    return breaches


def _find_early_starts(rounds: Sequence[Sequence[Placed]]) -> list[Breach]:
    """Returns which trials of a run started before one of the round before theirs did."""
    timeline = choose_timeline(trial for own in rounds for trial in own)
    breaches = []
    for before, after in pairwise(rounds):
        end = max(before, key=timeline.start)
        breaches += [
            Breach(
                trial.configuration,
                say("trial {trial} started before {other}", trial=trial.trial, other=name_trial(end)),
            )
            for trial in after
            if timeline.start(trial) < timeline.start(end) - timeline.tolerance
        ]
    return breaches


def _find_displacements(trials: Sequence[Placed], rounds: Sequence[Sequence[Placed]]) -> list[Breach]:
    """Returns where the trials of a run had other places than in an order that favours nobody; nothing of older ones.

    Places count without a gap, trials start in their order, and of two rounds the second mirrors the first.
    """
    places = {id(trial): trial.place for trial in trials if trial.place is not None}
    breaches = [
        Breach(trial.configuration, say("trial {trial} does not say its place", trial=trial.trial))
        for trial in trials
        if trial.place is None and (places or trial.round is not None)
    ]
    if not places:
        return breaches
    by_place = sorted((trial for trial in trials if id(trial) in places), key=lambda trial: places[id(trial)])
    before = 0
    for trial in by_place:
        if (place := places[id(trial)]) != before + 1:
            jump = "trial {trial} has place {place}, the one before it place {before}"
            breaches.append(Breach(trial.configuration, say(jump, trial=trial.trial, place=place, before=before)))
        before = place
    timeline = choose_timeline(trials)
    late = "trial {trial} has a place after {other}, and started before it"
    breaches += [
        Breach(after.configuration, say(late, trial=after.trial, other=name_trial(before)))
        for before, after in pairwise(by_place)
        if timeline.start(after) < timeline.start(before) - timeline.tolerance
    ]
    return [*breaches, *_find_unmirrored(rounds, places)]


def _find_reboots(trials: Sequence[Placed]) -> list[Breach]:
    """Returns which trials on this machine began after another boot than the ones before them, and not resumed."""
    booted = [trial for trial in sorted(trials, key=lambda trial: trial.started_at) if trial.boot_id is not None]
    return [
        Breach(after.configuration, say("trial {trial} was measured after another boot", trial=after.trial))
        for before, after in pairwise(booted)
        if after.boot_id != before.boot_id and after.backend == "local" and not after.resumed
    ]


def _find_unmirrored(rounds: Sequence[Sequence[Placed]], places: Mapping[int, int | None]) -> list[Breach]:
    orders = {
        number_round(own[0]): [each.configuration for each in sorted(own, key=lambda each: places.get(id(each)) or 0)]
        for own in rounds
    }
    unlike = "round {round} is not round {before} in a mirror, so that a drift does not even out"
    return [
        Breach(name, say(unlike, round=number + 1, before=number))
        for number, order in orders.items()
        if number % 2 and number + 1 in orders
        for name, mirrored in zip(order, reversed(orders[number + 1]), strict=False)
        if name != mirrored
    ]


def _list_fixed_places(rounds: Collection[Sequence[Placed]]) -> list[str]:
    """Returns a sentence on the configurations that had the same place in each of several rounds."""
    timeline = choose_timeline(trial for own in rounds for trial in own)
    places: dict[str, list[int]] = {}
    for own in rounds:
        for place, trial in enumerate(sorted(own, key=timeline.start), start=1):
            places.setdefault(trial.configuration, []).append(place)
    fixed = [
        say("{configuration} (place {place})", configuration=name, place=own[0])
        for name, own in places.items()
        if len(places) > 1 and len(own) >= _FEW_ROUNDS and len(set(own)) == 1
    ]
    same = "At the same place in every round, so that a drift within rounds does not even out: {configurations}"
    return [say(same, configurations=list_items(fixed))] if fixed else []


def _describe_rounds(first: int, last: int) -> str:
    """Returns the rounds from one number to another in words; nothing where there are none."""
    if first >= last:
        return say("round {round}", round=first) if first == last else ""
    return say("rounds {first} to {last}", first=first, last=last)


def _list_interruptions(trials: Sequence[Placed]) -> list[str]:
    """Returns a sentence on each interruption after which a run was taken up again."""
    by_start = sorted(trials, key=lambda trial: (trial.run_id, trial.started_at))
    notes = []
    for before, after in pairwise(by_start):
        if after.resumed and before.run_id == after.run_id:
            lasted = format_duration(after.started_at - before.ended_at)
            values = {"run": after.run_id, "duration": lasted, "round": number_round(after)}
            if number_round(before) == number_round(after):
                cut = "Round {round} of {run} was interrupted for {duration} between {before} and {after}, and resumed"
                notes.append(say(cut, **values, before=before.configuration, after=after.configuration))
            else:
                notes.append(say("{run} was interrupted for {duration} before round {round}, and resumed", **values))
    return notes


def _list_waits(trials: Sequence[Placed]) -> list[str]:
    """Returns a sentence on what the trials waited for before they began, so that the machine was quiet."""
    waits = [trial.quiet for trial in trials if trial.quiet and trial.quiet.waited_seconds > 0]
    if not waits:
        return []
    seconds = format_duration(sum(wait.waited_seconds for wait in waits))
    # Such as "chrome, 80 % of a core".
    takers = Counter(taker.partition(",")[0] for wait in waits for taker in wait.taken_by)
    names = list_items(name for name, _ in takers.most_common(_FEW_NAMES)) or UNKNOWN
    waited = "Waited {duration} for free cores before {trials}, which these had above all: {names}"
    return [say(waited, duration=seconds, trials=count_trials(len(waits)), names=names)]
