"""Worlds in which identical configurations are trained; none of them is what the analysis takes the world to be."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from comparison.power.design import BASELINE, Design, mirror_rounds, repeat_rounds
from comparison.power.simulation import BETWEEN_TRIAL_CV
from comparison.statistics import FloatArray, compute_ratio_arrays

# How slow each trial is, as a logarithm, shape [simulations, trials], from the random numbers and the design.
Slowness = Callable[[np.random.Generator, int, Design], FloatArray]
Deviates = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]
_NOISIER = 0.08
_NEIGHBOUR = 0.2
_MOST_IN_MEMORY = 2_000


@dataclass(frozen=True)
class World:
    """What a machine does to trainings that are the same.

    Attributes:
        slowness: What slows a trial down whichever configuration it trains, but for its core.
        deviates: Of the noise of a trial's own, with a standard deviation of 1.
        baseline_noise: How much trials of the baseline scatter.
        last_noise: How much trials of the last configuration scatter.
        others_noise: How much trials of all others scatter.
    """

    slowness: Slowness
    deviates: Deviates = np.random.Generator.standard_normal
    baseline_noise: float = BETWEEN_TRIAL_CV
    last_noise: float = BETWEEN_TRIAL_CV
    others_noise: float = BETWEEN_TRIAL_CV

    def spread(self, num_configurations: int) -> FloatArray:
        """Returns how much the trials of each configuration scatter."""
        middle = [self.others_noise] * (num_configurations - 2)
        return np.array([self.baseline_noise, *middle, self.last_noise])


def measure_false_positives(
    world: World,
    *,
    configurations: int,
    trials: int,
    is_mirrored: bool = True,
    simulations: int,
) -> float:
    """Returns how often any of several identical configurations is called different from the baseline.

    Args:
        world: What happens to them.
        configurations: How many there are, the baseline being the first of them.
        trials: Rounds of each.
        is_mirrored: Whether rounds come in mirrored pairs and cores change, or the baseline always comes first.
        simulations: Number of runs.
    """
    arrange = mirror_rounds if is_mirrored else repeat_rounds
    design = Design(arrange(range(configurations), trials), does_baseline_change_cores=is_mirrored)
    generator = np.random.default_rng([0, configurations, trials])
    found = 0
    for start in range(0, simulations, _MOST_IN_MEMORY):
        values = _train(world, design, configurations, min(_MOST_IN_MEMORY, simulations - start), generator)
        ratios = compute_ratio_arrays(values, [(own, BASELINE) for own in range(1, configurations)])
        found += int(((ratios.low > 1) | (ratios.high < 1)).any(axis=-1).sum())
    return found / simulations


def _train(
    world: World, design: Design, num_configurations: int, simulations: int, generator: np.random.Generator
) -> FloatArray:
    """Returns the seconds of each configuration in each round, shape [simulations, configurations, rounds]."""
    drawn = _draw_names(design, num_configurations, simulations, generator)
    noise = world.spread(num_configurations)[drawn] * world.deviates(generator, drawn.shape)
    seconds = 60 * np.exp(world.slowness(generator, simulations, design) + noise)
    values = np.empty((simulations, num_configurations, len(design.rounds)))
    for turn in range(len(design.rounds)):
        is_own = design.turns == turn
        is_baseline = is_own & (design.names == BASELINE)
        values[:, BASELINE, turn] = seconds[:, is_baseline].mean(axis=-1)
        others = is_own & ~is_baseline
        np.put_along_axis(values[:, :, turn], drawn[:, others], seconds[:, others], axis=1)
    return values


def _draw_names(
    design: Design, num_configurations: int, simulations: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Returns which configuration each trial trains: in every pair of rounds the others are drawn anew."""
    num_pairs = math.ceil(len(design.rounds) / 2)
    others = 1 + generator.random((simulations, num_pairs, num_configurations - 1)).argsort(axis=-1)
    names = np.concatenate([np.zeros((simulations, num_pairs, 1), dtype=np.intp), others], axis=-1)
    return np.asarray(names[:, design.turns // 2, design.names])


def _stay(_generator: np.random.Generator, _simulations: int, design: Design) -> FloatArray:
    return np.zeros((1, len(design.names)))


def _slow_within_rounds(_generator: np.random.Generator, _simulations: int, design: Design) -> FloatArray:
    return np.log1p(0.05 * design.moments_of_round)[None]


def _slow_within_steps(_generator: np.random.Generator, _simulations: int, design: Design) -> FloatArray:
    return np.log1p(0.05 * design.moments_of_step)[None]


def _slow_by(share: float) -> Slowness:
    return lambda _generator, _simulations, design: np.log1p(share * design.moments_of_run)[None]


def _slow_from_the_middle(_generator: np.random.Generator, _simulations: int, design: Design) -> FloatArray:
    return np.asarray(np.log1p(0.1 * (design.moments_of_run > 1 / 2)))[None]


def _slow_from_a_moment(generator: np.random.Generator, simulations: int, design: Design) -> FloatArray:
    return np.asarray(np.log1p(0.1 * (design.moments_of_run > generator.random((simulations, 1)))))


def _share_a_core(generator: np.random.Generator, simulations: int, design: Design) -> FloatArray:
    """A neighbour on one of two cores: it slows the baseline on that core, and the others half as much always."""
    neighbour = generator.integers(2, size=(simulations, 1))
    core = design.turns % 2 * design.does_baseline_change_cores
    met = np.where(design.names == BASELINE, core == neighbour, 1 / 2)
    return np.log1p(_NEIGHBOUR * met)


def _wander(generator: np.random.Generator, simulations: int, design: Design) -> FloatArray:
    steps: FloatArray = 0.02 * generator.standard_normal((simulations, len(design.names)))
    return steps.cumsum(axis=-1)


def _stumble(generator: np.random.Generator, simulations: int, design: Design) -> FloatArray:
    return np.asarray(np.log1p(0.2 * (generator.random((simulations, len(design.names))) < 1 / 10)))


def _draw_t(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return generator.standard_t(3, shape) / math.sqrt(3)


def _draw_normal_seconds(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return np.log1p(BETWEEN_TRIAL_CV * generator.standard_normal(shape)) / BETWEEN_TRIAL_CV


def _draw_waiting(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return generator.standard_exponential(shape)


WORLDS: Mapping[str, World] = MappingProxyType(
    {
        "as quiet as it can be: log-normal noise of 2 %": World(_stay),
        "normal noise of 2 %": World(_stay, _draw_normal_seconds),
        "t-distributed noise of 2 %, 3 degrees of freedom": World(_stay, _draw_t),
        "exponential waiting of 2 %": World(_stay, _draw_waiting),
        "one trial in ten slower by 20 %": World(_stumble),
        "noise of the distributed ones 8 %": World(_stay, others_noise=_NOISIER, last_noise=_NOISIER),
        "noise of the last one 8 %": World(_stay, last_noise=_NOISIER),
        "noise of the baseline 8 %": World(_stay, baseline_noise=_NOISIER),
        "slower by 5 % at the end of each round": World(_slow_within_rounds),
        "slower by 5 % at the end of each step": World(_slow_within_steps),
        "slower by 10 % over the run, steadily": World(_slow_by(0.1)),
        "slower by 20 % over the run, steadily": World(_slow_by(0.2)),
        "slower by 10 % from the middle on": World(_slow_from_the_middle),
        "slower by 10 % from some moment on": World(_slow_from_a_moment),
        "a neighbour on one of two cores": World(_share_a_core),
        "random drift, 2 % from trial to trial": World(_wander),
    }
)
