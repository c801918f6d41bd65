"""Whether this machine ran out of memory."""

from pathlib import Path

from tfjob.local.machine.cpus import ROOT

_COUNTERS, _KILLS = "proc/vmstat", "oom_kill"


def count_memory_kills(root: Path = ROOT) -> int:
    """Returns how many processes the kernel has killed for want of memory since it started; 0 where it does not tell.

    Args:
        root: The machine's root folder.
    """
    try:
        lines = (root / _COUNTERS).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{_KILLS} ")), 0)
