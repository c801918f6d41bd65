from dataclasses import fields, replace

import pytest

from comparison.clocks import (
    CALIBRATION,
    KINDS,
    PARTS,
    PHASES,
    TOTAL,
    TRAINING,
    compute_overhead_share,
    find_chief,
    measure_replica,
    select_phases,
)
from comparison.records import TrialRecord
from tests.comparison.record_factory import make_record, make_run_info
from tests.comparison.timed_factory import make_parameter_server, make_timed


def test_overhead_is_what_a_run_spent_on_neither_training_nor_evaluation() -> None:
    records = [make_record(evaluated_at=273.0), make_record(trial=1, evaluated_at=276.0)]

    share = compute_overhead_share(records, make_run_info(started_at=76.0))

    assert share == pytest.approx(1 - 2 * (62 + 3) / 200)


def test_an_attempt_that_was_repeated_for_a_disturbance_is_no_overhead_and_no_interruption() -> None:
    attempt = {"started_at": 100.0, "ended_at": 150.0, "reason": "others took 50 %", "train_seconds": 12.0}
    record = make_record()
    repeated = replace(record, earlier_attempts=[attempt])
    info = make_run_info(started_at=76.0)
    before, after = compute_overhead_share([record], info), compute_overhead_share([repeated], info)
    assert before is not None
    assert after is not None
    assert before - after == pytest.approx(12.0 / (record.evaluated_at - info.started_at))


def test_the_overhead_of_a_run_without_trials_is_unknown() -> None:
    assert compute_overhead_share([make_record()], make_run_info(run_id="other")) is None


def test_the_overhead_of_a_run_that_was_interrupted_is_unknown() -> None:
    assert compute_overhead_share([make_record(), make_record(trial=1, resumed=True)], make_run_info()) is None


def test_a_replicas_life_begins_with_its_process_and_its_end_is_the_jobs() -> None:
    trial = make_timed()
    seconds = measure_replica(trial, trial.replicas[0])

    assert seconds["launch_seconds"] == pytest.approx(51.0 - 0.5 - 50.2)
    assert seconds["end_seconds"] == pytest.approx(0.5)
    assert (seconds["process_start_seconds"], seconds["import_seconds"], seconds["build_seconds"]) == (0.5, 3.5, 1.0)
    assert seconds["compute_seconds"] == pytest.approx(36.0 - 0.3 - 2.0 - 0.2)
    assert seconds["unexplained_seconds"] == pytest.approx(50.2 - (5 + 0.5 + 6 + 0.25 + 36 + 2 + 0.1 + 0.4), abs=1e-5)


def test_finding_nodes_and_pulling_are_told_apart_from_the_queue() -> None:
    trial = make_timed()
    waited = replace(trial, schedule_seconds=0.1, pull_seconds=0.15)

    before, after = (measure_replica(own, own.replicas[0]) for own in (trial, waited))

    assert (after["schedule_seconds"], after["pull_seconds"]) == (0.1, 0.15)
    assert after["launch_seconds"] == pytest.approx(before["launch_seconds"] - 0.25)
    assert (before["schedule_seconds"], before["pull_seconds"]) == (0.0, 0.0)


def test_a_restarted_replica_has_the_queue_of_the_job_and_what_was_lost_is_not_explained() -> None:
    trial = make_timed()
    replica = replace(trial.replicas[0], restarts=1, age_seconds=20.0)

    seconds = measure_replica(trial, replica)

    assert seconds["launch_seconds"] == trial.queue_seconds
    assert sum(seconds.values()) == pytest.approx(trial.total_seconds)


@pytest.mark.parametrize("early", [0.0001, 0.0076, 0.01])
def test_a_process_that_seems_older_than_its_job_by_a_tick_did_not_wait_and_started_sooner(early: float) -> None:
    trial = make_timed()
    age = trial.total_seconds - 0.5 + early
    replica = replace(trial.replicas[0], age_seconds=age)

    seconds = measure_replica(trial, replica)

    assert seconds["launch_seconds"] == 0
    assert seconds["process_start_seconds"] == pytest.approx(0.5 - early, abs=1e-6)
    assert seconds["unexplained_seconds"] == pytest.approx(age - 50.25, abs=1e-6)
    assert sum(seconds.values()) == pytest.approx(trial.total_seconds)


def test_a_process_older_than_its_job_by_more_than_a_tick_shows_that_clocks_differ() -> None:
    trial = make_timed()
    replica = replace(trial.replicas[0], age_seconds=trial.total_seconds - 0.5 + 0.2)

    seconds = measure_replica(trial, replica)

    assert seconds["launch_seconds"] == pytest.approx(-0.2, abs=1e-6)
    assert seconds["process_start_seconds"] == 0.5


def test_a_server_serves_when_it_does_not_compute() -> None:
    trial = make_parameter_server()
    worker, _, ps = trial.replicas

    assert measure_replica(trial, worker)["idle_seconds"] == 44.0 - 30.0
    assert measure_replica(trial, worker)["compute_seconds"] == 30.0 - 1.0 - 3.0
    assert measure_replica(trial, ps)["idle_seconds"] == 44.0
    assert measure_replica(trial, ps)["compute_seconds"] == 0.0


def test_the_chief_is_the_replica_of_that_type_or_else_the_first_worker() -> None:
    trial = make_record("parameter-server-2w-1ps")
    chief = replace(trial.replicas[0], name="chief-0", type="chief")

    assert find_chief(trial).name == "worker-0"
    assert find_chief(replace(trial, replicas=[*trial.replicas, chief])).name == "chief-0"


def test_every_part_is_of_a_phase_and_of_a_kind() -> None:
    assert {part.phase for part in PARTS} == {phase.column for phase in PHASES}
    assert {part.kind for part in PARTS} == set(KINDS)
    assert len({part.column for part in PARTS}) == len(PARTS)


def test_the_record_has_no_clock_that_the_table_does_not_name() -> None:
    seconds = {field.name for field in fields(TrialRecord) if field.type in {float, float | None}}
    recorded = {name for name in seconds if name.endswith("_seconds")}
    named = {clock.column for clock in (*PHASES, *PARTS, TRAINING, TOTAL)}
    # Of the slowest and the mean worker of each step, and of the evaluation after the job: no part of its wall time.
    assert recorded - named == {"slowest_compute_seconds", "mean_compute_seconds", "evaluate_seconds"}


@pytest.mark.parametrize(("seconds", "is_shown"), [(0.0, False), (0.4, True)])
def test_a_calibration_is_shown_only_where_a_trial_had_one(*, seconds: float, is_shown: bool) -> None:
    shown = select_phases([{"calibrate_seconds": 0.0}, {"calibrate_seconds": seconds}])

    assert (CALIBRATION in shown) == is_shown
    assert [own for own in shown if own is not CALIBRATION] == [own for own in PHASES if own is not CALIBRATION]
