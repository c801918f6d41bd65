"""The ways to distribute a training. Importing this imports TensorFlow, so it is done inside functions."""

from model.strategies.parameter_server import ParameterServerTrainer, connect_servers, serve
from model.strategies.step import (
    EVALUATION_BATCH_SIZE,
    FlatModel,
    make_group_function,
    map_into_memory,
    split_contribution,
)
from model.strategies.synchronous import SynchronousTrainer, connect_all_reduce, reduce_nothing

__all__ = [
    "EVALUATION_BATCH_SIZE",
    "FlatModel",
    "ParameterServerTrainer",
    "SynchronousTrainer",
    "connect_all_reduce",
    "connect_servers",
    "make_group_function",
    "map_into_memory",
    "reduce_nothing",
    "serve",
    "split_contribution",
]
