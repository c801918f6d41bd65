"""The process on whose behalf a job runs: the local analogue of an ownerReference."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

OWNER_VARIABLE = "TFJOB_OWNER_PID"


@dataclass(frozen=True)
class Owner:
    """A process, told apart by its start time from a later one with the same number."""

    pid: int
    started_at: float | None

    def is_alive(self) -> bool:
        """Returns whether it still runs; a process that only waits for its parent to collect it does not."""
        return self.started_at is not None and _start_time(self.pid) == self.started_at


def find_owner(environment: Mapping[str, str]) -> Owner | None:
    """Returns the process that the environment names as the owner, if it names one.

    Raises:
        ValueError: What it names is no number of a process.
    """
    if OWNER_VARIABLE not in environment:
        return None
    pid = environment[OWNER_VARIABLE]
    if not pid.isdecimal():
        raise ValueError(f"{OWNER_VARIABLE} must be the number of a process. Received: {pid!r}")
    return Owner(int(pid), _start_time(int(pid)))


def _start_time(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
