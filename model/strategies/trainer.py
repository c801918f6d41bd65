"""What the trainers of all strategies do alike: they hold the values as TensorFlow's variables, wherever these live."""

import abc
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from model.frameworks import tf
from model.strategies.computing import Computing
from model.strategies.step import FlatModel, apply_momentum, read_range, sum_scores
from model.training import Role, Task, Values


class VariableTrainer(abc.ABC):
    """A trainer but for how its steps and evaluations are made.

    Args:
        task: What is trained.
        flat: The model, whose initial values the variables get.
        role: This replica's.
        computing: How it computes.
        num_slices: Slices that weights and velocity are cut into, one for each parameter server.
    """

    def __init__(self, task: Task, flat: FlatModel, role: Role, computing: Computing, num_slices: int = 1) -> None:
        self._task, self._flat, self._role, self._computing = task, flat, role, computing
        # On CPUs a call costs next to nothing. On GPUs the warm-up finds out how many steps one should make.
        self._steps_per_call = task.config.steps_per_call or (0 if computing.gpus else 1)
        initial = flat.initial_weights()
        bounds = np.linspace(0, len(initial), num_slices + 1, dtype=int)
        self._cuts, self._sizes = bounds[1:-1], np.diff(bounds).tolist()
        slices = np.split(initial, self._cuts)
        # In a scope of parameter servers these are placed in turn, so that a velocity is where its weights are.
        self._weights = [tf.Variable(part) for part in slices]
        self._velocities = [tf.Variable(np.zeros_like(part)) for part in slices]
        self._statistics = tf.Variable(flat.initial_statistics())
        signature = [tf.TensorSpec([], tf.int32)] * 2
        self._score = tf.function(self._score_examples, input_signature=signature, autograph=False)

    def compile(self) -> None:
        """Makes what is timed later with a learning rate of 0, then restores the values."""
        with self._kept():
            self._make_idle_steps()
            self._make_idle_scores()

    def warm_up(self) -> None:
        """Makes the steps of `compile` once more, then restores the values."""
        with self._kept():
            self._make_idle_steps()

    def describe_computing(self) -> dict[str, Any]:
        """Returns the record's fields on how it computes."""
        return asdict(self._computing) | {"steps_per_call": self._steps_per_call}

    def read_values(self) -> Values:
        """Returns the values as they are now."""
        weights, velocity = (
            np.concatenate([part.numpy() for part in parts]) for parts in (self._weights, self._velocities)
        )
        return Values(weights, velocity, self._statistics.numpy())

    def save_model(self, values: Values, path: Path) -> None:
        """Writes the Keras model with these values, whole or not at all."""
        self._flat.assign(values.weights, values.statistics)
        partial = path.with_name(f"partial-{path.name}")  # Keras asks for the suffix
        self._flat.model.save(partial)
        partial.replace(path)

    @abc.abstractmethod
    def _make_idle_steps(self) -> None:
        """Makes steps enough that whoever computes has made one."""

    @abc.abstractmethod
    def _make_idle_scores(self) -> None:
        """Likewise evaluations of one example."""

    def _assign(self, values: Values) -> None:
        for variables, vector in ((self._weights, values.weights), (self._velocities, values.velocity)):
            for variable, part in zip(variables, np.split(vector, self._cuts), strict=True):
                variable.assign(part)
        self._statistics.assign(values.statistics)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        before = self.read_values()
        yield
        self._assign(before)

    def _pull(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights, shape [P], and the statistics, shape [Q], in the graph that calls it."""
        return tf.concat([part.read_value() for part in self._weights], axis=0), self._statistics.read_value()

    def _push(self, gradient: tf.Tensor, learning_rate: tf.Tensor) -> list[tf.Operation]:
        """Returns the operations that update weights and velocity by a gradient, shape [P]."""
        momentum, parts = self._task.config.momentum, tf.split(gradient, self._sizes)
        return [
            apply_momentum(weights, velocity, part, learning_rate, momentum)
            for weights, velocity, part in zip(self._weights, self._velocities, parts, strict=True)
        ]

    def _score_examples(self, start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        batch = read_range(self._task.dataset.split("validation"), start, stop)
        return sum_scores(self._flat, self._task.objective, self._pull(), batch)
