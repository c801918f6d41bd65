from pathlib import Path

import pytest

from tfjob.job import Replica
from tfjob.local.machine import count_memory_kills
from tfjob.local.replica import ReplicaRun

KILLED = "exit code 137, killed by SIGKILL"
FOR_MEMORY = "; this machine ran out of memory, and the kernel killed a process for it"


def make_run(suspicion: str = "") -> ReplicaRun:
    replica = Replica("Worker", 0, ("true",), {}, cpus=1.0, memory=None, gpus=0, restart_policy="Never")
    return ReplicaRun(replica, {}, (0,), Path("worker-0.log"), suspicion=suspicion, memory_kills=5)


@pytest.mark.parametrize(
    ("exit_code", "memory_kills", "told"),
    [
        (137, 6, KILLED + FOR_MEMORY),
        (137, 5, KILLED),
        (1, 6, "exit code 1"),
    ],
)
def test_a_replica_that_was_killed_while_memory_ran_out_is_told_so(
    exit_code: int, memory_kills: int, told: str
) -> None:
    assert make_run().describe_end(exit_code, memory_kills) == told


def test_who_was_killed_by_its_launcher_was_not_killed_for_memory() -> None:
    assert make_run("; it gave no sign of life").describe_end(137, 6) == f"{KILLED}; it gave no sign of life"


def test_who_is_killed_after_a_restart_was_not_killed_for_the_memory_that_ran_out_before() -> None:
    run = make_run("; it gave no sign of life")
    run.memory_kills = -1
    run.forget()
    assert run.describe_end(137, count_memory_kills()) == KILLED
