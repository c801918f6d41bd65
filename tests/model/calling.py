# Calls on workers that fail as those of a lost worker do, in a process of its own.
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from model.strategies.calls import Calls
from tests.model.exchanging import start_servers


class Told:
    """A function as `tf.function` makes one, which notes how often it is called."""

    def __init__(self, call: Callable[[tf.Tensor], Any]) -> None:
        self.call, self.count = call, 0

    def get_concrete_function(self) -> "Told":
        return self

    def __call__(self, argument: tf.Tensor) -> Any:
        self.count += 1
        return self.call(argument)


def lose(*_: Any) -> Any:
    words = "Connection reset by peer from remote target /job:worker/replica:0/task:0"
    raise tf.errors.UnavailableError(None, None, words)


class Lost:
    """A result that does not come back from the worker that has it."""

    __tf_tensor__ = lose


FUNCTIONS: dict[str, Callable[[tf.Tensor], Any]] = {
    "works": lambda argument: argument + 1,
    "is lost": lose,
    "answer is lost": lambda _: Lost(),
}


def main() -> None:
    calls = Calls(start_servers())
    function, raised, value = Told(FUNCTIONS[sys.argv[1]]), "", None
    try:
        result = calls.schedule(function, 41)
        calls.join()
        value = int(calls.fetch(result))
    except tf.errors.OpError as error:
        raised = type(error).__name__
    print(json.dumps({"value": value, "raised": raised, "count": function.count}), flush=True)
    os._exit(0)  # the servers would be waited for


if __name__ == "__main__":
    main()
