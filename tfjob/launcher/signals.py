"""Ctrl-C and SIGTERM as messages, so that they are heard between two steps and never in the midst of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

from tfjob.errors import LauncherStopped


@dataclass(frozen=True)
class Signalled:
    """This process was asked to end."""

    signal: signal.Signals

    def raise_as_error(self, job_name: str) -> None:
        """Raises what it asks for.

        Raises:
            KeyboardInterrupt: It was Ctrl-C.
            LauncherStopped: It was another signal.
        """
        if self.signal is signal.SIGINT:
            raise KeyboardInterrupt
        raise LauncherStopped(f"Job {job_name} was cancelled: this process received {self.signal.name}.")


@contextmanager
def signals_to(put: Callable[[Signalled], None]) -> Iterator[None]:
    """Hands signals that ask this process to end to `put` instead.

    Only a main thread can; in another the process's own handling stays.
    """

    def handle(signal_number: int, _: FrameType | None) -> None:
        put(Signalled(signal.Signals(signal_number)))

    with ExitStack() as restored:
        if threading.current_thread() is threading.main_thread():
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.getsignal(signal_number)
                if previous not in (signal.SIG_IGN, None):
                    restored.callback(signal.signal, signal_number, previous)
                    signal.signal(signal_number, handle)
        yield
