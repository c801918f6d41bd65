import json
import subprocess
import sys
from typing import Any

import pytest
import tensorflow as tf

from model.data.dataset import PreparedDataset
from model.networks.registry import build_model
from model.strategies.exchange import DISCARDED, REPEATS, describe_exchange
from model.strategies.step import FlatModel
from model.strategies.synchronous import SynchronousTrainer, reduce_nothing
from model.training.config import TrainingConfig
from model.training.role import Role
from model.training.task import Task
from tests.model.replicas import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flat() -> FlatModel:
    return FlatModel.wrap(build_model("tests.model.builders:batch_norm", (8, 8, 1), 3, {}))


@pytest.fixture(scope="module")
def length(flat: FlatModel) -> int:
    return flat.num_parameters + len(flat.initial_statistics())


@pytest.fixture(scope="module")
def served(noise: PreparedDataset) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.model.exchanging", str(noise.directory)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert finished.returncode == 0, finished.stderr[-3000:]
    told: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return told


def test_an_exchange_with_parameter_servers_leaves_every_bit_as_it_was(served: dict[str, Any]) -> None:
    assert served["are_bits_the_same"] == [True, True, True]


def test_an_exchange_with_parameter_servers_is_timed(served: dict[str, Any]) -> None:
    collective = served["collective"]
    assert (collective["operation"], collective["num_elements"]) == ("pull_push", served["length"])
    assert 0 < collective["one_element_seconds"] < 1
    assert 0 < collective["vector_seconds"] < 1


def test_the_whole_vector_travels_both_ways(served: dict[str, Any]) -> None:
    assert set(served["pulled"]) == set(served["pushed"]) == {served["length"]}


def test_a_reduction_of_a_single_worker_is_timed_and_a_single_process_exchanges_nothing(
    noise: PreparedDataset, flat: FlatModel, length: int
) -> None:
    reduced: list[int] = []

    def reduce(vector: tf.Tensor) -> tf.Tensor:
        reduced.append(int(vector.shape[0]))
        return vector

    task = Task(TrainingConfig(strategy="all_reduce", global_batch_size=16), noise)
    worker = SynchronousTrainer(task, flat, Role("all_reduce", "worker", 0, 1, 0), reduce)
    before = worker.read_values()
    collective = worker.time_exchange()
    assert collective is not None
    assert reduced == [1] * (DISCARDED + REPEATS) + [length + 1] * (DISCARDED + REPEATS)
    assert collective["operation"] == "all_reduce"
    assert collective["num_elements"] == length + 1  # the loss is reduced, too
    assert [part.tobytes() for part in worker.read_values()] == [part.tobytes() for part in before]
    alone = SynchronousTrainer(task, flat, Role("single", "worker", 0, 1, 0), reduce_nothing)
    assert alone.time_exchange() is None


def test_the_first_exchanges_do_not_count_and_one_slow_exchange_changes_nothing() -> None:
    lengths: list[int] = []

    def exchange(num_elements: int) -> float:
        lengths.append(num_elements)
        made = lengths.count(num_elements)
        return 100.0 if made <= DISCARDED or made == DISCARDED + 3 else float(num_elements)

    assert describe_exchange("all_reduce", 7, exchange) == {
        "operation": "all_reduce",
        "repeats": REPEATS,
        "num_elements": 7,
        "one_element_seconds": 1.0,
        "vector_seconds": 7.0,
    }
    assert REPEATS >= 20
