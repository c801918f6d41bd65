"""The ways to distribute a training. Importing this imports TensorFlow, so it is done inside functions."""

from model.strategies.computing import PLAIN
from model.strategies.losses import find_confidences, predict_classes
from model.strategies.parameter_server import serve
from model.strategies.rendezvous import RuntimeFailure, build_flat, connect, wrap_model
from model.strategies.step import (
    EVALUATION_BATCH_SIZE,
    FlatModel,
    make_group_function,
    read_range,
    split_contribution,
    sum_scores,
)
from model.strategies.synchronous import SynchronousTrainer, reduce_nothing

__all__ = [
    "EVALUATION_BATCH_SIZE",
    "PLAIN",
    "FlatModel",
    "RuntimeFailure",
    "SynchronousTrainer",
    "build_flat",
    "connect",
    "find_confidences",
    "make_group_function",
    "predict_classes",
    "read_range",
    "reduce_nothing",
    "serve",
    "split_contribution",
    "sum_scores",
    "wrap_model",
]
