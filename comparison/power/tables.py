"""`python -m comparison.power` prints how often a comparison errs: the tables of docs/statistics.md, by simulation."""

import argparse
import sys
from collections.abc import Sequence
from itertools import product

from comparison.forecast import print_coverage
from comparison.power.accuracies import NUM_IMAGES, NUM_ROUNDS, measure_accuracy_rates
from comparison.power.simulation import (
    BETWEEN_TRIAL_CV,
    SIMULATIONS,
    SLOWDOWN,
    find_highest_noise,
    name_fastest,
    simulate,
    slow_trials_down,
)
from comparison.power.worlds import WORLDS, measure_false_positives
from comparison.statistics import RELEVANT_POWER, compute_power, count_trials_to_find
from comparison.streams import replace_unencodable

_NOISES = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05)
_DRIFTS = (0.0, 0.02, 0.05)
_TRIALS = (2, 3, 5)
_CONFIGURATIONS = (2, 3, 5)
_NOISES_OF_MACHINES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
_TIMES_NOISIER = (2, 5, 10)
_DEFAULT_TRIALS = 3
# Degrees of freedom that must remain for rounds to be taken out: never enough, always enough, and what reports use.
_ROUNDS = {"left in": sys.maxsize, "taken out": 1, "rule": None}


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
    _print_trials(simulations)
    _print_rounds(simulations)
    _print_unequal_noise(simulations)
    _print_fastest(simulations)
    _print_slow_trials(simulations)
    _print_accuracies(max(1, simulations // 2))
    print_coverage(simulations)
    return 0


def _print_false_positives(simulations: int) -> None:
    print("Identical configurations: how often any is called different, the baseline always first / mirrored\n")
    designs = [*product(_CONFIGURATIONS, _TRIALS)]
    _print_header("the machine", *(f"{configurations} × {trials}" for configurations, trials in designs))
    for name, world in WORLDS.items():
        rates = [
            [
                measure_false_positives(
                    world,
                    configurations=configurations,
                    trials=trials,
                    is_mirrored=is_mirrored,
                    simulations=simulations,
                )
                for is_mirrored in (False, True)
            ]
            for configurations, trials in designs
        ]
        _print_row(name, *(f"{first:.1%} / {mirrored:.1%}" for first, mirrored in rates))


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


def _print_trials(simulations: int) -> None:
    title = f"One configuration slower by {SLOWDOWN - 1:.0%}: how many trials find it in {RELEVANT_POWER:.0%}"
    print(f"\n{title} (how often so many do, simulated), and how often {_DEFAULT_TRIALS} find it\n")
    # A contended one adds a comparison, and has no part in the noise.
    designs = [(2, 0), (3, 0), (5, 0), (3, 1)]
    columns = [f"{count} configurations{' and a contended one' * contended}" for count, contended in designs]
    _print_header("noise", *columns, *(f"{_DEFAULT_TRIALS} trials: {column}" for column in columns))
    for noise in _NOISES_OF_MACHINES:
        needed, powers = [], []
        for count, contended in designs:
            shares = (0.0,) * count if contended else (0.5,) * (count - 1)
            trials = count_trials_to_find(noise, count, shares=shares)
            found = simulate(
                configurations=count + contended,
                trials=trials or 1,
                noise=[noise, *[5 * noise] * contended, *[noise] * (count - 1)],
                slowdown=SLOWDOWN,
                unpooled=[1] * contended,
                simulations=simulations,
            )
            needed.append(f"{trials} ({found.last_found:.0%})")
            powers.append(f"{compute_power(noise, count, _DEFAULT_TRIALS, shares=shares):.0%}")
        _print_row(f"{noise:.0%}", *needed, *powers)


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
    headers = [f"{case}: {column}" for column in ("different", "a slower one found") for case in ("not known", "known")]
    _print_header("trials", "its noise", *headers)
    for trials, times in product(_TRIALS, _TIMES_NOISIER):
        noise = [BETWEEN_TRIAL_CV, times * BETWEEN_TRIAL_CV, BETWEEN_TRIAL_CV]
        rates = [
            [
                simulate(
                    configurations=3,
                    trials=trials,
                    noise=noise,
                    slowdown=slowdown,
                    unpooled=unpooled,
                    simulations=simulations,
                )
                for unpooled in ([], [1])
            ]
            for slowdown in (1.0, SLOWDOWN)
        ]
        different, found = rates
        cells = [*(f"{rate.any_found:.1%}" for rate in different), *(f"{rate.last_found:.0%}" for rate in found)]
        _print_row(trials, f"{times} times", *cells)


def _print_fastest(simulations: int) -> None:
    print("\nSpeedups of 1.40, 1.42 and 1.44: who is called the fastest\n")
    _print_header("trials", "noise", "the best mean is wrong", "one named, and wrong", "the truth is named", "named")
    for trials, noise in product((3, 5), (0.01, 0.03, 0.05)):
        named = name_fastest(speedups=(1.40, 1.42, 1.44), trials=trials, noise=noise, simulations=simulations)
        shares = [f"{share:.1%}" for share in named[:-1]]
        _print_row(trials, f"{noise:.0%}", *shares, f"{named.mean_number:.1f} of 4")


def _print_slow_trials(simulations: int) -> None:
    title = f"One configuration slower by {SLOWDOWN - 1:.0%}, one trial in ten by 20 % more"
    print(f"\n{title}: means and medians of rounds\n")
    headers = ("found", "the mean is off by", "the median is off by", "the median is shown")
    _print_header("trials", "slow trials", *headers)
    for trials, share in product((3, 5, 10), (0.0, 0.1)):
        rates = slow_trials_down(share=share, trials=trials, simulations=simulations)
        off = (f"{rates.mean_is_off:.1%}", f"{rates.median_is_off:.1%}")
        _print_row(trials, f"{share:.0%}", f"{rates.found:.0%}", *off, f"{rates.is_shown:.0%}")


def _print_accuracies(simulations: int) -> None:
    print(f"\nTest accuracies of {NUM_ROUNDS} rounds on {NUM_IMAGES:,} images: how often they are called unlike\n")
    cases = {"as many errors": 1.0, "30 % more errors": 1.3}
    ways = ("two shares", "image by image")
    _print_header("seeds", *(f"{case}, {way}" for case in cases for way in ways))
    for seed_effect in (0.0, 0.1, 0.2):
        rates = [
            measure_accuracy_rates(more_errors=more, seed_effect=seed_effect, simulations=simulations)
            for more in cases.values()
        ]
        cells = [f"{share:.1%}" for rate in rates for share in (rate.unpaired, rate.paired)]
        _print_row(f"errors ± {seed_effect:.0%}", *cells)


def _print_header(*cells: str) -> None:
    _print_row(*cells)
    print(f"|{'---:|' * len(cells)}")


def _print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |")
