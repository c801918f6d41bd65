"""Why a job on a cluster did not succeed: which replica is to blame, and the words that a person gets."""

from collections.abc import Iterable, Mapping

from tfjob.cluster.pods import OUT_OF_MEMORY, Pod
from tfjob.cluster.replica import ReplicaRun
from tfjob.cluster.sidecar import describe_hold
from tfjob.errors import JobFailed, JobStalled, ReplicaLost, TFJobError
from tfjob.signs import Suspicion

_NODE_IS_SHORT = "its node ran short of memory, disk or processes, or shuts down"
# What Kubernetes names as the reason of a pod's disruption, or of its end, in plain words.
_LOSSES = {
    "PreemptionByScheduler": "a pod of a higher priority took its place",
    "Preempting": "a pod of a higher priority took its place",
    "DeletionByTaintManager": "its node was tainted: it did not answer any more, or was taken back (spot)",
    "EvictionByEvictionAPI": "it was evicted, as a drain of its node or an autoscaler does",
    "DeletionByPodGC": "its node is gone",
    "NodeLost": "its node is gone",
    "TerminationByKubelet": _NODE_IS_SHORT,
    "Evicted": _NODE_IS_SHORT,
    "NodeShutdown": "its node was shut down",
    "Terminated": "its node was shut down",
}
# The operator's own reasons to end a job, by words of its messages.
_OWN_LIMITS = ("backoff limit", "deadline")


def find_culprit(runs: Iterable[ReplicaRun]) -> ReplicaRun | None:
    """Returns the replica that failed the job; None when no pod that failed, or was taken, was seen."""
    failed = [run for run in runs if run.pod is not None and (run.is_lost or run.pod.has_failed)]
    return min(failed, key=_rank_blame, default=None)


def _rank_blame(run: ReplicaRun) -> tuple[bool, float, bool]:
    """Returns what sorts the replica to blame first: the one that ended first, of those that nothing else ended.

    One that would have been restarted, having lost its peer say, did not fail the job. Times are whole seconds, in the
    last of which the operator deletes what still runs of a job that has failed.
    """
    pod = run.pod
    if pod is None:
        return (True, float("inf"), True)
    if run.is_lost:
        return (False, 0.0 if run.is_gone else pod.deleted_at or pod.ended_at or 0.0, True)
    return (run.is_survivor or run.is_aftermath, pod.ended_at or float("inf"), False)


def is_aftermath(run: ReplicaRun, pod: Pod, runs: Iterable[ReplicaRun]) -> bool:
    """Returns whether a replica's pod is only deleted because another replica has failed: that was seen before.

    In this order the API server tells what happened. A deletion's time is by its clock, an end's by that of a node,
    which may be ahead.

    Args:
        run: The replica as it was before.
        pod: Its pod as it is now.
        runs: All replicas.
    """
    if pod.deleted_at is None:
        return False
    if run.pod is not None and run.pod.uid == pod.uid and run.pod.deleted_at is not None:
        return run.is_aftermath
    culprit = find_culprit(other for other in runs if other is not run)
    return culprit is not None and not (culprit.is_lost or culprit.is_survivor)


def failed_job(job_name: str, runs: Iterable[ReplicaRun], condition: str) -> JobFailed:
    """Returns the error of a job that the operator has failed, or would have but for a container that keeps a pod.

    Args:
        job_name: The job.
        runs: Its replicas.
        condition: The operator's words, for when no replica can be blamed.
    """
    culprit = find_culprit(runs)
    # The operator deletes all pods before it says that one of its own limits was reached.
    is_limit = any(limit in condition for limit in _OWN_LIMITS)
    if culprit is None or culprit.pod is None or (culprit.is_lost and is_limit):
        return JobFailed(job_name, replica="the job", exit_code=None, reason=condition)
    if culprit.is_lost:
        return ReplicaLost(
            job_name,
            replica=culprit.replica.name,
            exit_code=culprit.pod.exit_code,
            reason=describe_loss(culprit.pod),
            last_lines=culprit.last_lines,
        )
    reason = f"{describe_end(culprit.pod)}, restart policy {culprit.replica.restart_policy}"
    if culprit.pod.held_by:
        reason += f"; {describe_hold(culprit.pod.held_by)}"
    return _failure_of(job_name, culprit, culprit.pod.exit_code, reason)


def out_of_memory(job_name: str, run: ReplicaRun, pod: Pod) -> JobFailed:
    """Returns the error of a job one of whose replicas was killed for its memory, and maybe started again since."""
    code = pod.exit_code_before if pod.exit_code is None else pod.exit_code
    return _failure_of(job_name, run, code, _describe_out_of_memory(run))


def suspected(job_name: str, runs: Mapping[str, ReplicaRun], suspicion: Suspicion) -> TFJobError:
    """Returns the error of a job whose replicas are frozen or out of reach, or none of which moves.

    Args:
        job_name: The job.
        runs: Its replicas, by name.
        suspicion: What was seen of them.
    """
    if not suspicion.replicas:
        return JobStalled(job_name, suspicion.reason)
    suspects = [runs[name] for name in suspicion.replicas]
    places = [run.replica.name + (f" on node {run.pod.node}" if run.pod and run.pod.node else "") for run in suspects]
    reason = f"{', '.join(places)}: {suspicion.reason}; frozen, or cut off from the volume that all share"
    first = suspects[0]
    return ReplicaLost(job_name, replica=first.replica.name, exit_code=None, reason=reason, last_lines=first.last_lines)


def describe_loss(pod: Pod) -> str:
    """Returns that a pod was taken, from which node, and why that may have been."""
    place = f" on node {pod.node}" if pod.node else ""
    reason = pod.disruption or pod.reason
    cause = _LOSSES.get(reason, "somebody or something in the cluster deleted it: a person, a drain, an autoscaler")
    detail = ": ".join(filter(None, (reason if reason in _LOSSES else "", pod.message.rstrip("."))))
    return f"its pod {pod.name}{place} was taken: {cause}" + (f" ({detail})" if detail else "")


def describe_end(pod: Pod) -> str:
    """Returns how a pod ended."""
    if pod.exit_code is None:
        return " ".join(filter(None, (pod.reason or pod.phase, pod.message)))
    return _describe_exit(pod.exit_code, pod.reason)


def describe_end_before(run: ReplicaRun, pod: Pod) -> str:
    """Returns how the container ended that was restarted in place."""
    if pod.reason_before == OUT_OF_MEMORY:
        return _describe_out_of_memory(run)
    return _describe_exit(pod.exit_code_before, pod.reason_before)


def _describe_exit(exit_code: int | None, reason: str) -> str:
    return f"exit code {exit_code}" + ("" if reason in ("", "Error", "Completed") else f" ({reason})")


def _describe_out_of_memory(run: ReplicaRun) -> str:
    limit = f"its memory limit {run.replica.memory}" if run.replica.memory else "the memory of its node"
    return f"{OUT_OF_MEMORY}: it needed more than {limit}; give it more"


def _failure_of(job_name: str, run: ReplicaRun, exit_code: int | None, reason: str) -> JobFailed:
    return JobFailed(job_name, replica=run.replica.name, exit_code=exit_code, reason=reason, last_lines=run.last_lines)
