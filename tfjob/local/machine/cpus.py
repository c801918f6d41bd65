"""The CPUs of a Linux machine: which of them are threads of one core, and how many a control group leaves of them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")
_CGROUPS = "sys/fs/cgroup"
_SIBLINGS = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def read_cores(cpus: Sequence[int], root: Path = ROOT) -> dict[int, int]:
    """Returns the core that each CPU is a thread of, by the number of its first thread.

    Args:
        cpus: The CPUs. One whose topology is not told counts as a core.
        root: The machine's root folder.
    """
    cores = {}
    for cpu in cpus:
        cores[cpu] = cpu
        with suppress(OSError, ValueError):
            cores[cpu] = min(_parse_cpus((root / _SIBLINGS.format(cpu)).read_text()))
    return cores


def list_siblings(cpus: Collection[int]) -> list[int]:
    """Returns CPUs with all those that are threads of the same cores, also those that this process may not use."""
    siblings = set(cpus)
    for cpu in cpus:
        with suppress(OSError, ValueError):
            siblings |= {*_parse_cpus((ROOT / _SIBLINGS.format(cpu)).read_text())}
    return sorted(siblings)


def read_quota(root: Path) -> float | None:
    """Returns how many CPUs' time the control groups of this process leave it; None without a limit.

    A group's limit holds for all groups below it, so that the tightest counts. A container sees its own group as the
    root of all, or its path on the host below a root that is its own.

    Args:
        root: The machine's root folder.
    """
    quotas = (_read_quota(folder, read) for folder, read in _list_groups(root))
    return min((quota for quota in quotas if quota is not None), default=None)


def _list_groups(root: Path) -> Iterator[tuple[Path, Callable[[Path], float | None]]]:
    """Yields the folder of each control group that this process is in, and how its limit is read."""
    mounts: tuple[str, ...]
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                mounts, read = ("", "unified"), _read_v2
            elif "cpu" in controllers.split(","):
                mounts, read = (controllers, "cpu", "cpu,cpuacct"), _read_v1
            else:
                continue
            # One that leads out of the container's own groups shows none of them.
            group = PurePosixPath("/" if ".." in path else path).relative_to("/")
            for mount in dict.fromkeys(mounts):
                for part in (group, *group.parents):
                    yield root / _CGROUPS / mount / part, read


def _read_quota(folder: Path, read: Callable[[Path], float | None]) -> float | None:
    with suppress(OSError, ValueError):
        return read(folder)
    return None


def _read_v2(folder: Path) -> float | None:
    quota, period = (folder / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _read_v1(folder: Path) -> float | None:
    quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return None if quota <= 0 else quota / period


def _parse_cpus(text: str) -> list[int]:
    """Returns the CPUs of a list such as `0-1,4`."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus
