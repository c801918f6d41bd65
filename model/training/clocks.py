"""The clocks of a training: what each spans, and what reads them. docs/timing.md says where each begins and ends."""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Span(NamedTuple):
    """What a clock covers.

    Attributes:
        meaning: What is done meanwhile.
        part_of: The clock that it is a part of. Those without one add up.
    """

    meaning: str
    part_of: str | None = None


STARTUP = "startup_seconds"
SERVING = "serve_seconds"
CLOCKS: Mapping[str, Span] = {
    STARTUP: Span("all until the replicas meet, and the building after that"),
    "process_start_seconds": Span("from the process's start to the program's", STARTUP),
    "import_seconds": Span("importing TensorFlow and the module of the model", STARTUP),
    "build_seconds": Span("checking settings and data, building the model, reading a checkpoint", STARTUP),
    "rendezvous_seconds": Span("waiting for the other replicas, and taking over the chief's state"),
    "compile_seconds": Span("tracing and compiling, in an update and an evaluation that are undone"),
    "warmup_seconds": Span("one more update that is undone, and exchanges by themselves"),
    "train_seconds": Span("the steps"),
    "input_seconds": Span("choosing, reading and shifting images", "train_seconds"),
    "communication_seconds": Span("exchanging values with other replicas, waiting included", "train_seconds"),
    "update_seconds": Span("the optimizer", "train_seconds"),
    "calibrate_seconds": Span("nothing any more: a fixed computation, in records of older versions"),
    "eval_seconds": Span("accuracy on the validation split"),
    "save_seconds": Span("checkpoints and the model"),
    SERVING: Span("of a replica that only serves: until the chief is done"),
}


def read_clocks(seconds: Mapping[str, float]) -> dict[str, float]:
    """Returns the seconds on every clock, 0 where nothing was spent; on that of servers where something was."""
    startup = math.fsum(seconds.get(name, 0.0) for name, span in CLOCKS.items() if span.part_of == STARTUP)
    told = {name: seconds.get(name, 0.0) for name in CLOCKS if name != SERVING or name in seconds}
    return told | {STARTUP: startup}


class Clock:
    """Seconds spent by section, on a monotonic clock."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(seconds or {})

    def add(self, name: str, seconds: float) -> None:
        """Adds to a section, which is one of CLOCKS."""
        if name not in CLOCKS:
            raise KeyError(f"There is no clock {name}.")
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds what the context takes to a section."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - began)
