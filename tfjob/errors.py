"""Everything a launched job can end with other than success."""

from collections.abc import Sequence


class TFJobError(Exception):
    """The job did not succeed."""


class SpecError(TFJobError, ValueError):
    """A job that the operator could not run, or not as it was meant; told before it is submitted."""


class JobFailed(TFJobError):  # noqa: N818 - named like the condition of the job that it reports
    """A replica failed and was not restarted.

    Args:
        job_name: The job.
        replica: The replica that failed, `worker-1` say.
        exit_code: Its exit code, 128 + n when signal n ended it; None when it never ran.
        reason: Why this ends the job.
        last_lines: The end of the replica's log.
    """

    def __init__(
        self, job_name: str, *, replica: str, exit_code: int | None, reason: str, last_lines: Sequence[str] = ()
    ) -> None:
        self.job_name = job_name
        self.replica = replica
        self.exit_code = exit_code
        self.reason = reason
        self.last_lines = tuple(last_lines)
        super().__init__(f"Job {job_name} failed: {replica}: {reason}.{quote_lines(replica, last_lines)}")

    def add(self, words: str) -> None:
        """Adds to the message what else is known."""
        self.args = (f"{self}{words}",)


class ReplicaLost(JobFailed):
    """A replica's pod was taken from outside, by a drain, an eviction, a preemption or a deletion.

    Its program is not to blame, and the same training may well succeed in another try.
    """


class JobStalled(TFJobError):  # noqa: N818 - named like the condition of the job that it reports
    """All replicas live, and none moves any more: they have lost each other, or one hangs.

    Args:
        job_name: The job.
        reason: What was seen of them.
    """

    def __init__(self, job_name: str, reason: str) -> None:
        super().__init__(
            f"Job {job_name} stands still: {reason}. Their connections are cut, or one of them hangs; a program that "
            "hangs again in the same place is to blame itself"
        )


class JobDeadlineExceeded(TFJobError):  # noqa: N818 - named like the condition of the job that it reports
    """The job ran longer than its `activeDeadlineSeconds`."""


class JobCancelled(TFJobError):  # noqa: N818 - named like the condition of the job that it reports
    """The job was stopped from outside: by a signal, or because its owner is gone."""


class LauncherStopped(JobCancelled):
    """The launcher itself was told to end. Whoever told it may start it again: on a cluster KFP does."""


class NoBackend(TFJobError):  # noqa: N818 - named like the others
    """There is nothing here that could run a TFJob."""


class JobExists(TFJobError):  # noqa: N818 - named like the others
    """There is a job of that name already, and it is another one.

    Args:
        job_name: The job.
        namespace: Where.
    """

    def __init__(self, job_name: str, namespace: str) -> None:
        super().__init__(
            f"Another TFJob named {job_name} exists in namespace {namespace}. Delete it if nobody needs it: "
            f"kubectl --namespace {namespace} delete tfjob {job_name}"
        )


class JobNotStarted(TFJobError):  # noqa: N818 - named like the condition of the job that it reports
    """A replica found no node, no image or no volume in time.

    Args:
        job_name: The job.
        seconds: How long it has waited.
        reasons: What scheduler, kubelet and operator say.
    """

    def __init__(self, job_name: str, seconds: float, reasons: Sequence[str]) -> None:
        super().__init__(f"Job {job_name} did not start within {seconds:.0f} s. {' | '.join(reasons)}")


class ClusterRefused(TFJobError):  # noqa: N818 - named like the others
    """The cluster does not do what a TFJob needs: no right, no operator, no answer."""


class JobRestartedTooOften(TFJobError):  # noqa: N818 - named like the condition of the job that it reports
    """Replicas ended again and again with codes that ask for a restart.

    Args:
        job_name: The job.
        max_restarts: How many restarts it was granted.
        message: What happened last.
        last_lines: The end of the log of the replica that ended last, as `quote_lines` returns it.
    """

    def __init__(self, job_name: str, max_restarts: int, message: str, last_lines: str = "") -> None:
        if max_restarts:
            told = f"Job {job_name} was given up after {max_restarts} restarts. The last: {message}"
        else:
            ended = message.partition("; restart ")[0]
            told = f"Job {job_name} was given up: {ended}, and it was not to be restarted"
        super().__init__(told + last_lines)


def quote_lines(replica: str, lines: Sequence[str]) -> str:
    """Returns the end of a replica's log as it is shown in an error's message."""
    if not lines:
        return f"\n{replica} logged nothing."
    return "\n".join([f"\nLast lines of {replica}:", *(f"  {line}" for line in lines)])
