import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_api import FakeApi
from tests.tfjob.scripted_jobs import make_job
from tfjob.spec import ReplicaSpec, TFJobSpec

PATIENCE_SECONDS = 5


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., TFJobSpec]:
    return partial(make_job, shared=tmp_path)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def fail_test(*_: object) -> None:
    pytest.fail(f"The job has not ended in {PATIENCE_SECONDS} s")


@pytest.fixture
def run(make_spec: Callable[..., TFJobSpec], tmp_path: Path) -> Iterator[ClusterRun]:
    replicas = {"Worker": ReplicaSpec(count=2, memory="1Gi")}
    # A job that waits for what the script does not tell would wait for ever.
    signal.signal(signal.SIGALRM, fail_test)
    signal.alarm(PATIENCE_SECONDS)
    run = ClusterRun(
        tmp_path / "logs",
        make_spec("pass", replicas=replicas, active_deadline_seconds=900, success_policy="AllWorkers"),
    )
    yield run
    signal.alarm(0)
    run.cluster.close()


@pytest.fixture
def single(run: ClusterRun) -> ClusterRun:
    run.spec = TFJobSpec(**{**vars(run.spec), "replicas": {"Worker": ReplicaSpec(memory="1Gi")}})
    return run
