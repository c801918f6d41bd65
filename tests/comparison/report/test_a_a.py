from collections.abc import Sequence
from dataclasses import replace

import pytest

from comparison.records import TrialRecord
from comparison.report.analysis import Analysis, analyze
from comparison.report.verdict import Kind
from tests.comparison.record_factory import delay, make_record, make_run_info

TIMES = "\N{MULTIPLICATION SIGN}"


def make_twice(first: Sequence[float], second: Sequence[float]) -> list[TrialRecord]:
    """Returns trials of the single node and of the single node again, in mirrored rounds, 300 s after each other."""
    order: list[tuple[str, int, int, float]] = []
    for number, (own, again) in enumerate(zip(first, second, strict=True), start=1):
        pair = [("single", number, number, own), ("single-again", number, number, again)]
        order += pair if number % 2 else pair[::-1]
    if len(first) % 2:
        order.append(("single", len(first) + 1, len(first), first[-1] + 0.2))
    trials = []
    for place, (name, trial, own_round, seconds) in enumerate(order, start=1):
        record = make_record("single", own_round, seconds)
        moved = delay(record, 1_700_000_000.0 + 300.0 * place - record.started_at)
        trials.append(replace(moved, configuration=name, trial=trial, round=own_round, place=place))
    return trials


def judge(first: Sequence[float], second: Sequence[float]) -> Analysis:
    names = ("single", "single-again")
    plan = {"a_a": True, "trials": len(first), "target_accuracy": 0.98}
    return analyze(
        make_twice(first, second), make_run_info(parameters=plan, configurations=[{"name": name} for name in names])
    )


def test_a_machine_that_does_not_tell_a_node_from_itself_is_fit() -> None:
    found = judge([60.0, 61.0, 60.5], [60.2, 60.8, 60.6])

    assert found.verdict.startswith(
        f"This machine is fit to measure: it did not tell the single node from itself, 1.00{TIMES} as fast the second "
        "time (95 % interval 0.9"
    )
    assert found.verdict.endswith("where 1 is true. Differences of 10 % are seen on it.")
    assert found.answers["strong"].kind is Kind.NOT_DISTINGUISHABLE


def test_a_difference_between_equals_is_the_machines_and_is_told_with_its_interval() -> None:
    found = judge([60.0, 61.0, 60.5], [66.1, 67.2, 66.5])

    assert found.verdict.startswith(
        f"This machine is unfit to measure: it told the single node from itself, 0.91{TIMES} as fast the second time "
        "(95 % interval 0."
    )
    assert "End what else computes on it and run it again" in found.verdict
    assert found.answers["strong"].kind is Kind.NO_ANSWER


def test_a_machine_that_scatters_is_fit_for_large_differences_only() -> None:
    found = judge([60.0, 72.0, 55.5], [71.1, 58.2, 66.5])

    assert found.verdict.startswith("This machine is fit for large differences only: ")
    assert found.verdict.endswith("For differences of 10 % end what else computes on it, or take more trials.")


def test_one_trial_of_each_says_nothing() -> None:
    assert judge([60.0], [61.0]).verdict.startswith("Not decided by a single trial: an A/A run needs at least two")


@pytest.mark.parametrize("shown", [[60.0, 61.0, 60.5], [66.1, 67.2, 66.5]])
def test_of_an_a_a_run_nothing_is_forecast(shown: list[float]) -> None:
    assert judge([60.0, 61.0, 60.5], shown).outlook == ""


def test_copied_trials_make_no_machine_fit() -> None:
    found = judge([60.0, 61.0, 60.5], [60.0, 61.0, 60.5])

    assert found.verdict.startswith("No answer about single")
    assert "every trial measured anew" in found.verdict


def test_a_second_name_beside_distributed_trials_makes_no_a_a_run() -> None:
    trials = [make_record("all-reduce-2w", trial, 37.0 + trial) for trial in range(3)]

    found = analyze([*make_twice([60.0, 61.0, 60.5], [60.2, 60.8, 60.6]), *trials], make_run_info(configurations=[]))

    assert found.answers["strong"].configuration == "all-reduce-2w"
