import json
import sys
import time
from pathlib import Path

import pytest

from tests.tfjob.local.local_run import LocalRun, MakeJob
from tfjob.backend import Placement, Warned
from tfjob.launcher import read_boot_id
from tfjob.local.machine import available_cores
from tfjob.spec import ReplicaSpec


def test_a_job_that_succeeds_says_so_and_returns_what_it_measured(make_job: MakeJob, run_local: LocalRun) -> None:
    before = time.time()
    result = run_local(make_job("print('hello')"))
    assert run_local.statuses() == ["Created", "Running", "Succeeded"]
    assert run_local.lines("worker-0") == ["hello"]
    assert (result.job_name, result.backend) == ("mnist", "local")
    assert 0 < result.queue_seconds <= result.total_seconds
    assert before <= result.started_at <= result.replicas[0].started_at <= result.replicas[0].ended_at <= time.time()


def test_a_result_has_two_readings_of_a_clock_that_all_processes_of_a_boot_share(
    make_job: MakeJob, run_local: LocalRun
) -> None:
    before = time.monotonic()
    result = run_local(make_job("print(time.monotonic())"))
    (seen,) = run_local.lines("worker-0")
    assert result.started_monotonic is not None
    assert result.ended_monotonic is not None
    assert before <= result.started_monotonic < float(seen) < result.ended_monotonic <= time.monotonic()
    assert result.ended_monotonic - result.started_monotonic == pytest.approx(
        result.ended_at - result.started_at, abs=0.05
    )
    assert result.boot_id == read_boot_id()
    assert (result.image_digest, result.replicas[0].node) == (None, None)


def test_the_result_is_plain_json(make_job: MakeJob, run_local: LocalRun) -> None:
    written = json.loads(json.dumps(run_local(make_job("")).to_json()))
    assert written["replicas"][0] | {"cpus": [], "started_at": 0, "ended_at": 0} == {
        "name": "worker-0",
        "type": "worker",
        "index": 0,
        "restarts": 0,
        "exit_code": 0,
        "cpus": [],
        "started_at": 0,
        "ended_at": 0,
        "node": None,
    }


def test_replicas_get_tf_config_with_loopback_addresses_whatever_the_spec_says(
    make_job: MakeJob, run_local: LocalRun, tmp_path: Path
) -> None:
    code = "print(json.dumps(config))"
    env = {"SHARED": str(tmp_path), "TF_CONFIG": "{}"}
    run_local(make_job(code, workers=2, ps=1, chief=True, env=env, success_policy="AllWorkers"))
    config = json.loads(run_local.lines("chief-0")[0])
    assert config["task"] == {"type": "chief", "index": 0}
    assert {name: len(members) for name, members in config["cluster"].items()} == {"chief": 1, "ps": 1, "worker": 2}
    addresses = [address for members in config["cluster"].values() for address in members]
    assert len(set(addresses)) == 4
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_single_replica_gets_no_tf_config_not_even_an_inherited_one(
    make_job: MakeJob, run_local: LocalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    run_local(make_job("print(config)"))
    assert run_local.lines("worker-0") == ["None"]


def test_python_is_the_one_that_runs_this(make_job: MakeJob, run_local: LocalRun) -> None:
    run_local(make_job("", command=("python", "-c", "import os, sys; print(sys.prefix, os.getcwd())")))
    assert run_local.lines("worker-0") == [f"{sys.prefix} {Path.cwd()}"]


def test_replicas_are_bound_to_their_cores(make_job: MakeJob, run_local: LocalRun) -> None:
    cores = available_cores()
    replicas = {"Worker": ReplicaSpec(count=len(cores) + 1)}
    code = "print(sorted(os.sched_getaffinity(0)))"
    result = run_local(make_job(code, replicas=replicas, success_policy="AllWorkers"))
    expected = [[core] for core in [*cores, cores[0]]]
    assert [replica.cpus for replica in result.replicas] == expected
    assert [run_local.lines(replica.name) for replica in result.replicas] == [[str(cpus)] for cpus in expected]


def test_the_first_core_is_the_one_that_the_placement_says(make_job: MakeJob, run_local: LocalRun) -> None:
    cores = available_cores()
    code = "print(sorted(os.sched_getaffinity(0)))"
    result = run_local(make_job(code), placement=Placement(first_core=len(cores) - 1))
    assert result.replicas[0].cpus == [cores[-1]]
    assert run_local.lines("worker-0") == [str([cores[-1]])]


def test_contended_cores_are_warned_of(make_job: MakeJob, run_local: LocalRun) -> None:
    count = len(available_cores())
    result = run_local(make_job("", replicas={"Worker": ReplicaSpec(cpus=count + 1)}))
    expected = f"1 replica asks for {count + 1} cores, this machine has {count}: timings are contended"
    assert result.contended
    assert result.warnings == [expected]
    assert Warned(expected) in run_local.events


def test_logs_are_complete_in_file_and_events(make_job: MakeJob, run_local: LocalRun) -> None:
    run_local(make_job("for i in range(5000): print(i, 'ä')\nprint('no newline', end='', file=sys.stderr)"))
    expected = [*(f"{i} ä" for i in range(5000)), "no newline"]
    assert run_local.lines("worker-0") == expected
    assert (run_local.log_dir / "worker-0.log").read_text() == "\n".join(expected)


def test_a_line_arrives_when_it_is_written(make_job: MakeJob, run_local: LocalRun, tmp_path: Path) -> None:
    code = "print('first'); wait_for('heard')"  # it ends once its line was heard, and not before
    run_local(make_job(code, active_deadline_seconds=120), on_line=(tmp_path / "heard").touch)
    assert run_local.lines("worker-0") == ["first"]


def test_a_second_run_begins_its_logs_anew(make_job: MakeJob, run_local: LocalRun) -> None:
    for text in ("first", "second"):
        run_local(make_job(f"print({text!r})"))
    assert (run_local.log_dir / "worker-0.log").read_text() == "second\n"
