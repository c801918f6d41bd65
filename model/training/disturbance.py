"""What the machine did to a replica while the training's own clock ran: waiting for a core, and who else had it.

All is read from /proc and the control group, without rights, before and after each stretch of training; nothing is
measured in a step. What a machine does not tell is left out.
"""

import bisect
import contextlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

ROOT = Path("/")
# What is counted, of a thread by its number or of the replica as a whole, where the number is 0.
RAN, WAITED, PRESSURE, STEAL, BUSY, OWN = "ran", "waited", "pressure", "steal", "busy", "own"
_OF_THREADS = (RAN, WAITED)
# Seconds by what is counted since some start that is the same in all readings of a process.
Counters = dict[tuple[str, int], float]
# A reading takes half a millisecond: so often, it takes less than a thousandth of a server's core.
LOOK_SECONDS = 1.0
MAX_READINGS = 600
_NANOSECONDS, _MICROSECONDS = 1e9, 1e6
_STEAL_COLUMN = 8


class Span(NamedTuple):
    """A stretch of training, in Unix time."""

    began: float
    ended: float


class Machine:
    """What this process can read of itself and of the cores that it runs on.

    Args:
        root: The machine's root folder.
        cores: The cores that this process is bound to; None reads them.
    """

    def __init__(self, root: Path = ROOT, cores: Collection[int] | None = None) -> None:
        self._proc, self._root = root / "proc", root
        self._pressure = self._find_pressure()
        self.cores = self._find_cores(cores)

    def read(self) -> Counters:
        """Returns all counters as they are now."""
        counters = self._read_threads() | {(OWN, 0): time.process_time()}
        with contextlib.suppress(OSError, ValueError):
            some = self._pressure.read_text(encoding="ascii").splitlines()[0].split()
            counters[PRESSURE, 0] = int(some[-1].partition("=")[2]) / _MICROSECONDS
        with contextlib.suppress(OSError, ValueError, IndexError):
            counters |= self._read_cores()
        return counters

    def identify(self) -> str | None:
        """Returns what is the same for all replicas on this machine, in whichever container, and for no other."""
        with contextlib.suppress(OSError):
            return (self._proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return None

    def _read_threads(self) -> Counters:
        """Returns how long each thread ran, and how long it was ready and waited; nothing where nobody counts."""
        counters: Counters = {}
        with contextlib.suppress(OSError):
            for thread in (self._proc / "self/task").iterdir():
                with contextlib.suppress(OSError, ValueError):  # it may have ended
                    ran, waited, _ = map(int, (thread / "schedstat").read_bytes().split())
                    counters[RAN, int(thread.name)] = ran / _NANOSECONDS
                    counters[WAITED, int(thread.name)] = waited / _NANOSECONDS
        return counters if any(counters.values()) else {}

    def _read_cores(self) -> Counters:
        if not self.cores:
            return {}
        ticks = os.sysconf("SC_CLK_TCK")
        names = {f"cpu{core}" for core in self.cores}
        lines = (self._proc / "stat").read_text(encoding="ascii").splitlines()
        rows = [list(map(int, row[1:])) for row in map(str.split, lines) if row[0] in names]
        if len(rows) < len(names):
            return {}
        # User, nice and system: what processes computed. Interrupts belong to none of them.
        busy, steal = sum(sum(row[:3]) for row in rows), sum(row[_STEAL_COLUMN - 1] for row in rows)
        return {(BUSY, 0): busy / ticks, (STEAL, 0): steal / ticks}

    def _find_cores(self, cores: Collection[int] | None) -> list[int] | None:
        """Returns the cores that are this process's to use; None where it may have less of them than there are.

        A container with a limit of its CPU time may be scheduled on all cores of its node: what others compute on those
        is no disturbance.
        """
        if cores is None:
            if not hasattr(os, "sched_getaffinity"):  # macOS
                return None
            cores = os.sched_getaffinity(0)
        quota = self._read_quota()
        return sorted(cores) if quota is None or quota >= len(cores) else None

    def _find_pressure(self) -> Path:
        own = (folder / "cpu.pressure" for folder in self._list_groups())
        return next((file for file in own if file.exists()), self._proc / "pressure/cpu")

    def _read_quota(self) -> float | None:
        """Returns how many cores' time the control groups leave to this process; None without a limit."""
        quotas = []
        for folder in self._list_groups():
            with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
                quota, period = map(int, (folder / "cpu.max").read_bytes().split())
                quotas.append(quota / period)
            with contextlib.suppress(OSError, ValueError):
                quota, period = (
                    int((folder / f"cpu.cfs_{name}_us").read_text("ascii")) for name in ("quota", "period")
                )
                quotas += [quota / period] if quota > 0 else []
        return min(quotas, default=None)

    def _list_groups(self) -> Iterator[Path]:
        """Yields where the control groups of this process may be, of either version, its own before those above it.

        A container sees its own group as the root of all, or its path on the host below a root that is its own.
        """
        groups: list[PurePosixPath] = []
        with contextlib.suppress(OSError):
            for line in (self._proc / "self/cgroup").read_text(encoding="utf-8").splitlines():
                number, controllers, path = line.split(":", 2)
                if number == "0" or "cpu" in controllers.split(","):
                    own = PurePosixPath(path.lstrip("/"))
                    groups += [own, *own.parents]
        for mount in ("", "unified", "cpu", "cpu,cpuacct"):
            for group in dict.fromkeys([*groups, PurePosixPath()]):
                if ".." not in group.parts:  # one that leads out of the container's own groups shows none of them
                    yield self._root / "sys/fs/cgroup" / mount / group


class Disturbance:
    """Adds up what happened while the training's clock ran, of a replica that drives its own steps.

    Args:
        machine: What is read.
        now: Tells the Unix time.

    Attributes:
        spans: The stretches so far, which servers measure too.
    """

    def __init__(self, machine: Machine | None = None, now: Callable[[], float] = time.time) -> None:
        self._machine, self._now = machine or Machine(), now
        self._total: Counters = {}
        self.spans: list[Span] = []

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Adds what happens in the context."""
        before, began = self._machine.read(), self._now()
        try:
            yield
        finally:
            self.spans.append(Span(began, self._now()))
            _add(self._total, subtract(self._machine.read(), before))

    def to_json(self) -> dict[str, Any]:
        """Returns what belongs into the replica's record; null is what this machine does not tell."""
        return describe(self._total, self._machine)


class ServerWatch:
    """Follows a replica that only serves, which does not know when the chief's clock runs until it is told at the end.

    Args:
        finished: The file with the chief's spans, once it is done.
        machine: What is read.
        now: Tells the Unix time.
    """

    def __init__(self, finished: Path, machine: Machine | None = None, now: Callable[[], float] = time.time) -> None:
        self._finished, self._machine, self._now = finished, machine or Machine(), now
        self._interval = LOOK_SECONDS
        self._times: list[float] = []
        self._readings: list[Counters] = []

    def is_finished(self) -> bool:
        """Returns whether the chief is done, and takes a reading now and then."""
        is_finished = self._finished.exists()
        if is_finished or not self._times or self._now() >= self._times[-1] + self._interval:
            self._look()
        return is_finished

    def to_json(self) -> dict[str, Any]:
        """Returns what belongs into the replica's record, of the time in which the chief's clock ran."""
        total: Counters = {}
        for span in self.read_spans():
            _add(total, subtract(self._read_at(span.ended), self._read_at(span.began)))
        return describe(total, self._machine)

    def read_spans(self) -> list[Span]:
        """Returns when the chief's clock ran, as it told at its end."""
        return [Span(*span) for span in json.loads(self._finished.read_text(encoding="utf-8") or "[]")]

    def _look(self) -> None:
        self._times.append(self._now())
        self._readings.append(self._machine.read())
        if len(self._times) > MAX_READINGS:  # of a long training every other one will do, the first and last among them
            del self._times[1::2], self._readings[1::2]
            self._interval *= 2

    def _read_at(self, moment: float) -> Counters:
        """Returns the counters at a moment, on the line between the readings before and after it."""
        after = min(max(bisect.bisect(self._times, moment), 1), len(self._times) - 1)
        before = after - 1
        length = self._times[after] - self._times[before]
        share = min(max((moment - self._times[before]) / length, 0.0), 1.0) if length else 1.0
        total = dict(self._readings[before])
        for key, seconds in subtract(self._readings[after], total).items():
            total[key] = total.get(key, 0.0) + share * seconds
        return total


def subtract(after: Counters, before: Counters) -> Counters:
    """Returns what was added to each counter between two readings.

    A thread that is new has its counters from 0 on, also where it got the number of one that is gone; of one that is
    gone in between, the rest is not known.
    """
    added = {}
    for key, seconds in after.items():
        if key[0] in _OF_THREADS:
            earlier = before.get(key, 0.0)
            added[key] = seconds - earlier if seconds >= earlier else seconds
        elif key in before:  # some kernels let what was stolen fall by a tick
            added[key] = max(0.0, seconds - before[key])
    return added


def describe(total: Counters, machine: Machine) -> dict[str, Any]:
    """Returns the record's fields of what was counted, with `load`, which only the chief can do its sum with."""
    ran = {thread: seconds for (kind, thread), seconds in total.items() if kind == RAN}
    waited = {thread: seconds for (kind, thread), seconds in total.items() if kind == WAITED}
    return {
        "waited_seconds": waited[max(ran, key=ran.__getitem__)] if ran else None,
        "waited_all_seconds": sum(waited.values()) if waited else None,
        "pressure_seconds": total.get((PRESSURE, 0)),
        "steal_seconds": total.get((STEAL, 0)),
        "load": {
            "machine": machine.identify(),
            "cores": machine.cores,
            "busy_seconds": total.get((BUSY, 0)),
            "own_seconds": total.get((OWN, 0)),
        },
    }


def measure_others(load: Mapping[str, Any], peers: Sequence[Mapping[str, Any]]) -> float | None:
    """Returns for how long others than the job's own replicas computed on a replica's cores.

    Peers that share its cores are no disturbance from outside: all that they computed is taken off. None where it
    cannot be known: one of them may have computed on cores beside these, too, or did not count.

    Args:
        load: The `load` of the replica.
        peers: The `load` of all other replicas of the job.
    """
    busy: float | None = load["busy_seconds"]
    if busy is None:
        return None
    cores: set[int] = set(load["cores"])
    own: float = load["own_seconds"]
    for peer in peers:
        if peer["machine"] != load["machine"]:
            continue
        theirs = None if peer["cores"] is None else set(peer["cores"])
        if theirs is not None and cores.isdisjoint(theirs):
            continue
        if theirs is None or not theirs <= cores or peer["own_seconds"] is None:
            return None
        own += peer["own_seconds"]
    return max(0.0, busy - own)  # the kernel counts the cores in ticks, and processes exactly


def add_others(replicas: Sequence[dict[str, Any]]) -> None:
    """Puts `others_cpu_seconds` into the replicas' records in the place of `load`."""
    loads = [replica.pop("load") for replica in replicas]
    for index, (replica, load) in enumerate(zip(replicas, loads, strict=True)):
        replica["others_cpu_seconds"] = measure_others(load, [*loads[:index], *loads[index + 1 :]])


def _add(total: Counters, added: Counters) -> None:
    for key, seconds in added.items():
        total[key] = total.get(key, 0.0) + seconds
