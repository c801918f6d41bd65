"""Programs that train in turns, so that a machine whose speed drifts slows all of them alike; no TensorFlow here.

A contestant is a process of its own, bound to one core. It gets ready, and then answers each line of its input, the
network's stem stride and for how many seconds to train, with a line of JSON; in between it waits and takes no time.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, NamedTuple, cast

READY = "ready"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}


class Turn(NamedTuple):
    """What a contestant did in a turn: images, in seconds of the wall clock and of its core."""

    images: int
    seconds: float
    cpu_seconds: float

    def rate(self, *, of_core: bool = False) -> float:
        """Returns images a second; of the seconds in which it had its core, where other work runs beside."""
        return self.images / (self.cpu_seconds if of_core else self.seconds)


# Trains for at least so many seconds.
Train = Callable[[float], Turn]


class Stopwatch:
    """The clocks of a turn, from when it is made."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    def read(self, images: int) -> Turn:
        """Returns the turn until now, in which so many images were computed."""
        return Turn(images, time.perf_counter() - self._began, time.process_time() - self._cpu_began)


def repeat(compute: Callable[[], int], seconds: float) -> Turn:
    """Calls a function that returns how many images it computed, until so many seconds have passed."""
    watch, images = Stopwatch(), 0
    while (turn := watch.read(images)).seconds < seconds:
        images += compute()
    return turn


def bind_to_one_core() -> None:
    """Binds this process to the first core that it may use; before its libraries start their threads."""
    os.environ.update(ONE_THREAD | {"TF_CPP_MIN_LOG_LEVEL": "2"})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def take_turns(trains: Mapping[int, Train], warmup_seconds: float = 1.0) -> None:
    """Trains as the lines of the input ask, each network once before the first."""
    for train in trains.values():
        train(warmup_seconds)
    print(READY, flush=True)
    for line in sys.stdin:
        stride, seconds = line.split()
        print(json.dumps(trains[int(stride)](float(seconds))._asdict()), flush=True)


class Contestant:
    """A program that takes turns."""

    def __init__(self, process: "subprocess.Popen[str]", log: IO[str]) -> None:
        self._process, self._log = process, log
        self._input, self._output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        self._read(READY)

    def train(self, stride: int, seconds: float) -> Turn:
        """Returns what it did in this turn.

        Raises:
            RuntimeError: It has ended.
        """
        with contextlib.suppress(BrokenPipeError):  # what it left in its log says more
            self._input.write(f"{stride} {seconds}\n")
            self._input.flush()
        return Turn(**json.loads(self._read("{")))

    def _read(self, beginning: str) -> str:
        """Returns the next line that begins so."""
        for line in self._output:
            if line.startswith(beginning):
                return line
        self._log.seek(0)
        last = "".join(self._log.readlines()[-20:])
        raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}:\n{last}")


@contextlib.contextmanager
def start(arguments: Sequence[str]) -> Iterator[Contestant]:
    """Starts a program and gives it once it is ready.

    Raises:
        RuntimeError: It ended before it was.
    """
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield Contestant(process, log)
        finally:
            process.kill()
