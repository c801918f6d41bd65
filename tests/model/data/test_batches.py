import numpy as np
import pytest

from model.data.batches import BatchPlan, Slice


def make_plan(seed: int = 0, max_shift: int = 2) -> BatchPlan:
    return BatchPlan(num_images=103, global_batch_size=20, max_shift=max_shift, seed=seed)


def join(slices: list[Slice]) -> Slice:
    return Slice(np.concatenate([s.indices for s in slices]), np.concatenate([s.shifts for s in slices]))


def take_epoch(plan: BatchPlan, epoch: int, num_workers: int = 1) -> Slice:
    first = epoch * plan.steps_per_epoch
    steps = range(first, first + plan.steps_per_epoch)
    return join([plan.take(step, worker, num_workers) for step in steps for worker in range(num_workers)])


def test_images_that_fill_no_batch_are_left_out_of_the_epoch() -> None:
    assert make_plan().steps_per_epoch == 5


@pytest.mark.parametrize("num_workers", [1, 2, 4])
@pytest.mark.parametrize("epoch", [0, 3])
def test_the_workers_shards_are_disjoint_and_complete(num_workers: int, epoch: int) -> None:
    seen = take_epoch(make_plan(), epoch, num_workers).indices
    assert len(seen) == len(set(seen.tolist())) == 100
    assert set(seen.tolist()) <= set(range(103))


@pytest.mark.parametrize("num_workers", [2, 4])
def test_many_workers_see_exactly_the_batches_that_one_would(num_workers: int) -> None:
    plan = make_plan()
    for step in range(12):
        whole = plan.take(step)
        shares = [plan.take(step, worker, num_workers) for worker in range(num_workers)]
        assert {len(share.indices) for share in shares} == {20 // num_workers}
        np.testing.assert_array_equal(join(shares).indices, whole.indices)
        np.testing.assert_array_equal(join(shares).shifts, whole.shifts)


def test_one_seed_repeats() -> None:
    for step in (0, 4, 5, 17):
        first, second = make_plan().take(step), BatchPlan(103, 20, 2, 0).take(step)
        np.testing.assert_array_equal(first.indices, second.indices)
        np.testing.assert_array_equal(first.shifts, second.shifts)


def test_a_step_is_the_same_whatever_was_taken_before() -> None:
    plan = make_plan()
    late = plan.take(17)
    for step in (0, 5, 10, 17):
        again = plan.take(step)
    np.testing.assert_array_equal(again.indices, late.indices)


def test_two_seeds_differ_in_order_and_shifts() -> None:
    first, second = take_epoch(make_plan(seed=0), 0), take_epoch(make_plan(seed=1), 0)
    assert not np.array_equal(first.indices, second.indices)
    assert not np.array_equal(first.shifts, second.shifts)


def test_epochs_differ_in_order_and_shifts() -> None:
    first, second = take_epoch(make_plan(), 0), take_epoch(make_plan(), 1)
    assert not np.array_equal(first.indices, second.indices)
    assert not np.array_equal(first.shifts, second.shifts)


def test_the_next_seeds_epoch_is_not_this_seeds_next_epoch() -> None:
    assert not np.array_equal(take_epoch(make_plan(seed=0), 1).indices, take_epoch(make_plan(seed=1), 0).indices)


def test_shifts_reach_each_offset_of_the_padded_image_and_no_other() -> None:
    shifts = take_epoch(make_plan(max_shift=2), 0).shifts
    assert shifts.dtype == np.int32
    assert set(shifts.ravel().tolist()) == {0, 1, 2, 3, 4}
    assert not take_epoch(make_plan(max_shift=0), 0).shifts.any()


def test_the_shift_changes_nothing_in_the_order() -> None:
    still, moved = take_epoch(make_plan(max_shift=0), 0), take_epoch(make_plan(max_shift=2), 0)
    np.testing.assert_array_equal(still.indices, moved.indices)
