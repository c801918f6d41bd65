"""How often the truth lies in the forecast's range, in worlds that the forecast knows nothing of: by simulation.

A world says how long a step truly takes by formulas of its own: what its network does, how its noise is distributed,
how a small batch computes. Trials are drawn from it with noise on every clock, and forecast as a report would.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.special import ndtri

from comparison.forecast.bounds import Measured, Range, Values, bound_job_speedup, bound_speedup
from comparison.statistics import compute_ratio_arrays

TRIALS = 3
NOISES = (0.02, 0.05)
# The number of workers that is forecast, and those that were measured.
PLANS = MappingProxyType({4: (2,), 8: (2, 4)})
_MOST = max(PLANS)
# Standard deviations of the logarithms of clocks that see a part of a training only, and of the setup.
_PART_NOISE = 0.1
_SETUP_NOISE = 0.05
# An exchange within a step, over the same by itself.
_IN_STEP = (0.8, 1.3)
# Images a second of resnet8 in batches of 128, 64, 32 and 16, over those of 128, measured.
_ON_A_CORE = (1.0, 0.97, 0.83, 0.73)
_ON_A_GPU = (1.0, 0.80, 0.49, 0.27)

Growth = Callable[[int], Values | float]


@dataclass(frozen=True)
class World:
    """What is true of many runs, an entry each; times are in steps of the single node.

    Attributes:
        compute: What a worker computes for, given its share of the single node's batch and the number of workers.
        wait: For how long so many workers wait for the slowest in the mean, given what each computes for.
        latency: What the latencies of an exchange of two workers take,
        transfer: and its bytes.
        grow_latency: By what the latencies of so many workers exceed those of two,
        grow_transfer: and the bytes.
        is_served: Whether workers exchange with servers.
        served: For how long servers are busy with a worker's update,
        handed_out: and the coordinator, which no clock of a worker sees.
        slowness: Of each machine, shape [runs, machines]; the first is the single node's and the chief's.
    """

    compute: Callable[[float, int], Values]
    wait: Callable[[int, Values], Values]
    latency: Values
    transfer: Values
    grow_latency: Growth
    grow_transfer: Growth
    is_served: bool
    served: Values
    handed_out: Values
    slowness: Values

    def exchange(self, num_workers: int) -> tuple[Values, Values]:
        """Returns what the latencies and the bytes of an exchange take."""
        return self.latency * self.grow_latency(num_workers), self.transfer * self.grow_transfer(num_workers)

    def time_step(self, num_workers: int, *, is_weak: bool) -> tuple[Values, Values]:
        """Returns how long a step takes, and what of it is communication, as the chief sees it."""
        computed = self.compute(1.0 if is_weak else 1 / num_workers, num_workers)
        own = computed * self.slowness[:, 0]
        if num_workers == 1:
            return own, np.zeros_like(own)
        latency, transfer = self.exchange(num_workers)
        slowest = computed * self.slowness[:, :num_workers].max(axis=1)
        step = np.maximum(slowest + self.wait(num_workers, computed) + latency + transfer, num_workers * self.served)
        return np.maximum(step, num_workers * self.handed_out), step - own


class Coverage(NamedTuple):
    """How good the ranges for one number of workers were.

    Attributes:
        speedup: Share of the ranges of the training's speedup that held the truth.
        job_speedup: The same of the whole job's.
        width: The upper end of the training's over its lower end, a median.
    """

    speedup: float
    job_speedup: float
    width: float


def measure_coverage(
    world: str, num_workers: int, *, is_weak: bool, noise: float, is_timed: bool = True, draws: int
) -> Coverage:
    """Returns how good the forecasts for one number of workers are in a world.

    Args:
        world: One of `WORLDS` or `OUTSIDE`.
        num_workers: One of `PLANS`, which says what is measured.
        is_weak: Whether scaling is weak.
        noise: Standard deviation of the logarithms of training times between trials.
        is_timed: Whether the trials timed an exchange by itself.
        draws: Number of runs.
    """
    generator = np.random.default_rng(0)
    true = (WORLDS | OUTSIDE)[world](generator, draws)
    setup, setup_of = _draw_setup(generator, draws)
    counts = (1, *PLANS[num_workers])
    few = counts[-1]
    images = {count: count if is_weak else 1 for count in (*counts, num_workers)}
    steps = {count: true.time_step(count, is_weak=is_weak) for count in images}

    def scatter(values: Values, spread: float) -> Values:
        return values[:, None] * np.exp(generator.normal(0, spread, (draws, TRIALS)))

    # A training of as many images, in the single node's steps.
    training = np.stack([scatter(steps[count][0] / images[count], noise) for count in counts], axis=1)
    setups = np.stack([scatter(setup_of(count), _SETUP_NOISE) for count in counts], axis=1)
    whole, communicated = steps[few]
    latency, transfer = (own / generator.uniform(*_IN_STEP, draws) for own in true.exchange(few))
    shares = [scatter(own / whole, _PART_NOISE).mean(axis=1) for own in (communicated, latency, transfer)]
    mean_setup = setups.mean(axis=2)
    jobs = training + setups
    measured = Measured(
        num_workers=few,
        speedup=_compare(training),
        communication_share=np.minimum(shares[0], 0.999),
        latency_share=shares[1] * is_timed,
        transfer_share=shares[2] * is_timed,
        job_speedup=_compare(jobs),
        setup_share=mean_setup[:, -1] / jobs[:, -1].mean(axis=1),
        setup_growth=np.maximum(0, 1 - mean_setup[:, 0] / mean_setup[:, -1]),
    )
    speedup = bound_speedup(measured, num_workers, is_weak=is_weak, is_served=true.is_served)
    job = bound_job_speedup(measured, num_workers, speedup)
    seconds = {count: steps[count][0] / images[count] for count in (1, num_workers)}
    truth = seconds[1] / seconds[num_workers]
    job_truth = (seconds[1] + setup) / (seconds[num_workers] + setup_of(num_workers))
    return Coverage(
        speedup=_count(speedup, truth),
        job_speedup=_count(job, job_truth),
        width=float(np.median(speedup.high / speedup.low)),
    )


def _compare(seconds: Values) -> Range:
    """Returns the interval of the speedup of the last configuration over the first."""
    pairs = [(own, 0) for own in range(1, seconds.shape[1])]
    ratios = compute_ratio_arrays(seconds, pairs)
    return Range(1 / ratios.high[:, -1], 1 / ratios.low[:, -1])


def _count(bounds: Range, truth: Values) -> float:
    return float(np.mean((bounds.low <= truth) & (truth <= bounds.high)))


def _draw_setup(generator: Generator, runs: int) -> tuple[Values, Callable[[int], Values]]:
    """Returns the single node's setup, over its training, and that of so many workers."""
    own = generator.uniform(0.1, 1, runs)
    fixed, growing, power = generator.uniform(0, (0.5, 0.2, 1), (runs, 3)).T
    return own, lambda count: own * (1 + (fixed + growing * (count - 1) ** power) * (count > 1))


def _draw_world(
    generator: Generator,
    runs: int,
    *,
    fixed: float = 0.1,
    exchange: tuple[float, float] = (0.01, 1.0),
    latency_share: tuple[float, float] = (0.0, 1.0),
    grow_latency: Growth = lambda count: count - 1,
    grow_transfer: Growth = lambda count: 2 * (1 - 1 / count),
    slowness: float = 0.0,
    shape: Callable[[Generator, int], Callable[[float, int], Values | float]] | None = None,
    delays: tuple[float, float] = (0.0, 0.0),
    busy: float | None = None,
    handed_out: float = 0.0,
) -> World:
    """Returns runs of a world: a ring of equal machines with normal noise where nothing else is said.

    Args:
        generator: Of all that differs between runs.
        runs: How many.
        fixed: The largest share of a step that no further worker shortens.
        exchange: From what to what an exchange of two workers takes.
        latency_share: From what to what share of that is latency.
        grow_latency: As in a `World`.
        grow_transfer: As in a `World`.
        slowness: Standard deviation of the logarithms between machines.
        shape: Draws what the computation is multiplied by, given a share and a number of workers.
        delays: The largest probability of a long delay in a step of a worker, and the longest.
        busy: For how much of an exchange the servers are busy; None without servers.
        handed_out: For how long a coordinator is busy with an update, at most.
    """
    share = generator.uniform(0, fixed, runs)
    factor = shape(generator, runs) if shape else lambda *_: 1.0
    probability, delay = generator.uniform(0, 1, (2, runs)) * np.array(delays)[:, None]
    noise = generator.uniform(0, 0.05, runs)
    cost = np.exp(generator.uniform(math.log(exchange[0]), math.log(exchange[1]), runs))
    latency = cost * generator.uniform(*latency_share, runs)
    return World(
        compute=lambda batch, count: (share + (1 - share) * batch) * factor(batch, count) + probability * delay,
        wait=lambda count, computed: (
            noise * _expect_maximum(count) * computed + delay * (1 - (1 - probability) ** count - probability)
        ),
        latency=latency,
        transfer=cost - latency,
        grow_latency=grow_latency,
        grow_transfer=grow_transfer,
        is_served=busy is not None,
        served=(busy or 0) * cost,
        handed_out=generator.uniform(0, handed_out, runs),
        slowness=np.exp(generator.normal(0, slowness, (runs, _MOST))),
    )


def _expect_maximum(count: int) -> float:
    """Returns the expected maximum of so many standard normal variables.

    Source: Blom, "Statistical estimates and transformed beta-variables" (1958).
    """
    return float(ndtri((count - 0.375) / (count + 0.25)))


def _draw_small_batches(measured: tuple[float, ...], generator: Generator, runs: int) -> Callable[[float, int], Values]:
    """Returns how much longer an image takes in a smaller batch, more or less as it was measured."""
    power = generator.uniform(0.5, 1.2, runs)
    return lambda batch, _: measured[round(-math.log2(batch))] ** -power


def _draw_floor(generator: Generator, runs: int) -> Callable[[float, int], Values]:
    """Returns how much longer an image takes from the share on below which no step gets shorter."""
    floor = np.exp(generator.uniform(math.log(1 / 64), 0, runs))
    return lambda batch, _: np.maximum(1, floor / batch)


def _draw_cache(generator: Generator, runs: int) -> Callable[[float, int], Values]:
    """Returns how much shorter an image takes from the share on that a cache takes in."""
    gain, largest = generator.uniform(0, 0.3, runs), 0.5 ** generator.integers(1, 4, runs)
    return lambda batch, _: 1 - gain * (batch <= largest)


def _draw_shared_memory(generator: Generator, runs: int) -> Callable[[float, int], Values]:
    """Returns how much longer workers compute that share a memory."""
    each = generator.uniform(0, 0.2, runs)
    return lambda _, count: 1 + each * (count - 1)


def _grow_tree(count: int) -> float:
    return math.ceil(math.log2(count))


def _grow_link(count: int) -> float:
    return count - 1


def _slow_down(count: int) -> float:
    return 4.0 if count > min(map(max, PLANS.values())) else 1.0


def _stay(_: int) -> float:
    return 1.0


_draw_servers = partial(_draw_world, grow_latency=_stay, grow_transfer=_stay)
# The shape says all of what a smaller share does not shorten.
_draw_shares = partial(_draw_world, fixed=0.0)
_OF_SHARES = ("small batches on a core", "small batches on a GPU", "a processor that they do not fill", "a cache")
WORLDS: dict[str, Callable[[Generator, int], World]] = {
    "a ring, bytes alone": partial(_draw_world, latency_share=(0.0, 0.0)),
    "a ring, latencies alone": partial(_draw_world, latency_share=(1.0, 1.0)),
    "a tree": partial(_draw_world, grow_latency=_grow_tree, grow_transfer=_grow_tree),
    "one shared link": partial(_draw_world, grow_transfer=_grow_link),
    "a fixed part (Amdahl)": partial(_draw_world, fixed=0.5),
    "rare long delays": partial(_draw_world, delays=(0.05, 5.0)),
    "unequal machines": partial(_draw_world, slowness=0.05),
    "a memory that all share": partial(_draw_world, shape=_draw_shared_memory),
    "small batches on a core": partial(_draw_shares, shape=partial(_draw_small_batches, _ON_A_CORE)),
    "small batches on a GPU": partial(_draw_shares, shape=partial(_draw_small_batches, _ON_A_GPU)),
    "a processor that they do not fill": partial(_draw_shares, shape=_draw_floor),
    "a cache": partial(_draw_world, shape=_draw_cache),
    "a large model (ResNet-50), thin network": partial(
        _draw_world, exchange=(0.15, 1.5), latency_share=(0.0, 0.05), fixed=0.02
    ),
    "servers with room": partial(_draw_servers, busy=0.0),
    "servers' bandwidth": partial(_draw_servers, busy=0.9),
    "servers' coordinator": partial(_draw_servers, busy=0.2, handed_out=0.3),
    "all at once": partial(
        _draw_world,
        fixed=0.2,
        grow_transfer=_grow_link,
        grow_latency=_grow_tree,
        slowness=0.03,
        delays=(0.02, 2.0),
        shape=_draw_cache,
    ),
}
# Where what is added is not more of the same; no range claims to hold there.
OUTSIDE: dict[str, Callable[[Generator, int], World]] = {
    "a network four times slower from the third worker on": partial(
        _draw_world,
        grow_latency=lambda count: (count - 1) * _slow_down(count),
        grow_transfer=lambda count: 2 * (1 - 1 / count) * _slow_down(count),
    ),
    "a shared link that congests": partial(
        _draw_world, grow_latency=lambda count: (count - 1) ** 1.5, grow_transfer=lambda count: (count - 1) ** 1.5
    ),
}


def print_coverage(draws: int) -> None:
    """Prints how often the forecast's ranges hold the truth, a Markdown table for each kind of scaling."""
    truth = "how often the range holds the truth"
    for scaling, is_weak in (("strong", False), ("weak", True)):
        print(f"\nForecasts of more workers, {scaling} scaling, {TRIALS} trials: {truth}\n")
        _print_worlds(list_worlds(is_weak=is_weak), is_weak=is_weak, draws=draws)
    print(f"\nForecasts of more workers, strong scaling, where these are not more of the same: {truth}\n")
    _print_worlds(OUTSIDE, is_weak=False, draws=draws)


def list_worlds(*, is_weak: bool) -> list[str]:
    """Returns the worlds of a kind of scaling: with weak scaling no batch is small."""
    return [world for world in WORLDS if not is_weak or world not in _OF_SHARES]


def _print_worlds(worlds: Iterable[str], *, is_weak: bool, draws: int) -> None:
    plans = [(count, noise) for count in PLANS for noise in NOISES]
    names = [f"{count} from {' and '.join(map(str, PLANS[count]))}, noise {noise:.0%}" for count, noise in plans]
    headers = ["world", *names, "not timed, least", "whole job, least", "high / low"]
    print(f"| {' | '.join(headers)} |\n|---|{'---:|' * (len(headers) - 1)}")
    for world in worlds:
        timed, untimed = (
            [
                measure_coverage(world, count, is_weak=is_weak, noise=noise, is_timed=is_timed, draws=draws)
                for count, noise in plans
            ]
            for is_timed in (True, False)
        )
        shares = [
            *(own.speedup for own in timed),
            min(own.speedup for own in untimed),
            min(own.job_speedup for own in (*timed, *untimed)),
        ]
        width = np.median([own.width for own in timed])
        print(f"| {world} | {' | '.join(f'{own:.1%}' for own in shares)} | {width:.1f} |", flush=True)
