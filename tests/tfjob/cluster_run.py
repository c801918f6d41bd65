"""A job on the fake cluster, with its script and with what is told meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tfjob.fake_cluster import JOB, FakeClock, FakeCluster, ended, log_line
from tfjob.backend import Event, JobResult, LogLine, StatusChanged, Warned
from tfjob.cluster.backend import KubernetesBackend


@dataclass
class ClusterRun:
    """Runs a job on the fake cluster, and acts when something is told."""

    log_dir: Path
    make_job: Callable[..., dict[str, Any]]
    fields: dict[str, Any]
    cluster: FakeCluster = field(default_factory=FakeCluster)
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Event] = field(default_factory=list)
    actions: dict[str, Callable[[], object]] = field(default_factory=dict)

    def __call__(self, is_measured: Callable[[], bool] | None = None, **changes: Any) -> JobResult:
        backend = self.backend(**changes)
        return backend.run(self.manifest, log_dir=self.log_dir, on_event=self._take, is_measured=is_measured)

    @property
    def manifest(self) -> dict[str, Any]:
        return self.make_job("pass", **self.fields)

    def change(self, **fields: Any) -> None:
        """Gives the job other fields."""
        self.fields |= fields

    def backend(self, **changes: Any) -> KubernetesBackend:
        return KubernetesBackend(cluster=self.cluster, clock=self.clock, sleep=self.clock.sleep, **changes)

    def on(self, text: str, action: Callable[[], object]) -> None:
        """Lets a log line, or a status, be followed by an action in the launcher's own thread."""
        self.actions[text] = action

    def pass_seconds(self, text: str, seconds: float) -> None:
        """Lets time pass once something is told."""
        self.on(text, lambda: self.clock.sleep(seconds))

    def say(self, *pods: dict[str, Any]) -> None:
        """Adds states of pods to the script."""
        for pod in pods:
            self.cluster.say("pods", pod)

    def log(self, replica: str, text: str, second: float = 3) -> None:
        """Adds a line of a log to the script."""
        self.cluster.say(f"{JOB}-{replica}", log_line(second, text))

    def succeed(self) -> None:
        """Adds the end of a job that succeeds to the script."""
        self.say(ended("worker-0"), ended("worker-1"))
        self.cluster.say_job("Succeeded")

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, StatusChanged)]

    def messages(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, StatusChanged | Warned)]

    def _take(self, event: Event) -> None:
        self.events.append(event)
        told = event.text if isinstance(event, LogLine) else getattr(event, "status", "")
        self.actions.get(told, int)()
