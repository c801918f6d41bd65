from dataclasses import replace
from typing import Any

import pytest

from comparison.page import render_page
from comparison.records import Replica, TrialRecord
from comparison.report.breakdown import (
    KINDS,
    PARTS,
    PHASES,
    TOTAL,
    break_down,
    compute_overhead_share,
    describe_times,
    find_chief,
    format_seconds,
    measure_replica,
    tabulate_configurations,
    tabulate_replicas,
    tabulate_stragglers,
)
from comparison.summary import group_trials
from tests.comparison.record_factory import make_record, make_run, make_run_info


def test_the_phases_add_up_to_the_whole_job() -> None:
    phases = break_down(group_trials(make_run()))

    assert list(phases.columns) == [*(phase.column for phase in PHASES), TOTAL.column]
    assert phases[[phase.column for phase in PHASES]].sum(axis=1).tolist() == pytest.approx(
        phases[TOTAL.column].tolist()
    )
    assert phases[TOTAL.column].to_dict() == {
        "single": 76.0,
        "all-reduce-2w": 51.5,
        "parameter-server-2w-1ps": 105.5,
    }


def test_computing_is_training_without_input_communication_and_update() -> None:
    phases = break_down(group_trials(make_run()))

    assert phases.loc["all-reduce-2w", "compute_seconds"] == 34.0
    assert phases.loc["all-reduce-2w", "communication_seconds"] == 2.0


def test_clocks_that_overlap_show_as_time_below_zero() -> None:
    phases = break_down(group_trials([replace(make_record(train_seconds=60.0), total_seconds=70.0)]))

    assert phases.loc["single", "other_seconds"] == pytest.approx(70 - (60 + 0.5 + 5 + 6 + 2 + 0.1 + 0.4))


def test_overhead_is_what_a_run_spent_on_neither_training_nor_evaluation() -> None:
    records = [make_record(evaluated_at=273.0), make_record(trial=1, evaluated_at=276.0)]

    share = compute_overhead_share(records, make_run_info(started_at=76.0))

    assert share == pytest.approx(1 - 2 * (62 + 3) / 200)


def test_the_overhead_of_a_run_without_trials_is_unknown() -> None:
    assert compute_overhead_share([make_record()], make_run_info(run_id="other")) is None


def test_the_overhead_of_a_run_that_was_interrupted_is_unknown() -> None:
    assert compute_overhead_share([make_record(), make_record(trial=1, resumed=True)], make_run_info()) is None


def clock(replica: Replica, trial: TrialRecord, *, age: float, end: float, **clocks: float) -> Replica:
    """Returns the replica with the clocks of the trial's chief, but for `clocks`, recorded `end` before the job's."""
    own = {
        name: getattr(trial, name)
        for name in ("startup_seconds", "rendezvous_seconds", "compile_seconds", "train_seconds", "input_seconds")
    }
    names = ("communication_seconds", "update_seconds", "calibrate_seconds", "eval_seconds", "save_seconds")
    own |= {name: getattr(trial, name) for name in names}
    split = {"process_start_seconds": 0.5, "import_seconds": 3.5, "build_seconds": 1.0, "warmup_seconds": 0.25}
    recorded_at = trial.ended_at - end
    return replace(replica, clocks=own | split | clocks, age_seconds=age, recorded_at=recorded_at)


def make_timed(**changes: Any) -> TrialRecord:
    """Returns an all-reduce trial of 51 s, in whose 50.2 s of a replica's life the second worker waits less."""
    trial = make_record("all-reduce-2w", train_seconds=36.0, warmup_seconds=0.25, **changes)
    parts: dict[str, Any] = {"process_start_seconds": 0.5, "import_seconds": 3.5, "build_seconds": 1.0}
    parts |= {"transfer_seconds": 1.5, "slowest_compute_seconds": 34.0, "mean_compute_seconds": 32.0}
    trial = replace(trial, **parts)
    chief, worker = trial.replicas
    worker = clock(worker, trial, age=50.2, end=0.5, communication_seconds=1.6, input_seconds=0.7)
    return replace(trial, replicas=[clock(chief, trial, age=50.2, end=0.5), worker])


def test_the_parts_of_each_replica_add_up_to_the_whole_job() -> None:
    groups = group_trials([make_timed(), make_timed(trial=1)])

    rows = tabulate_replicas(groups)

    assert [(row.configuration, row.replica) for row in rows] == [
        ("all-reduce-2w", "worker-0"),
        ("all-reduce-2w", "worker-1"),
    ]
    for row in [*rows, *tabulate_configurations(groups)]:
        assert list(row.seconds) == [part.column for part in PARTS]
        assert sum(row.seconds.values()) == pytest.approx(row.total_seconds) == 51.0
        assert sum(row.add_kinds().values()) == pytest.approx(row.total_seconds)
        assert sum(row.share(part.column) for part in PARTS) == pytest.approx(1)


def test_a_replicas_life_begins_with_its_process_and_its_end_is_the_jobs() -> None:
    trial = make_timed()
    seconds = measure_replica(trial, trial.replicas[0])

    assert seconds["launch_seconds"] == pytest.approx(51.0 - 0.5 - 50.2)
    assert seconds["end_seconds"] == pytest.approx(0.5)
    assert (seconds["process_start_seconds"], seconds["import_seconds"], seconds["build_seconds"]) == (0.5, 3.5, 1.0)
    assert seconds["compute_seconds"] == pytest.approx(36.0 - 0.3 - 2.0 - 0.2)
    assert seconds["unexplained_seconds"] == pytest.approx(50.2 - (5 + 0.5 + 6 + 0.25 + 36 + 2 + 0.1 + 0.4), abs=1e-5)


def test_what_is_on_no_clock_lowers_the_explained_share() -> None:
    trial = make_timed()
    longer = replace(trial, total_seconds=102.0, ended_at=trial.started_at + 102.0)
    chief, worker = longer.replicas
    (row,) = tabulate_configurations(group_trials([trial]))
    assert row.explained_share == pytest.approx(1 - (50.25 - 50.2) / 51, abs=1e-5)
    assert row.explained_share > 0.99
    late = replace(chief, recorded_at=trial.ended_at + 50.5, age_seconds=101.2)
    (row,) = tabulate_configurations(group_trials([replace(longer, replicas=[late, worker])]))
    assert row.explained_share == pytest.approx(1 - (101.2 - 50.25) / 102, abs=1e-5)


def test_waiting_for_the_slowest_is_what_communication_takes_beyond_the_transfer() -> None:
    trial = make_timed()
    waits = [measure_replica(trial, replica)["wait_seconds"] for replica in trial.replicas]

    (row,) = tabulate_stragglers(group_trials([trial]))

    assert waits == pytest.approx([0.5, 0.1])
    assert row.wait_seconds == pytest.approx(0.3)
    assert row.transfer_seconds == 1.5
    assert row.slowest_to_mean == pytest.approx(34 / 32)


def test_the_first_step_stands_beside_the_median_one() -> None:
    trial = make_timed(step_seconds={"first": 0.14, "p50": 0.07})

    assert tabulate_stragglers(group_trials([trial]))[0].first_step_to_median == pytest.approx(2)
    assert tabulate_stragglers(group_trials([make_record()]))[0].first_step_to_median is None


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(-0.0049, "0.00"), (-0.0051, "-0.01"), (0.0, "0.00"), (29.056, "29.06"), (4321.5, "4,321.50")]
)
def test_seconds_that_are_rounded_to_zero_have_no_sign(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def make_parameter_server() -> TrialRecord:
    trial = make_record("parameter-server-2w-1ps", train_seconds=36.0)
    zeros = dict.fromkeys(("startup_seconds", "rendezvous_seconds", "compile_seconds", "calibrate_seconds"), 0.0)
    zeros |= dict.fromkeys(("eval_seconds", "save_seconds", "update_seconds", "warmup_seconds"), 0.0)
    served = zeros | {"startup_seconds": 5.0, "build_seconds": 1.0, "serve_seconds": 44.0}
    worker = served | {"train_seconds": 30.0, "input_seconds": 1.0, "communication_seconds": 3.0}
    slower = served | {"train_seconds": 32.0, "input_seconds": 1.0, "communication_seconds": 3.0}
    idle = served | {"train_seconds": 0.0, "input_seconds": 0.0, "communication_seconds": 0.0}
    replicas = [
        clock(replica, trial, age=49.5, end=1.0, **clocks)
        for replica, clocks in zip(trial.replicas, (worker, slower, idle), strict=True)
    ]
    steps = [replace(replica, num_steps=100) for replica in replicas[:2]]
    return replace(trial, replicas=[*steps, replicas[2]])


def test_a_server_serves_when_it_does_not_compute() -> None:
    trial = make_parameter_server()
    worker, _, ps = trial.replicas

    assert measure_replica(trial, worker)["idle_seconds"] == 44.0 - 30.0
    assert measure_replica(trial, worker)["compute_seconds"] == 30.0 - 1.0 - 3.0
    assert measure_replica(trial, ps)["idle_seconds"] == 44.0
    assert measure_replica(trial, ps)["compute_seconds"] == 0.0


def test_workers_that_are_not_in_step_are_compared_by_the_mean_of_their_updates() -> None:
    (row,) = tabulate_stragglers(group_trials([make_parameter_server()]))

    assert row.slowest_to_mean == pytest.approx(28 / 27)
    assert (row.wait_seconds, row.transfer_seconds) == (None, None)


def test_older_records_say_less_and_are_not_refused() -> None:
    groups = group_trials(make_run())

    assert tabulate_replicas(groups) == []
    row, *_ = tabulate_configurations(groups)
    assert row.replica == "worker-0"
    assert row.seconds["build_seconds"] == 5.0
    assert describe_times(groups)["rows"][0][0] == "single, worker-0"


def test_the_chief_is_the_replica_of_that_type_or_else_the_first_worker() -> None:
    trial = make_record("parameter-server-2w-1ps")
    chief = replace(trial.replicas[0], name="chief-0", type="chief")

    assert find_chief(trial).name == "worker-0"
    assert find_chief(replace(trial, replicas=[*trial.replicas, chief])).name == "chief-0"


def test_every_part_is_of_a_phase_and_of_a_kind() -> None:
    assert {part.phase for part in PARTS} == {phase.column for phase in PHASES}
    assert {part.kind for part in PARTS} == set(KINDS)
    assert len({part.column for part in PARTS}) == len(PARTS)


def test_the_page_shows_every_replica_in_a_table_and_as_a_bar_with_words() -> None:
    page = render_page("report/breakdown.html.j2", times=describe_times(group_trials([make_timed()])))

    assert page.count('role="img"') == 2
    assert 'aria-label="all-reduce-2w, worker-0: waiting to run 0.6 %, getting ready 23.0 %, ' in page
    assert '<th scope="row">all-reduce-2w, worker-1</th>' in page
    assert page.count("<table") == page.count("</table>") == 2
    assert 'scope="col"' in page
