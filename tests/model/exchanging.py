# A chief with its parameter servers in one process of its own: a process that joins a cluster loses all its variables.
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model.data.dataset import PreparedDataset
from model.networks.registry import build_model
from model.strategies.parameter_server import ParameterServerTrainer
from model.strategies.step import FlatModel
from model.training.config import TrainingConfig
from model.training.role import Role
from model.training.state import Values
from model.training.task import Task
from tests.model.replicas import make_cluster


def start_servers() -> tf.distribute.ParameterServerStrategy:
    cluster = tf.train.ClusterSpec(make_cluster(worker=2, ps=2))
    threads = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=4)
    for job in ("worker", "ps"):
        for index in range(2):
            tf.distribute.Server(cluster, job_name=job, task_index=index, protocol="grpc", config=threads)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc")
    return tf.distribute.ParameterServerStrategy(resolver)


def make_trainer(dataset: PreparedDataset) -> ParameterServerTrainer:
    strategy = start_servers()
    flat = FlatModel.wrap(build_model("tests.model.builders:batch_norm", (8, 8, 1), 3, {}))
    config = TrainingConfig(strategy="parameter_server", num_workers=2, num_ps=2, global_batch_size=16)
    role = Role("parameter_server", "chief", 0, num_workers=2, num_ps=2, has_chief=True)
    return ParameterServerTrainer(Task(config, dataset), flat, role, strategy)


def make_awkward(values: Values) -> Values:
    # An addition of nothing changes bits of some: a zero below zero, and what is no number.
    vectors = [np.random.default_rng(0).normal(size=len(part)).astype(np.float32) for part in values]
    for vector in vectors:
        vector[[0, -1]] = -0.0, np.nan
    return Values(*vectors)


def note_lengths(function: Callable[..., Any], lengths: list[int], *, of_result: bool) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        result = function(*arguments)
        lengths.append(sum(int(part.shape[0]) for part in (result if of_result else arguments[0])))
        return result

    return call


def main() -> None:
    trainer: Any = make_trainer(PreparedDataset.open(Path(sys.argv[1])))
    given = make_awkward(trainer.read_values())
    trainer.load(given, 0)
    pulled: list[int] = []
    pushed: list[int] = []
    trainer._pull = note_lengths(trainer._pull, pulled, of_result=True)
    trainer._push_all = note_lengths(trainer._push_all, pushed, of_result=False)
    collective = trainer.time_exchange()
    left = trainer.read_values()
    told = {
        "collective": collective,
        "are_bits_the_same": [mine.tobytes() == theirs.tobytes() for mine, theirs in zip(left, given, strict=True)],
        "length": len(given.weights) + len(given.statistics),
        "pulled": pulled,
        "pushed": pushed,
    }
    print(json.dumps(told), flush=True)
    os._exit(0)  # the servers would be waited for


if __name__ == "__main__":
    main()
