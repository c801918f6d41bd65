from dataclasses import replace

import pytest

from comparison.clocks import PARTS, PHASES, TOTAL, measure_replica
from comparison.groups import group_trials
from comparison.page import render_page
from comparison.report.breakdown import (
    break_down,
    describe_times,
    format_seconds,
    tabulate_configurations,
    tabulate_replicas,
    tabulate_stragglers,
)
from tests.comparison.record_factory import make_record, make_run
from tests.comparison.timed_factory import make_parameter_server, make_timed


def test_that_parts_come_from_steps_made_apart_is_said_where_it_is_so() -> None:
    told = "come from 20 steps made apart from the timed ones"
    for record, is_told in ((make_timed(), False), (replace(make_timed(), traced_steps=20), True)):
        page = render_page("report/breakdown.html.j2", times=describe_times(group_trials([record])))
        assert (told in page) == is_told


def test_that_gpus_exchanged_values_without_nccl_is_said_where_it_is_so() -> None:
    for gpus, communication, is_told in ((1, "auto", True), (1, "nccl", False), (0, "auto", False), (1, None, False)):
        record = replace(make_timed(), gpus=gpus, communication=communication)
        page = render_page("report/breakdown.html.j2", times=describe_times(group_trials([record])))
        assert ("GPUs exchanged values without NCCL" in page) == is_told


def test_the_phases_add_up_to_the_whole_job() -> None:
    phases = break_down(group_trials(make_run()))

    for own in phases.values():
        assert list(own) == [*(phase.column for phase in PHASES), TOTAL.column]
        assert sum(own[phase.column] for phase in PHASES) == pytest.approx(own[TOTAL.column])
    assert {name: own[TOTAL.column] for name, own in phases.items()} == {
        "single": 76.0,
        "all-reduce-2w": 51.5,
        "parameter-server-2w-1ps": 105.5,
    }


def test_computing_is_training_without_input_communication_and_update() -> None:
    phases = break_down(group_trials(make_run()))

    assert phases["all-reduce-2w"]["compute_seconds"] == 34.0
    assert phases["all-reduce-2w"]["communication_seconds"] == 2.0


def test_clocks_that_overlap_show_as_time_below_zero() -> None:
    phases = break_down(group_trials([replace(make_record(train_seconds=60.0), total_seconds=70.0)]))

    assert phases["single"]["other_seconds"] == pytest.approx(70 - (60 + 0.5 + 5 + 6 + 2 + 0.1 + 0.4))


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(-0.0049, "0.00"), (-0.0051, "-0.01"), (0.0, "0.00"), (29.056, "29.06"), (4321.5, "4,321.50")]
)
def test_seconds_that_are_rounded_to_zero_have_no_sign(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


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


def test_the_page_shows_every_replica_in_a_table_and_as_a_bar_with_words() -> None:
    page = render_page("report/breakdown.html.j2", times=describe_times(group_trials([make_timed()])))

    assert page.count('role="img"') == 2
    assert 'aria-label="all-reduce-2w, worker-0: waiting to run 0.6 %, getting ready 23.0 %, ' in page
    assert '<th scope="row">all-reduce-2w, worker-1</th>' in page
    assert page.count("<table") == page.count("</table>") == 2
    assert 'scope="col"' in page
