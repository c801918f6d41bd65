"""From what size of step, and from how many images on, distributing would pay off."""

import math
from typing import NamedTuple

from comparison.statistics import compute_mean
from comparison.summary import SINGLE, Groups, Trials, find_baseline


class Forecast(NamedTuple):
    """Where a distributed configuration breaks even with the single node.

    Attributes:
        step_seconds: What one step takes the single node.
        break_even_step_seconds: What it would have to take for both to train equally fast; 0 if distributing costs
            nothing, so that any step would do.
        break_even_images: How many images a job must train on for its shorter training to make up for its longer
            start-up; 0 if it starts no later, infinite if its training is no faster.
    """

    step_seconds: float
    break_even_step_seconds: float
    break_even_images: float


def forecast_break_even(groups: Groups) -> dict[str, Forecast]:
    """Returns the break-even points of each configuration of several workers that has a baseline, for strong scaling.

    N workers that share a step of T seconds take T / N and what distributing costs, C: whatever else the measured step
    took. With C constant they break even at T = C · N / (N - 1).

    Source: Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities",
    AFIPS 30 (1967), with C for the serial part.
    """
    return {
        name: _forecast(baseline, trials)
        for name, trials in groups.items()
        if trials[0].strategy != SINGLE
        and trials[0].scaling == "strong"
        and trials[0].num_workers > 1
        and (baseline := find_baseline(groups, name))
    }


def _forecast(baseline: Trials, trials: Trials) -> Forecast:
    num_workers = trials[0].num_workers
    single_step, own_step = (_compute_step_seconds(group) for group in (baseline, trials))
    cost = max(0.0, own_step - single_step / num_workers)
    saved_an_image = (single_step - own_step) / trials[0].global_batch_size
    later = max(0.0, _compute_seconds_around_training(trials) - _compute_seconds_around_training(baseline))
    return Forecast(
        step_seconds=single_step,
        break_even_step_seconds=cost * num_workers / (num_workers - 1),
        break_even_images=later / saved_an_image if saved_an_image > 0 else math.inf,
    )


def _compute_step_seconds(trials: Trials) -> float:
    return compute_mean([trial.train_seconds / trial.steps for trial in trials])


def _compute_seconds_around_training(trials: Trials) -> float:
    return compute_mean([trial.total_seconds - trial.train_seconds for trial in trials])
