"""Ends what a launcher started when the launcher dies without a word: `kill -9`, an out-of-memory kill.

A program of its own that holds the other end of a pipe: the launcher writes `+GROUP` for a process group it starts and
`-GROUP` when that has ended. The kernel closes the pipe with the launcher; whatever is left then is killed. It is
started without site packages and imports next to nothing, so that it is there before the first replica is.
"""

import os
import signal
import sys
from collections.abc import Iterable


def read_groups(lines: Iterable[str]) -> set[int]:
    """Returns the process groups that were announced and not withdrawn."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def kill_group(group: int, signal_number: int) -> None:
    """Signals every process of a group; one that is gone already is no error."""
    try:
        os.killpg(group, signal_number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of which only a zombie is left
        return


if __name__ == "__main__":
    for left in read_groups(sys.stdin):
        kill_group(left, signal.SIGKILL)
