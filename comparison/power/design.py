"""The order in which a run trains its configurations, as far as a machine that changes can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from comparison.statistics import FloatArray

BASELINE = 0


def mirror_rounds(order: Sequence[int], num_rounds: int) -> list[list[int]]:
    """Returns which configuration each round trains in which order: in mirrored pairs.

    An odd round begins with the baseline's step, the even one after it is its mirror image, and an odd last round has
    the baseline at both ends. So within a pair all configurations have the same mean place, and what drifts steadily,
    over the run or anew in each round, slows them all alike.

    Args:
        order: Of the configurations in an odd round; the first is the baseline.
        num_rounds: How often each is trained.
    """
    rounds = [[*order] if turn % 2 == 0 else [*reversed(order)] for turn in range(num_rounds)]
    if num_rounds % 2:
        rounds[-1].append(order[0])
    return rounds


def repeat_rounds(order: Sequence[int], num_rounds: int) -> list[list[int]]:
    """Returns the rounds of a design in which the baseline always comes first, to compare with."""
    return [[*order] for _ in range(num_rounds)]


@dataclass(frozen=True)
class Design:
    """The trials of a run in their order, all equally long.

    Attributes:
        rounds: What each round trains; 0 is the baseline, the others are names to be drawn.
        does_baseline_change_cores: Whether the baseline trains on another core in every round.
    """

    rounds: Sequence[Sequence[int]]
    does_baseline_change_cores: bool = True

    @cached_property
    def names(self) -> NDArray[np.intp]:
        """What each trial trains."""
        return np.array([name for own in self.rounds for name in own])

    @cached_property
    def turns(self) -> NDArray[np.intp]:
        """The round of each trial, from 0."""
        return np.repeat(np.arange(len(self.rounds)), [len(own) for own in self.rounds])

    @property
    def moments_of_run(self) -> FloatArray:
        """The middle of each trial as a share of the run."""
        return _locate([len(self.names)])

    @property
    def moments_of_round(self) -> FloatArray:
        """The middle of each trial as a share of its round."""
        return _locate([len(own) for own in self.rounds])

    @property
    def moments_of_step(self) -> FloatArray:
        """The middle of each trial as a share of the trials that one step runs together, baselines or others."""
        return _locate([len([*own]) for _, own in groupby(self.names, key=lambda name: name == BASELINE)])


def _locate(lengths: Sequence[int]) -> FloatArray:
    return np.concatenate([(np.arange(length) + 0.5) / length for length in lengths])
