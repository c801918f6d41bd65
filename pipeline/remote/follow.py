"""Following a run on a server: a line for each step that begins or ends, until the run has ended."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.remote.server import ConnectionLostError, Server, UnauthorizedError

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
ENDED = frozenset({SUCCEEDED, FAILED, "CANCELED", "SKIPPED"})
_NOT_RUN = frozenset({None, "RUNTIME_STATE_UNSPECIFIED", "PENDING", "SKIPPED"})
# Argo numbers the tries of a node.
_TRY = re.compile(r"\(\d+\)$")


@dataclass(frozen=True)
class Pace:
    """How often, and how stubbornly, a run is looked at.

    Attributes:
        poll_seconds: Time between two looks; a step takes tens of seconds at least.
        longest_pause_seconds: Longest time between two tries while the server cannot be reached.
        patience_seconds: After so long without an answer this program gives up; the run does not.
        clock: Returns seconds on a monotonic clock.
        pause: Waits for a number of seconds.
    """

    poll_seconds: float = 10.0
    longest_pause_seconds: float = 60.0
    patience_seconds: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


DEFAULT_PACE = Pace()


@dataclass
class Progress:
    """Tells what happened in a run since it was last looked at.

    Attributes:
        steps: Names of the steps; the server also lists its own helpers.
        num_steps: Number of steps that will run.
        write: Takes the lines.
        failed: Names of the steps that failed, in their order.
    """

    steps: frozenset[str]
    num_steps: int
    write: Callable[[str], None]
    failed: list[str] = field(default_factory=list)
    _states: dict[str, str] = field(default_factory=dict)

    def tell(self, run: Any) -> None:
        """Tells which steps began or ended."""
        details = run.run_details
        tasks = [task for task in (details and details.task_details) or [] if task.state not in _NOT_RUN]
        for task in sorted(tasks, key=lambda task: task.start_time):
            name = _TRY.sub("", task.display_name or "")
            if name in self.steps and self._states.get(task.task_id) != task.state:
                self._tell_step(name, task)

    def _tell_step(self, name: str, task: Any) -> None:
        if task.task_id not in self._states:
            self.write(f"▶ {len(self._states) + 1}/{self.num_steps} {name}")
        self._states[task.task_id] = task.state
        if task.state == SUCCEEDED:
            self.write(f"✓ {name} ({(task.end_time - task.start_time).total_seconds():.0f} s)")
        elif task.state in ENDED:
            self.failed.append(name)
            self.write(f"✗ {name} {task.state.lower()}")


def follow(server: Server, run_id: str, progress: Progress, pace: Pace) -> Any:
    """Returns the server's last answer about a run, when the run has ended.

    Raises:
        ServerError: The server refuses, or has not answered for too long.
    """
    lost_at, pause = None, pace.poll_seconds
    while True:
        try:
            run = server.runs.run_service_get_run(run_id)
        except (ConnectionLostError, UnauthorizedError) as error:
            # A file's token is renewed by somebody else, perhaps a moment after it has expired.
            if isinstance(error, UnauthorizedError) and not server.access.renews_token:
                raise
            if lost_at is None:
                lost_at = pace.clock()
                progress.write(f"… {error}\n… Trying again; the run goes on meanwhile.")
            elif pace.clock() - lost_at > pace.patience_seconds:
                raise
            pause = min(2 * pause, pace.longest_pause_seconds)
        else:
            if lost_at is not None:
                progress.write(f"… connected again after {pace.clock() - lost_at:.0f} s")
            lost_at, pause = None, pace.poll_seconds
            progress.tell(run)
            if run.state in ENDED:
                return run
        pace.pause(pause)
