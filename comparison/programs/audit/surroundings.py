"""Whether all trials had the same to run on, and were made and told alike."""

import statistics
from collections.abc import Callable

from comparison.audit import Breach, Evidence, find_clashes, state_received
from comparison.programs.audit.case import Case, find_image, find_memory, find_nodes, name_level
from comparison.programs.record import ProgramTrial
from comparison.programs.rows import describe_configuration, is_plain
from comparison.texts import list_items, say, say_count

# Of a whole job, beyond the median of the configuration's trials.
_WAITING_SHARE = 0.10
# A trial may be repeated once because the machine was disturbed, as with this project's own loop.
_MOST_REPEATS = 1


def check_image(case: Case) -> Evidence:
    """Returns whether all replicas ran the same image, by its digest."""
    return _check_values(case, lambda trial: find_image(trial) or "")


def check_cpus(case: Case) -> Evidence:
    """Returns whether all replicas had as many CPUs."""
    return _check_values(case, lambda trial: f"{trial.cpus_per_replica:g}")


def check_memory(case: Case) -> Evidence:
    """Returns whether all replicas had as much memory."""
    return _check_values(case, lambda trial: find_memory(trial) or "")


def check_nodes(case: Case) -> Evidence:
    """Returns whether the trials of a configuration were on one node, or all on several; which it is, is told."""
    breaches, told = [], []
    for name, trials in case.groups.items():
        spread = [_describe_nodes(trial) for trial in trials]
        breaches += find_clashes([(name, own) for own in spread])[0]
        told.append(say("{configuration}: {received}", configuration=name, received=list_items(dict.fromkeys(spread))))
    return Evidence(list(dict.fromkeys(breaches)), state_received([say("; ").join(told)]))


def check_baseline(case: Case) -> Evidence:
    """Returns whether all is compared with what a person would run without distributing."""
    if not case.baseline:
        names = [trial.baseline for trial in case.trials[:1]]
        missing = say("no trial of the baseline {name} is there", name=list_items(names))
        return Evidence([Breach(name, missing) for name in case.groups], "")
    first = case.baseline[0]
    own = describe_configuration(first)
    if is_plain(first):
        return Evidence([], state_received([own]))
    smallest = say("the baseline is {configuration}, the smallest that runs", configuration=own)
    return Evidence([Breach(first.configuration, smallest)], "")


def check_levels(case: Case) -> Evidence:
    """Returns whether every trial told its progress in the same way: else all are compared by what the least told."""
    return _check_values(case, name_level)


def check_cuts(case: Case) -> Evidence:
    """Returns whether all trainings were cut, or none: one that ran to its end has other steps, and another end."""
    cut, whole = say("cut once it was measured"), say("trained to its end")
    return _check_values(case, lambda trial: cut if trial.was_cut else whole)


def check_restarts(case: Case) -> Evidence:
    """Returns whether every trial ran in one go; what was made again is told."""
    breaches, notes = [], []
    for trial in case.trials:
        number = max(trial.restarts, sum(replica.restarts for replica in trial.replicas))
        if number:
            restarted = "{number} restarted in trial {trial}, which has no time"
            breaches.append(Breach(trial.configuration, say(restarted, number=f"{number:,}", trial=trial.trial)))
        if (repeats := len(trial.earlier_attempts or ())) > _MOST_REPEATS:
            again = "trial {trial} was made again {number} times"
            breaches.append(Breach(trial.configuration, say(again, trial=trial.trial, number=f"{repeats:,}")))
    repeated = sum(bool(trial.earlier_attempts) for trial in case.trials)
    if repeated:
        notes.append(
            say_count(repeated, "{number} trial had an earlier attempt", "{number} trials had earlier attempts")
        )
    return Evidence(breaches, say("Every trial ran from its first step to its last in one go"), notes=notes)


def check_contention(case: Case) -> Evidence:
    """Returns whether there was a core for each replica."""
    names = dict.fromkeys(trial.configuration for trial in case.trials if trial.contended)
    shared = say("the replicas asked for more cores than there are")
    return Evidence([Breach(name, shared) for name in names], say("Received: enough cores in every trial"))


def check_waiting(case: Case) -> Evidence:
    """Returns whether no trial waited longer for cores than the others of its configuration, as far as that matters.

    A process waits for its own threads, too, so that the usual share of a configuration is none of the machine's.
    """
    breaches = []
    for name, trials in case.groups.items():
        shares = {id(trial): _measure_waiting(trial) for trial in trials}
        usual = statistics.median_low(shares.values())
        for trial in trials:
            if (share := shares[id(trial)]) > usual + _WAITING_SHARE:
                values = {"trial": trial.trial, "percent": f"{100 * share:.0f}", "usual": f"{100 * usual:.0f}"}
                waited = "trial {trial} waited for cores for {percent} % of its job, usual are {usual} %"
                breaches.append(Breach(name, say(waited, **values)))
    percent = f"{100 * _WAITING_SHARE:g}"
    return Evidence(breaches, say("No trial waited for cores for {percent} % longer than usual", percent=percent))


def _measure_waiting(trial: ProgramTrial) -> float:
    return min(max(replica.waited_seconds or 0.0 for replica in trial.replicas) / trial.job_seconds, 1.0)


def _describe_nodes(trial: ProgramTrial) -> str:
    nodes = find_nodes(trial) or set()
    return say("one node") if len(nodes) == 1 else say("several nodes")


def _check_values(case: Case, read: Callable[[ProgramTrial], str]) -> Evidence:
    values = [(trial.configuration, read(trial)) for trial in case.trials]
    breaches, expected = find_clashes(values)
    return Evidence(list(dict.fromkeys(breaches)), state_received([expected]))
