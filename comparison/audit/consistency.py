"""Whether the figures of a record agree with each other, as those of one measurement do."""

import math

from comparison.clocks import get_clock_tolerance, is_wholly_timed, measure_chief
from comparison.records import TrialRecord
from comparison.table import UNKNOWN
from comparison.texts import count_servers, count_workers, say

# What is computed from other figures of the record agrees to the last digits.
_ROUNDING = 1e-6


def list_contradictions(trial: TrialRecord) -> list[str]:
    """Returns in which figures a record contradicts itself: one of them was changed after the trial, or never measured.

    Of a trial that was restarted, resumed or taken over nothing is said, for its clocks do not cover all of it.
    """
    if not is_wholly_timed(trial):
        return []
    return [*_compare_replicas(trial), *_compare_counts(trial), *_compare_curve(trial), *_compare_clocks(trial)]


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
    if trial.per_replica_batch_size * trial.num_workers != trial.global_batch_size:
        shares = "{workers} with {batch} images each do not make a global batch of {total}"
        batches = {"batch": f"{trial.per_replica_batch_size:,}", "total": f"{trial.global_batch_size:,}"}
        contradictions.append(say(shares, workers=count_workers(trial.num_workers), **batches))
    # Only a process on this machine asks for whole cores of its host; pods may run on several.
    asked, cores = len(trial.replicas) * math.ceil(trial.cpus_per_replica), trial.host.get("cores")
    if trial.backend == "local" and cores is not None and asked > cores and not trial.contended:
        hidden = "its replicas asked for {asked} cores of {cores}, and it does not say contended"
        contradictions.append(say(hidden, asked=f"{asked:,}", cores=f"{cores:,}"))
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
    return contradictions


def _compare_curve(trial: TrialRecord) -> list[str]:
    contradictions = []
    end, target = trial.curve[-1], trial.target_accuracy
    if end.step != trial.steps or not math.isclose(end.train_seconds, trial.train_seconds, rel_tol=_ROUNDING):
        ends = "the learning curve ends after {steps} steps in {seconds} s, the training after {own} in {train} s"
        values = {"steps": f"{end.step:,}", "seconds": f"{end.train_seconds:.1f}"}
        contradictions.append(say(ends, **values, own=f"{trial.steps:,}", train=f"{trial.train_seconds:.1f}"))
    reached = (own.train_seconds for own in trial.curve if target is not None and own.validation_accuracy >= target)
    expected = next(reached, None)
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
    unexplained = measure_chief(trial)["unexplained_seconds"]
    if abs(unexplained) > tolerance:
        left = "the clocks of its parts differ from the {total} s of the whole job by {seconds} s"
        contradictions.append(say(left, total=total, seconds=f"{abs(unexplained):.1f}"))
    return contradictions
