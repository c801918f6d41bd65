import pytest

from benchmarks.forecast_at_four import Timing, describe_trial, forecast_four, report
from comparison.records import TrialRecord

# Computing halves with each doubling, and a message costs so much whatever its neighbours: a ring of four takes
# (3 + 1.5) / (1 + 1) of one of two where latency and bandwidth cost the same.
COMPUTING = {1: 0.040, 2: 0.020, 4: 0.010}
RING = {1: 0.0, 2: 0.004, 4: 0.009}


def make_trials(*counts: int) -> list[TrialRecord]:
    return [
        describe_trial(count, trial, Timing(COMPUTING[count], RING[count], dict.fromkeys(("p50", "p90", "p99"), 0.04)))
        for count in counts
        for trial in range(3)
    ]


def test_steps_that_follow_the_model_are_predicted() -> None:
    (check,) = forecast_four(make_trials(1, 2, 4)).checks

    assert (check.fitted_workers, check.num_workers, check.is_contended) == (2, 4, False)
    assert check.measured.value == pytest.approx(0.040 / 0.019)
    assert check.error == pytest.approx(0, abs=1e-6)


def test_the_report_has_a_row_for_each_way_and_a_sentence_for_each_forecast() -> None:
    lines = report(make_trials(1, 2), make_trials(2, 4)).splitlines()

    assert [line.split("|")[1:3] for line in lines[2:6]] == [
        [" 1 ", " trained "],
        [" 2 ", " simulated "],
        [" 2 ", " trained "],
        [" 4 ", " simulated "],
    ]
    assert "| 2 | trained | 24.00 | 20.00 | 4.00 | 1.67" in lines[4]
    assert [line.partition(":")[0] for line in lines[7:]] == [
        "From one and two workers, two trained",
        "From one and two workers, two simulated",
    ]
