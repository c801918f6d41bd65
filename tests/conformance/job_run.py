"""The fixtures of tests that run a job on the backend under test: here, or on a cluster."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.sites import Here, Site
from tests.skipping_clock import SkippingClock
from tfjob.backend import Event, JobResult, LogLine, StatusChanged

IMAGE_VARIABLE = "TFJOB_TEST_IMAGE"


@dataclass
class JobRun:
    site: Site
    log_dir: Path
    events: list[Event] = field(default_factory=list)
    clock: SkippingClock = field(default_factory=SkippingClock)

    def __call__(
        self,
        code: str,
        *,
        on_line: Callable[[str], object] | None = None,
        on_failure: Callable[[], object] | None = None,
        is_measured: Callable[[], bool] | None = None,
        **fields: Any,
    ) -> JobResult:
        def take(event: Event) -> None:
            self.events.append(event)
            if on_line is not None and isinstance(event, LogLine):
                on_line(event.text)
            if on_failure is not None and isinstance(event, StatusChanged) and event.status == "Failed":
                on_failure()

        manifest = self.site.make(code, **fields)
        backend = self.site.backend(clock=self.clock)
        return backend.run(manifest, log_dir=self.log_dir, on_event=take, is_measured=is_measured)

    def lines(self, replica: str) -> list[str]:
        return [event.text for event in self.events if isinstance(event, LogLine) and event.replica == replica]

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, StatusChanged)]


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    if IMAGE_VARIABLE in os.environ:
        site: Site = request.getfixturevalue("cluster_site")
        return site
    return Here(tmp_path)


@pytest.fixture
def run_job(site: Site, tmp_path: Path) -> JobRun:
    return JobRun(site, tmp_path / "logs")
