import base64

import numpy as np
import pytest
from scipy import stats

from comparison.power import measure_accuracy_rates
from comparison.statistics.paired import compare_answers, decode_wrong_images


def test_bits_are_read_from_the_highest_of_the_first_byte() -> None:
    wrong = decode_wrong_images(base64.b64encode(bytes([0b10000000, 0b01000000])).decode(), 10)

    assert wrong is not None
    assert np.flatnonzero(wrong).tolist() == [0, 9]
    assert decode_wrong_images(base64.b64encode(bytes([0b10000000, 0b00100000])).decode(), 10) is None
    assert decode_wrong_images(base64.b64encode(bytes(1)).decode(), 10) is None
    assert decode_wrong_images(base64.b64encode(bytes(3)).decode(), 10) is None


def test_what_is_not_base64_says_nothing_of_any_image() -> None:
    assert decode_wrong_images("AAA", 10) is None
    assert decode_wrong_images("no base64!", 10) is None


def test_a_single_round_counts_the_images_on_which_the_two_disagree() -> None:
    baseline, own = np.zeros((2, 1, 1000), dtype=bool)
    baseline[0, :30], own[0, 20:60] = True, True

    value, half_width = compare_answers(baseline, own)

    assert value == pytest.approx(-0.01)
    # McNemar: 20 and 30 images, of which the squared difference is 10 in their standard error's square of 50.
    assert half_width == pytest.approx(stats.norm.ppf(0.975) * (50 - 10**2 / 1000) ** 0.5 / 1000, rel=1e-3)


def test_where_every_image_is_answered_alike_but_rounds_scatter_the_interval_is_the_paired_t_test_over_rounds() -> None:
    generator = np.random.default_rng(0)
    baseline = np.zeros((4, 2000), dtype=bool)
    own = generator.random((4, 2000)) < np.array([[0.01], [0.03], [0.05], [0.02]])
    interval = stats.ttest_1samp(-own.mean(axis=1), 0).confidence_interval()

    value, half_width = compare_answers(baseline, own)

    assert value == pytest.approx(-own.mean())
    assert half_width == pytest.approx((interval.high - interval.low) / 2, rel=0.1)


@pytest.mark.parametrize("seed_effect", [0.0, 0.1, 0.3])
def test_models_as_good_as_each_other_are_seldom_called_different(seed_effect: float) -> None:
    simulations = 400
    rates = measure_accuracy_rates(more_errors=1.0, seed_effect=seed_effect, simulations=simulations)

    assert rates.paired < 0.05 + 3 * (0.05 * 0.95 / simulations) ** 0.5


def test_a_third_more_errors_are_found_more_often_image_by_image() -> None:
    rates = measure_accuracy_rates(more_errors=1.3, seed_effect=0.0, simulations=300)

    assert rates.paired > rates.unpaired + 0.2
