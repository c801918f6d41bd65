"""One call from a spec to a result."""

from collections.abc import Callable, Mapping
from os import environ
from pathlib import Path

from tfjob.backend import Backend, Event, JobResult, LogLine, StatusChanged, Warned
from tfjob.errors import JobRestartedTooOften, NoBackend
from tfjob.local import LocalBackend
from tfjob.owner import find_owner
from tfjob.spec import TFJobSpec


def print_line(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)


def run_job(
    spec: TFJobSpec,
    *,
    log_dir: Path,
    backend: Backend | None = None,
    report: Callable[[str], None] = print_line,
    max_restarts: int | None = None,
) -> JobResult:
    """Returns how the job went, when it has succeeded.

    Args:
        spec: What to run.
        log_dir: Where each replica's log is written, as `<replica>.log`.
        backend: What runs it; chosen by the environment when None.
        report: Gets status and log lines as they come.
        max_restarts: Number of restarts, over all replicas, after which the job is given up; None: the operator's
            rules alone decide, which under ExitCode restart for ever.

    Raises:
        JobFailed: A replica failed and was not restarted.
        JobRestartedTooOften: Replicas were restarted more than `max_restarts` times.
        JobDeadlineExceeded: The job took longer than it may.
        JobCancelled: The job was stopped from outside.
    """
    from tfjob.manifest import build_manifest  # noqa: PLC0415 - its libraries take a second that only a launch needs

    restarts = 0

    def on_event(event: Event) -> None:
        nonlocal restarts
        report(render_event(event))
        if isinstance(event, StatusChanged) and event.status == "Restarting":
            restarts += 1
            if max_restarts is not None and restarts > max_restarts:
                raise JobRestartedTooOften(spec.name, max_restarts, event.message)

    return (backend or choose_backend()).run(build_manifest(spec), log_dir=log_dir, on_event=on_event)


def is_in_pod(environment: Mapping[str, str] = environ) -> bool:
    """Returns whether this process runs in a pod of a cluster."""
    return "KUBERNETES_SERVICE_HOST" in environment


def choose_backend(environment: Mapping[str, str] = environ) -> Backend:
    """Returns the backend for where this process runs.

    Raises:
        NoBackend: This process runs in a pod. Replicas as its child processes would share the pod's cores and pass
            for a distributed training.
    """
    if is_in_pod(environment):
        raise NoBackend(
            "TFJobs on a cluster's training operator are not supported by this version, which runs replicas as "
            "processes of one machine. Run the comparison outside of a pod: make run."
        )
    return processes_here(environment)


def processes_here(environment: Mapping[str, str] = environ) -> Backend:
    """Returns the backend that runs replicas as processes beside this one, wherever that is."""
    return LocalBackend(owner=find_owner(environment))


def render_event(event: Event) -> str:
    """Returns an event as a line of text."""
    match event:
        case LogLine(replica, text):
            return f"[{replica}] {text}"
        case StatusChanged(status, message):
            return f"{status}: {message}"
        case Warned(message):
            return f"Warning: {message}"
