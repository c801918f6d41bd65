"""The matrix: who is hit, when, and by what."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Fault = Literal["SIGKILL", "SIGTERM", "SIGSTOP", "SIGSTOP 8 s", "cut for 15 s", "cut for ever"]
Moment = Literal["before rendezvous", "mid-epoch", "checkpoint", "end"]

FAULTS: tuple[Fault, ...] = ("SIGKILL", "SIGTERM", "SIGSTOP", "SIGSTOP 8 s")
MOMENTS: tuple[Moment, ...] = ("before rendezvous", "mid-epoch", "checkpoint", "end")
REPLICAS = {
    "all_reduce": ("worker-0", "worker-1"),
    "parameter_server": ("chief-0", "worker-0", "ps-0"),
}
LAUNCHER, RUN = "launcher", "run"
# What lies between the replicas, in a network namespace of the cell's own: only root can cut it.
NETWORK = "network"
_CUTTERS = ("unshare", "nsenter", "ip", "iptables")


@dataclass(frozen=True)
class Cell:
    """One fault.

    Args:
        strategy: `all_reduce` or `parameter_server`.
        target: A replica, `launcher` (the step that launches the job), `run` (`make run`), or `network`.
        moment: When it is hit.
        fault: By what.
    """

    strategy: str
    target: str
    moment: Moment
    fault: Fault

    def __str__(self) -> str:
        return f"{self.strategy}, {self.target}, {self.moment}, {self.fault}"


def list_cells() -> Iterator[Cell]:
    """Yields the whole matrix."""
    for strategy, replicas in REPLICAS.items():
        for target in (*replicas, LAUNCHER, RUN):
            for moment in MOMENTS:
                for fault in FAULTS:
                    yield Cell(strategy, target, moment, fault)


def list_cuts() -> list[Cell]:
    """Returns cuts of the network in mid-epoch; none where this system cannot make them."""
    if os.geteuid() != 0 or not all(map(shutil.which, _CUTTERS)):
        return []
    return [
        Cell(strategy, NETWORK, "mid-epoch", fault)
        for strategy in REPLICAS
        for fault in ("cut for ever", "cut for 15 s")
    ]


def choose_cells() -> list[Cell]:
    """Returns the part that is tried in ten minutes.

    Each replica of both strategies is stopped for ever in mid-epoch, which once hung; each strategy's chief is hit at
    each other moment by another fault; launcher and run are killed.
    """
    cells = [
        Cell(strategy, target, "mid-epoch", "SIGSTOP") for strategy, targets in REPLICAS.items() for target in targets
    ]
    for strategy, (chief, *others) in REPLICAS.items():
        cells += [
            Cell(strategy, others[-1], "before rendezvous", "SIGSTOP"),
            Cell(strategy, chief, "mid-epoch", "SIGSTOP 8 s"),
            Cell(strategy, others[-1], "mid-epoch", "SIGKILL"),
            Cell(strategy, others[0], "checkpoint", "SIGTERM"),
            Cell(strategy, others[-1], "end", "SIGKILL"),
            Cell(strategy, LAUNCHER, "mid-epoch", "SIGKILL"),
        ]
    return [*cells, Cell("all_reduce", RUN, "mid-epoch", "SIGKILL")]
