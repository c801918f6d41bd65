import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from tfjob.backend import ANYWHERE, Event, JobResult, LogLine, Placement, StatusChanged
from tfjob.local.backend import LocalBackend

MakeJob = Callable[..., dict[str, Any]]

FAST = LocalBackend(grace_seconds=0.5, restart_delay=lambda _policy, _restarts: 0.0)

# What a job does that never ends by itself: beyond any patience.
FOREVER = "print('pid', os.getpid()); time.sleep(600)"
PATIENCE_SECONDS = 30.0


@dataclass
class LocalRun:
    log_dir: Path
    events: list[Event] = field(default_factory=list)

    def __call__(
        self,
        manifest: dict[str, Any],
        on_line: Callable[[], object] | None = None,
        placement: Placement = ANYWHERE,
        **changes: Any,
    ) -> JobResult:
        def take(event: Event) -> None:
            self.events.append(event)
            if on_line is not None and isinstance(event, LogLine):
                on_line()

        backend = replace(FAST, **changes)
        return backend.run(manifest, log_dir=self.log_dir, on_event=take, placement=placement)

    def lines(self, replica: str) -> list[str]:
        return [event.text for event in self.events if isinstance(event, LogLine) and event.replica == replica]

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, StatusChanged)]

    def pids(self) -> list[int]:
        words = [event.text.split() for event in self.events if isinstance(event, LogLine)]
        return [int(pid) for word, *pids in words if word == "pid" for pid in pids]


def is_running(pid: int) -> bool:
    # What was killed is gone a moment later, on a busy machine a longer one.
    limit = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < limit:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.02)
    return True
