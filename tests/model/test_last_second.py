import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from model.data.dataset import PreparedDataset
from model.errors import ExitCode
from tests.model.replicas import MODEL, USUAL, Job, make_cluster

pytestmark = pytest.mark.slow

QUICK = (*MODEL, "--global-batch-size=256", "--epochs=1")
# Programs that die as a killed one does: with their work done, before their record, before the training's.
DIE = """
import os
from model import train
from model.training import loop, record
die = lambda *_, **__: os.kill(os.getpid(), 9)
"""
IN_THE_END, BEFORE_THE_RECORD, BEFORE_ITS_OWN = (
    ("-c", DIE + end)
    for end in (
        "train.main(); die()",
        "loop.TrainingLoop._write_record = die; train.main()",
        "loop.write_replica_record = die; train.main()",
    )
)
IMPATIENT = (
    "-c",
    DIE + "record.RECORDS_PATIENCE_SECONDS = 15.0; exit(train.main())",
)
# Imports of this project alone take a second or two, on a machine that does much else a long one.
SOON_SECONDS = 300.0


def run(job: Job, programs: dict[str, Sequence[str]]) -> dict[str, int]:
    """Runs each replica by its program and returns the exit codes."""
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(job.start_replica(*name, program=programs.get(f"{name[0]}-{name[1]}", USUAL)))
            for name in job.names
        ]
        return {replica.name: replica.wait() for replica in replicas}


def restart(job: Job, task_type: str, index: int) -> tuple[int, float]:
    """Starts a replica again, as the operator does with one that was killed; returns its exit code and seconds."""
    began = time.monotonic()
    with job.start_replica(task_type, index) as again:
        return again.wait(), time.monotonic() - began


@pytest.fixture
def job(mnist: PreparedDataset, tmp_path: Path) -> Job:
    return Job(mnist.directory, tmp_path / "job", QUICK, make_cluster(worker=2))


def test_a_worker_that_is_killed_after_the_chief_ended_ends_well_when_it_is_started_again(job: Job) -> None:
    assert run(job, {"worker-1": IN_THE_END}) == {"worker-0": 0, "worker-1": -9}
    code, seconds = restart(job, "worker", 1)
    assert code == 0
    assert seconds < SOON_SECONDS
    assert len(job.training["replicas"]) == 2


def test_a_chief_that_is_killed_after_the_worker_ended_ends_the_job_and_another_start_completes_it(job: Job) -> None:
    assert run(job, {"worker-0": BEFORE_THE_RECORD}) == {"worker-0": -9, "worker-1": 0}
    code, seconds = restart(job, "worker", 0)
    assert code == ExitCode.TRAINING_OVER
    assert seconds < SOON_SECONDS
    assert (
        "error: all replicas had trained to the end when this one was lost"
        in (job.output_dir / "worker-0.log").read_text()
    )
    job.run()
    assert job.training["steps"] == 2017 // 256


def test_a_chief_of_servers_that_is_killed_after_they_ended_ends_the_job(
    mnist: PreparedDataset, tmp_path: Path
) -> None:
    job = Job(mnist.directory, tmp_path / "job", QUICK, make_cluster(chief=1, worker=1, ps=1))
    assert run(job, {"chief-0": BEFORE_THE_RECORD}) == {"chief-0": -9, "worker-0": 0, "ps-0": 0}
    code, seconds = restart(job, "chief", 0)
    assert code == ExitCode.TRAINING_OVER
    assert seconds < SOON_SECONDS


def test_a_chief_that_is_killed_before_its_own_record_does_not_let_the_worker_end_well(job: Job) -> None:
    assert run(job, {"worker-0": BEFORE_ITS_OWN, "worker-1": IMPATIENT}) == {
        "worker-0": -9,
        "worker-1": ExitCode.PEER_LOST,
    }
    job.run()  # both are started again
    assert job.training["steps"] == 2017 // 256
