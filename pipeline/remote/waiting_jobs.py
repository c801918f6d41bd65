"""What a running step says of a TFJob that does not start, told while a person waits for the run.

The step's log is stored when the step ends. While it runs, KFP's dashboard reads it from the pod.

Source: kubeflow/pipelines 2.17.0, frontend/server/handlers/pod-logs.ts.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from pipeline.remote.artifacts import Catalog
from pipeline.remote.server import Server, ServerError

_LOG_PATH = "/k8s/pod/logs"
_BETWEEN_READINGS_SECONDS = 60.0
# A status of a job as `tfjob.launch` prints it, and those in which it does not run.
_STATUS = re.compile(r"^(?P<status>Created|Queued|Pulling|Running|Restarting|Succeeded|Failed): .*$", re.MULTILINE)
_NOT_STARTED = frozenset({"Created", "Queued", "Pulling"})


@dataclass
class WaitingJobs:
    """Tells of TFJobs that have not started between two readings of their steps' logs.

    Attributes:
        server: The server.
        catalog: Knows the steps' pods.
        run_id: The run.
        write: Takes the lines.
        clock: Returns seconds on a monotonic clock.
    """

    server: Server
    catalog: Catalog
    run_id: str
    write: Callable[[str], None]
    clock: Callable[[], float]
    _read_at: float | None = None
    _last: dict[str, str] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)

    def tell(self, running: Collection[str]) -> None:
        """Tells what the running steps say, if it is time for another reading and their logs can be had.

        Args:
            running: Names of the running steps.
        """
        now = self.clock()
        if not running or (self._read_at is not None and now - self._read_at < _BETWEEN_READINGS_SECONDS):
            return
        self._read_at = now
        try:
            pods = [pod for pod in self.catalog.list_running_pods(self.run_id) if pod.step in running]
        except ServerError:  # the run does not need it
            return
        says = {pod.name: find_waiting(self._read_log(pod.name, pod.namespace)) for pod in pods}
        for pod in pods:
            line = says[pod.name]
            if line and self._last.get(pod.name) == line and (pod.name, line) not in self._told:
                self._told.add((pod.name, line))
                self.write(f"… {pod.step} waits for its TFJob to start: {line}")
        self._last = says

    def _read_log(self, pod: str, namespace: str) -> str:
        """Returns a pod's log; nothing if it cannot be had, or not be held: not every installation lets one be read."""
        query = [("podname", pod), ("runid", self.run_id), ("podnamespace", namespace)]
        try:
            return self.server.call("GET", _LOG_PATH, query=query).data.decode(errors="replace")
        except ServerError:
            return ""


def find_waiting(log: str) -> str:
    """Returns the last status of a job in a step's log if the job does not run, else nothing."""
    statuses = [*_STATUS.finditer(log)]
    return statuses[-1].group() if statuses and statuses[-1]["status"] in _NOT_STARTED else ""
