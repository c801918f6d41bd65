import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.tfjob import scripted_jobs
from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_api import FakeApi
from tfjob.spec import ReplicaSpec

PATIENCE_SECONDS = 120


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    return partial(scripted_jobs.make_job, shared=tmp_path)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def fail_test(*_: object) -> None:
    pytest.fail(f"The job has not ended in {PATIENCE_SECONDS} s")


@pytest.fixture
def run(make_job: Callable[..., dict[str, Any]], tmp_path: Path) -> Iterator[ClusterRun]:
    replicas = {"Worker": ReplicaSpec(count=2, memory="1Gi")}
    # A job that waits for what the script does not tell would wait for ever.
    signal.signal(signal.SIGALRM, fail_test)
    signal.alarm(PATIENCE_SECONDS)
    fields = {"replicas": replicas, "active_deadline_seconds": 900, "success_policy": "AllWorkers"}
    run = ClusterRun(tmp_path / "logs", make_job, fields)
    yield run
    signal.alarm(0)
    run.cluster.close()


@pytest.fixture
def single(run: ClusterRun) -> ClusterRun:
    run.change(replicas={"Worker": ReplicaSpec(memory="1Gi")})
    return run
