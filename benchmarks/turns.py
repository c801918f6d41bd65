"""Programs that train in turns, so that a machine whose speed drifts slows all of them alike; no TensorFlow here.

A contestant is a process of its own, bound to one core where it computes on no GPU. It gets ready, and then answers
each line of its input, what to train and for how many seconds, with a line of JSON; in between it waits and takes no
time.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Self, cast

READY = "ready"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}


class Case(NamedTuple):
    """What is trained: resnet8 with a stem of this stride, by batches of this size; `2:128` as a text."""

    stride: int
    batch_size: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the case that a text names."""
        stride, batch_size = text.split(":")
        return cls(int(stride), int(batch_size))

    def __str__(self) -> str:
        return f"{self.stride}:{self.batch_size}"


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


def parse_options(program: str, description: str | None, names: Sequence[str] = ()) -> argparse.Namespace:
    """Returns a contestant's command line, with its processor as it is to be; before its libraries start their threads.

    Args:
        program: The contestant's module.
        description: What it is.
        names: Which it can be; none where it is one alone.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    if names:
        parser.add_argument("name", choices=names)
    parser.add_argument("--data-dir", type=Path, required=True, help="the prepared data set")
    parser.add_argument("--cases", type=Case.parse, nargs="+", required=True, help="STRIDE:BATCH, one or more")
    parser.add_argument("--gpu", action="store_true", help="compute on a GPU and all cores; without: on one core")
    options = parser.parse_args()
    if not options.gpu:
        bind_to_one_core()
    return options


def bind_to_one_core() -> None:
    """Binds this process to the first core that it may use; before its libraries start their threads."""
    os.environ.update(ONE_THREAD | {"TF_CPP_MIN_LOG_LEVEL": "2"})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def take_turns(trains: Mapping[Case, Train], warmup_seconds: float = 1.0) -> None:
    """Trains as the lines of the input ask, each case once before the first."""
    for train in trains.values():
        train(warmup_seconds)
    print(READY, flush=True)
    for line in sys.stdin:
        case, seconds = line.split()
        print(json.dumps(trains[Case.parse(case)](float(seconds))._asdict()), flush=True)


class Contestant:
    """A program that takes turns."""

    def __init__(self, process: "subprocess.Popen[str]", log: IO[str]) -> None:
        self._process, self._log = process, log
        self._input, self._output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        self._read(READY)

    def train(self, case: Case, seconds: float) -> Turn:
        """Returns what it did in this turn.

        Raises:
            RuntimeError: It has ended.
        """
        with contextlib.suppress(BrokenPipeError):  # what it left in its log says more
            self._input.write(f"{case} {seconds}\n")
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
