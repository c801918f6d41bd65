from itertools import pairwise

import pytest

from comparison.power import BETWEEN_TRIAL_CV, SLOWDOWN, find_highest_noise, main, simulate

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


def test_a_configuration_with_more_noise_of_its_own_is_seldom_called_different_where_that_is_known() -> None:
    noise = [BETWEEN_TRIAL_CV, BETWEEN_TRIAL_CV, 5 * BETWEEN_TRIAL_CV]
    pooled, known = (
        simulate(configurations=3, trials=2, noise=noise, unpooled=unpooled, simulations=SIMULATIONS).any_found
        for unpooled in ([], [2])
    )
    assert pooled > 0.1
    assert known < FALSE_POSITIVES


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
    assert still[0] > still[1] > 0.9
    assert drifting[0] < still[0] - 0.05
    assert drifting[1] == pytest.approx(still[1], abs=0.001)


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
        "Identical configurations, noise 2%",
        "One configuration slower by 10%, drift 0%",
        "One configuration slower by 10%, drift 2%",
        "One configuration slower by 10%",
        "One configuration slower by 10%, noise 2%",
        "Three identical configurations, the last with more noise",
        "Forecasts of more workers, strong scaling, 3 trials",
        "Forecasts of more workers, weak scaling, 3 trials",
    ]
    assert [len(table) for table in tables[:6]] == [2 + 9, 2 + 9, 2 + 9, 2 + 7, 2 + 9, 2 + 9]
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
        assert set(table[1]) == set("|-:")
    assert tables[0][0] == "| configurations | trials | drift 0% | drift 2% | drift 5% |"
