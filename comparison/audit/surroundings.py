"""Whether all replicas of all trials ran on the same: software and what steers it, image, kind of host."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from comparison.audit.findings import Breach, Evidence, count_silent, find_clashes, state_received
from comparison.clocks import find_chief
from comparison.groups import Trials
from comparison.records import Replica, TrialRecord
from comparison.texts import list_items, say

# Which replica and which GPU a process is: these differ, and steer nothing.
_OF_A_REPLICA = frozenset({"TF_CONFIG", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"})
# How many threads fit the cores: the same for as many cores.
_OF_A_SIZE = "_THREADS"
_UNKNOWN_COMMIT, _CHANGED = "unknown", "-dirty"
_UNSET = "–"


class _Software(NamedTuple):
    """What a replica ran: its versions, or its environment variables."""

    configuration: str
    cpus: float
    facts: dict[str, str]


def check_software(trials: Trials) -> Evidence:
    """Returns whether versions and the environment variables that steer libraries are the same in every replica.

    Without a commit, or of a checkout with changes, two trainings may be of different programs, unless one image is
    known to have run. Older records have no environment: where one of the records has it, all must.
    """
    is_steering_told = any(map(_is_steering_due, trials))
    silent = count_silent(sum(not _is_software_known(trial, is_steering_told) for trial in trials))
    versions = [_read_versions(trial) for trial in trials if _has_versions(trial)]
    steering = [_read_steering(trial, own) for trial in trials for own in trial.replicas if own.environment is not None]
    if not versions:
        return Evidence([], "", silent)
    facts = versions[0].facts | (steering[0].facts if steering else {})
    received = _list_facts(facts, sorted(facts))
    return Evidence([*_compare_facts(versions), *_compare_facts(steering)], state_received([received]), silent)


def check_image(trials: Trials) -> Evidence:
    """Returns whether the images are the same, by their digests where one is known: a tag may move."""
    is_digest_told = any(trial.image_digest is not None for trial in trials)
    return _check_values(trials, [_describe_image(trial, is_digest_told) for trial in trials])


def check_backend(trials: Trials) -> Evidence:
    """Returns whether all trials ran on this machine, or all on a cluster."""
    return _check_values(trials, [say(trial.backend) for trial in trials])


def check_hosts(trials: Trials) -> Evidence:
    """Returns whether all hosts are of one kind, and all replicas of a trial on this machine on one host.

    A record describes the host of its chief alone. Where a chief ran on a node in one trial, the kind of the node is
    known for all replicas that run there.
    """
    kinds = [_describe_host(trial) for trial in trials]
    evidence = _check_values(trials, kinds)
    nodes = {node: kind for trial, kind in zip(trials, kinds, strict=True) if kind and (node := find_chief(trial).node)}
    breaches = [*evidence.breaches, *_compare_gpus(trials)]
    known = [
        (trial.configuration, nodes[replica.node])
        for trial in trials
        for replica in trial.replicas
        if replica.node in nodes
    ]
    breaches += find_clashes(known)[0] if known else []
    for trial in trials:
        names = {replica.host for replica in trial.replicas} - {None}
        if trial.backend == "local" and len(names) > 1:
            several = "the replicas of trial {trial} ran on several machines, {names}"
            hosts = list_items(sorted(map(str, names)))
            breaches.append(Breach(trial.configuration, say(several, trial=trial.trial, names=hosts)))
    return Evidence(list(dict.fromkeys(breaches)), evidence.received, evidence.unknown)


def _compare_gpus(trials: Trials) -> list[Breach]:
    """Returns which replicas have another GPU than most, which a record tells of each of them."""
    known = [
        (trial.configuration, own.gpu.name) for trial in trials for own in trial.replicas if own.gpu and own.gpu.name
    ]
    return find_clashes(known)[0] if known else []


def _check_values(trials: Trials, values: Sequence[str | None]) -> Evidence:
    known = [(trial.configuration, own) for trial, own in zip(trials, values, strict=True) if own is not None]
    silent = count_silent(len(trials) - len(known))
    if not known:
        return Evidence([], "", silent)
    breaches, expected = find_clashes(known)
    return Evidence(breaches, state_received([expected]), silent)


def _has_versions(trial: TrialRecord) -> bool:
    return bool(trial.versions) and None not in trial.versions.values()


def _is_steering_due(trial: TrialRecord) -> bool:
    """Returns whether a record is of a version that tells the environment, as it tells the way of BatchNorm."""
    return trial.same_batch_norm is not None or any(replica.environment is not None for replica in trial.replicas)


def _is_software_known(trial: TrialRecord, is_steering_told: bool) -> bool:
    commit = (trial.versions or {}).get("git_sha") or ""
    is_program_known = trial.image_digest is not None or not (commit == _UNKNOWN_COMMIT or commit.endswith(_CHANGED))
    is_steering_known = all(replica.environment is not None for replica in trial.replicas)
    return _has_versions(trial) and is_program_known and (is_steering_known or not is_steering_told)


def _read_versions(trial: TrialRecord) -> _Software:
    versions = {name: str(version) for name, version in trial.versions.items()}
    return _Software(trial.configuration, trial.cpus_per_replica, versions)


def _read_steering(trial: TrialRecord, replica: Replica) -> _Software:
    variables = {name: text for name, text in (replica.environment or {}).items() if name not in _OF_A_REPLICA}
    return _Software(trial.configuration, trial.cpus_per_replica, variables)


def _compare_facts(software: Sequence[_Software]) -> list[Breach]:
    """Returns what is not as most configurations have it, each named once, and only in what differs somewhere."""
    varying = _find_varying(software)
    if not varying:
        return []
    clashes, _ = find_clashes([(own.configuration, _list_facts(own.facts, varying)) for own in software])
    return list(dict.fromkeys(clashes))


def _find_varying(software: Sequence[_Software]) -> list[str]:
    """Returns what is not the same everywhere, or for as many cores."""
    values: dict[tuple[str, float], set[str]] = {}
    names = sorted({name for own in software for name in own.facts})
    for own in software:
        for name in names:
            size = own.cpus if name.endswith(_OF_A_SIZE) else 0.0
            values.setdefault((name, size), set()).add(own.facts.get(name, _UNSET))
    return sorted({name for (name, _), received in values.items() if len(received) > 1})


def _list_facts(facts: Mapping[str, str], names: Sequence[str]) -> str:
    return list_items([f"{name} {facts.get(name, _UNSET)}" for name in names])


def _describe_image(trial: TrialRecord, is_digest_told: bool) -> str | None:
    if trial.backend == "local" and trial.image is None:
        return say("none, processes on the host")
    if not is_digest_told or trial.image is None:
        return trial.image
    return trial.image_digest and f"{trial.image} ({trial.image_digest})"


def _describe_host(trial: TrialRecord) -> str | None:
    """Returns the host's facts; the memory in GiB, because equal machines differ by what their kernels keep back."""
    if not trial.host or None in trial.host.values():
        return None
    facts = {name: value for name, value in trial.host.items() if name != "memory_bytes"}
    if "memory_bytes" in trial.host:
        facts["memory"] = f"{trial.host['memory_bytes'] / 2**30:,.0f} GiB"
    if (gpu := find_chief(trial).gpu) is not None:
        facts |= {"GPU": gpu.name or _UNSET, "driver": gpu.driver or _UNSET}
    return list_items([f"{say(name.replace('_', ' '))} {value}" for name, value in sorted(facts.items())])
