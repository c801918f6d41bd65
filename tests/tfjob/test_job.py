import pytest

from tfjob.job import format_cpus, parse_cpus, read_job
from tfjob.manifest import build_manifest
from tfjob.settings import of_env, of_run_policy
from tfjob.spec import ReplicaSpec


def test_a_job_is_read_back_as_it_was_specified() -> None:
    job = read_job(
        build_manifest(
            "mnist",
            image="image:1",
            command=("python", "-m", "model.train"),
            replicas={"PS": ReplicaSpec(cpus=0.5), "Worker": ReplicaSpec(count=2, cpus=2, memory="2Gi")},
            restart_policy="ExitCode",
            active_deadline_seconds=60,
            success_policy="AllWorkers",
            overlays=[
                of_env({"RUN_ID": "r1", "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}}),
                of_run_policy(backoffLimit=3),
            ],
        )
    )
    assert (job.name, job.backoff_limit, job.active_deadline_seconds, job.success_policy) == (
        "mnist",
        3,
        60,
        "AllWorkers",
    )
    assert [(replica.name, replica.cpus, replica.memory) for replica in job.replicas] == [
        ("worker-0", 2, "2Gi"),
        ("worker-1", 2, "2Gi"),
        ("ps-0", 0.5, None),
    ]
    assert {replica.command for replica in job.replicas} == {("python", "-m", "model.train")}
    assert {replica.restart_policy for replica in job.replicas} == {"ExitCode"}
    assert job.replicas[0].env["RUN_ID"] == "r1"
    assert "NODE" not in job.replicas[0].env


@pytest.mark.parametrize(("cpus", "quantity"), [(1, "1"), (2.0, "2"), (0.5, "500m"), (1.25, "1250m"), (0.1, "100m")])
def test_cpus_survive_the_way_through_a_quantity(cpus: float, quantity: str) -> None:
    assert format_cpus(cpus) == quantity
    assert parse_cpus(quantity) == cpus
