import numpy as np
import pytest

from model.training.schedule import learning_rate_at


def draw(warmup_steps: int, total_steps: int = 100) -> list[float]:
    steps = range(total_steps)
    return [learning_rate_at(s, peak=0.4, warmup_steps=warmup_steps, total_steps=total_steps) for s in steps]


def test_the_warm_up_rises_in_equal_steps_to_the_peak_at_its_last_one() -> None:
    np.testing.assert_allclose(draw(warmup_steps=20)[:20], 0.4 * np.arange(1, 21) / 20)


def test_after_the_warm_up_it_is_half_a_cosine_from_the_peak() -> None:
    rates = draw(warmup_steps=20)
    assert rates[20] == 0.4
    assert rates[60] == pytest.approx(0.2)
    np.testing.assert_array_less(np.diff(rates[20:]), 0)


def test_it_ends_at_zero_and_stays_there() -> None:
    assert 0 < draw(warmup_steps=20)[-1] < 0.4 * 1e-3
    after = [learning_rate_at(step, peak=0.4, warmup_steps=20, total_steps=100) for step in (100, 1000)]
    assert after == [0, 0]


def test_without_a_warm_up_it_starts_at_the_peak() -> None:
    assert draw(warmup_steps=0)[0] == 0.4


def test_it_never_passes_the_peak() -> None:
    assert max(max(draw(warmup_steps)) for warmup_steps in (0, 1, 50, 99, 100)) == 0.4
