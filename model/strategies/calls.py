"""Calls of functions on the workers, each of them made once at most."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from model.frameworks import tf


class Calls:
    """What a chief has its workers do: whoever is free takes the next call.

    TensorFlow's coordinator makes a call anew that a broken connection has failed, and cannot know how far its
    first try came: an update may be made twice, or in part, and the seconds of both tries count as those of one
    training. Here the first failure ends the training, as a lost peer ends an all-reduce; whether it is trained
    anew is the launcher's to say.

    Args:
        strategy: Reaches the workers.

    Raises:
        tf.errors.OpError: From each of its methods: what the first call that failed has raised.
    """

    def __init__(self, strategy: tf.distribute.ParameterServerStrategy) -> None:
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)

    def schedule(self, function: tf.types.experimental.PolymorphicFunction, *arguments: Any) -> Any:
        """Returns what is to come of a call.

        Args:
            function: A `tf.function` with an input signature.
            arguments: Its arguments, which become tensors on the worker.
        """
        traced = function.get_concrete_function()  # here: on a worker it would be traced for that one's device
        # The coordinator's own `schedule` takes only what it calls itself; behind it any callable is one.
        with _unwrap():
            return self._coordinator._cluster.schedule(_Call(traced), args=arguments, kwargs=None)  # noqa: SLF001

    def join(self) -> None:
        """Waits until all calls have been made."""
        with _unwrap():
            self._coordinator.join()

    def fetch(self, result: Any) -> Any:
        """Returns what came of a call, as NumPy has it."""
        with _unwrap():
            return result.fetch()


class _CallFailed(Exception):  # noqa: N818 - it carries the error, and is none that the coordinator knows
    def __init__(self, error: tf.errors.OpError) -> None:
        super().__init__(str(error))
        self.error = error


class _Call:
    def __init__(self, function: Callable[..., tf.Tensor]) -> None:
        self._function, self._was_made = function, False

    def __call__(self, *arguments: Any) -> tf.Tensor:
        if self._was_made:  # its result was lost on the way
            raise _CallFailed(tf.errors.AbortedError(None, None, "a worker's answer was lost"))
        self._was_made = True
        try:
            # A function that is given arrays converts them itself, and tells a lost worker by a TypeError.
            return self._function(*map(tf.convert_to_tensor, arguments))
        except tf.errors.OpError as error:
            raise _CallFailed(error) from error


@contextlib.contextmanager
def _unwrap() -> Iterator[None]:
    try:
        yield
    except _CallFailed as failed:
        raise failed.error from None
