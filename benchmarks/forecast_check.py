"""How often the forecast's band covers the truth, and how far its line is off, by the number of workers: simulated.

Trials are drawn from the forecast's own cost model, with the noise given and with costs of a message that the forecast
does not know. So it says what the fit and the band are worth where the model is right; benchmarks.forecast_at_four
confronts the model with measurements. No core is used but this process's, so nothing is contended.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from benchmarks.simulated_trials import MESSAGE_BYTES, describe_truth, simulate_trial
from comparison.forecast import CostModel, forecast_scaling, predict_speedup, tabulate_scales
from comparison.groups import group_trials

SIMULATIONS = 200
TRIALS = 3
WORKERS = (2, 4, 8, 16, 32, 64)
_NOISES = (0.02, 0.05)
_FITTED = ((1, 2), (1, 2, 4))
# What a message of two workers costs, in seconds: a twentieth to a fifth of a step of 50 ms.
_EXCHANGE_SECONDS = (2.5e-3, 1e-2)


class Quality(NamedTuple):
    """How good the forecasts for one number of workers were.

    Attributes:
        coverage: Share of the forecasts whose band held the truth.
        median_error: Of the line, relative to the truth, without its sign.
        large_error: What one in ten errors exceeds.
    """

    coverage: float
    median_error: float
    large_error: float


def main(simulations: int | None = None) -> int:
    """Prints a Markdown table and returns the exit code, 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_check", description=__doc__)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="forecasts a row (default: %(default)s)")
    simulations = simulations or parser.parse_args().simulations
    title = "coverage of the band, median / 90 % error of the line"
    print(f"{simulations} forecasts a row, from {TRIALS} trials of each number of workers: {title}\n")
    header = ["scaling", "noise", "fitted to", *(f"N = {count}" for count in WORKERS)]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for scaling, noise, fitted in product(("strong", "weak"), _NOISES, _FITTED):
        qualities = check_forecast(scaling, noise=noise, fitted=fitted, simulations=simulations)
        cells = [f"{own.coverage:.0%}, {own.median_error:.1%} / {own.large_error:.1%}" for own in qualities]
        print(f"| {scaling} | {noise:.0%} | N = {', '.join(map(str, fitted))} | {' | '.join(cells)} |", flush=True)
    return 0


def check_forecast(
    scaling: str, *, noise: float, fitted: Sequence[int] = (1, 2), simulations: int = SIMULATIONS, seed: int = 0
) -> list[Quality]:
    """Returns how good forecasts for each of `WORKERS` are.

    Args:
        scaling: `strong` or `weak`.
        noise: Standard deviation of the logarithms of each clock between trials.
        fitted: The numbers of workers that trials are simulated of.
        simulations: Number of forecasts, each of another truth.
        seed: Of the random numbers.
    """
    generator = np.random.default_rng(seed)
    covered = np.zeros((simulations, len(WORKERS)), bool)
    errors = np.zeros((simulations, len(WORKERS)))
    for index in range(simulations):
        truth = draw_truth(scaling, generator)
        trials = [
            simulate_trial(truth, count, trial, generator, noise=noise, place=place)
            for trial in range(TRIALS)
            for place, count in enumerate(fitted)
        ]
        (forecast,) = forecast_scaling(group_trials(trials))
        expected = predict_speedup(truth, WORKERS)
        for column, scale in enumerate(tabulate_scales(forecast, WORKERS)):
            covered[index, column] = scale.speedup.low <= expected[column] <= scale.speedup.high
            errors[index, column] = abs(scale.speedup.value / expected[column] - 1)
    medians, large = np.quantile(errors, [0.5, 0.9], axis=0)
    return [Quality(*row) for row in zip(covered.mean(axis=0).tolist(), medians.tolist(), large.tolist(), strict=True)]


def draw_truth(scaling: str, generator: np.random.Generator) -> CostModel:
    """Returns a training whose messages cost what no one knows, in latency and in bandwidth."""
    latency_share, exchange = generator.uniform(), generator.uniform(*_EXCHANGE_SECONDS)
    return describe_truth(
        scaling=scaling,
        fixed_share=generator.uniform(0, 0.1),
        # A ring of two passes two halves of the vector, one after the other.
        latency_seconds=latency_share * exchange / 2,
        seconds_per_byte=(1 - latency_share) * exchange / MESSAGE_BYTES,
    )


if __name__ == "__main__":
    sys.exit(main())
