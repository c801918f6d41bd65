"""Whether the figures of a record agree with each other, as those of one measurement do."""

import base64
import binascii
import math
from itertools import pairwise

from comparison.audit.cores import list_shared_cores
from comparison.audit.moments import WALL_CLOCK_SECONDS
from comparison.clocks import find_chief, get_clock_tolerance, is_wholly_timed, measure_chief
from comparison.records import TrialRecord
from comparison.table import UNKNOWN
from comparison.texts import count_servers, count_workers, list_items, say

# What is computed from other figures of the record agrees to the last digits.
_ROUNDING = 1e-6
# The clocks of workers in step begin and end together: up to a few hundredths of a second of each stretch.
_IN_STEP_SHARE, _IN_STEP_SECONDS = 0.1, 0.5
# Of how many steps in a hundred a percentile is the least: half of them take the median at least, and so on.
_LEAST_SHARES = {"p50": 0.4, "p90": 0.09, "p99": 0.01}
# Steps of two lengths, half of each, may have the longer one as their median: up to so much more than their mean.
_MEDIAN_ABOVE_MEAN = 1.15
# Another machine's clock, which tells when a model was evaluated on a cluster, may be off by so much.
_OTHER_CLOCK_SECONDS = 60.0


def list_contradictions(trial: TrialRecord) -> list[str]:
    """Returns in which figures a record contradicts itself: one of them was changed after the trial, or never measured.

    Of a trial that was restarted, resumed or taken over nothing is said, for its clocks do not cover all of it.
    """
    if not is_wholly_timed(trial):
        return []
    return [
        *_compare_replicas(trial),
        *_compare_counts(trial),
        *_compare_curve(trial),
        *_compare_clocks(trial),
        *_compare_replica_clocks(trial),
        *_compare_evaluation(trial),
    ]


def is_clock_short(trial: TrialRecord) -> bool:
    """Returns whether a training's clock is shorter than its median step lets expect: it did not run in all steps.

    That is no contradiction, for a machine with two speeds may do it, too. The workers of parameter servers are not in
    step.
    """
    median = trial.step_seconds.get("p50", 0.0)
    return (
        not trial.num_ps and is_wholly_timed(trial) and trial.steps * median > _MEDIAN_ABOVE_MEAN * trial.train_seconds
    )


def _compare_replicas(trial: TrialRecord) -> list[str]:
    contradictions = []
    counts = [sum(replica.type == kind for replica in trial.replicas) for kind in ("worker", "ps")]
    if counts != [trial.num_workers, trial.num_ps]:
        ran = "{workers} and {servers} ran, where it says {expected_workers} and {expected_servers}"
        values = {"workers": count_workers(counts[0]), "servers": count_servers(counts[1])}
        expected = {
            "expected_workers": count_workers(trial.num_workers),
            "expected_servers": count_servers(trial.num_ps),
        }
        contradictions.append(say(ran, **values, **expected))
    if (restarts := sum(replica.restarts for replica in trial.replicas)) != trial.restarts:
        counted = "its replicas restarted {number} times, where it says {expected}"
        contradictions.append(say(counted, number=f"{restarts:,}", expected=f"{trial.restarts:,}"))
    if trial.per_replica_batch_size * trial.num_workers != trial.global_batch_size:
        shares = "{workers} with {batch} images each do not make a global batch of {total}"
        batches = {"batch": f"{trial.per_replica_batch_size:,}", "total": f"{trial.global_batch_size:,}"}
        contradictions.append(say(shares, workers=count_workers(trial.num_workers), **batches))
    # Only a process on this machine asks for whole cores of its host; pods may run on several.
    asked, cores = len(trial.replicas) * math.ceil(trial.cpus_per_replica), trial.host.get("cores")
    if trial.backend == "local" and cores is not None and asked > cores and not trial.contended:
        hidden = "its replicas asked for {asked} cores of {cores}, and it does not say contended"
        contradictions.append(say(hidden, asked=f"{asked:,}", cores=f"{cores:,}"))
    if trial.backend == "local" and not trial.contended and (names := list_shared_cores(trial)):
        shared = "{replicas} were bound to one core, and it does not say contended"
        contradictions.append(say(shared, replicas=list_items(names)))
    return contradictions


def _compare_counts(trial: TrialRecord) -> list[str]:
    contradictions = []
    if trial.images_seen != trial.steps * trial.global_batch_size:
        counts = "{images} images do not make {steps} steps of {batch}"
        values = {"images": trial.images_seen, "steps": trial.steps, "batch": trial.global_batch_size}
        contradictions.append(say(counts, **{name: f"{value:,}" for name, value in values.items()}))
    expected = trial.images_seen / trial.train_seconds
    if not math.isclose(trial.images_per_second, expected, rel_tol=_ROUNDING):
        rate = "{rate} images/s, where images and training make it {expected}"
        contradictions.append(say(rate, rate=f"{trial.images_per_second:,.0f}", expected=f"{expected:,.0f}"))
    least = trial.steps * math.fsum(share * trial.step_seconds.get(name, 0.0) for name, share in _LEAST_SHARES.items())
    if least > trial.train_seconds * (1 + _ROUNDING) and not trial.num_ps:
        steps = "its {steps} steps took {least} s at least, the training {train} s"
        train = f"{trial.train_seconds:.1f}"
        contradictions.append(say(steps, steps=f"{trial.steps:,}", least=f"{least:.1f}", train=train))
    return contradictions


def _compare_curve(trial: TrialRecord) -> list[str]:
    contradictions = []
    end = trial.curve[-1]
    if end.step != trial.steps or not math.isclose(end.train_seconds, trial.train_seconds, rel_tol=_ROUNDING):
        ends = "the learning curve ends after {steps} steps in {seconds} s, the training after {own} in {train} s"
        values = {"steps": f"{end.step:,}", "seconds": f"{end.train_seconds:.1f}"}
        contradictions.append(say(ends, **values, own=f"{trial.steps:,}", train=f"{trial.train_seconds:.1f}"))
    if any(
        after.step <= before.step or after.train_seconds < before.train_seconds
        for before, after in pairwise(trial.curve)
    ):
        contradictions.append(say("the learning curve goes back in time"))
    expected = trial.reached.train_seconds if trial.reached else None
    if trial.seconds_to_target != expected:
        values = {"received": _format(trial.seconds_to_target), "expected": _format(expected)}
        apart = "the target was reached after {received}, where the learning curve has {expected}"
        contradictions.append(say(apart, **values))
    return contradictions


def _format(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else say("{number} s", number=f"{seconds:.1f}")


def _compare_clocks(trial: TrialRecord) -> list[str]:
    contradictions = []
    tolerance = get_clock_tolerance(trial)
    total, lasted = f"{trial.total_seconds:.1f}", trial.ended_at - trial.started_at
    if abs(lasted - trial.total_seconds) > tolerance:
        apart = "the whole job took {total} s, but {lasted} s from its start to its end"
        contradictions.append(say(apart, total=total, lasted=f"{lasted:.1f}"))
    if trial.boot_id is not None and trial.started_monotonic is not None and trial.ended_monotonic is not None:
        lasted = trial.ended_monotonic - trial.started_monotonic
        if abs(lasted - trial.total_seconds) > tolerance:
            counted = "the whole job took {total} s, but {lasted} s on the clock that nobody sets"
            contradictions.append(say(counted, total=total, lasted=f"{lasted:.1f}"))
    unexplained = measure_chief(trial)["unexplained_seconds"]
    if abs(unexplained) > tolerance:
        left = "the clocks of its parts differ from the {total} s of the whole job by {seconds} s"
        contradictions.append(say(left, total=total, seconds=f"{abs(unexplained):.1f}"))
    return contradictions


def _compare_replica_clocks(trial: TrialRecord) -> list[str]:
    """Returns which clocks are not its chief's, and whether workers in step did not train equally long."""
    contradictions = []
    clocks = find_chief(trial).clocks or {}
    unlike = [name for name, seconds in clocks.items() if getattr(trial, name, None) not in (None, seconds)]
    if unlike:
        contradictions.append(say("other clocks than its chief: {clocks}", clocks=list_items(unlike)))
    trained = [(replica.clocks or {}).get("train_seconds", trial.train_seconds) for replica in trial.replicas]
    if not trial.num_ps and max(trained) - min(trained) > max(_IN_STEP_SECONDS, _IN_STEP_SHARE * max(trained)):
        apart = "workers in step trained for {least} to {most} s"
        contradictions.append(say(apart, least=f"{min(trained):.1f}", most=f"{max(trained):.1f}"))
    return contradictions


def _compare_evaluation(trial: TrialRecord) -> list[str]:
    """Returns whether the model was evaluated before it was trained, or its wrong answers are not as many."""
    contradictions = []
    tolerance = WALL_CLOCK_SECONDS if trial.backend == "local" else _OTHER_CLOCK_SECONDS
    if (early := trial.ended_at - trial.evaluated_at) > tolerance:
        contradictions.append(say("evaluated {seconds} s before its training ended", seconds=f"{early:,.0f}"))
    bits, wrong, length = trial.wrong_images, trial.num_wrong, trial.test_n_examples
    if bits is not None and wrong is not None and length is not None and _count_bits(bits, length) != wrong:
        contradictions.append(say("the images that it got wrong are not {number} of all", number=f"{wrong:,}"))
    return contradictions


def _count_bits(text: str, length: int) -> int | None:
    """Returns how many bits of base64 are set; None where it does not hold so many."""
    try:
        own = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return int.from_bytes(own).bit_count() if len(own) == math.ceil(length / 8) else None
