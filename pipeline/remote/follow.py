"""Following a run on a server: a line for each step that begins or ends, until the run has ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from components.planning import Parameters
from pipeline.remote.run_state import ENDED, SUCCEEDED, RunState, Step, WaitingPod, read_run_state
from pipeline.remote.server import Access, ConnectionLostError, Server, UnauthorizedError
from pipeline.remote.waiting_jobs import WaitingJobs

# A pod of an image that is there starts in seconds.
_PATIENCE_WITH_PODS_SECONDS = 60.0


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
        access: How the server is reached.
        names: Names of the steps; the server also lists its own helpers.
        num_steps: Number of steps that will run.
        write: Takes the lines.
        clock: Returns seconds on a monotonic clock.
        in_turns: Names of those steps that begin side by side and wait for their turn.
    """

    access: Access
    names: frozenset[str]
    num_steps: int
    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    in_turns: frozenset[str] = frozenset()
    _numbers: dict[str, int] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)
    _retried_at: datetime | None = None
    _is_terminated: bool = False
    _restarts: set[str] = field(default_factory=set)
    _waiting_since: dict[str, float] = field(default_factory=dict)
    _told_to_wait: set[tuple[str, bool]] = field(default_factory=set)

    def tell(self, run: Any) -> RunState:
        """Tells which steps began or ended, and what else a person should know; returns what the answer says."""
        state = read_run_state(run, self.names)
        if state.retried_at and state.retried_at != self._retried_at:
            self.write(f"↻ The run was retried at {state.retried_at:%H:%M:%S} (UTC): it goes on from what had failed.")
            self._is_terminated = False
        self._retried_at = state.retried_at
        for step in state.steps:
            if self._states.get(step.task_id) != step.state:
                self._tell_step(step)
        for key, name in state.restarts:
            if key not in self._restarts:
                self._restarts.add(key)
                self.write(f"↻ {name}: KFP started it again, for its pod was lost or killed.")
        if state.terminated_at and not self._is_terminated:
            self._is_terminated = True
            self.write(f"■ The run was told to end at {state.terminated_at:%H:%M:%S} (UTC).")
        if not state.has_ended:
            self._tell_waiting(run, state)
        return state

    def _tell_step(self, step: Step) -> None:
        told = self._states.get(step.task_id)
        if told is None or told in ENDED:  # after a retry of the run, one that had ended begins anew
            number = self._numbers.setdefault(step.task_id, len(self._numbers) + 1)
            self.write(f"▶ {number}/{self.num_steps} {step.name}")
        self._states[step.task_id] = step.state
        if step.ended_at is None:
            return
        if step.state == SUCCEEDED:
            included = ", its wait for its turn included" if step.name in self.in_turns else ""
            self.write(f"✓ {step.name} ({(step.ended_at - step.started_at).total_seconds():.0f} s{included})")
        elif step.was_terminated:
            self.write(f"■ {step.name} ended with the run")
        else:
            self.write(f"✗ {step.name} {step.state.lower()}")

    def _tell_waiting(self, run: Any, state: RunState) -> None:
        now, late = self.clock(), dict[tuple[str, bool], WaitingPod]()
        self._waiting_since = {pod.task_id: self._waiting_since.get(pod.task_id, now) for pod in state.waiting}
        for pod in state.waiting:
            if now - self._waiting_since[pod.task_id] >= _PATIENCE_WITH_PODS_SECONDS:
                late.setdefault((pod.step, pod.is_driver), pod)
        # Of the pods of a step that all its iterations start at once, one is told while any waits.
        for pod in (pod for kind, pod in late.items() if kind not in self._told_to_wait):
            waited = now - self._waiting_since[pod.task_id]
            is_first = not any(step.state == SUCCEEDED for step in state.steps)
            whose = "KFP's own pod, its driver," if pod.is_driver else "its pod"
            self.write(
                f"… {pod.step} has been waiting for {whose} to start for {waited:.0f} s. "
                f"{explain_waiting(run, pod, self.access, is_first_step=is_first)}"
            )
        self._told_to_wait = {*late}


def explain_waiting(run: Any, pod: WaitingPod, access: Access, *, is_first_step: bool) -> str:
    """Returns why a step's pod may not start, the likeliest first, and where the cluster says it.

    Args:
        run: The server's answer about the run.
        pod: The pod.
        access: How the server is reached.
        is_first_step: Whether no step has run yet; else its image could be had.
    """
    parameters = (run.runtime_config and run.runtime_config.parameters) or {}
    image = f"its image {parameters.get('image', Parameters().image)} cannot be pulled (--image names another)"
    room = "no node has room for it"
    volume = "the run's volume cannot be had (--workspace-storage-class, --workspace-access-mode)"
    reasons = [image, room] if is_first_step else [volume, room, image]
    if pod.is_driver:
        reasons = [room, "the images of KFP itself cannot be pulled"]
    return (
        f"It may be that {', or '.join(reasons)}. KFP waits without end; the cluster says why:\n"
        f"  {access.inspect_pods(run.run_id)}"
    )


def follow(server: Server, run_id: str, progress: Progress, jobs: WaitingJobs, pace: Pace) -> tuple[Any, RunState]:
    """Returns the server's last answer about a run and what it says, when the run has ended.

    Args:
        server: The server.
        run_id: The run.
        progress: Tells of the steps.
        jobs: Tells of their TFJobs.
        pace: How often the run is looked at.

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
            state = progress.tell(run)
            if state.has_ended:
                return run, state
            jobs.tell({step.name for step in state.steps if step.ended_at is None})
        pace.pause(pause)
