import math
from itertools import product

import numpy as np
import pytest

from comparison.forecast.coverage import (
    NOISES,
    PLANS,
    WORLDS,
    list_worlds,
    measure_coverage,
    print_coverage,
)

DRAWS = 2_000
LEAST = 0.9
CASES = [(world, scaling) for scaling in ("strong", "weak") for world in list_worlds(is_weak=scaling == "weak")]


@pytest.mark.parametrize(("world", "scaling"), CASES)
def test_the_range_holds_the_truth_of_worlds_that_it_knows_nothing_of(world: str, scaling: str) -> None:
    # Two standard errors of what so many draws count.
    least = LEAST - 2 * math.sqrt(LEAST * (1 - LEAST) / DRAWS)
    for count, noise, is_timed in product(PLANS, NOISES, (True, False)):
        own = measure_coverage(world, count, is_weak=scaling == "weak", noise=noise, is_timed=is_timed, draws=DRAWS)
        assert min(own.speedup, own.job_speedup) >= least, (count, noise, is_timed)


def test_a_timed_exchange_makes_the_range_narrower_and_it_still_holds() -> None:
    timed, untimed = (
        measure_coverage("a ring, latencies alone", 4, is_weak=False, noise=0.02, is_timed=own, draws=DRAWS)
        for own in (True, False)
    )

    assert timed.width < 0.8 * untimed.width


def test_a_world_says_what_its_formulas_say() -> None:
    worlds = {name: make(np.random.default_rng(0), 50) for name, make in WORLDS.items()}
    grown = {
        name: [float(np.median(sum(own.exchange(count)))) for count in (2, 4)]
        for name, own in worlds.items()
        if name in {"a ring, latencies alone", "a ring, bytes alone"}
    }
    ratios = {name: many / few for name, (few, many) in grown.items()}
    assert ratios == pytest.approx({"a ring, latencies alone": 3, "a ring, bytes alone": 1.5})

    full = worlds["servers' coordinator"]
    step, communication = full.time_step(8, is_weak=False)
    assert np.all(step >= 8 * full.handed_out)
    assert np.all(communication <= step)
    assert np.any(step > communication + full.compute(1 / 8, 8))


def test_the_program_prints_a_row_for_each_world(capsys: pytest.CaptureFixture[str]) -> None:
    print_coverage(20)

    printed = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| ") and "world" not in line for line in printed) == len(CASES)
