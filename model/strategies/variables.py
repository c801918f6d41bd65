"""The values of a training as TensorFlow's variables, wherever these live."""

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from model.strategies.step import FlatModel, apply_momentum
from model.training import Values


class Variables:
    """Weights and velocity in one piece or in slices, and the statistics.

    Args:
        flat: The model, whose initial values they get.
        num_slices: Slices of weights and velocity, one for each parameter server.
    """

    def __init__(self, flat: FlatModel, num_slices: int = 1) -> None:
        initial = flat.initial_weights()
        bounds = np.linspace(0, len(initial), num_slices + 1, dtype=int)
        self._cuts, self._sizes = bounds[1:-1], np.diff(bounds).tolist()
        slices = np.split(initial, self._cuts)
        # In a scope of parameter servers they are placed in turn, so that a velocity is where its weights are.
        self._weights = [tf.Variable(part) for part in slices]
        self._velocities = [tf.Variable(np.zeros_like(part)) for part in slices]
        self.statistics = tf.Variable(flat.initial_statistics())

    def read(self) -> Values:
        """Returns the values as they are now."""
        weights, velocity = (
            np.concatenate([part.numpy() for part in parts]) for parts in (self._weights, self._velocities)
        )
        return Values(weights, velocity, self.statistics.numpy())

    def assign(self, values: Values) -> None:
        """Takes over values."""
        for variables, vector in ((self._weights, values.weights), (self._velocities, values.velocity)):
            for variable, part in zip(variables, np.split(vector, self._cuts), strict=True):
                variable.assign(part)
        self.statistics.assign(values.statistics)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Gives the values back after a context what they were before."""
        before = self.read()
        yield
        self.assign(before)

    def pull(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights, shape [P], and the statistics, shape [Q], in the graph that calls it."""
        return tf.concat([part.read_value() for part in self._weights], axis=0), self.statistics.read_value()

    def push(self, gradient: tf.Tensor, learning_rate: tf.Tensor, momentum: float) -> list[tf.Operation]:
        """Returns the operations that update weights and velocity by a gradient, shape [P]."""
        return [
            apply_momentum(weights, velocity, part, learning_rate, momentum)
            for weights, velocity, part in zip(
                self._weights, self._velocities, tf.split(gradient, self._sizes), strict=True
            )
        ]
