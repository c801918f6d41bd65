"""What takes the CPUs of a Linux machine: two readings of /proc, a moment apart."""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tfjob.launcher import OWNER_VARIABLE
from tfjob.local.machine.cpus import ROOT

# Of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. What follows is a part of user.
_NUM_STATES, _IDLE_STATES = 8, (3, 4)
# Of /proc/<pid>/task/<tid>/stat, counted from behind the name: ticks in user and system mode, the CPU it ran on last.
_USER, _SYSTEM, _CPU = 11, 12, 36
# So little of a core has no name: ticks are whole.
_NAMED_SHARE = 0.03
OTHER_WORK = "other work on this machine"


@dataclass(frozen=True)
class Load:
    """What was seen of some CPUs for a moment.

    Args:
        busy: The share of its time in which each CPU was busy.
        takers: How many CPUs' time of them each program took, most first; empty where nobody asked.
    """

    busy: Mapping[int, float]
    takers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Thread:
    process: int
    name: str
    ticks: int
    cpu: int


def look(
    cpus: Collection[int],
    seconds: float,
    pause: Callable[[float], object],
    *,
    owner: int | None = None,
    is_named: bool = False,
    root: Path = ROOT,
) -> Load | None:
    """Returns what took some CPUs for a moment, this process's own run included; None where it cannot be read.

    Args:
        cpus: The CPUs.
        seconds: How long to look.
        pause: Waits so many seconds.
        owner: The process on whose behalf this one works; its other processes are told apart by it.
        is_named: Whether to look who took them. That reads a file of every thread of the machine.
        root: The machine's root folder.
    """
    threads = _read_threads(root) if is_named else {}
    before = _read_ticks(root)
    pause(seconds)
    after = _read_ticks(root)
    if not all(cpu in before and cpu in after for cpu in cpus):
        return None
    busy, lasted = {}, 0
    for cpu in cpus:
        busy_ticks, all_ticks = (late - early for early, late in zip(before[cpu], after[cpu], strict=True))
        busy[cpu] = busy_ticks / all_ticks if all_ticks > 0 else 0.0
        lasted = max(lasted, all_ticks)
    if not is_named:
        return Load(busy)
    ran = _list_ran(threads, _read_threads(root), cpus)
    taken = sum(busy.values())
    takers: defaultdict[str, float] = defaultdict(float)
    for thread, ticks in ran:
        if ticks > _NAMED_SHARE * lasted and thread.process != os.getpid():  # which is busy with reading all this
            takers[_name(thread, owner, root)] += ticks / lasted
    seen = sum(takers.values())
    for name in takers:  # it takes a while to read all threads, and they run meanwhile
        takers[name] *= min(1.0, taken / seen)
    unseen = taken - seen
    if unseen > max(_NAMED_SHARE, taken / 2):
        takers[OTHER_WORK] += unseen
    return Load(busy, dict(sorted(takers.items(), key=lambda taker: -taker[1])))


def _read_ticks(root: Path) -> dict[int, tuple[int, int]]:
    """Returns how many ticks of the system's clock each CPU has been busy, and has been there at all."""
    ticks = {}
    with suppress(OSError, ValueError):
        for line in (root / "proc/stat").read_text().splitlines():
            name, *fields = line.split()
            if name.startswith("cpu") and name != "cpu":
                states = [int(state) for state in fields[:_NUM_STATES]]
                ticks[int(name.removeprefix("cpu"))] = sum(states) - sum(states[i] for i in _IDLE_STATES), sum(states)
    return ticks


def _read_threads(root: Path) -> dict[str, _Thread]:
    """Returns the threads that can be seen, by their paths."""
    return {thread_id: thread for process in root.glob("proc/[0-9]*") for thread_id, thread in _read_process(process)}


def _read_process(folder: Path) -> Iterator[tuple[str, _Thread]]:
    with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
        name = _split_stat((folder / "stat").read_text())[0]
        for task in (folder / "task").iterdir():
            _, fields = _split_stat((task / "stat").read_text())
            ticks = int(fields[_USER]) + int(fields[_SYSTEM])
            yield str(task), _Thread(int(folder.name), name, ticks, int(fields[_CPU]))


def _split_stat(text: str) -> tuple[str, list[str]]:
    """Returns the name and what follows it. A name may hold anything, brackets and escapes of a terminal included."""
    before, _, after = text.rpartition(")")
    name = before.partition("(")[2]
    return "".join(letter if letter.isprintable() else "?" for letter in name), after.split()


def _list_ran(
    before: Mapping[str, _Thread], after: Mapping[str, _Thread], cpus: Collection[int]
) -> list[tuple[_Thread, int]]:
    """Returns one thread of each process that ran on some CPUs, and the ticks of all of them together."""
    ticks: defaultdict[int, int] = defaultdict(int)
    for path, thread in after.items():
        if thread.cpu in cpus:
            ticks[thread.process] += thread.ticks - (before[path].ticks if path in before else 0)
    return [(thread, ticks[thread.process]) for thread in {t.process: t for t in after.values()}.values()]


def _name(thread: _Thread, owner: int | None, root: Path) -> str:
    """Returns a program's name, and whose it is where it belongs to a comparison: leftovers disturb like strangers."""
    marks: list[str] = []
    with suppress(OSError):
        environment = (root / f"proc/{thread.process}/environ").read_bytes().decode(errors="replace").split("\0")
        marks = [entry.partition("=")[2] for entry in environment if entry.startswith(f"{OWNER_VARIABLE}=")]
    if thread.process == owner or (marks and marks[0] == str(owner)):
        return f"{thread.name} of this run"
    return f"{thread.name} of another run" if marks else thread.name
