from collections.abc import Iterator

import pytest

from pipeline.remote.metadata import MlMetadata
from pipeline.remote.server import Access, Server
from pipeline.remote.waiting_jobs import WaitingJobs
from tests.pipeline.remote.kfp_server import Kfp, Served

QUEUED = "Queued: worker-1: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."


@pytest.fixture
def kfp() -> Iterator[Kfp]:
    """A server with a run."""
    kfp = Kfp(runs={"run-1": {}})
    yield kfp
    assert kfp.complaints == []


def test_a_pod_whose_log_cannot_be_read_does_not_silence_the_others(kfp: Kfp) -> None:
    kfp.pods = {"train-single-node": None, "train-distributed": QUEUED}
    lines: list[str] = []
    ticks = iter(range(0, 1000, 60))
    with Served(kfp) as endpoint:
        server = Server(Access(endpoint))
        jobs = WaitingJobs(server, MlMetadata(server), "run-1", lines.append, lambda: next(ticks))
        for _ in range(3):
            jobs.tell(kfp.pods.keys())
    assert lines == [f"… train-distributed waits for its TFJob to start: {QUEUED}"]
