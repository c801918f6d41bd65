"""One call from a manifest to a result."""

import math
import re
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from os import environ
from pathlib import Path

from tfjob.backend import ANYWHERE, Backend, Event, JobResult, LogLine, Placement, StatusChanged, Warned
from tfjob.blame import Troubles
from tfjob.errors import JobFailed, JobRestartedTooOften, quote_lines
from tfjob.job import Manifest
from tfjob.job_run import QUOTED_LINES
from tfjob.launcher import find_owner, is_in_pod, owner_reference
from tfjob.local import Isolation, LocalBackend, available_cores, list_gpus
from tfjob.spec import ReplicaSpec

# What tells the jobs of one run from all others.
RUN_LABEL = "tfjob-speedup/run"
# 0.9 / 0.3 is a little less than 3.
_ROUNDING = 1e-9


def print_line(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)


def run_job(
    manifest: Manifest,
    *,
    log_dir: Path,
    backend: Backend | None = None,
    report: Callable[[str], None] = print_line,
    max_restarts: int | None = None,
    placement: Placement = ANYWHERE,
    is_measured: Callable[[], bool] | None = None,
    listen: Callable[[LogLine], None] | None = None,
) -> JobResult:
    """Returns how the job went, when it has succeeded.

    Args:
        manifest: What to run.
        log_dir: Where each replica's log is written, as `<replica>.log`.
        backend: What runs it; chosen by the environment when None.
        report: Gets status and log lines as they come.
        max_restarts: Number of restarts, over all replicas, after which the job is given up; None: the operator's
            rules alone decide, which under ExitCode restart for ever.
        placement: Which cores it gets where it runs on this machine.
        is_measured: Asked twice a second whether enough is measured: the job is then ended, SIGTERM first, SIGKILL 10 s
            later, and counts as succeeded. None: it ends by itself.
        listen: Gets each log line with its time, before `report` gets it as text, until enough is measured.

    Raises:
        JobFailed: A replica failed and was not restarted.
        JobRestartedTooOften: Replicas were restarted more than `max_restarts` times.
        JobDeadlineExceeded: The job took longer than it may.
        JobCancelled: The job was stopped from outside.
    """
    restarts, is_enough = 0, False
    troubles = Troubles()
    last_lines: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=QUOTED_LINES))

    def look() -> bool:
        nonlocal is_enough
        is_enough = is_measured is not None and is_measured()
        return is_enough

    def on_event(event: Event) -> None:
        nonlocal restarts
        if isinstance(event, LogLine):
            last_lines[event.replica].append(event.text)
            troubles.note(event)
            if listen is not None and not is_enough:
                listen(event)
        report(render_event(event))
        if isinstance(event, StatusChanged) and event.status == "Restarting":
            restarts += 1
            if max_restarts is not None and restarts > max_restarts:
                replica = event.message.partition(" ")[0]
                quoted = quote_lines(replica, [*last_lines[replica]])
                raise JobRestartedTooOften(manifest["metadata"]["name"], max_restarts, event.message, quoted)

    try:
        return (backend or choose_backend()).run(
            manifest,
            log_dir=log_dir,
            on_event=on_event,
            placement=placement,
            is_measured=None if is_measured is None else look,
        )
    except JobFailed as error:
        error.add(troubles.describe_first(error.replica))
        raise


def choose_backend(
    environment: Mapping[str, str] = environ,
    *,
    pending_seconds: float = 600.0,
    keep_failed: bool = False,
    isolation: Isolation = "auto",
) -> Backend:
    """Returns the backend for where this process runs: the cluster of its pod, or this machine.

    Args:
        environment: This process's.
        pending_seconds: How long a pod may wait to start; processes do not wait.
        keep_failed: Whether a failed TFJob stays for inspection; of processes there is nothing to keep but their logs.
        isolation: Whether processes get a network of their own; in a cluster its NetworkPolicy decides that.

    Raises:
        NoBackend: This pod has no service account.
    """
    if not is_in_pod(environment):
        return LocalBackend(owner=find_owner(environment), isolation=isolation)
    # A second that no local run needs to wait.
    from tfjob.cluster import KubernetesBackend, connect  # noqa: PLC0415

    return KubernetesBackend(
        cluster=connect(),
        owner_reference=owner_reference(environment),
        pending_seconds=pending_seconds,
        keep_failed=keep_failed,
    )


def delete_jobs(run_id: str, *, keep_failed: bool) -> None:
    """Deletes what is left of a run's TFJobs, and prints a line for each.

    Of processes nothing is ever left: they end with their launcher.

    Args:
        run_id: The run, by whose `RUN_LABEL` its jobs are known.
        keep_failed: Leave those that failed.
    """
    if not is_in_pod():
        return
    from tfjob.cluster import connect, delete_left_jobs  # noqa: PLC0415

    for line in delete_left_jobs(connect(), f"{RUN_LABEL}={label_value(run_id)}", keep_failed=keep_failed):
        print_line(line)


def list_unfinished_jobs(run_id: str) -> list[str] | None:
    """Returns the names of a run's TFJobs that have not ended, None where the API server does not answer.

    Processes are no TFJobs: they end with their launcher.

    Args:
        run_id: The run, by whose `RUN_LABEL` its jobs are known.
    """
    if not is_in_pod():
        return []
    from tfjob.cluster import connect, list_unfinished_jobs  # noqa: PLC0415

    return list_unfinished_jobs(connect(), f"{RUN_LABEL}={label_value(run_id)}")


def find_free_cpus(
    replica: ReplicaSpec,
    node_labels: Mapping[str, str],
    list_here: Callable[[], Sequence[str]] = list_gpus,
    *,
    beside: float = 0.0,
) -> float | None:
    """Returns the CPUs of the largest replica that there is room for; None where a cluster does not let it be seen.

    With GPUs, a larger replica has as many times the CPUs, GPUs and memory.

    Args:
        replica: What it needs at least; on this machine memory is not looked at.
        node_labels: The labels of the nodes that it may run on; none for all nodes.
        list_here: Lists the GPUs of this machine.
        beside: CPUs of any node that pods will have which are not there yet; of this machine none.
    """
    if not is_in_pod():
        cores = len(available_cores())
        if not replica.gpus:
            return float(cores)
        return min(math.floor(cores / replica.cpus + _ROUNDING), len(list_here()) // replica.gpus) * replica.cpus
    from tfjob.cluster import connect, find_free_cpus  # noqa: PLC0415

    return find_free_cpus(connect(), replica, node_labels, beside)


def label_value(text: str) -> str:
    """Returns a text as the value of a Kubernetes label: at most 63 letters, digits, `-`, `_` and `.`."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.")


def render_event(event: Event) -> str:
    """Returns an event as a line of text."""
    match event:
        case LogLine(replica, text):
            return f"[{replica}] {text}"
        case StatusChanged(status, message):
            return f"{status}: {message}"
        case Warned(message):
            return f"Warning: {message}"
