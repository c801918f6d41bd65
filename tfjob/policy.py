"""The rules by which the training operator and the kubelet decide over a job.

Source: training-operator v1.9.3, pkg/controller.v1/tensorflow/tfjob_controller.go (success), pkg/core/job.go and
pkg/controller.v1/common/{job,pod}.go (restarts, back-off limit); the kubelet's back-off.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from tfjob.spec import CHIEFS, ReplicaType, RestartPolicy, SuccessPolicy

Outcome = Literal["succeeded", "failed", "restart"]

# What the operator's users agreed on for "try again"; it would also be the code after SIGUSR1, which nobody sends.
RETRYABLE_EXIT_CODE = 138
_FIRST_RETRYABLE_EXIT_CODE = 128
_FIRST_DELAY_SECONDS = 10.0
_MAX_DELAY_SECONDS = 300.0


def outcome_of_exit(restart_policy: RestartPolicy, exit_code: int) -> Outcome:
    """Returns what becomes of a replica that ended: Always restarts it even after success, as the kubelet does."""
    if restart_policy == "Always":
        return "restart"
    if exit_code == 0:
        return "succeeded"
    is_retryable = restart_policy == "OnFailure" or (
        restart_policy == "ExitCode" and exit_code >= _FIRST_RETRYABLE_EXIT_CODE
    )
    return "restart" if is_retryable else "failed"


def has_succeeded(is_done: Mapping[ReplicaType, Sequence[bool]], success_policy: SuccessPolicy) -> bool:
    """Returns whether the job has.

    Args:
        is_done: For each type, whether the replica of each index has succeeded.
        success_policy: Looked at only in a job without a Chief or Master.
    """
    for chief in is_done.keys() & {*CHIEFS}:
        return all(is_done[chief])
    workers = is_done["Worker"]
    return all(workers) or (success_policy != "AllWorkers" and workers[0])


def exceeds_backoff_limit(backoff_limit: int, restarts: Iterable[tuple[RestartPolicy, int]]) -> bool:
    """Returns whether a job fails for its restarts.

    Restarts in place are counted, and the comparison is ≥: a limit of 1 allows none, 3 allows two. A replica under
    ExitCode is a new pod each time, whose count is 0, so the limit never stops it; but with a limit of 0 any failed pod
    ends the job.

    Args:
        backoff_limit: The limit.
        restarts: Restart policy and number of restarts, the coming one included, of each replica that has not ended.
    """
    counted = [(policy, count) for policy, count in restarts if policy != "Never"]
    if backoff_limit == 0:
        return any(count for _, count in counted)
    return sum(count for policy, count in counted if policy != "ExitCode") >= backoff_limit


def restart_delay_seconds(restart_policy: RestartPolicy, earlier_restarts: int) -> float:
    """Returns how long a replica waits for its restart: the kubelet's back-off, and none where the pod is a new one."""
    if restart_policy == "ExitCode" or earlier_restarts == 0:
        return 0.0
    return float(min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** (earlier_restarts - 1)))
