"""The bounds of the speedup with more workers, from what was measured with fewer: pure functions of numbers.

Nothing is fitted. Each part of a step is bounded by laws that hold whatever the network and the noise are, so that the
range need not know which of them is at work. docs/forecast.md has the laws on one page; `coverage` tries them out.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Beyond twice the workers that were measured the bounds are too far apart to tell anything.
REACH = 2
# By how much a halving of a worker's batch changes the time of an image, beyond what was measured: shorter where a
# cache takes in what it could not before, longer where a small batch no longer fills the processor. A choice with room:
# docs/forecast.md.
SHARE_FACTOR = 1.25


class Range(NamedTuple):
    """The two ends of what is possible, an entry a run."""

    low: Values
    high: Values


class Measured(NamedTuple):
    """What was measured of one way of distributing, with one number of workers; arrays have an entry a run.

    Attributes:
        num_workers: How many, more than one.
        speedup: Over a single node, a 95 % interval.
        communication_share: Of a step of the training, waiting for others included.
        latency_share: Of a step, the exchange of a single element; 0 where it was not measured.
        transfer_share: Of a step, what the exchange of the whole vector takes longer; 0 where it was not measured.
        job_speedup: Of the whole job, a 95 % interval.
        setup_share: Of the job, all of it but the training.
        setup_growth: By which share of it the setup takes longer than a single node's, not below 0.
    """

    num_workers: int
    speedup: Range
    communication_share: Values
    latency_share: Values
    transfer_share: Values
    job_speedup: Range
    setup_share: Values
    setup_growth: Values


def bound_speedup(measured: Measured, num_workers: int, *, is_weak: bool, is_served: bool) -> Range:
    """Returns between which bounds the speedup of the training with more workers lies.

    Args:
        measured: What was measured with fewer.
        num_workers: How many it is about, at most `REACH` times those that were measured.
        is_weak: Whether each worker keeps its batch, instead of sharing one with all others.
        is_served: Whether they exchange with parameter servers, instead of with each other.
    """
    few, many, communicated = measured.num_workers, num_workers, measured.communication_share
    # A step of the measured workers, in steps of the single node.
    images = few if is_weak else 1
    step = Range(images / measured.speedup.high, images / measured.speedup.low)
    # By what computation shrinks at best, and noise with it where that is a share of it.
    shrunk = 1.0 if is_weak else few / many / _vary(few, many)
    bound_computation = _bound_own_batches if is_weak else _bound_shared_batch
    longest_computation = bound_computation((1 - communicated) * step.high, few, many)
    latency = np.minimum(measured.latency_share, communicated)
    transfer = np.minimum(measured.transfer_share, communicated - latency)
    exchanged = latency + transfer
    if not is_served:
        latency, transfer = latency * grow_least(few, many), transfer * grow_ring_transfer(few, many)
    shortest = step.low * (shrunk * (1 - exchanged) + latency + transfer)
    longest = longest_computation + communicated * step.high * grow_most(few, many)
    if is_served:
        # At worst the servers, or the coordinator that hands out the updates, have no room left: then there never are
        # more updates a second than were measured.
        longest = np.maximum(longest, step.high * many / few)
    images = many if is_weak else 1
    # More than N times as fast is not expected of N, unless fewer were.
    ideal = np.maximum(1, measured.speedup.high / few) * many
    return Range(images / longest, np.minimum(ideal, images / shortest))


def bound_job_speedup(measured: Measured, num_workers: int, speedup: Range) -> Range:
    """Returns between which bounds the speedup of the whole job lies, given that of its training.

    What the setup takes longer than a single node's stays as it is, or grows with each further worker.
    """
    own, setup = measured.speedup, measured.setup_share
    growth = measured.setup_growth * (grow_most(measured.num_workers, num_workers) - 1)
    longest = (1 - setup) * own.low / speedup.low + setup * (1 + growth)
    shortest = (1 - setup) * own.high / speedup.high + setup
    return Range(measured.job_speedup.low / longest, measured.job_speedup.high / shortest)


def grow_most(few: int, many: int) -> float:
    """Returns the most that a cost of working together grows by: as the number of the others does.

    That is a ring's latencies, and bytes through one shared link. Waiting for the slowest of N grows no faster either,
    whatever the noise: its expectation is concave in N.

    Source: Thakur, Rabenseifner & Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19
    (2005); David & Nagaraja, "Order statistics" (2003), for the differences of expected maxima.
    """
    return (many - 1) / (few - 1)


def grow_least(few: int, many: int) -> float:
    """Returns the least that latencies grow by: a tree's, as the logarithm of the number of workers."""
    return float(np.log(many) / np.log(few))


def grow_ring_transfer(few: int, many: int) -> float:
    """Returns the least that transfers grow by: those of a ring, which no all-reduce undercuts.

    Source: Patarasu & Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69 (2009).
    """
    return (1 - 1 / many) / (1 - 1 / few)


def _vary(few: int, many: int) -> float:
    """Returns by what an image's time may change where many workers share the batch of few."""
    return float(SHARE_FACTOR ** np.log2(many / few))


def _bound_shared_batch(computed: Values, few: int, many: int) -> Values:
    """Returns the longest that many workers compute for, each a smaller share of the batch than few did.

    A part is fixed, as Amdahl has it, and an image's time may change. A smaller share never takes longer than a larger
    one, unless it was seen to.

    Source: Amdahl, "Validity of the single processor approach", AFIPS 1967.
    """
    fixed = np.maximum(0, (computed - 1 / few) / (1 - 1 / few))
    amdahl = fixed + (1 - fixed) / many
    return np.maximum(amdahl, np.minimum(amdahl * _vary(few, many), computed))


def _bound_own_batches(computed: Values, few: int, many: int) -> Values:
    """Returns the longest that many workers compute for, each a batch as large as ever.

    What that takes longer than on a single node, as where they share a memory, grows with each further worker.
    """
    return computed + np.maximum(0, computed - 1) * (grow_most(few, many) - 1)
