"""What a person sees of a program that says much: the first lines of each second, and how many more there were."""

import re
import time
from collections.abc import Callable

from program.lines import list_redraws

# More than these, nobody reads along; the replicas' log files have all.
LINES_A_SECOND, MOST_CHARACTERS = 10, 400
# What TensorFlow's runtime says about itself, which the log files keep.
_RUNTIME_NOISE = re.compile(r"\[[\w-]+\] ([IWEF]\d{4} \d\d:|[IWEF]0{4} |WARNING: All log messages before absl|$)")
# What a terminal would do something by.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ShownLines:
    """Hands on lines of a job, bounded in number and length.

    Args:
        report: Gets the lines.
        clock: Monotonic seconds.
    """

    def __init__(self, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._second, self._shown, self._left = -1, 0, 0

    def show(self, line: str) -> None:
        """Hands on a line, unless it is a replica's and there were too many of them just now."""
        text = clean(line)
        if not text or is_noise(line):
            return
        if not line.startswith("["):
            self._report(text)
            return
        if (second := int(self._clock())) != self._second:
            self.end()
            self._second, self._shown = second, 0
        if self._shown >= LINES_A_SECOND:
            self._left += 1
            return
        self._shown += 1
        self._report(text)

    def end(self) -> None:
        """Tells how many lines were not handed on."""
        if self._left:
            self._report(f"… {self._left:,} more lines, all of them in the replicas' logs")
        self._left = 0


def is_noise(line: str) -> bool:
    """Returns whether a line of the job is the runtime's talk about itself."""
    return _RUNTIME_NOISE.match(line) is not None


def clean(line: str) -> str:
    """Returns a line as a terminal would show it in the end: what was drawn over is gone, and so are its colours."""
    replica, _, said = line.partition("] ") if line.startswith("[") else ("", "", line)
    drawn = list_redraws(said)
    if not drawn:
        return ""
    text = _CONTROL.sub("", drawn[-1]).rstrip()
    text = f"{replica}] {text}" if replica else text
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
