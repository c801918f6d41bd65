from tfjob.job import read_job
from tfjob.manifest import build_manifest
from tfjob.spec import ReplicaSpec, TFJobSpec


def test_a_job_is_read_back_as_it_was_specified() -> None:
    job = read_job(
        build_manifest(
            TFJobSpec(
                name="mnist",
                image="image:1",
                command=("python", "-m", "model.train"),
                replicas={"PS": ReplicaSpec(cpus=0.5), "Worker": ReplicaSpec(count=2, cpus=2, memory="2Gi")},
                env={"RUN_ID": "r1", "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                restart_policy="ExitCode",
                backoff_limit=3,
                active_deadline_seconds=60,
                success_policy="AllWorkers",
            )
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
