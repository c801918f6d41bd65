"""What the server's answer about a run says: its steps, what was started again, and what waits.

The answer lists the nodes of Argo's workflow. A step is a node under its own name, once for each iteration of a loop;
its try is a further node, `name(0)`, and that one's pods are called `executor(0)`, `executor(1)`, … without saying
whose they are: the times tell it.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
ENDED = frozenset({SUCCEEDED, FAILED, "CANCELED", "SKIPPED"})
_PENDING, _RUNNING, _CANCELING = "PENDING", "RUNNING", "CANCELING"
_NOT_RUN = frozenset({None, "RUNTIME_STATE_UNSPECIFIED", _PENDING, "SKIPPED"})
_UNSUCCESSFUL = ENDED - {SUCCEEDED}
_POD = re.compile(r"(?:executor|(?P<driven>.+)-driver)\((?P<attempt>\d+)\)")


@dataclass(frozen=True)
class Step:
    """A step that has begun.

    Attributes:
        task_id: The server's identifier.
        name: The step's name.
        state: The server's word for its state.
        started_at: When it began; after a retry of the run, anew.
        ended_at: When it ended; None as long as it has not.
        has_run: Whether one of its pods was seen to run; short ones never are.
        was_terminated: Whether it was ended together with the run, and did not fail by itself.
    """

    task_id: str
    name: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    has_run: bool
    was_terminated: bool

    @property
    def has_failed(self) -> bool:
        """Whether it failed by itself."""
        return self.state in _UNSUCCESSFUL and not self.was_terminated


@dataclass(frozen=True)
class WaitingPod:
    """A pod that has not started.

    Attributes:
        task_id: The server's identifier.
        step: The step, loop or branch to which it belongs.
        is_driver: Whether it is KFP's own, which prepares the step.
    """

    task_id: str
    step: str
    is_driver: bool


@dataclass(frozen=True)
class RunState:
    """What has happened in a run.

    Attributes:
        state: The server's word for the run's state.
        retried_at: When a person last let it go on after its end; None if nobody did.
        terminated_at: When a person ended it; None if nobody did.
        steps: The steps that have begun, the earliest first. What had failed before a retry does not count.
        restarts: What KFP started again: a key of the occurrence, and the step's name.
        waiting: Pods that have not started.
    """

    state: str
    retried_at: datetime | None
    terminated_at: datetime | None
    steps: Sequence[Step]
    restarts: Sequence[tuple[str, str]]
    waiting: Sequence[WaitingPod]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def terminated_steps(self) -> list[str]:
        """Names of the steps during which a person ended the run."""
        at = self.terminated_at
        return [s.name for s in self.steps if at and s.started_at <= at and (s.ended_at is None or s.ended_at > at)]

    @property
    def end(self) -> str:
        """How the run ended, as the end of a sentence."""
        return "was terminated" if self.terminated_at and self.state != SUCCEEDED else f"ended as {self.state}"


def read_run_state(run: Any, names: frozenset[str]) -> RunState:
    """Returns what the server's answer about a run says.

    Args:
        run: The answer.
        names: Names of the steps; the server also lists its own helpers.
    """
    retried_at, terminated_at = _read_interventions(run.state_history or [])
    tasks = [
        task
        for task in (run.run_details and run.run_details.task_details) or []
        if task.display_name and task.start_time
    ]
    nodes = [task for task in tasks if task.display_name in names and task.state not in _NOT_RUN]
    nodes.sort(key=lambda node: node.start_time)
    pods = [(found, task) for task in tasks if (found := _POD.fullmatch(task.display_name))]
    owned = [(found, pod, _find_node(found, pod, nodes)) for found, pod in pods]
    steps = [
        _read_step(node, [pod for _, pod, owner in owned if owner is node], terminated_at)
        for node in nodes
        if not (retried_at and node.state in _UNSUCCESSFUL and node.end_time <= retried_at)
    ]
    return RunState(
        state=str(run.state),
        retried_at=retried_at,
        terminated_at=terminated_at,
        steps=steps,
        restarts=[
            (f"{pod.task_id} {number}", node.display_name)
            for found, pod, node in owned
            if node and not found["driven"]
            for number in range(_count_restarts(int(found["attempt"]), pod, retried_at))
        ],
        waiting=[
            WaitingPod(pod.task_id, found["driven"] or (node.display_name if node else "a step"), bool(found["driven"]))
            for found, pod, node in owned
            if pod.state == _PENDING
        ],
    )


def _read_step(node: Any, pods: Iterable[Any], terminated_at: datetime | None) -> Step:
    has_ended = node.state in ENDED
    return Step(
        task_id=node.task_id,
        name=node.display_name,
        state=node.state,
        started_at=node.start_time,
        ended_at=node.end_time if has_ended else None,
        has_run=any(entry.state == _RUNNING for pod in pods for entry in pod.state_history or []),
        was_terminated=bool(
            terminated_at and node.state in _UNSUCCESSFUL and node.start_time <= terminated_at < node.end_time
        ),
    )


def _read_interventions(history: Iterable[Any]) -> tuple[datetime | None, datetime | None]:
    """Returns when a person last retried the run, and when one terminated it since."""
    retried_at = terminated_at = before = None
    for entry in history:
        if entry.state == _CANCELING:
            terminated_at = entry.update_time
        elif before in ENDED and entry.state in {_PENDING, _RUNNING}:
            retried_at, terminated_at = entry.update_time, None
        before = entry.state
    return retried_at, terminated_at


def _find_node(found: re.Match[str], pod: Any, nodes: Sequence[Any]) -> Any:
    """Returns the step's node to which a pod belongs: the one that began last of those that ran when the pod began."""
    if found["driven"]:
        return None
    running = [
        node
        for node in nodes
        if node.start_time <= pod.start_time and (node.state not in ENDED or pod.start_time <= node.end_time)
    ]
    return running[-1] if running else None


def _count_restarts(attempt: int, pod: Any, retried_at: datetime | None) -> int:
    """Returns how often a pod's program was started again by KFP, not by a person's retry."""
    is_since_retry = retried_at is None or pod.start_time > retried_at
    count = int(attempt > 0 and is_since_retry)
    history = pod.state_history or []
    for earlier, later in itertools.pairwise(history):
        was_retried = retried_at and earlier.update_time <= retried_at <= later.update_time
        is_again = earlier.state in _UNSUCCESSFUL and later.state in {_PENDING, _RUNNING}
        count += is_again and not was_retried
    return count
