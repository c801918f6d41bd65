import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tfjob.cluster.backend import KubernetesBackend
from tfjob.launch import run_job
from tfjob.spec import ReplicaSpec

if TYPE_CHECKING:
    from tests.cluster.site import ClusterSite

pytestmark = pytest.mark.skipif("TFJOB_TEST_IMAGE" not in os.environ, reason="needs a cluster: see make test-cluster")

NUM_COMPARISONS = 25
# So many of the node's two cores for each of up to 75 replicas at once, and time for that.
SMALL: dict[str, Any] = {"cpus": 0.02, "memory": "48Mi"}
DEADLINE_SECONDS = 1800
JOBS: dict[str, dict[str, ReplicaSpec]] = {
    "single": {"Worker": ReplicaSpec(**SMALL)},
    "all-reduce": {"Worker": ReplicaSpec(count=2, **SMALL)},
    "parameter-server": {"Chief": ReplicaSpec(**SMALL), "Worker": ReplicaSpec(**SMALL), "PS": ReplicaSpec(**SMALL)},
}


def test_25_comparisons_that_are_submitted_at_once_to_one_node_all_finish(
    cluster_site: "ClusterSite", tmp_path: Path
) -> None:
    def compare(number: int) -> list[float]:
        """Runs a job of each strategy, one after another, as a comparison does."""
        backend = KubernetesBackend(cluster=cluster_site.namespace.cluster(), pending_seconds=DEADLINE_SECONDS)
        seconds = []
        for strategy, replicas in JOBS.items():
            manifest = cluster_site.make(
                "print('done', flush=True)",
                name=f"{strategy}-{number}",
                replicas=replicas,
                restart_policy="ExitCode",
                success_policy="AllWorkers" if strategy == "all-reduce" else "",
                active_deadline_seconds=DEADLINE_SECONDS,
            )
            log_dir = tmp_path / str(number) / strategy
            result = run_job(manifest, log_dir=log_dir, backend=backend, report=lambda _: None, max_restarts=0)
            seconds.append(result.total_seconds)
        return seconds

    began = time.monotonic()
    with ThreadPoolExecutor(NUM_COMPARISONS) as pool:
        finished = list(pool.map(compare, range(NUM_COMPARISONS)))
    longest = max(map(max, finished))
    print(f"{NUM_COMPARISONS} comparisons in {time.monotonic() - began:.0f} s; longest job {longest:.0f} s")
    assert [len(seconds) for seconds in finished] == [len(JOBS)] * NUM_COMPARISONS
    assert cluster_site.namespace.cluster().list_objects("tfjobs")["items"] == []
