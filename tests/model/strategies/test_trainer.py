import numpy as np
import pytest
import tensorflow as tf

from model.data.dataset import PreparedDataset
from model.networks.registry import build_model
from model.strategies.computing import PLAIN
from model.strategies.step import FlatModel
from model.strategies.trainer import VariableTrainer
from model.training.config import TrainingConfig
from model.training.role import Role
from model.training.state import Values
from model.training.task import Task

pytestmark = pytest.mark.slow


class IdleTrainer(VariableTrainer):
    def _make_idle_steps(self) -> None:
        self._push(tf.ones([self._flat.num_parameters]), tf.constant(0.5))
        self._statistics.assign_add(tf.ones_like(self._statistics))

    def _make_idle_scores(self) -> None:
        self._score(0, 1)


@pytest.fixture
def trainers(noise: PreparedDataset) -> list[IdleTrainer]:
    flat = FlatModel.wrap(build_model("tests.model.builders:batch_norm", (8, 8, 1), 3, {}))
    role = Role("single", "worker", 0, num_workers=1, num_ps=0)
    task = Task(TrainingConfig(global_batch_size=16), noise)
    return [IdleTrainer(task, flat, role, PLAIN, num_slices) for num_slices in (1, 2, 5)]


def assert_same(first: Values, second: Values) -> None:
    for former, latter in zip(first, second, strict=True):
        np.testing.assert_array_equal(former, latter)


def test_values_are_the_same_in_one_piece_and_in_slices(trainers: list[IdleTrainer]) -> None:
    initial = trainers[0].read_values()
    given = Values(*(np.arange(len(part), dtype=np.float32) for part in initial))
    for trainer in trainers:
        assert_same(trainer.read_values(), initial)
        trainer._assign(given)
        assert_same(trainer.read_values(), given)


def test_an_update_is_the_same_in_one_piece_and_in_slices(trainers: list[IdleTrainer]) -> None:
    before = trainers[0].read_values()
    for trainer in trainers:
        trainer._make_idle_steps()
        assert_same(trainer.read_values(), trainers[0].read_values())
    assert not np.array_equal(trainers[0].read_values().weights, before.weights)


def test_compiling_and_warming_up_leave_the_values_as_they_were(trainers: list[IdleTrainer]) -> None:
    for trainer in trainers:
        before = trainer.read_values()
        trainer.compile()
        trainer.warm_up()
        assert_same(trainer.read_values(), before)
