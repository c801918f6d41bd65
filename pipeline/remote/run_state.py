"""What the server's answer about a run says: its steps, what was started again, and what waits.

The answer lists the nodes of Argo's workflow. A step is a node under its own name, once for each iteration of a loop;
its try is a further node, `name(0)`, and that one's pods are called `executor(0)`, `executor(1)`, … without saying
whose they are: the times tell it. A step's first pod begins with it, its next one when the one before has failed. Steps
that begin together are told apart by their ends.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
ENDED = frozenset({SUCCEEDED, FAILED, "CANCELED", "SKIPPED"})
_PENDING, _RUNNING, _CANCELING = "PENDING", "RUNNING", "CANCELING"
_NOT_RUN = frozenset({None, "RUNTIME_STATE_UNSPECIFIED", _PENDING, "SKIPPED"})
_UNSUCCESSFUL = ENDED - {SUCCEEDED}
_NOT_YET = datetime.max.replace(tzinfo=UTC)
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
    retries, terminated_at = _read_interventions(run.state_history or [])
    retried_at = retries[-1] if retries else None
    tasks = [
        task
        for task in (run.run_details and run.run_details.task_details) or []
        if task.display_name and task.start_time
    ]
    nodes = [task for task in tasks if task.display_name in names and task.state not in _NOT_RUN]
    nodes.sort(key=lambda node: node.start_time)
    pods = [(found, task) for task in tasks if (found := _POD.fullmatch(task.display_name))]
    tries = [(int(found["attempt"]), pod) for found, pod in pods if not found["driven"]]
    owned = [(attempt, pod, owners) for chain, owners in _find_owners(_chain(tries), nodes) for attempt, pod in chain]
    pods_of = defaultdict(list)
    for _, pod, owners in owned:
        for owner in owners:
            pods_of[owner.task_id].append(pod)
    steps = [
        _read_step(node, pods_of[node.task_id], terminated_at)
        for node in nodes
        if not (retried_at and node.state in _UNSUCCESSFUL and node.end_time <= retried_at)
    ]
    return RunState(
        state=str(run.state),
        retried_at=retried_at,
        terminated_at=terminated_at,
        steps=steps,
        restarts=[
            (f"{pod.task_id} {number}", _name(owners))
            for attempt, pod, owners in owned
            if owners
            for number in range(_count_restarts(attempt, pod, retries))
        ],
        waiting=[
            *(
                WaitingPod(pod.task_id, found["driven"], is_driver=True)
                for found, pod in pods
                if found["driven"] and pod.state == _PENDING
            ),
            *(
                WaitingPod(pod.task_id, _name(owners), is_driver=False)
                for _, pod, owners in owned
                if pod.state == _PENDING
            ),
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


def _read_interventions(history: Iterable[Any]) -> tuple[list[datetime], datetime | None]:
    """Returns when a person retried the run, and when one terminated it since."""
    retries: list[datetime] = []
    terminated_at = before = None
    for entry in history:
        if entry.state == _CANCELING:
            terminated_at = entry.update_time
        elif before in ENDED and entry.state in {_PENDING, _RUNNING}:
            retries.append(entry.update_time)
            terminated_at = None
        before = entry.state
    return retries, terminated_at


def _chain(tries: Iterable[tuple[int, Any]]) -> list[list[tuple[int, Any]]]:
    """Returns the pods of each step, one after another; a pod whose predecessor is not found stands alone.

    Args:
        tries: The number that a pod's name tells, and the pod.
    """
    chains: list[list[tuple[int, Any]]] = []
    for attempt, pod in sorted(tries, key=lambda numbered: (numbered[0], numbered[1].start_time)):
        if before := [chain for chain in chains if _is_next(chain[-1], attempt, pod)]:
            max(before, key=lambda chain: chain[-1][1].end_time).append((attempt, pod))
        else:
            chains.append([(attempt, pod)])
    return chains


def _is_next(last: tuple[int, Any], attempt: int, pod: Any) -> bool:
    """Returns whether a pod may be the next one after the last of a step."""
    number, before = last
    return attempt == number + 1 and before.state in _UNSUCCESSFUL and bool(before.end_time <= pod.start_time)


def _find_owners(
    chains: Iterable[Sequence[tuple[int, Any]]], nodes: Sequence[Any]
) -> list[tuple[Sequence[tuple[int, Any]], list[Any]]]:
    """Returns each step's pods with its node, or with those nodes that nothing tells apart.

    What begins at the same time belongs together, in the order in which it ends. Pods that begin with no step belong to
    one of those that run and have no pod.

    Args:
        chains: The pods of each step.
        nodes: The nodes of the steps.
    """
    owned, lone = [], []
    alike = defaultdict(list)
    for node in nodes:
        alike[_read_times(node)].append(node)
    free = {node.task_id: node for node in sorted(nodes, key=_find_end)}
    for chain in sorted(chains, key=lambda chain: _find_end(chain[-1][1])):
        _, first = chain[0]
        if owner := next((node for node in free.values() if node.start_time == first.start_time), None):
            del free[owner.task_id]
            owned.append((chain, alike[_read_times(owner)]))
        else:
            lone.append((chain, first.start_time))
    for chain, at in lone:
        running = [node for node in nodes if node.start_time <= at <= _find_end(node)]
        owned.append((chain, [node for node in running if node.task_id in free] or running))
    return owned


def _find_end(task: Any) -> datetime:
    """Returns when a node or a pod ended; the end of time as long as it has not."""
    return task.end_time if task.state in ENDED else _NOT_YET


def _read_times(task: Any) -> tuple[datetime, datetime]:
    return task.start_time, _find_end(task)


def _name(owners: Iterable[Any]) -> str:
    """Returns the name of the step that owns a pod; of those that may, if nothing tells them apart."""
    return " or ".join(dict.fromkeys(node.display_name for node in owners)) or "a step"


def _count_restarts(attempt: int, pod: Any, retries: Sequence[datetime]) -> int:
    """Returns how often a pod's program was started again by KFP, not by one of a person's retries."""
    is_since_retry = not retries or pod.start_time > retries[-1]
    count = int(attempt > 0 and is_since_retry)
    history = pod.state_history or []
    for earlier, later in itertools.pairwise(history):
        was_retried = any(earlier.update_time <= at <= later.update_time for at in retries)
        is_again = earlier.state in _UNSUCCESSFUL and later.state in {_PENDING, _RUNNING}
        count += is_again and not was_retried
    return count
