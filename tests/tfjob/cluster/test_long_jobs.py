import gc
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import JOB, running
from tfjob.launch import run_job
from tfjob.signs import SIGNS_VARIABLE
from tfjob.spec import ReplicaSpec

TICK_SECONDS, DAY_SECONDS = 10, 86_400
BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)
# One line kept in a hundred would take more.
MOST_GROWTH_BYTES = 64 * 1024


@pytest.mark.slow
def test_a_launcher_that_follows_a_job_for_a_day_stays_flat_in_memory(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    fields = {
        "replicas": {"Worker": ReplicaSpec(count=2, memory="1Gi")},
        "active_deadline_seconds": 2 * DAY_SECONDS,
        "success_policy": "AllWorkers",
        "env": {SIGNS_VARIABLE: str(signs)},
    }
    run = ClusterRun(tmp_path / "logs", make_job, fields)
    in_use: dict[int, int] = {}
    num_lines = 0

    def tick(number: int) -> None:
        """Lets ten seconds pass: a line of a log, a sign of life of each; now and then a new connection and a state."""
        run.clock.sleep(TICK_SECONDS)
        for index in range(2):
            (signs / f"worker-{index}.life").write_text(f"{number} running {number}\n")
        stamp = (BEGAN + timedelta(seconds=number * TICK_SECONDS)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        run.cluster.say(f"{JOB}-worker-0", f"{stamp} step {number} {'of many ' * 20}")
        if number % 30 == 0:
            run.cluster.calls.clear()
            run.cluster.say("pods", None)
            run.say(running("worker-1"))
        if number % 2880 == 0:
            run.cluster.say(f"{JOB}-worker-0", ProtocolError("connection reset"))
        if number * TICK_SECONDS in (DAY_SECONDS // 4, DAY_SECONDS):
            gc.collect()  # in a large process cycles wait long for it
            in_use[number * TICK_SECONDS] = tracemalloc.get_traced_memory()[0]
        if number * TICK_SECONDS < DAY_SECONDS:
            run.cluster.say(f"{JOB}-worker-0", lambda: tick(number + 1))
        else:
            run.succeed()

    def count(line: str) -> None:
        nonlocal num_lines
        num_lines += line.startswith("[worker-0] step ")

    run.say(running("worker-0"), running("worker-1"))
    run.cluster.say(f"{JOB}-worker-0", lambda: tick(1))
    tracemalloc.start()
    try:
        result = run_job(run.manifest, log_dir=tmp_path / "logs", backend=run.backend(), report=count)
    finally:
        tracemalloc.stop()
        run.cluster.close()
    assert result.total_seconds >= DAY_SECONDS
    assert num_lines == DAY_SECONDS // TICK_SECONDS
    assert in_use[DAY_SECONDS] - in_use[DAY_SECONDS // 4] < MOST_GROWTH_BYTES
