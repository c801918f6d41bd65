import math
import statistics

import numpy as np
import pytest
from scipy import stats

from comparison.statistics.quantiles import compute_simultaneous_quantile, interpolate_simultaneous_quantile
from comparison.statistics.ratios import (
    Noise,
    Outlier,
    Ratio,
    compute_ci95,
    compute_difference_ci95,
    compute_proportion_difference_ci95,
    compute_ratio_arrays,
    compute_ratios,
    estimate_noise,
    find_outliers,
    find_possibly_smallest,
)
from tests.comparison.statistics.comparing import compare, compute_log_half_width, tabulate


def test_a_single_trial_has_no_interval() -> None:
    assert compute_ci95([60.0]) is None
    assert compare([60.0], [30.0, 31.0]) == Ratio(60 / 30.5)
    assert compute_difference_ci95([1.0], [1.0, 2.0]) is None


def test_a_single_trial_is_judged_as_it_stands() -> None:
    assert [Ratio(value).direction for value in (0.9, 1.0, 1.1)] == [-1, 0, 1]
    assert Ratio(4.0).inverse == Ratio(0.25)


@pytest.mark.parametrize(("low", "high", "direction"), [(1.1, 1.9, 1), (0.9, 1.9, 0), (0.1, 0.9, -1), (1.0, 2.0, 0)])
def test_only_an_interval_without_one_says_faster_or_slower(low: float, high: float, direction: int) -> None:
    assert Ratio(math.sqrt(low * high), low, high).direction == direction


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.7062), (3, 4.3027), (5, 2.7764), (31, 2.0423)])
def test_half_widths_use_the_t_distribution_of_the_printed_tables(n: int, quantile: float) -> None:
    values = [float(value) for value in range(n)]

    assert compute_ci95(values) == pytest.approx(quantile * statistics.stdev(values) / math.sqrt(n), rel=1e-4)


def test_welch_interval_of_equal_samples_has_the_pooled_degrees_of_freedom() -> None:
    # Two samples of three with equal variances: four degrees of freedom, t = 2.7764.
    expected = 2.7764 * math.sqrt(2 * 1.0 / 3)

    assert compute_difference_ci95([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]) == pytest.approx(expected, rel=1e-4)
    assert compute_difference_ci95([1.0, 1.0], [2.0, 2.0]) == 0


def test_the_interval_of_two_accuracies_is_that_of_the_binomial() -> None:
    assert compute_proportion_difference_ci95(0.99, 10_000) == pytest.approx(0.002758, rel=1e-3)


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_of_two_configurations_in_the_same_rounds_the_interval_is_that_of_the_paired_t_test(rounds: int) -> None:
    first, second = [60.0, 63.5, 66.2, 61.0, 70.0][:rounds], [40.0, 42.9, 44.1, 40.5, 46.0][:rounds]
    interval = stats.ttest_rel(np.log(first), np.log(second)).confidence_interval()

    half_width = compute_log_half_width(compare(first, second))

    assert half_width == pytest.approx((interval.high - interval.low) / 2)


# Two, three and four trials whose logarithms have the same variance, 0.0001.
EQUALLY_NOISY = [
    0.01 * np.array(deviates) for deviates in ([-(0.5**0.5), 0.5**0.5], [-1.0, 0.0, 1.0], [-1.0, -1.0, 1.0, 1.0])
]
EQUALLY_NOISY[2] *= 0.75**0.5


def test_where_all_configurations_seem_equally_noisy_the_intervals_are_dunnetts() -> None:
    baseline, *others = EQUALLY_NOISY[1], EQUALLY_NOISY[0] - 0.4, EQUALLY_NOISY[2] - 0.2
    expected = stats.dunnett(*others, control=baseline, random_state=0).confidence_interval()

    ratios = compute_ratios(tabulate(*([*map(math.exp, own)] for own in (baseline, *others))), [(1, 0), (2, 0)])

    half_widths = list(map(compute_log_half_width, ratios))
    assert half_widths == pytest.approx((expected.high - expected.low) / 2, rel=5e-3)


def test_where_one_configuration_is_noisier_its_noise_counts_in_its_comparisons_and_all_are_wider() -> None:
    def compare_with_noise(times: float) -> list[float]:
        logs = [EQUALLY_NOISY[1], EQUALLY_NOISY[2] - 0.2, times * EQUALLY_NOISY[0] - 0.4]
        values = tabulate(*([*map(math.exp, own)] for own in logs))
        return [*map(compute_log_half_width, compute_ratios(values, [(1, 0), (2, 0)]))]

    equal, noisier = compare_with_noise(1), compare_with_noise(3)
    # Satterthwaite's degrees of freedom of three, two and one with squares of three, two and nine.
    degrees = (3 + 2 + 9) ** 2 / (9 / 3 + 4 / 2 + 81 / 1)
    quantile = float(interpolate_simultaneous_quantile(np.array(degrees), 6, (4 / 7, 2 / 5)))

    assert noisier == pytest.approx([quantile * 0.01 * (14 / 6 * 7 / 12) ** 0.5, quantile * 0.03 * (5 / 6) ** 0.5])
    assert noisier[0] > 2 * equal[0]


def test_only_what_another_one_is_shown_to_be_below_cannot_be_the_smallest() -> None:
    quiet = np.array([[0.999, 1.0, 1.001], [1.0, 1.001, 0.999], [1.001, 0.999, 1.0], [0.999, 1.001, 1.0]])
    values = np.array([[60.0], [40.0], [40.01], [50.0]]) * quiet

    assert find_possibly_smallest(values).tolist() == [False, True, True, False]
    assert find_possibly_smallest(values[:1]).tolist() == [True]
    assert find_possibly_smallest(values[:, :1]).tolist() == [True] * 4
    assert find_possibly_smallest(np.stack([values, values[[1, 0, 2, 3]]]))[:, :2].tolist() == [
        [False, True],
        [True, False],
    ]


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_the_truly_smallest_is_left_out_in_five_per_cent_at_most(noise: float) -> None:
    generator = np.random.default_rng(0)
    values = 60 / np.array([[1.0], [1.40], [1.42], [1.44]]) * np.exp(noise * generator.standard_normal((5_000, 4, 3)))

    is_possible = find_possibly_smallest(values)

    assert is_possible[:, 3].mean() >= 0.95 - 3 * (0.05 * 0.95 / 5_000) ** 0.5
    is_alone = is_possible.sum(axis=-1) == 1
    assert (is_alone & ~is_possible[:, 3]).mean() <= 0.05


@pytest.mark.parametrize(("degrees", "compared", "quantile"), [(5, 2, 3.09), (10, 3, 2.83), (20, 4, 2.72)])
def test_without_a_common_baseline_quantiles_are_those_of_the_maximum_modulus(
    degrees: int, compared: int, quantile: float
) -> None:
    # Printed in Stoline & Ury, Technometrics 21 (1979).
    assert compute_simultaneous_quantile(degrees, (0.0,) * compared) == pytest.approx(quantile, abs=0.011)
    values = tabulate([60.0, 61.0], [40.0, 41.0], [30.0, 30.6], [20.0, 20.1])
    common, own = (compute_ratios(values, pairs) for pairs in ([(1, 0), (3, 0)], [(1, 0), (3, 2)]))
    assert compute_log_half_width(own[0]) > compute_log_half_width(common[0])


def test_noise_is_pooled_over_configurations_and_is_free_of_rounds_where_enough_is_left() -> None:
    drift = np.array([1.0, 1.3, 0.8])
    pair = estimate_noise(np.outer([60.0, 40.0], drift[:2]))
    small = estimate_noise(np.outer([60.0, 40.0, 90.0], drift[:2]))
    large = estimate_noise(np.outer([60.0, 40.0, 90.0], drift))

    assert pair.relative_sd == pytest.approx(0, abs=1e-12)
    assert pair[1:4] == (1, True, 2)
    assert small.relative_sd == pytest.approx(np.log(drift[:2]).std(ddof=1))
    assert small[1:4] == (3, False, 3)
    assert large.relative_sd == pytest.approx(0, abs=1e-12)
    assert large[1:4] == (4, True, 3)


def test_a_round_that_lacks_a_configuration_is_not_taken_out() -> None:
    noise = estimate_noise(tabulate([60.0, 61.0, 62.0], [40.0, 41.0, 40.5], [30.0, 31.0]))

    assert noise[1:4] == (5, False, 3)
    variances = [np.var(np.log(own), ddof=1) for own in ([60.0, 61.0, 62.0], [40.0, 41.0, 40.5], [30.0, 31.0])]
    assert noise.relative_sd == pytest.approx(math.sqrt(np.average(variances, weights=[2, 2, 1])))


def test_without_repeats_there_is_no_noise_to_estimate() -> None:
    noise = estimate_noise(tabulate([60.0], [40.0]))

    assert isinstance(noise, Noise)
    assert np.isnan(noise.relative_sd)
    assert compute_ratios(tabulate([60.0], [40.0]), []) == []


def test_comparisons_can_be_made_many_at_a_time() -> None:
    generator = np.random.default_rng(0)
    values = np.exp(0.05 * generator.standard_normal((7, 3, 4)))
    values[:, 2, 3] = np.nan

    together = compute_ratio_arrays(values, [(1, 0), (2, 0)], unpooled=[2])

    for index, own in enumerate(values):
        alone = compute_ratios(own, [(1, 0), (2, 0)], unpooled=[2])
        np.testing.assert_allclose(np.array(alone, dtype=float), np.stack(together, axis=-1)[index])


def test_a_configuration_with_noise_of_its_own_widens_only_its_own_interval() -> None:
    values = tabulate([60.0, 61.0, 60.5], [40.0, 40.5, 40.2], [90.0, 60.0, 130.0])

    own, pooled = compute_ratios(values, [(1, 0), (2, 0)], unpooled=[2]), compute_ratios(values, [(1, 0), (2, 0)])

    assert own[0].direction == -1
    assert compute_log_half_width(own[0]) < 0.1 * compute_log_half_width(pooled[0])
    assert compute_log_half_width(own[1]) > compute_log_half_width(pooled[1])


def test_where_no_noise_is_shared_each_pair_has_its_own() -> None:
    first, second = [60.0, 61.0, 62.0], [40.0, 40.1, 40.2]
    differences = np.log(first) - np.log(second)

    ratio = compute_ratios(tabulate(first, second), [(1, 0)], unpooled=[0, 1])[0]

    assert compute_log_half_width(ratio) == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(differences))
    equal = compute_ratios(tabulate([60.0, 60.0], [40.0, 40.0]), [(1, 0)], unpooled=[0, 1])[0]
    assert equal == pytest.approx((2 / 3, 2 / 3, 2 / 3))


def test_one_lucky_trial_is_noted_and_widens_the_interval() -> None:
    quiet = [[60.0, 60.6, 60.3], [40.0, 40.3, 39.9], [50.0, 50.4, 50.1]]
    lucky = [quiet[0], [40.0, 40.3, 25.0], quiet[2]]
    calm, wide = (compute_ratios(tabulate(*values), [(1, 0), (2, 0)])[0] for values in (quiet, lucky))

    found = find_outliers(tabulate(*lucky))

    assert [outlier[:2] for outlier in found] == [(1, 2)]
    assert found[0].factor == pytest.approx(25 / 40, rel=0.02)
    assert not find_outliers(tabulate(*quiet))
    assert compute_log_half_width(wide) > 10 * compute_log_half_width(calm)


def test_of_two_trials_that_differ_it_is_not_said_which_one_is_off() -> None:
    found = find_outliers(tabulate([60.0, 60.001], [40.0, 20.0], [50.0, 50.001]))

    assert [outlier[:2] for outlier in found] == [(1, 0), (1, 1)]
    assert found[1].factor == pytest.approx(0.5)


def test_an_outlier_among_identical_trials_is_found_and_single_trials_are_none() -> None:
    values = tabulate([60.0, 60.0, 60.0], [40.0, 40.0, 41.0], [50.0])

    outlier = find_outliers(values)[0]
    assert outlier == Outlier(1, 2, outlier.factor)
    assert outlier.factor == pytest.approx(41 / 40)
    assert find_outliers(tabulate([60.0, 61.0])) == []
    assert find_outliers(np.full((2, 3), 60.0)) == []
