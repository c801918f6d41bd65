"""The process that matches a person's expressions: it alone can stop one that would never end.

A match of Python's cannot be interrupted from another thread, but a signal ends it in a process's main thread. Which
thread reads the logs is not this package's to say, so a process of its own does it, and measures its own CPU time: a
busy machine is no reason to drop an expression. It is run as a file, so that it starts in the time of a bare Python.
"""

import json
import re
import signal
import sys
from types import FrameType
from typing import NoReturn

_SECONDS = 1.0  # of the CPU, for one expression in one batch of lines: a thousand times what an honest one takes


class _TooSlowError(Exception):
    pass


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _TooSlowError


def match_lines(
    patterns: dict[str, tuple[re.Pattern[str], int]], lines: list[str]
) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Returns each line's index with the texts that matched, by name, and the names that took too long."""
    found: dict[int, dict[str, str]] = {}
    slow = []
    for name, (pattern, group) in patterns.items():
        matches: list[tuple[int, str]] = []
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
            for index, line in enumerate(lines):
                texts = [match[group] for match in pattern.finditer(line)]
                if texts and texts[-1] is not None:  # of several the last one, as of a bar's redraws
                    matches.append((index, texts[-1][:100]))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except _TooSlowError:
            slow.append(name)
        except (MemoryError, RecursionError):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            slow.append(name)
        else:
            for index, text in matches:
                found.setdefault(index, {})[name] = text
    return sorted(found.items()), slow


def main() -> None:
    """Answers each batch of lines on standard input with its matches on standard output, until the input ends."""
    signal.signal(signal.SIGVTALRM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    first = sys.stdin.readline()
    if not first:
        return
    patterns = {name: (re.compile(pattern), group) for name, pattern, group in json.loads(first)}
    for batch in sys.stdin:
        found, slow = match_lines(patterns, json.loads(batch))
        for name in slow:
            patterns.pop(name)
        sys.stdout.write(json.dumps([found, slow]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
