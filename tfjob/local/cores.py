"""Which of a machine's cores a replica runs on."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CAN_BIND = sys.platform == "linux"

# Of the control group that this process is in, where that is a container's; a machine's own has none.
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class CoreAssignment:
    """Cores by replica, and a warning when they are contended for."""

    cores: dict[str, tuple[int, ...]]
    warning: str | None = None

    @property
    def is_contended(self) -> bool:
        """Whether replicas asked for more cores than there are."""
        return self.warning is not None


def assign_cores(cpus: Mapping[str, float], available: Sequence[int]) -> CoreAssignment:
    """Returns the cores of each replica.

    With enough cores every replica has its own: workers, which compute most, first, then the others in the order they
    come. Without, workers take cores in turn, beginning again at the first, and the others share all of them.

    Args:
        cpus: What each replica asks for; a fraction of a core counts as a whole one, since affinity knows no fractions.
        available: The cores this process may use.
    """
    cores = {replica: math.ceil(count) for replica, count in cpus.items()}
    workers = {replica: count for replica, count in cores.items() if replica.startswith("worker-")}
    asked = sum(cores.values())
    if asked <= len(available):
        return CoreAssignment(_take_in_turn(workers | cores, available))
    warning = (
        f"{len(cores)} {_plural('replica asks', 'replicas ask', len(cores))} for "
        f"{asked} {_plural('core', 'cores', asked)}, this machine has {len(available)}: timings are contended"
    )
    shared = dict.fromkeys(cores, tuple(available))
    return CoreAssignment(shared | _take_in_turn(workers, available), warning)


def _take_in_turn(cores: Mapping[str, int], available: Sequence[int]) -> dict[str, tuple[int, ...]]:
    taken: dict[str, tuple[int, ...]] = {}
    first = 0
    for replica, count in cores.items():
        size = min(count, len(available))
        taken[replica] = tuple(sorted(available[(first + k) % len(available)] for k in range(size)))
        first += size
    return taken


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def available_cores() -> list[int]:
    """Returns the cores that this process and its children may use."""
    if sys.platform != "linux":
        return list(range(os.cpu_count() or 1))
    cores = sorted(os.sched_getaffinity(0))
    return limit_to_quota(cores, _CPU_MAX.read_text()) if _CPU_MAX.exists() else cores


def limit_to_quota(cores: Sequence[int], cpu_max: str) -> list[int]:
    """Returns as many of the cores as a control group's CPU time suffices for, at least one.

    A container with a CPU limit may still be scheduled on all of a machine's cores.

    Args:
        cores: The cores that processes may be scheduled on.
        cpu_max: `cpu.max` of the control group: microseconds of CPU time, or `max`, in each period of microseconds.
    """
    quota, period = cpu_max.split()
    if quota == "max":
        return list(cores)
    return list(cores)[: max(1, int(quota) // int(period))]
