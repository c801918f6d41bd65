"""Which replica was in trouble first: who fails first is often only who lost its peer."""

import re

from tfjob.backend import LogLine

# The last line of an exception in Python, and what the system says of a process that crashed.
_TROUBLE = re.compile(
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt)(?::|$)"
    r"|Segmentation fault|Aborted|Killed|Fatal Python error"
)
_SHOWN = 300


class Troubles:
    """What each replica said last of a trouble of its own, and when."""

    def __init__(self) -> None:
        self._lines: dict[str, LogLine] = {}

    def note(self, line: LogLine) -> None:
        """Takes a line of a log."""
        if _TROUBLE.match(line.text):
            self._lines[line.replica] = line

    def describe_first(self, failed: str) -> str:
        """Returns which replica was in trouble before the one that failed, and with what; empty where none was.

        Args:
            failed: The replica that ended the job.
        """
        timed = [(line.at, line) for line in self._lines.values() if line.at is not None]
        if not timed:
            return ""
        first_at, first = min(timed, key=lambda item: item[0])
        if first.replica == failed:
            return ""
        later = self._lines.get(failed)
        before = f" {later.at - first_at:.1f} s before" if later is not None and later.at is not None else ""
        return f"\nThe first in trouble was {first.replica}{before}: {first.text[:_SHOWN]}"
