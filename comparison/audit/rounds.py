"""Whether the trials took place in rounds: each with every configuration, one round after the other."""

from collections.abc import Collection
from itertools import groupby, pairwise

from comparison.audit.findings import Breach, Evidence, name_trial
from comparison.groups import Trials
from comparison.records import TrialRecord
from comparison.texts import list_items, say

# By chance two rounds often agree in a place.
_FEW_ROUNDS = 3


def group_rounds(trials: Trials) -> dict[str, Trials]:
    """Returns the trials of each round: a label for a sentence, and those with the same run and index."""
    return {
        say(" in trial {trial} of {run}", trial=index, run=run_id): list(own)
        for (run_id, index), own in groupby(sorted(trials, key=_read_round), key=_read_round)
    }


def _read_round(trial: TrialRecord) -> tuple[str, int]:
    return trial.run_id, trial.trial


def check_interleaving(trials: Trials) -> Evidence:
    """Returns whether every round has every configuration, ends before its run's next one, and none is left out.

    No breach, but told: where a run was interrupted, for how long, and what had the same place in every round.
    """
    rounds = group_rounds(trials)
    breaches = _find_absences(rounds.values())
    last_indices = {trial.run_id: 0 for trial in trials}
    for own in rounds.values():
        run_id, index = own[0].run_id, own[0].trial
        if missing := _describe_indices(last_indices[run_id] + 1, index - 1):
            gap = say("no {trials}, where there is a trial {trial}", trials=missing, trial=index)
            breaches += [Breach(each.configuration, gap) for each in own]
        last_indices[run_id] = index
    for before, after in pairwise(rounds.values()):
        if before[0].run_id == after[0].run_id:
            end = max(before, key=lambda trial: trial.started_at)
            breaches += [
                Breach(
                    trial.configuration,
                    say("trial {trial} started before {other}", trial=trial.trial, other=name_trial(end)),
                )
                for trial in after
                if trial.started_at < end.started_at
            ]
    received = say("{number} rounds, each with every configuration once", number=f"{len(rounds):,}")
    return Evidence(breaches, received, notes=[*_list_fixed_places(rounds.values()), *_list_interruptions(trials)])


def _find_absences(rounds: Collection[Trials]) -> list[Breach]:
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
            Breach(name, say("no {trials}", trials=say("trial {trial}", trial=own[0].trial)))
            for name in runs[own[0].run_id]
            if name not in present
        ]
    return breaches


def _list_fixed_places(rounds: Collection[Trials]) -> list[str]:
    """Returns a sentence on the configurations that had the same place in each of several rounds."""
    places: dict[str, list[int]] = {}
    for own in rounds:
        for place, trial in enumerate(sorted(own, key=lambda trial: trial.started_at), start=1):
            places.setdefault(trial.configuration, []).append(place)
    fixed = [
        say("{configuration} (place {place})", configuration=name, place=own[0])
        for name, own in places.items()
        if len(places) > 1 and len(own) >= _FEW_ROUNDS and len(set(own)) == 1
    ]
    same = "At the same place in every round, so that a drift within rounds does not even out: {configurations}"
    return [say(same, configurations=list_items(fixed))] if fixed else []


def _describe_indices(first: int, last: int) -> str:
    """Returns the trials from one number to another in words; nothing where there are none."""
    if first >= last:
        return say("trial {trial}", trial=first) if first == last else ""
    return say("trials {first} to {last}", first=first, last=last)


def _list_interruptions(trials: Trials) -> list[str]:
    """Returns a sentence on each interruption after which a run was taken up again."""
    by_start = sorted(trials, key=lambda trial: (trial.run_id, trial.started_at))
    notes = []
    for before, after in pairwise(by_start):
        if after.resumed and before.run_id == after.run_id:
            lasted = _format_duration(after.started_at - before.ended_at)
            values = {"run": after.run_id, "duration": lasted, "trial": after.trial}
            if before.trial == after.trial:
                cut = (
                    "The round of trial {trial} of {run} was interrupted for {duration} between {before} and {after}, "
                    "and resumed"
                )
                notes.append(say(cut, **values, before=before.configuration, after=after.configuration))
            else:
                notes.append(say("{run} was interrupted for {duration} before trial {trial}, and resumed", **values))
    return notes


def _format_duration(seconds: float) -> str:
    if seconds >= 2 * 60 * 60:
        return say("{number} h", number=f"{seconds / 60 / 60:,.0f}")
    if seconds >= 2 * 60:
        return say("{number} min", number=f"{seconds / 60:.0f}")
    return say("{number} s", number=f"{seconds:.0f}")
