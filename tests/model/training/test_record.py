import json
import math
import platform
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.host import describe_environment
from model.training import record
from model.training.clocks import read_clocks
from model.training.record import (
    StepParts,
    add_worker_clocks,
    compare_steps,
    describe_steps,
    finish,
    read_replica_records,
    seconds_to_target,
    write_replica_record,
)
from model.training.role import Role
from model.training.state import CurvePoint, Values
from model.training.task import StepTiming

CURVE = [
    CurvePoint(epoch, epoch * 5, 10.0 * epoch, train_loss=1.0, validation_metric=accuracy)
    for epoch, accuracy in ((1, 0.9), (2, 0.98), (3, 0.97), (4, 0.99))
]


@pytest.mark.parametrize(("target", "seconds"), [(0.5, 10.0), (0.9, 10.0), (0.97, 20.0), (0.985, 40.0)])
def test_the_time_to_the_target_ends_with_the_first_epoch_that_reaches_it(target: float, seconds: float) -> None:
    assert seconds_to_target(CURVE, target) == seconds


@pytest.mark.parametrize("target", [0.0, 0.995])
def test_there_is_no_time_to_a_target_that_is_not_set_or_not_reached(target: float) -> None:
    assert seconds_to_target(CURVE, target) is None


def step(compute: float, communication: float, worker: str | None = None) -> StepTiming:
    parts = {"input_seconds": 0.25, "communication_seconds": communication}
    return StepTiming(0, (1.0,), 0.25 + compute + communication, parts, worker)


def test_a_replica_leaves_a_record_of_its_own(tmp_path: Path) -> None:
    role = Role("all_reduce", "worker", 1, num_workers=2, num_ps=0)
    values = Values(np.ones(2, np.float32), np.ones(2, np.float32), np.ones(1, np.float32))
    clocks = {"import_seconds": 1.0, "build_seconds": 0.5, "train_seconds": 2.0}
    steps = StepParts()
    steps.add(step(1.0, 0.5))
    before = time.time()
    write_replica_record(tmp_path, role, clocks, values, restored_step=4, steps=steps)
    left = json.loads((tmp_path / "replicas" / "worker-1.json").read_text())
    assert left.pop("cpu_seconds") > 0
    assert left.pop("peak_rss_bytes") > 2**20
    assert left.pop("age_seconds") > 0
    assert left.pop("host") == platform.node()
    assert left.pop("environment") == describe_environment()
    assert before <= left.pop("recorded_at") <= time.time()
    assert left == {
        "type": "worker",
        "index": 1,
        "gpu": None,
        "weights_sha256": values.sha256,
        "restored_step": 4,
        "clocks": read_clocks({}) | clocks | {"startup_seconds": 1.5},
        "steps": {"compute_seconds": [1.0], "communication_seconds": [0.5]},
    }


def test_one_that_only_serves_says_for_how_long(tmp_path: Path) -> None:
    role = Role("parameter_server", "ps", 0, num_workers=1, num_ps=1, has_chief=True)
    write_replica_record(tmp_path, role, {"serve_seconds": 7.0, "import_seconds": 1.0})
    (left,) = read_replica_records(tmp_path)
    assert left["clocks"] == read_clocks({}) | {
        "serve_seconds": 7.0,
        "import_seconds": 1.0,
        "startup_seconds": 1.0,
    }
    assert left["steps"] is None


ALL_REDUCE = Role("all_reduce", "worker", 0, num_workers=2, num_ps=0)
STEPS = (
    {"compute_seconds": [1.0, 3.0], "communication_seconds": [2.5, 0.5]},
    {"compute_seconds": [3.0, 1.0], "communication_seconds": [0.5, 2.5]},
)


def test_the_last_to_arrive_waits_for_nobody_in_each_step_and_not_only_in_the_sum() -> None:
    assert compare_steps(STEPS, ALL_REDUCE) == {
        "transfer_seconds": 1.0,
        "slowest_compute_seconds": 6.0,
        "mean_compute_seconds": 4.0,
    }


def test_a_single_process_is_its_own_slowest_and_transfers_nothing() -> None:
    alone = Role("single", "worker", 0, num_workers=1, num_ps=0)
    steps = StepParts()
    steps.add(StepTiming(0, (1.0,), 2.0, {"input_seconds": 0.5}))
    assert compare_steps([steps.to_json()], alone) == {
        "transfer_seconds": 0.0,
        "slowest_compute_seconds": 1.5,
        "mean_compute_seconds": 1.5,
    }


def test_traced_steps_stand_for_the_whole_training_and_make_nobody_wait_for_less_than_nothing() -> None:
    communications = ((0.5, 1.0, 0.25), (1.0, 0.25, 0.75))
    workers, clocks = [], []
    for train_seconds, own in zip((60.0, 61.0), communications, strict=True):
        steps = StepParts()
        steps.trace([step(1.0, communication) for communication in own])
        steps.add(StepTiming(0, (1.0, 2.0), 0.5))
        clocks.append(steps.stand_for(train_seconds))
        workers.append(steps.to_json())
        told = math.fsum(workers[-1]["compute_seconds"]) + math.fsum(clocks[-1].values())
        assert told == pytest.approx(train_seconds, abs=1e-5)
        assert clocks[-1]["input_seconds"] == pytest.approx(train_seconds * 0.75 / (3.75 + math.fsum(own)))
    transfer = compare_steps(workers, ALL_REDUCE)["transfer_seconds"]
    assert transfer is not None
    assert 0 < transfer < min(own["communication_seconds"] for own in clocks)


def test_without_traced_steps_the_parts_are_those_of_the_training() -> None:
    steps = StepParts()
    steps.trace([])
    steps.add(step(1.0, 0.5))
    assert steps.stand_for(9.0) == {}
    assert steps.to_json() == {"compute_seconds": [1.0], "communication_seconds": [0.5]}


SHORTER = {"compute_seconds": [1.0], "communication_seconds": [2.5]}
ASYNCHRONOUS = Role("parameter_server", "chief", 0, num_workers=2, num_ps=1, has_chief=True)


@pytest.mark.parametrize(
    ("steps", "role"),
    [(STEPS[:1], ALL_REDUCE), ((STEPS[0], SHORTER), ALL_REDUCE), ((STEPS[0], None, None), ASYNCHRONOUS)],
)
def test_steps_that_are_not_the_same_are_not_compared(steps: Any, role: Role) -> None:
    assert set(compare_steps(steps, role).values()) == {None}


def test_the_record_of_a_worker_holds_what_the_chief_measured_of_its_updates() -> None:
    steps = StepParts()
    for timing in (step(1.0, 0.5, "worker-1"), step(2.0, 0.5, "worker-1"), step(4.0, 0.5, "worker-0")):
        steps.add(timing)
    replicas: list[dict[str, Any]] = [
        {"type": name, "index": index, "clocks": {"serve_seconds": 9.0}} for name, index in (("ps", 0), ("worker", 1))
    ]
    add_worker_clocks(replicas, steps)
    assert replicas[0] == {"type": "ps", "index": 0, "clocks": {"serve_seconds": 9.0}}
    assert replicas[1]["num_steps"] == 2
    assert replicas[1]["clocks"] == {
        "serve_seconds": 9.0,
        "train_seconds": 4.5,
        "input_seconds": 0.5,
        "communication_seconds": 1.0,
    }
    assert steps.compute_seconds == []


def test_the_first_step_stands_beside_the_percentiles() -> None:
    assert describe_steps([5.0, 1.0, 1.0]) == {"first": 5.0, "p50": 1.0, "p90": 4.2, "p99": pytest.approx(4.92)}
    assert describe_steps([]) == {"first": 0.0, "p50": 0.0, "p90": 0.0, "p99": 0.0}


def test_no_worker_of_an_all_reduce_ends_before_the_last_has_its_record(tmp_path: Path) -> None:
    roles = [Role("all_reduce", "worker", index, num_workers=2, num_ps=0) for index in range(2)]
    write_replica_record(tmp_path, roles[0], {})
    waiting = threading.Thread(target=finish, args=(tmp_path, roles[0]))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    write_replica_record(tmp_path, roles[1], {})
    waiting.join(5)
    assert not waiting.is_alive()
    assert not (tmp_path / "finished").exists()


def test_the_chief_of_a_parameter_server_job_tells_the_end_and_awaits_all_records(tmp_path: Path) -> None:
    chief = Role("parameter_server", "chief", 0, num_workers=1, num_ps=1, has_chief=True)
    waiting = threading.Thread(target=finish, args=(tmp_path, chief))
    waiting.start()
    for task_type in ("chief", "worker", "ps"):
        waiting.join(0.1)
        assert waiting.is_alive()
        role = Role("parameter_server", task_type, 0, num_workers=1, num_ps=1, has_chief=True)
        write_replica_record(tmp_path, role, {})
    waiting.join(5)
    assert not waiting.is_alive()
    assert (tmp_path / "finished").exists()


def test_a_replica_that_never_ends_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "RECORDS_PATIENCE_SECONDS", 0.0)
    finish(tmp_path, Role("all_reduce", "worker", 0, num_workers=2, num_ps=0))
    assert capsys.readouterr().out.startswith("only 0 of 2 replicas wrote their record")
