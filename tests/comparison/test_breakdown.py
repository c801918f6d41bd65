import pytest

from comparison.breakdown import PHASES, TOTAL, break_down, compute_overhead_share
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
    phases = break_down(group_trials([make_record(train_seconds=60.0, total_seconds=70.0)]))

    assert phases.loc["single", "other_seconds"] == pytest.approx(70 - (60 + 0.5 + 5 + 6 + 2 + 0.1 + 0.4))


def test_overhead_is_what_a_run_spent_on_neither_training_nor_evaluation() -> None:
    records = [make_record(evaluated_at=273.0), make_record(trial=1, evaluated_at=276.0)]

    share = compute_overhead_share(records, make_run_info(started_at=76.0))

    assert share == pytest.approx(1 - 2 * (62 + 3) / 200)


def test_the_overhead_of_a_run_without_trials_is_unknown() -> None:
    assert compute_overhead_share([make_record()], make_run_info(run_id="other")) is None
