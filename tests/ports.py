"""Ports on which the replicas of a test listen, seconds after they were chosen."""

import os
import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

_HOST = "127.0.0.1"
# Below the ports that outgoing connections take (from 32768 on), and those of the launcher's jobs (from 20000 on): none
# of them can take one between its choice and the moment at which it is listened on. Each process of tests has its own.
_FIRST, _NUM_OF_A_PROCESS = 10_000, 500


def find_ports(number: int) -> list[int]:
    """Returns different ports on which nothing listens, and none that was returned a short while ago."""
    return list(islice(_draw_free(), number))


def _draw_free() -> Iterator[int]:
    for port in _draw():
        with socket.socket() as tried:
            try:
                tried.bind((_HOST, port))
            except OSError:
                continue
        yield port


@cache
def _draw() -> Iterator[int]:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + process * _NUM_OF_A_PROCESS
    return cycle(random.sample(range(first, first + _NUM_OF_A_PROCESS), _NUM_OF_A_PROCESS))
