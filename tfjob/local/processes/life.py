"""Whether the processes of replicas live: what the kernel of this machine says of them."""

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tfjob.local.machine import ROOT
from tfjob.signs import Life

# Of /proc/<pid>/stat, counted from behind the name, which may hold anything.
_STATE, _SESSION, _USER, _SYSTEM = 0, 3, 11, 12
_NANOSECONDS = 1e9
_STOPPED = "T"  # by a signal; one that a debugger holds is `t`


def read_lives(leaders: Mapping[str, int], count: object, root: Path = ROOT) -> dict[str, Life]:
    """Returns what is seen of replicas; nothing of one that has ended.

    A replica is its session: a wrapper may stand before the program, which is stopped then where all below it is.

    Args:
        leaders: The process that leads each replica's session.
        count: What tells this look from any other.
        root: The machine's root folder.
    """
    if not (root / "proc/self/stat").exists():  # no Linux
        return _ask_psutil(leaders, count)
    ticks_per_second = os.sysconf("SC_CLK_TCK")
    names = {pid: name for name, pid in leaders.items()}
    states: defaultdict[str, list[tuple[bool, bool]]] = defaultdict(list)
    ticks: defaultdict[str, int] = defaultdict(int)
    waited: defaultdict[str, int] = defaultdict(int)
    for folder in root.glob("proc/[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if (name := names.get(int(fields[_SESSION]))) is not None:
                states[name].append((int(folder.name) == leaders[name], fields[_STATE] == _STOPPED))
                ticks[name] += int(fields[_USER]) + int(fields[_SYSTEM])
                waited[name] += sum(_read_waited(thread) for thread in folder.glob("task/*"))
    return {
        name: Life(count, _is_stopped(seen), ticks[name] / ticks_per_second, waited[name] / _NANOSECONDS)
        for name, seen in states.items()
    }


def _read_waited(thread: Path) -> int:
    """Returns how many nanoseconds a thread was ready and waited for a core; 0 where the kernel does not count."""
    with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
        return int((thread / "schedstat").read_bytes().split()[1])
    return 0


def _is_stopped(seen: list[tuple[bool, bool]]) -> bool:
    """Returns whether a session stands: its leader is stopped, or all that it leads."""
    below = [is_stopped for is_leader, is_stopped in seen if not is_leader]
    return any(is_leader and is_stopped for is_leader, is_stopped in seen) or (bool(below) and all(below))


def _ask_psutil(leaders: Mapping[str, int], count: object) -> dict[str, Life]:
    lives = {}
    for name, pid in leaders.items():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            lives[name] = Life(count, process.status() == psutil.STATUS_STOPPED, times.user + times.system)
    return lives
