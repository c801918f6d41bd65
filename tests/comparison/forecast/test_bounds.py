import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.forecast.bounds import (
    Measured,
    Range,
    bound_job_speedup,
    bound_speedup,
    grow_least,
    grow_most,
    grow_ring_transfer,
)

Law = Callable[[int], float]
RING: tuple[Law, Law] = (lambda count: 2 * (count - 1), lambda count: 2 * (count - 1) / count)
TREE: tuple[Law, Law] = (lambda count: 2 * math.ceil(math.log2(count)),) * 2
LINK: tuple[Law, Law] = (lambda count: 2 * (count - 1),) * 2
NETWORKS = {"ring": RING, "tree": TREE, "link": LINK}


def make_measured(num_workers: int, speedup: float, communication: float, **changes: Any) -> Measured:
    """Returns exact measurements of one run, its communication being a share of a step."""
    exact = Range(np.array(speedup), np.array(speedup))
    zero = np.array(0.0)
    defaults: dict[str, Any] = {"latency_share": zero, "transfer_share": zero, "setup_share": zero}
    defaults |= {"setup_growth": zero, "job_speedup": exact} | changes
    return Measured(num_workers, exact, np.array(communication), **defaults)


def bound(
    measured: Measured, num_workers: int, *, is_weak: bool = False, is_served: bool = False
) -> tuple[float, float]:
    low, high = bound_speedup(measured, num_workers, is_weak=is_weak, is_served=is_served)
    return float(low), float(high)


def expect_maximum(delays: list[float], count: int) -> float:
    """Returns the expected maximum of so many draws from equally likely delays."""
    ordered = sorted(delays)
    size = len(ordered)
    return math.fsum(own * ((rank + 1) ** count - rank**count) / size**count for rank, own in enumerate(ordered))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("is_weak", [False, True], ids=["strong", "weak"])
@given(
    few=st.sampled_from([2, 4, 8, 16]),
    costs=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    delays=st.lists(st.floats(0, 10), min_size=1, max_size=6),
    is_timed=st.booleans(),
)
def test_whatever_the_network_the_fixed_part_and_the_delays_the_truth_lies_within_the_bounds(
    *, network: str, is_weak: bool, few: int, costs: tuple[float, ...], delays: list[float], is_timed: bool
) -> None:
    fixed, latency, transfer = costs
    mean = sum(delays) / len(delays)
    count_latencies, count_transfers = NETWORKS[network]

    def time(count: int) -> tuple[float, float, float, float]:
        share = 1 if is_weak or count == 1 else 1 / count
        waiting = expect_maximum(delays, count) - mean
        if count == 1:
            return 1 + mean, 0, 0, 0
        exchange = (latency * count_latencies(count), transfer * count_transfers(count))
        return fixed + (1 - fixed) * share + mean, *exchange, waiting

    single, step, truth = (sum(time(count)) for count in (1, few, 2 * few))
    _, *exchange, waiting = time(few)
    images = few if is_weak else 1
    measured = make_measured(
        few,
        images * single / step,
        (sum(exchange) + waiting) / step,
        latency_share=np.array(exchange[0] / step * is_timed),
        transfer_share=np.array(exchange[1] / step * is_timed),
    )

    low, high = bound(measured, 2 * few, is_weak=is_weak)

    assert low * (1 - 1e-9) <= 2**is_weak * images * single / truth <= high * (1 + 1e-9)
    assert low > 0


def test_four_workers_are_where_two_said_they_would_be() -> None:
    # Measured on two cores, steps in milliseconds; four workers from their parts, each alone on a core.
    measured = make_measured(2, 40.58 / (21.22 + 3.31), 3.31 / (21.22 + 3.31))

    low, high = bound(measured, 4)

    assert low < 40.58 / (11.35 + 8.73) < high


@pytest.mark.parametrize("images", [(1.0, 0.97, 0.83, 0.73), (1.0, 0.80, 0.49, 0.27)], ids=["core", "GPU"])
@pytest.mark.parametrize("few", [2, 4])
def test_small_batches_that_fill_a_processor_less_stay_within_the_bounds(images: tuple[float, ...], few: int) -> None:
    halvings = int(math.log2(few))
    speedup, truth = few * images[halvings], 2 * few * images[halvings + 1]

    low, high = bound(make_measured(few, speedup, 0.0), 2 * few)

    assert low < truth < high


def test_a_large_model_on_a_thin_network_is_not_written_off() -> None:
    # ResNet-50's bytes take a quarter of a step: 1.32 with two workers, and 1.92 with 64.
    def speed_up(count: int) -> float:
        return 1 / (1 / count + 0.256 * 2 * (count - 1) / count)

    share = 0.256 * speed_up(2)
    low, high = bound(make_measured(2, speed_up(2), share, transfer_share=np.array(share)), 4)

    assert speed_up(64) == pytest.approx(1.92, abs=0.01)
    assert low < speed_up(4) < high


def test_servers_that_are_full_do_no_more_updates_with_more_workers() -> None:
    measured = make_measured(2, 1.6, 0.1)

    assert bound(measured, 4, is_served=True)[0] == pytest.approx(0.8)
    assert bound(measured, 4, is_weak=True, is_served=True)[0] <= 1.6


def test_a_timed_exchange_narrows_the_range() -> None:
    untimed = bound(make_measured(2, 1.5, 0.3), 4)
    latency = bound(make_measured(2, 1.5, 0.3, latency_share=np.array(0.3)), 4)
    transfer = bound(make_measured(2, 1.5, 0.3, transfer_share=np.array(0.3)), 4)

    assert untimed[0] == latency[0] == transfer[0]
    assert latency[1] < transfer[1] < untimed[1]


def test_an_exchange_that_took_longer_by_itself_is_no_more_than_what_was_communicated() -> None:
    more, all_of_it = (bound(make_measured(2, 1.5, 0.2, latency_share=np.array(own)), 4) for own in (0.5, 0.2))

    assert more == all_of_it


@pytest.mark.parametrize(("speedup", "most"), [(1.9, 4.0), (2.2, 4.4)])
def test_no_more_than_n_times_as_fast_is_expected_of_n_unless_fewer_were(speedup: float, most: float) -> None:
    assert bound(make_measured(2, speedup, 0.01), 4)[1] == pytest.approx(most)


def test_the_bounds_close_where_nothing_is_added() -> None:
    measured = make_measured(2, 1.5, 0.2, setup_share=np.array(0.3))

    low, high = bound_speedup(measured, 2, is_weak=False, is_served=False)
    job = bound_job_speedup(measured, 2, Range(low, high))

    assert (float(low), float(high)) == pytest.approx((1.5, 1.5))
    assert (float(job.low), float(job.high)) == pytest.approx((1.5, 1.5))


def test_a_job_gains_less_than_its_training_by_a_setup_that_stays_or_grows() -> None:
    # 2 workers: 10 s of training, 5 of setup, 1 of it more than the single node's.
    exact = Range(np.array(1.2), np.array(1.2))
    setup = {"setup_share": np.array(5 / 15), "setup_growth": np.array(1 / 5), "job_speedup": exact}
    twice = Range(np.array(3.0), np.array(3.0))

    job = bound_job_speedup(make_measured(2, 1.5, 0.0, **setup), 4, twice)

    assert float(job.high) == pytest.approx(1.2 * 15 / (5 + 5))
    assert float(job.low) == pytest.approx(1.2 * 15 / (5 + 7))


@given(st.integers(2, 500))
def test_no_law_of_growth_exceeds_that_of_the_other_workers(few: int) -> None:
    for grow in (grow_least, grow_ring_transfer):
        assert 1 <= grow(few, 2 * few) <= grow_most(few, 2 * few)
