"""Where the jobs of these tests run: processes here, or pods of a cluster."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from tests.tfjob.scripted_jobs import make_job
from tfjob.backend import Backend
from tfjob.job import Manifest
from tfjob.local.backend import LocalBackend
from tfjob.spec import ReplicaType

if TYPE_CHECKING:
    from tests.conformance.job_run import JobRun

Addresses = dict[tuple[ReplicaType, int], str]


class Site(Protocol):
    @property
    def seen_seconds(self) -> float:
        """How long a replica runs of which everything is seen: that it runs, and its first lines."""

    def make(self, code: str, **fields: Any) -> dict[str, Any]: ...

    def backend(self, clock: Callable[[], float] = time.monotonic) -> Backend: ...

    def addresses(self, manifest: Manifest, seen: dict[str, Any]) -> Addresses:
        """Returns where replicas must be reached."""

    def assert_nothing_is_left(self, run: "JobRun") -> None: ...


@dataclass
class Here:
    shared: Path
    seen_seconds: float = 0.2

    def make(self, code: str, **fields: Any) -> dict[str, Any]:
        return make_job(code, self.shared, **fields)

    def backend(self, clock: Callable[[], float] = time.monotonic) -> Backend:
        return LocalBackend(grace_seconds=0.5, restart_delay=lambda _policy, _restarts: 0.0, clock=clock)

    def addresses(self, manifest: Manifest, seen: dict[str, Any]) -> Addresses:
        # Free ports are drawn for each job: what one replica was told, the others must have been told, too.
        types: dict[str, ReplicaType] = {"chief": "Chief", "worker": "Worker", "ps": "PS"}
        members = {
            (types[name], index): address
            for name, addresses in seen["cluster"].items()
            for index, address in enumerate(addresses)
        }
        assert len(set(members.values())) == len(members)
        assert all(address.startswith("127.0.0.1:") for address in members.values())
        return members

    def assert_nothing_is_left(self, run: "JobRun") -> None:
        # Whatever belongs to this test names its folder in its environment.
        limit = time.monotonic() + 30
        while any(map(self._is_mine, psutil.Process().children(recursive=True))):
            assert time.monotonic() < limit
            time.sleep(0.05)

    def _is_mine(self, process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("SHARED") == str(self.shared)
        return False
