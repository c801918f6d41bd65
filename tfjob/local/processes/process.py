"""One replica as a process of this machine, watched and guarded."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self, cast

from tfjob.backend import LogLine
from tfjob.launcher import Signalled
from tfjob.lines import LineCutter, Piece
from tfjob.local.processes import keeper, namespace
from tfjob.local.processes.keeper import kill_group

if TYPE_CHECKING:
    from io import BufferedReader

# The process waits at this gate until it is guarded and bound to its cores. A launcher that dies before that closes the
# pipe, and the process ends without having run.
_GATE = 'read -r _ && exec "$@" < /dev/null'

# A Python that imports next to nothing, so that it starts at once.
_BARE_PYTHON = (sys.executable, "-I", "-S")
_NAMESPACE = (*_BARE_PYTHON, namespace.__file__)

# How long the end of the log may take after the process has ended.
_LOG_END_SECONDS = 1.0
_CHUNK_BYTES = 1 << 16
_REST_SECONDS = 0.005
# Lines that wait to be heard, of all replicas together.
_MAX_BACKLOG = 10_000


@dataclass(frozen=True)
class LogBroken:
    """A replica's log can no longer be written; its lines still come."""

    replica: str
    reason: str


@dataclass(frozen=True)
class Exited:
    """A replica's process has ended, and all of its log has come before this message."""

    replica: str
    exit_code: int


Message = LogLine | LogBroken | Exited


class Keeper:
    """The launcher's side of `keeper.py`: guards process groups against this process's sudden end.

    Args:
        is_isolating: Whether it is also to hold a network of its own, with nothing but loopback, for replicas.

    Attributes:
        obstacle: Why it holds no such network, though it was to; empty otherwise.
    """

    def __init__(self, *, is_isolating: bool = False) -> None:
        self.obstacle = ""
        self._join: tuple[str, ...] = ()
        if is_isolating:
            self._process = _start_keeper(*_NAMESPACE, "new")
            told = cast("IO[bytes]", self._process.stdout).readline().decode(errors="replace").strip()
            if told == namespace.READY:
                self._join = (*_NAMESPACE, "join", str(self._process.pid))
                return
            self.__exit__(None, None, None)
            self.obstacle = told or f"{namespace.__name__} ended with exit code {self._process.returncode}"
        self._process = _start_keeper()

    @property
    def is_isolating(self) -> bool:
        """Whether it holds a network for replicas."""
        return bool(self._join)

    def take_in(self, program: Sequence[str]) -> list[str]:
        """Returns the command that runs a program in the network that this holds, or where this process is if none."""
        return [*self._join, *program]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._process:  # closes the pipe, and waits
            pass

    def guard(self, group: int) -> None:
        """Kills the group when this process dies."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Forgets a group that has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        os.write(cast("IO[bytes]", self._process.stdin).fileno(), line.encode())


def _start_keeper(*prefix: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*prefix, *_BARE_PYTHON, keeper.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


class ReplicaProcess:
    """A replica's process in a session of its own; its log goes to a file and, line by line, to the inbox.

    Args:
        replica: Its name.
        command: Program and arguments.
        env: Its whole environment.
        cores: The cores it is bound to; none for all.
        log_path: The file its log is appended to.
        folder: Where it works; None: where this process does.
        inbox: Gets its log lines and, after the last, its end.
        guard: Kills it when this process dies, and may hold the network that it runs in.
    """

    def __init__(
        self,
        replica: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cores: Collection[int],
        log_path: Path,
        folder: Path | None = None,
        inbox: SimpleQueue[Message | Signalled],
        guard: Keeper,
    ) -> None:
        self._replica = replica
        self._log_path = log_path
        self._inbox = inbox
        self._process = subprocess.Popen(
            guard.take_in(["/bin/sh", "-c", _GATE, "sh", *command]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=folder,
            start_new_session=True,
        )
        guard.guard(self.group)
        if cores:
            os.sched_setaffinity(self.group, cores)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        threading.Thread(target=self._await_end, daemon=True).start()
        self._open_gate()

    @property
    def group(self) -> int:
        """The process group, which is the process's own number."""
        return self._process.pid

    def terminate(self) -> None:
        """Asks the process and its children to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process and its children."""
        self._signal(signal.SIGKILL)

    def _signal(self, signal_number: signal.Signals) -> None:
        if self._process.returncode is None:
            kill_group(self.group, signal_number)

    def _open_gate(self) -> None:
        with suppress(BrokenPipeError), cast("IO[bytes]", self._process.stdin) as gate:
            gate.write(b"\n")

    def _read_log(self) -> None:
        cutter = LineCutter()
        before = at = 0.0
        with ExitStack() as opened:
            output = opened.enter_context(cast("BufferedReader", self._process.stdout))
            write: Callable[[bytes], object]
            try:
                write = opened.enter_context(self._log_path.open("ab", buffering=0)).write
            except OSError as error:
                write = self._give_up_log(error)
            while chunk := output.read1(_CHUNK_BYTES):
                before, at = at, time.time()
                try:
                    write(chunk)
                except OSError as error:
                    write = self._give_up_log(error)
                self._hand_over(cutter.feed(chunk), at)
                if at - before < _REST_SECONDS:  # a flood is taken in gulps
                    time.sleep(_REST_SECONDS)
            self._hand_over(cutter.finish(), time.time())

    def _hand_over(self, lines: Sequence[Piece], at: float) -> None:
        # A program that prints faster than anybody reads waits, as it would for a terminal.
        while self._inbox.qsize() > _MAX_BACKLOG and self._process.returncode is None:
            time.sleep(_REST_SECONDS)
        for line in lines:
            self._inbox.put(LogLine(self._replica, line.text, at))

    def _give_up_log(self, error: OSError) -> Callable[[bytes], object]:
        """Says that no more is kept, and returns what forgets a line: one that nobody took would stop the replica."""
        self._inbox.put(LogBroken(self._replica, f"{self._log_path}: {error.strerror}"))
        return lambda _: None

    def _await_end(self) -> None:
        returncode = self._process.wait()
        kill_group(self.group, signal.SIGKILL)  # children end with their parent, as in a container
        self._reader.join(_LOG_END_SECONDS)
        self._inbox.put(Exited(self._replica, returncode if returncode >= 0 else 128 - returncode))
