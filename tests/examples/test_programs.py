import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from program.helper import install_helper, progress_env
from program.measurement import Measurement
from tests.ports import find_ports
from tests.program.listening import make
from tests.test_architecture import ROOT

pytestmark = pytest.mark.slow

PROGRAMS = ROOT / "examples" / "programs"
QUIET = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTEROP_THREADS": "2"}
PATIENCE_SECONDS = 1500.0


class Job:
    """The replicas of a program as processes of this machine, each with a TF_CONFIG as the operator writes it."""

    def __init__(
        self, folder: Path, program: str, *arguments: str, own: Mapping[str, Sequence[str]] = {}, **replicas: int
    ) -> None:
        self.folder = folder
        install_helper(folder / "helper")
        ports = iter(find_ports(sum(replicas.values())))
        cluster = {role: [f"localhost:{next(ports)}" for _ in range(number)] for role, number in replicas.items()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for role, addresses in cluster.items():
            for index in range(len(addresses)):
                task = {"cluster": cluster, "task": {"type": role, "index": index}}
                env = {
                    **os.environ,
                    **QUIET,
                    **progress_env(folder / "helper", folder, env=os.environ),
                    "TF_CONFIG": json.dumps(task),
                }
                name = f"{role}-{index}"
                self.processes[name] = self._start(name, program, [*arguments, *own.get(name, ())], env)

    def _start(
        self, name: str, program: str, arguments: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-u", str(PROGRAMS / program), *arguments]
        with (self.folder / f"{name}.log").open("wb") as log, (self.folder / f"{name}.err").open("wb") as errors:
            return subprocess.Popen(command, env=env, stdout=log, stderr=errors, cwd=self.folder)

    def wait(self, *names: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for name in names:
            code = self.processes[name].wait(deadline - time.monotonic())
            assert code == 0, (self.folder / f"{name}.err").read_text()[-2000:]

    def read_log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def jobs() -> Iterator[list[Job]]:
    started: list[Job] = []
    yield started
    for job in started:
        job.end()


def listen(job: Job, workers: int, num_ps: int = 0, batch: int | None = None) -> Measurement:
    listener = make(workers=workers, num_ps=num_ps, batch=batch)
    for name in job.processes:
        for number, line in enumerate(job.read_log(name).split("\n")):
            listener.hear(name, line, 1000.0 + number)
    listener.follow(job.folder)
    return listener.finish()


def test_keras_on_two_workers_is_measured_by_what_it_prints_in_either_of_its_ways(
    tmp_path: Path, jobs: list[Job]
) -> None:
    options = ("--epochs", "3", "--steps-per-epoch", "20")
    ways = {"worker-0": ("--verbose", "1"), "worker-1": ("--verbose", "2")}
    jobs.append(job := Job(tmp_path, "keras_multi_worker.py", *options, own=ways, worker=2))
    job.wait("worker-0", "worker-1")
    measurement = listen(job, workers=2, batch=64)
    assert measurement.notes[0].startswith("Progress was read as keras")
    assert [told["steps"] for told in measurement.by_replica.values()] == [60, 60]
    assert measurement.steps is not None
    assert measurement.examples == measurement.steps * 128
    metrics = [told["metrics"] for told in measurement.by_replica.values()]
    assert metrics[0] == metrics[1]
    assert 0 < metrics[0]["accuracy"] <= 1  # and not the sum over the workers
    assert not any("alone" in note or "sums over" in note for note in measurement.notes)


def test_parameter_servers_are_measured_by_what_the_chief_tells(tmp_path: Path, jobs: list[Job]) -> None:
    jobs.append(job := Job(tmp_path, "parameter_server.py", "--steps", "200", chief=1, worker=2, ps=1))
    job.wait("chief-0")
    measurement = listen(job, workers=2, num_ps=1)
    assert measurement.level == 2
    assert list(measurement.by_replica) == ["chief-0"]  # servers tell nothing, and leave no empty file
    assert measurement.by_replica["chief-0"]["examples"] == 200 * 256
    assert measurement.examples_per_second is not None
    (metric,) = measurement.metrics
    assert (metric.name, metric.num_examples, metric.higher_is_better) == ("accuracy", 2000, True)
    assert metric.value > 0.8


def test_a_program_that_only_knows_its_role_tells_nothing_and_does_its_share(tmp_path: Path, jobs: list[Job]) -> None:
    jobs.append(job := Job(tmp_path, "plain.py", "--points", "2000", worker=2))
    job.wait("worker-0", "worker-1")
    assert re.fullmatch(r"The line is (3\.0|2\.9)\d+ x \+ (1\.0|0\.9)\d+\.\n", job.read_log("worker-0"))
    assert job.read_log("worker-1") == ""
    assert listen(job, workers=2).level == 0
