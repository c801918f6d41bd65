"""A replica and its launcher, who watch each other in a pod.

A replica whose launcher is gone ends: nobody would stop it, read its results or free its cores. And the process beside
it tells that it lives.
"""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from model.errors import LAUNCHER_GONE_WORDS
from model.training.signs import describe_process, write_sign

LOOK_SECONDS = 3.0
PATIENCE_SECONDS = 60.0
_PASSED_ON = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Beat:
    """What was last found in the file: its content, None before the first, and when it was new."""

    content: bytes | None
    renewed_at: float


def take_look(last: Beat, content: bytes | None, now: float) -> Beat:
    """Returns the beat after a look into the file.

    Args:
        last: The beat before.
        content: What the file holds; None where it cannot be read, which says nothing new.
        now: When it was read, on the clock of `last`.
    """
    return last if content in (None, last.content) else Beat(content, now)


def is_silent(beat: Beat, now: float, patience_seconds: float) -> bool:
    """Returns whether the launcher has been silent for so long that it must be gone."""
    return now - beat.renewed_at >= patience_seconds


def supervise(path: Path, patience_seconds: float, exit_code: int, sign: Path | None = None) -> None:
    """Goes on in a child of this process, which ends both once the launcher no longer renews a file.

    Meanwhile it tells of the child that it lives, or is stopped.

    A thread beside TensorFlow would not do: while that waits for other replicas, no other thread of Python runs.
    The supervisor passes on the signals that ask it to end, and ends as the child does: of signal n with 128 + n.

    Silence is measured on this process's own clock from the start on: the times of a file in a shared volume are
    another clock's.

    Args:
        path: What the launcher renews, with other content each time; it need not be there yet.
        patience_seconds: How long the content may stay the same.
        exit_code: What this process ends with when the launcher is gone.
        sign: Where to tell of the child; None to tell nothing.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # none is lost before the supervisor can pass it on
    child = os.fork()
    if child:
        for number in _PASSED_ON:
            signal.signal(number, lambda received, _: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    if child:
        arguments = (path, patience_seconds, exit_code, child, sign)
        threading.Thread(target=_watch, args=arguments, name="heartbeat", daemon=True).start()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(code if code >= 0 else 128 - code)


def _watch(path: Path, patience_seconds: float, exit_code: int, child: int, sign: Path | None) -> None:
    count = 0
    beat = Beat(None, time.monotonic())
    look_seconds = min(LOOK_SECONDS, patience_seconds / 4)
    while True:
        beat = take_look(beat, _read(path), time.monotonic())
        if is_silent(beat, time.monotonic(), patience_seconds):
            told = f"the launcher has not renewed {path} for {patience_seconds:g} s: {LAUNCHER_GONE_WORDS}"
            try:
                print(f"error: {told}", file=sys.stderr, flush=True)
            finally:  # who read the pipe may be gone with the launcher
                os.kill(child, signal.SIGKILL)
                os._exit(exit_code)
        if sign is not None:
            count += 1
            write_sign(sign, f"{count} {describe_process(child)}")
        time.sleep(look_seconds)


def _read(path: Path) -> bytes | None:
    """Returns what the file holds; opened each time, because that is when NFS asks its server for what is new."""
    try:
        return path.read_bytes()
    except OSError:
        return None
