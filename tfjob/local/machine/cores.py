"""Which of a machine's cores a replica runs on."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfjob.local.machine.cpus import ROOT, read_cores, read_quota

CAN_BIND = sys.platform == "linux"


@dataclass(frozen=True)
class CoreAssignment:
    """Cores by replica, a warning when they are contended for, and one when they are threads of the same core."""

    cores: dict[str, tuple[int, ...]]
    warning: str | None = None
    threads_warning: str | None = None

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures should know."""
        return [warning for warning in (self.warning, self.threads_warning) if warning is not None]

    @property
    def is_contended(self) -> bool:
        """Whether replicas asked for more cores than there are."""
        return self.warning is not None


def give_cores(cpus: Mapping[str, float | None], first_core: int) -> tuple[CoreAssignment, list[str]]:
    """Returns each replica's cores of this machine, and what to warn of.

    Args:
        cpus: What each replica asks for; None: it has no limit, and may use them all.
        first_core: How many cores are passed over before the first is given.
    """
    available = available_cores()
    core_of = read_cores(available) if CAN_BIND else None
    available = rotate_cores(available, core_of, first_core)
    wanted = {replica: count or float(len(available)) for replica, count in cpus.items()}
    assignment = assign_cores(wanted, available, core_of)
    if CAN_BIND:
        return assignment, assignment.warnings
    unbound = CoreAssignment(dict.fromkeys(assignment.cores, ()), assignment.warning)
    return unbound, [*unbound.warnings, "this platform cannot bind processes to cores: CPU limits are not kept"]


def assign_cores(
    cpus: Mapping[str, float], available: Sequence[int], core_of: Mapping[int, int] | None = None
) -> CoreAssignment:
    """Returns the cores of each replica.

    With enough cores every replica has its own: workers, which compute most, first, then the others in the order they
    come. Without, workers take cores in turn, beginning again at the first, and the others share all of them.

    Args:
        cpus: What each replica asks for; a fraction of a core counts as a whole one, since affinity knows no fractions.
        available: The CPUs that this process may use, a thread of each core before the second of any.
        core_of: The core that each CPU is a thread of; None: each is a core.
    """
    core_of = {cpu: cpu for cpu in available} if core_of is None else core_of
    cores = {replica: math.ceil(count) for replica, count in cpus.items()}
    workers = {replica: count for replica, count in cores.items() if replica.startswith("worker-")}
    asked = sum(cores.values())
    if asked <= len(available):
        taken = _take_in_turn(workers | cores, available)
        # Two threads of a core are not two cores, whatever the machine calls them.
        physical = sum(len({core_of[cpu] for cpu in own}) for own in taken.values())
        is_contended = physical > len({core_of[cpu] for own in taken.values() for cpu in own})
    else:
        taken = dict.fromkeys(cores, tuple(sorted(available))) | _take_in_turn(workers, available)
        is_contended = True
    num_cores = len(available) if asked > len(available) else len({core_of[cpu] for cpu in available})
    warning = (
        f"{len(cores)} {_plural('replica asks', 'replicas ask', len(cores))} for "
        f"{asked} {_plural('core', 'cores', asked)}, this machine has {num_cores}: timings are contended"
    )
    return CoreAssignment(taken, warning if is_contended else None, _warn_of_threads(taken, core_of))


def _warn_of_threads(taken: Mapping[str, Sequence[int]], core_of: Mapping[int, int]) -> str | None:
    """Returns that replicas run on several threads of one core, where they do."""
    threads = {core: {cpu for cpu in core_of if core_of[cpu] == core} for core in core_of.values()}
    used = {cpu for own in taken.values() for cpu in own}
    sharing = [name for name, own in taken.items() if any(len(threads[core_of[cpu]] & used) > 1 for cpu in own)]
    if not sharing:
        return None
    return f"CPUs of {', '.join(sharing)} are threads of the same core, which are slower than cores of their own"


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


def available_cores(root: Path = ROOT) -> list[int]:
    """Returns the CPUs that this process and its children may use, a thread of each core before the second of any.

    Args:
        root: The machine's root folder.
    """
    if sys.platform != "linux":
        return list(range(os.cpu_count() or 1))
    cpus = sorted(os.sched_getaffinity(0))
    return limit_to_quota(prefer_cores(read_cores(cpus, root)), read_quota(root))


def prefer_cores(core_of: Mapping[int, int]) -> list[int]:
    """Returns CPUs so that the first threads of all cores come first, then the second ones, and so on.

    Args:
        core_of: The core that each CPU is a thread of.
    """
    ranks = {cpu: sum(core_of[other] == core for other in core_of if other < cpu) for cpu, core in core_of.items()}
    return sorted(core_of, key=lambda cpu: (ranks[cpu], cpu))


def rotate_cores(available: Sequence[int], core_of: Mapping[int, int] | None, first_core: int) -> list[int]:
    """Returns the CPUs so that those of another core come first; still a thread of each core before the second of any.

    Args:
        available: The CPUs, a thread of each core before the second of any.
        core_of: The core that each CPU is a thread of; None: each is a core.
        first_core: How many cores are passed over, in turn: after the last comes the first again.
    """
    cores = [cpu if core_of is None else core_of[cpu] for cpu in available]
    order = list(dict.fromkeys(cores))
    place = {core: (index - first_core) % len(order) for index, core in enumerate(order)}
    ranks = [cores[:index].count(core) for index, core in enumerate(cores)]
    return [cpu for _, _, cpu in sorted(zip(ranks, map(place.__getitem__, cores), available, strict=True))]


def limit_to_quota(cpus: Sequence[int], quota: float | None) -> list[int]:
    """Returns as many of the CPUs as a control group's CPU time suffices for, at least one.

    A container with a CPU limit may still be scheduled on all of a machine's cores.

    Args:
        cpus: The CPUs that processes may be scheduled on.
        quota: How many CPUs' time there is; None for no limit.
    """
    return list(cpus) if quota is None else list(cpus)[: max(1, int(quota))]
