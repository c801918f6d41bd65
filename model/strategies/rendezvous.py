"""From a replica's role to its trainer."""

from collections.abc import Callable, Mapping
from typing import Any

from model.data import PreparedDataset
from model.frameworks import keras, tf
from model.networks import build_model, find_builder
from model.objectives import Objective
from model.strategies.computing import settle_computing
from model.strategies.parameter_server import ParameterServerTrainer, connect_servers
from model.strategies.step import FlatModel
from model.strategies.synchronous import SynchronousTrainer, connect_all_reduce, reduce_nothing
from model.training import Clock, Role, Task, Trainer

# What TensorFlow raises of itself; `is_peer_lost` tells what it means.
RuntimeFailure = tf.errors.OpError


def connect(task: Task, role: Role, clock: Clock, on_met: Callable[[], object] = lambda: None) -> Trainer:
    """Returns the trainer of this role, once all replicas have met.

    The collectives must be set up before anything else runs, hence before the model is built, and before its module is
    imported, which may run TensorFlow at once: a constant, a layer, a data set.

    Args:
        task: What is trained.
        role: This replica's, which is no server's.
        clock: What the meeting and the building take goes onto it.
        on_met: Called between the two.

    Raises:
        ConfigError: The model does not fit the data or the program.
    """
    computing = settle_computing(task.config, role.strategy)
    with clock.measure("rendezvous_seconds"):
        use_nccl = computing.communication == "nccl"
        reduce = connect_all_reduce(use_nccl=use_nccl) if role.strategy == "all_reduce" else reduce_nothing
        servers = connect_servers() if role.strategy == "parameter_server" else None
    on_met()
    keras.utils.set_random_seed(task.config.seed)  # a module may make a layer
    with clock.measure("import_seconds"):
        find_builder(task.config.model)
    with clock.measure("build_seconds"):
        flat = build_flat(task)
        if servers is not None:
            return ParameterServerTrainer(task, flat, role, servers, computing)
        return SynchronousTrainer(task, flat, role, reduce, computing)


def build_flat(task: Task) -> FlatModel:
    """Returns the task's model with the initial weights of its seed."""
    keras.utils.set_random_seed(task.config.seed)
    return wrap_model(task.config.model, task.config.builder_arguments, task.dataset, task.objective)


def wrap_model(model: str, arguments: Mapping[str, Any], dataset: PreparedDataset, objective: Objective) -> FlatModel:
    """Returns a model, made for some data and an objective.

    Args:
        model: A registered name or an import path.
        arguments: Further keyword arguments of its builder.
        dataset: What it is given.
        objective: What it must answer.
    """
    built = build_model(
        model,
        dataset.input_shape,
        objective.num_outputs,
        arguments,
        input_dtype=dataset.input_dtype,
        outputs=objective.outputs,
    )
    return FlatModel.wrap(built)
