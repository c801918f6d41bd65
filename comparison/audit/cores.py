"""Whether every replica had the cores that its configuration says, and no training was faster than these allow."""

import math
import statistics
from collections.abc import Iterable, Iterator

from comparison.audit.disturbances import list_taken_cores
from comparison.audit.findings import Breach, Evidence
from comparison.clocks import is_wholly_timed
from comparison.groups import SINGLE, Trials, find_baseline, list_timed
from comparison.records import TrialRecord
from comparison.texts import list_items, say

# What a limit throttles only period by period may end a little above its share.
_ABOVE_SHARE = 1.1
_ABOVE_SECONDS = 1.0
# A worker waits for the others, so that it computes less of its time than a node alone: 0.65 to 0.95 times as much.
# A node that computes far less of its time than the workers did not have the core that it says.
_STARVED = 0.75
# A share of the batch may fit a cache that the whole does not. More than this is beyond what was ever seen of that.
_EFFICIENCY_LIMIT = 1.2


def check_cpus(trials: Trials) -> Evidence:
    """Returns whether each configuration's replicas have as many CPUs as a single node of the comparison, and had them.

    A bigger single node is a row of its own, under a name of its own.
    """
    configurations = list({trial.configuration: trial for trial in trials}.values())
    singles = [own for own in configurations if own.strategy == SINGLE]
    if not singles:
        return Evidence([], "", say("There is no single node to compare with"))
    baseline = singles[0]
    unnamed = "a single node with {cpus} CPUs that is not named for them"
    breaches = [
        Breach(own.configuration, say(unnamed, cpus=f"{own.cpus_per_replica:g}"))
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
    breaches += [breach for trial in trials for breach in _find_other_cores(trial)]
    breaches += _find_starved(trials)
    return Evidence(breaches, say("Received: {cpus} a replica", cpus=f"{baseline.cpus_per_replica:g}"))


def check_contention(trials: Trials) -> Evidence:
    """Returns whether no trial asked for more cores than there are."""
    contended = say("its replicas asked for more cores than there are; its timings are contended")
    breaches = [Breach(trial.configuration, contended) for trial in trials if trial.contended]
    return Evidence(breaches, say("Every replica had its cores to itself"))


def check_efficiency(trials: Trials) -> Evidence:
    """Returns whether no configuration was faster than its cores and those of its baseline allow.

    Whether it was sped up or its baseline slowed down, nobody can tell from that: both are named. What others had of
    the cores of a trial, which another rule tells, explains how fast it was; and so does scatter, unless every trial of
    the one was faster than every trial of the other.
    """
    explained = {id(own.trial) for own in list_taken_cores(trials)}
    groups = _group(trials)
    breaches = []
    for name, own in groups.items():
        baseline = find_baseline(groups, name) or own
        rates = [
            [trial.images_per_second for trial in list_timed(each) if id(trial) not in explained]
            for each in (own, baseline)
        ]
        if not all(rates):
            continue
        cores = own[0].num_workers * own[0].cpus_per_replica / baseline[0].cpus_per_replica
        if own[0].strategy == SINGLE and cores == 1:  # the same under two names: what differs is the machine's
            continue
        rate = statistics.median(rates[0]) / statistics.median(rates[1])
        if rate > _EFFICIENCY_LIMIT * cores and min(rates[0]) > cores * max(rates[1]):
            gain = "{configuration} was {rate} times as fast as {baseline}, with {cores} times its cores"
            names = {"configuration": name, "baseline": baseline[0].configuration}
            received = say(gain, **names, rate=f"{rate:.2f}", cores=f"{cores:g}")
            breaches += [Breach(each, received) for each in (baseline[0].configuration, name)]
    return Evidence(breaches, say("No configuration was faster than its cores allow"))


def list_shared_cores(trial: TrialRecord) -> list[str]:
    """Returns the replicas that were bound to a core of another one's, by name."""
    bound: dict[int, list[str]] = {}
    for replica in trial.replicas:
        for core in replica.cpus or ():
            bound.setdefault(core, []).append(replica.name)
    return sorted({name for names in bound.values() if len(names) > 1 for name in names})


def _find_other_cores(trial: TrialRecord) -> Iterator[Breach]:
    """Yields which replicas were bound to other numbers of cores than it says, or computed longer than these allow."""
    asked = math.ceil(trial.cpus_per_replica)
    for replica in trial.replicas:
        bound = len(replica.cpus or ())
        values = {"replica": replica.name, "trial": trial.trial, "asked": f"{trial.cpus_per_replica:g}"}
        if bound and bound != asked and trial.backend == "local" and not trial.contended:
            cores = "{replica} of trial {trial} was bound to {bound} cores, where it says {asked}"
            yield Breach(trial.configuration, say(cores, **values, bound=bound))
        # Only where nothing limits a process it may compute on any core: on this machine, where it could not be bound.
        allowed = bound or (0 if trial.backend == "local" else trial.cpus_per_replica)
        limit = _ABOVE_SECONDS + _ABOVE_SHARE * allowed * (replica.age_seconds or math.inf)
        if allowed and replica.cpu_seconds > limit and not replica.restarts:
            used = "{replica} of trial {trial} computed for {cpu} s in {age} s, where it says {asked} CPUs"
            seconds = {"cpu": f"{replica.cpu_seconds:.1f}", "age": f"{replica.age_seconds:.1f}"}
            yield Breach(trial.configuration, say(used, **values, **seconds))


def _find_starved(trials: Trials) -> list[Breach]:
    """Returns which baselines computed far less of their time than the workers that are compared with them."""
    groups = _group(trials)
    breaches = []
    for name, own in groups.items():
        baseline = find_baseline(groups, name)
        shares = [_measure_computing_share(each) for each in (own, baseline or ())]
        if baseline and own[0].strategy != SINGLE and shares[0] * _STARVED > shares[1]:
            starved = "it computed for {own} % of its processes' time, the workers of {other} for {share} %"
            percents = {"own": f"{100 * shares[1]:.0f}", "share": f"{100 * shares[0]:.0f}"}
            breaches.append(Breach(baseline[0].configuration, say(starved, **percents, other=name)))
    return breaches


def _measure_computing_share(trials: Trials) -> float:
    """Returns the median share of their processes' time that workers computed on each CPU; NaN where it is not known.

    Of contended workers it says nothing, nor of those that only serve.
    """
    shares = [
        replica.cpu_seconds / (replica.age_seconds * trial.cpus_per_replica)
        for trial in trials
        if not (trial.contended or trial.num_ps) and is_wholly_timed(trial)
        for replica in trial.replicas
        if replica.age_seconds
    ]
    return statistics.median(shares) if shares else math.nan


def _group(trials: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(trial.configuration, []).append(trial)
    return groups


def _list_numbers(numbers: Iterable[float]) -> str:
    return list_items([f"{number:g}" for number in sorted(numbers)])
