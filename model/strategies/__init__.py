"""The ways to distribute a training. Importing this imports TensorFlow, so it is done inside functions."""

from model.strategies.computing import PLAIN, Computing
from model.strategies.parameter_server import serve
from model.strategies.rendezvous import RuntimeFailure, build_flat, connect
from model.strategies.step import (
    EVALUATION_BATCH_SIZE,
    FlatModel,
    make_group_function,
    read_range,
    split_contribution,
)
from model.strategies.synchronous import SynchronousTrainer, connect_all_reduce, reduce_nothing

__all__ = [
    "EVALUATION_BATCH_SIZE",
    "PLAIN",
    "Computing",
    "FlatModel",
    "RuntimeFailure",
    "SynchronousTrainer",
    "build_flat",
    "connect",
    "connect_all_reduce",
    "make_group_function",
    "read_range",
    "reduce_nothing",
    "serve",
    "split_contribution",
]
