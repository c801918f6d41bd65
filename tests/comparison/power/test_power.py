from itertools import pairwise

import numpy as np
import pytest

from comparison.power import (
    BETWEEN_TRIAL_CV,
    SLOWDOWN,
    WORLDS,
    Design,
    find_highest_noise,
    main,
    measure_false_positives,
    mirror_rounds,
    repeat_rounds,
    simulate,
)
from comparison.statistics import count_trials_to_find

SIMULATIONS = 10_000
# 5 %, and three standard deviations of what so many simulations count.
FALSE_POSITIVES = 0.05 + 3 * (0.05 * 0.95 / SIMULATIONS) ** 0.5


@pytest.mark.parametrize("drift", [0.0, 0.05])
@pytest.mark.parametrize("trials", [2, 3, 5])
@pytest.mark.parametrize("configurations", [2, 3, 5])
def test_identical_configurations_are_seldom_called_different(configurations: int, trials: int, drift: float) -> None:
    rates = simulate(configurations=configurations, trials=trials, drift=drift, simulations=SIMULATIONS)
    assert rates.any_found < FALSE_POSITIVES
    assert rates.last_found <= rates.any_found


@pytest.mark.parametrize(
    ("num_rounds", "places"), [(1, "S D S"), (2, "S D|D S"), (3, "S D|D S|S D S"), (4, "S D|D S|S D|D S")]
)
def test_rounds_come_in_mirrored_pairs_and_an_odd_last_one_has_the_baseline_at_both_ends(
    num_rounds: int, places: str
) -> None:
    rounds = mirror_rounds([0, 1], num_rounds)

    assert "|".join(" ".join("SD"[name] for name in own) for own in rounds) == places
    assert mirror_rounds([0, 1, 2, 3], 3) == [[0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3, 0]]


@pytest.mark.parametrize("configurations", [2, 3, 5])
def test_within_a_mirrored_pair_all_have_the_same_mean_place_in_run_round_and_step(configurations: int) -> None:
    design = Design(mirror_rounds(range(configurations), 2))

    for moments in (design.moments_of_run, design.moments_of_round, design.moments_of_step):
        means = [moments[design.names == name].mean() for name in range(configurations)]
        np.testing.assert_allclose(means, 1 / 2)
    assert design.moments_of_step.tolist()[0] == 1 / 2  # the first step is the baseline alone


@pytest.mark.parametrize("configurations", [2, 3, 5])
@pytest.mark.parametrize("trials", [2, 3, 5])
@pytest.mark.parametrize("name", WORLDS)
def test_in_no_world_is_one_of_identical_configurations_called_different_too_often(
    name: str, configurations: int, trials: int
) -> None:
    simulations = 4_000
    rate = measure_false_positives(WORLDS[name], configurations=configurations, trials=trials, simulations=simulations)

    assert rate < 0.05 + 3 * (0.05 * 0.95 / simulations) ** 0.5


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("slower by 5 % at the end of each round", 0.25),
        ("slower by 20 % over the run, steadily", 0.1),
        ("a neighbour on one of two cores", 0.9),
    ],
)
def test_a_baseline_that_always_comes_first_on_the_first_core_is_called_different_where_nothing_is(
    name: str, least: float
) -> None:
    rate = measure_false_positives(WORLDS[name], configurations=3, trials=5, is_mirrored=False, simulations=2_000)

    assert rate > least
    assert [*map(list, repeat_rounds([0, 1, 2], 2))] == [[0, 1, 2]] * 2


@pytest.mark.parametrize("trials", [2, 3, 5])
@pytest.mark.parametrize("unpooled", [[], [2]])
def test_a_configuration_with_more_noise_of_its_own_is_seldom_called_different_known_or_not(
    trials: int, unpooled: list[int]
) -> None:
    noise = [BETWEEN_TRIAL_CV, BETWEEN_TRIAL_CV, 5 * BETWEEN_TRIAL_CV]
    rates = simulate(configurations=3, trials=trials, noise=noise, unpooled=unpooled, simulations=SIMULATIONS)

    assert rates.any_found < FALSE_POSITIVES


@pytest.mark.parametrize(("configurations", "contended"), [(2, 0), (3, 0), (5, 0), (3, 1)])
@pytest.mark.parametrize("noise", [0.02, 0.04])
def test_so_many_trials_as_are_promised_find_a_tenth_in_nine_of_ten_beside_a_contended_one_too(
    configurations: int, contended: int, noise: float
) -> None:
    shares = (0.0,) * configurations if contended else (0.5,) * (configurations - 1)
    trials = count_trials_to_find(noise, configurations, shares=shares)
    assert trials is not None
    found = [
        simulate(
            configurations=configurations + contended,
            trials=count,
            noise=[noise, *[5 * noise] * contended, *[noise] * (configurations - 1)],
            slowdown=SLOWDOWN,
            unpooled=[1] * contended,
            simulations=SIMULATIONS,
        ).last_found
        for count in (trials - 1, trials)
    ]

    standard_error = (0.9 * 0.1 / SIMULATIONS) ** 0.5
    assert found[0] < 0.9 + 3 * standard_error
    assert found[1] > 0.9 - 3 * standard_error


def test_a_slower_configuration_is_found_more_often_with_more_trials() -> None:
    found = [
        simulate(configurations=3, trials=trials, noise=0.04, slowdown=SLOWDOWN, simulations=1000).last_found
        for trials in (2, 3, 5)
    ]
    assert all(more > fewer + 0.1 for fewer, more in pairwise(found))


def test_a_slower_configuration_is_found_less_often_with_more_noise() -> None:
    found = [
        simulate(configurations=3, trials=3, noise=noise, slowdown=SLOWDOWN, simulations=1000).last_found
        for noise in (0.01, 0.02, 0.03, 0.05)
    ]
    assert found[0] > 0.99
    assert all(quiet > noisy for quiet, noisy in pairwise(found))


@pytest.mark.parametrize("drift", [0.02, 0.05])
def test_rounds_that_are_taken_out_cost_power_without_drift_and_save_it_under_drift(drift: float) -> None:
    still, drifting = (
        [
            simulate(
                configurations=3,
                trials=3,
                drift=own,
                slowdown=SLOWDOWN,
                min_blocked_degrees=degrees,
                simulations=SIMULATIONS,
            ).last_found
            for degrees in (1000, 1)
        ]
        for own in (0.0, drift)
    )
    assert still[0] > still[1] > 0.7
    assert drifting[0] < still[0] - 0.05
    assert drifting[1] == pytest.approx(still[1], abs=0.005)  # of the mean's logarithm


def test_the_same_seed_gives_the_same_rates_and_another_one_others() -> None:
    rates = [simulate(configurations=3, trials=2, simulations=1000, seed=seed) for seed in (1, 1, 2)]
    assert rates[0] == rates[1] != rates[2]


def test_up_to_the_highest_noise_the_slowdown_is_found_and_beyond_it_is_not() -> None:
    highest = find_highest_noise(3, 3, simulations=1000)
    at, beyond = (
        simulate(configurations=3, trials=3, noise=noise, slowdown=SLOWDOWN, simulations=1000).last_found
        for noise in (highest, highest + 0.001)
    )
    assert at >= 0.9 > beyond


def test_the_highest_noise_is_looked_for_no_further_than_asked() -> None:
    assert find_highest_noise(2, 5, highest=0.01, simulations=200) == 0.01
    assert find_highest_noise(2, 2, power=1.01, simulations=200) == 0.0


def test_the_program_prints_the_tables_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--simulations=50"]) == 0
    paragraphs = capsys.readouterr().out.strip().split("\n\n")
    titles, tables = paragraphs[::2], [paragraph.splitlines() for paragraph in paragraphs[1::2]]
    assert [title.partition(":")[0] for title in titles] == [
        "Identical configurations",
        "One configuration slower by 10%, drift 0%",
        "One configuration slower by 10%, drift 2%",
        "One configuration slower by 10%",
        "One configuration slower by 10%, noise 2%",
        "Three identical configurations, the last with more noise",
        "Speedups of 1.40, 1.42 and 1.44",
        "One configuration slower by 10%, one trial in ten by 20 % more",
        "Test accuracies of 3 rounds on 10,000 images",
        "Forecasts of more workers, strong scaling, 3 trials",
        "Forecasts of more workers, weak scaling, 3 trials",
        "Forecasts of more workers, strong scaling, where these are not more of the same",
    ]
    expected = [len(WORLDS), 9, 9, 7, 9, 9, 6, 6, 3]
    assert [len(table) for table in tables[: len(expected)]] == [2 + rows for rows in expected]
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
        assert set(table[1]) == set("|-:")
    assert tables[1][0].startswith("| configurations | trials | 0.5% | 1.0% |")
