import math
from typing import Any

import pytest

from model.data.dataset import PreparedDataset
from model.errors import ConfigError, TrainingDiverged
from model.training.config import TrainingConfig
from model.training.task import Task, check_loss


def make_task(dataset: PreparedDataset, **settings: Any) -> Task:
    return Task(TrainingConfig(**{"global_batch_size": 16, "max_shift": 1, **settings}), dataset)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_finite_number_stops_the_training_and_names_the_step(loss: float) -> None:
    with pytest.raises(TrainingDiverged, match=rf"The loss became {loss} at step 41\. Try a lower learning_rate"):
        check_loss(41, loss)


def test_a_finite_loss_is_let_through() -> None:
    check_loss(0, 1e30)


def test_the_schedule_spans_the_whole_training(noise: PreparedDataset) -> None:
    task = make_task(noise, epochs=5, learning_rate=0.4, warmup_fraction=0.25)
    assert task.plan.steps_per_epoch == 4
    assert task.total_steps == 20
    assert [task.learning_rate(step) for step in (0, 4, 5)] == pytest.approx([0.08, 0.4, 0.4])
    assert task.learning_rate(20) == 0


def test_the_order_of_the_images_follows_from_the_settings(noise: PreparedDataset) -> None:
    plan = make_task(noise, seed=3).plan
    assert (plan.num_images, plan.global_batch_size, plan.max_shift, plan.seed) == (64, 16, 1, 3)


def test_groups_have_the_same_numbers_however_many_workers_share_them(noise: PreparedDataset) -> None:
    for num_workers in (1, 2, 4):
        groups: dict[str, Any] = {"same_batch_norm": True, "batch_norm_group_size": 4}
        settings: dict[str, Any] = {"strategy": "all_reduce", "num_workers": num_workers, **groups}
        task = make_task(noise, **settings)
        per_replica = task.config.groups_per_replica
        for step in (0, 3):
            numbers = [task.first_group(step, rank) + i for rank in range(num_workers) for i in range(per_replica)]
            assert numbers == list(range(4 * step, 4 * step + 4))


def test_a_whole_share_has_a_number_of_its_step_and_worker(noise: PreparedDataset) -> None:
    task = make_task(noise, strategy="all_reduce", num_workers=4)
    numbers = [task.first_group(step, rank) for step in range(3) for rank in range(4)]
    assert numbers == list(range(12))


def test_a_training_split_that_does_not_fill_a_batch_is_refused(noise: PreparedDataset) -> None:
    with pytest.raises(ConfigError, match=r"must not exceed the number of training images. Received: 65 and 64\."):
        make_task(noise, global_batch_size=65)
