"""What others on the machine do to a trial: how long it waits for them, and when it is trained once more."""

import math
from collections.abc import Mapping, Sequence
from os import environ
from typing import Any

from tfjob.backend import JobResult

# How long a run waits on one machine for others to leave the cores: as it starts, and before every later training.
START_PATIENCE_SECONDS, PATIENCE_SECONDS = 60.0, 10.0
# A trial is disturbed where others took more than this of the time of the cores of any of its replicas.
DISTURBED_SHARE = 0.1
# Set to anything, nobody waits for a quiet machine and no disturbed trial is repeated: for who tests, not measures.
ACCEPT_NOISE_VARIABLE = "TFJOB_SPEEDUP_ACCEPT_NOISE"


def accepts_noise(environment: Mapping[str, str] = environ) -> bool:
    """Returns whether trials are to be taken as they come."""
    return bool(environment.get(ACCEPT_NOISE_VARIABLE))


def choose_patience(*, is_first: bool) -> float | None:
    """Returns for how many seconds a training waits for a quiet machine; None where it is not to look.

    Args:
        is_first: Whether it is the first of its run.
    """
    if accepts_noise():
        return None
    return START_PATIENCE_SECONDS if is_first else PATIENCE_SECONDS


def find_disturbance(training: Mapping[str, Any], result: JobResult, cpus_per_replica: float | None) -> str:
    """Returns what others took of a trial's cores, in words, if it is too much; else nothing.

    The rule was fixed beforehand and looks at the disturbance only, never at what the trial measured. A contended trial
    shares its cores by plan: nobody can promise it an undisturbed one.

    Args:
        training: Its training.json, or as much as a program tells of its clocks.
        result: How its job went.
        cpus_per_replica: The cores of a replica that is not bound to any; None where nobody says.
    """
    if result.contended or not training["replicas"]:
        return ""
    measured = {(replica["type"], replica["index"]): replica for replica in training["replicas"]}
    train_seconds = training["train_seconds"]
    worst_share, words = DISTURBED_SHARE, ""
    for replica in result.replicas:
        counted = measured.get((replica.type, replica.index), {})
        others, steal = (counted.get(name) or 0.0 for name in ("others_cpu_seconds", "steal_seconds"))
        num_cores = len(replica.cpus) or math.ceil(cpus_per_replica or 1)
        share = (others + steal) / (train_seconds * num_cores)
        if share > worst_share:
            worst_share = share
            cpus = f"CPU {', '.join(map(str, replica.cpus))}" if replica.cpus else "the CPU time"
            words = (
                f"others took {share:.0%} of {cpus} of {replica.name} while it trained (other programs {others:.1f} s, "
                f"hypervisor {steal:.1f} s, of {train_seconds:.1f} s; the limit is {DISTURBED_SHARE:.0%})"
            ).replace("%", " %")
    return words


def is_disturbed(attempt: Mapping[str, Any]) -> bool:
    """Returns whether an earlier attempt was whole, and repeated because others had disturbed it."""
    return attempt.get("train_seconds") is not None


def describe_attempts(earlier: Sequence[Mapping[str, Any]], disturbance: str) -> list[str]:
    """Returns what the report says of a trial that had several attempts, or was disturbed in the one that counts.

    Args:
        earlier: The attempts before the one that counts.
        disturbance: What disturbed that one, or nothing.
    """
    told = [
        f"trained once more, and this attempt counts; in the one before it {attempt['reason']}"
        if is_disturbed(attempt)
        else f"trained anew from step 0, and this whole attempt counts; an attempt before it ended: {attempt['reason']}"
        for attempt in earlier
    ]
    told = list(dict.fromkeys(told))  # the report counts the trials that a sentence is about
    return [*told, f"this attempt counts although {disturbance}"] if disturbance else told
