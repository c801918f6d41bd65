"""Why a job on a cluster did not succeed: which replica is to blame, and the words that a person gets."""

from collections.abc import Iterable

from tfjob.cluster.pods import OUT_OF_MEMORY, Pod
from tfjob.cluster.replica import ReplicaRun
from tfjob.cluster.sidecar import describe_hold
from tfjob.errors import JobFailed, JobNotStarted


def find_culprit(runs: Iterable[ReplicaRun]) -> ReplicaRun | None:
    """Returns the replica that failed the job; None when no pod that failed was seen."""
    failed = [run for run in runs if run.pod is not None and run.pod.has_failed]
    # One that would have been restarted, having lost its peer say, did not fail the job. Times are whole seconds.
    return min(failed, key=lambda run: (run.is_restarted, (run.pod and run.pod.ended_at) or float("inf")), default=None)


def failed_job(job_name: str, runs: Iterable[ReplicaRun], condition: str) -> JobFailed:
    """Returns the error of a job that the operator has failed, or would have but for a container that keeps a pod.

    Args:
        job_name: The job.
        runs: Its replicas.
        condition: The operator's words, for when no replica can be blamed.
    """
    culprit = find_culprit(runs)
    if culprit is None or culprit.pod is None:
        return JobFailed(job_name, replica="the job", exit_code=None, reason=condition)
    reason = f"{describe_end(culprit.pod)}, restart policy {culprit.replica.restart_policy}"
    if culprit.pod.held_by:
        reason += f"; {describe_hold(culprit.pod.held_by)}"
    return _failure_of(job_name, culprit, culprit.pod.exit_code, reason)


def out_of_memory(job_name: str, run: ReplicaRun, pod: Pod) -> JobFailed:
    """Returns the error of a job one of whose replicas was killed for its memory, and maybe started again since."""
    code = pod.exit_code_before if pod.exit_code is None else pod.exit_code
    return _failure_of(job_name, run, code, _describe_out_of_memory(run))


def not_started(job_name: str, runs: Iterable[ReplicaRun], job_trouble: str, seconds: float) -> JobNotStarted:
    """Returns the error of a job whose replicas do not start.

    Args:
        job_name: The job.
        runs: Its replicas.
        job_trouble: What the operator says of pods that it could not make, or empty.
        seconds: How long the job was waited for.
    """
    reasons = dict.fromkeys(run.describe_waiting() for run in runs if run.is_waiting)
    trouble = [job_trouble] if job_trouble else []
    return JobNotStarted(job_name, seconds, [*trouble, *reasons])


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
