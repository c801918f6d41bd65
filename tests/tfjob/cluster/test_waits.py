from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.tfjob.fake_cluster import running, unschedulable, waiting
from tfjob.cluster.pods import read_pod
from tfjob.cluster.replica import ReplicaRun, Waits, measure_waits
from tfjob.job import Replica, read_job

# The pods of the fake cluster count their seconds from then, on their nodes' clocks; they start 2 s after `second`.
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
STARTING = waiting("worker-0", "ContainerCreating")


@pytest.fixture
def replica(make_job: Any) -> Replica:
    return read_job(make_job("pass")).replicas[0]


def measure(replica: Replica, *seen: tuple[float, dict[str, Any]], submitted: float = 0) -> Waits:
    """Returns how long a job waited whose replica's pod was seen so, at seconds after noon on the launcher's clock."""
    run = ReplicaRun(replica, Path("worker-0.log"), 0.0)
    for at, pod in seen:
        run.take_pod(read_pod(pod), NOON + at)
    return measure_waits([run], NOON + submitted, total_seconds=100.0)


def test_a_job_waits_until_its_container_starts(replica: Replica) -> None:
    waits = measure(replica, (4, unschedulable("worker-0")), (9.5, running("worker-0", second=6)))
    assert (waits.queue_seconds, waits.schedule_seconds) == (8.0, 6.0)


def test_a_node_whose_clock_is_ahead_makes_no_job_wait_longer_than_was_seen(replica: Replica) -> None:
    assert measure(replica, (6, STARTING), (9.5, running("worker-0", second=55))).queue_seconds == 9.5


def test_a_node_whose_clock_is_behind_makes_no_job_wait_shorter_than_was_seen(replica: Replica) -> None:
    seen = ((56, STARTING), (59.5, running("worker-0", second=0)))
    assert measure(replica, *seen, submitted=50).queue_seconds == 3.0


def test_a_start_that_was_seen_late_is_when_the_node_says(replica: Replica) -> None:
    assert measure(replica, (6, STARTING), (45, running("worker-0", second=6))).queue_seconds == 8.0


def test_finding_a_node_is_a_part_of_waiting_by_whatever_clock(replica: Replica) -> None:
    waits = measure(replica, (4, unschedulable("worker-0")), (9.5, running("worker-0", second=50)))
    assert waits.schedule_seconds == waits.queue_seconds == 9.5


def test_a_second_start_is_no_longer_a_wait(replica: Replica) -> None:
    again = waiting("worker-0", "CrashLoopBackOff", phase="Running")
    seen = ((6, STARTING), (9, running("worker-0", second=6)), (30, again), (40, running("worker-0", second=37)))
    assert measure(replica, *seen).queue_seconds == 8.0


def test_a_job_without_a_container_that_started_has_not_waited(replica: Replica) -> None:
    assert measure(replica, (4, unschedulable("worker-0"))).queue_seconds == 0.0
