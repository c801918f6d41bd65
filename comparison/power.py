"""`python -m comparison.power` prints how often a comparison errs: the tables of docs/statistics.md, by simulation."""

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from comparison.forecast import print_coverage
from comparison.statistics import (
    MIN_BLOCKED_DEGREES,
    RELEVANT_POWER,
    RELEVANT_RATIO,
    FloatArray,
    compute_power,
    compute_ratio_arrays,
    count_trials_to_find,
)
from comparison.streams import replace_unencodable

# Standard deviation of a configuration's training time between trials, over its mean, on a quiet machine with a core
# for each replica: the upper end of what was measured, 1 to 2 %.
BETWEEN_TRIAL_CV = 0.02
SLOWDOWN = RELEVANT_RATIO
SIMULATIONS = 20_000
_NOISES = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05)
_DRIFTS = (0.0, 0.02, 0.05)
_TRIALS = (2, 3, 5)
_CONFIGURATIONS = (2, 3, 5)
_NOISES_OF_MACHINES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
_TIMES_NOISIER = (2, 5, 10)
DEFAULT_TRIALS = 3
# Degrees of freedom that must remain for rounds to be taken out: never enough, always enough, and what reports use.
_ROUNDS = {"left in": sys.maxsize, "taken out": 1, "rule": MIN_BLOCKED_DEGREES}


class Rates(NamedTuple):
    """How often one configuration at least, and how often the last one was told from the baseline."""

    any_found: float
    last_found: float


def simulate(
    *,
    configurations: int,
    trials: int,
    noise: float | Sequence[float] = BETWEEN_TRIAL_CV,
    drift: float = 0.0,
    slowdown: float = 1.0,
    unpooled: Sequence[int] = (),
    min_blocked_degrees: int = MIN_BLOCKED_DEGREES,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Rates:
    """Returns what the comparison that reports use finds in log-normal training times.

    Args:
        configurations: How many there are, the baseline being the first of them.
        trials: Of each configuration.
        noise: Standard deviation of the logarithms between trials, of all configurations or of each.
        drift: Standard deviation of the logarithms between rounds, shared by all configurations.
        slowdown: By which factor the last configuration is slower; the others are identical.
        unpooled: Configurations that the comparison knows to have a noise of their own.
        min_blocked_degrees: Rounds are taken out where so many degrees of freedom remain.
        simulations: Number of comparisons.
        seed: Of the random numbers.
    """
    generator = np.random.default_rng(seed)
    spread = np.broadcast_to(np.asarray(noise, dtype=float), configurations)[:, None]
    logs = spread * generator.standard_normal((simulations, configurations, trials))
    logs += drift * generator.standard_normal((simulations, 1, trials))
    seconds: FloatArray = 60 * np.exp(logs)
    seconds[:, -1] *= slowdown
    pairs = [(own, 0) for own in range(1, configurations)]
    ratios = compute_ratio_arrays(seconds, pairs, unpooled, min_blocked_degrees)
    is_found = (ratios.low > 1) | (ratios.high < 1)
    return Rates(float(is_found.any(axis=-1).mean()), float(is_found[:, -1].mean()))


def find_highest_noise(
    configurations: int,
    trials: int,
    *,
    power: float = RELEVANT_POWER,
    drift: float = 0.0,
    simulations: int = SIMULATIONS,
    highest: float = 0.2,
) -> float:
    """Returns the highest noise, to a tenth of a per cent, up to which a slowdown by `SLOWDOWN` is found so often."""
    noise = 0.0
    for step in range(1, round(1000 * highest) + 1):
        rates = simulate(
            configurations=configurations,
            trials=trials,
            noise=step / 1000,
            drift=drift,
            slowdown=SLOWDOWN,
            simulations=simulations,
        )
        if rates.last_found < power:
            break
        noise = step / 1000
    return noise


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m comparison.power") -> int:
    """Prints the tables and returns the exit status, 0."""
    replace_unencodable()
    parser = argparse.ArgumentParser(
        prog=prog, description="Print how often a comparison errs: the tables of docs/statistics.md, by simulation."
    )
    parser.add_argument(
        "--simulations", type=int, default=SIMULATIONS, help="comparisons of each figure (default: %(default)s)"
    )
    simulations: int = parser.parse_args(arguments).simulations
    _print_false_positives(simulations)
    for drift in _DRIFTS[:2]:
        _print_power(drift, simulations)
    _print_trials()
    _print_rounds(simulations)
    _print_unequal_noise(simulations)
    print_coverage(simulations)
    return 0


def _print_false_positives(simulations: int) -> None:
    print(f"Identical configurations, noise {BETWEEN_TRIAL_CV:.0%}: how often any is called different\n")
    _print_header("configurations", "trials", *(f"drift {drift:.0%}" for drift in _DRIFTS))
    for configurations, trials in product(_CONFIGURATIONS, _TRIALS):
        rates = [
            simulate(configurations=configurations, trials=trials, drift=drift, simulations=simulations)
            for drift in _DRIFTS
        ]
        _print_row(configurations, trials, *(f"{rate.any_found:.1%}" for rate in rates))


def _print_power(drift: float, simulations: int) -> None:
    print(f"\nOne configuration slower by {SLOWDOWN - 1:.0%}, drift {drift:.0%}: how often it is found, by noise\n")
    _print_header("configurations", "trials", *(f"{noise:.1%}" for noise in _NOISES), "90 % up to")
    for configurations, trials in product(_CONFIGURATIONS, _TRIALS):
        rates = [
            simulate(
                configurations=configurations,
                trials=trials,
                noise=noise,
                drift=drift,
                slowdown=SLOWDOWN,
                simulations=simulations,
            )
            for noise in _NOISES
        ]
        highest = find_highest_noise(configurations, trials, drift=drift, simulations=simulations)
        _print_row(configurations, trials, *(f"{rate.last_found:.0%}" for rate in rates), f"{highest:.1%}")


def _print_trials() -> None:
    title = f"One configuration slower by {SLOWDOWN - 1:.0%}: how many trials find it in {RELEVANT_POWER:.0%}"
    print(f"\n{title}, and how often {DEFAULT_TRIALS} find it, by noise and configurations\n")
    columns = [f"{count} configurations" for count in _CONFIGURATIONS]
    _print_header("noise", *columns, *(f"{DEFAULT_TRIALS} trials: {column}" for column in columns))
    for noise in _NOISES_OF_MACHINES:
        needed = [count_trials_to_find(noise, count) for count in _CONFIGURATIONS]
        powers = [compute_power(noise, count, DEFAULT_TRIALS) for count in _CONFIGURATIONS]
        _print_row(f"{noise:.0%}", *needed, *(f"{power:.0%}" for power in powers))


def _print_rounds(simulations: int) -> None:
    print(
        f"\nOne configuration slower by {SLOWDOWN - 1:.0%}, noise {BETWEEN_TRIAL_CV:.0%}: how often it is found with "
        "the rounds left in, taken out, and by the rule\n"
    )
    headers = [f"drift {drift:.0%}: {name}" for drift in _DRIFTS for name in _ROUNDS]
    _print_header("configurations", "trials", *headers)
    for configurations, trials in product(_CONFIGURATIONS, _TRIALS):
        rates = [
            simulate(
                configurations=configurations,
                trials=trials,
                drift=drift,
                slowdown=SLOWDOWN,
                min_blocked_degrees=degrees,
                simulations=simulations,
            )
            for drift in _DRIFTS
            for degrees in _ROUNDS.values()
        ]
        _print_row(configurations, trials, *(f"{rate.last_found:.0%}" for rate in rates))


def _print_unequal_noise(simulations: int) -> None:
    print("\nThree identical configurations, the last with more noise: how often any is called different\n")
    _print_header("trials", "its noise", "pooled", "known to be contended", "another one slower by 10% is found")
    for trials, times in product(_TRIALS, _TIMES_NOISIER):
        noise = [BETWEEN_TRIAL_CV, BETWEEN_TRIAL_CV, times * BETWEEN_TRIAL_CV]
        rates = [
            simulate(configurations=3, trials=trials, noise=noise, unpooled=unpooled, simulations=simulations)
            for unpooled in ([], [2])
        ]
        power = simulate(
            configurations=3,
            trials=trials,
            noise=[BETWEEN_TRIAL_CV, times * BETWEEN_TRIAL_CV, BETWEEN_TRIAL_CV],
            slowdown=SLOWDOWN,
            unpooled=[1],
            simulations=simulations,
        )
        cells = [*(f"{rate.any_found:.1%}" for rate in rates), f"{power.last_found:.0%}"]
        _print_row(trials, f"{times} times", *cells)


def _print_header(*cells: str) -> None:
    _print_row(*cells)
    print(f"|{'---:|' * len(cells)}")


def _print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    sys.exit(main())
