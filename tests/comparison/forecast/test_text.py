import re
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.simulated_trials import Truth
from comparison.audit.marks import Marks
from comparison.forecast.scaling import Check, Forecast, Interval, Scale, forecast_scaling
from comparison.forecast.text import (
    describe_forecast,
    list_caveats,
    state_check,
    state_forecast,
    state_outlook,
    tabulate_workers,
)
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.summary import summarize
from comparison.texts import speak
from tests.comparison.forecast.test_scaling import simulate
from tests.comparison.record_factory import make_record, make_run


def make_scale(num_workers: int, low: float, high: float, measured: float | None = None, **changes: Any) -> Scale:
    return Scale(num_workers, Interval(low, high), Interval(low, high), measured, **changes)


def make_forecast(*measured: Scale, ahead: Scale | None = None, **changes: Any) -> Forecast:
    defaults: dict[str, Any] = {"strategy": "all_reduce", "scaling": "strong", "num_ps": 0, "cpus_per_replica": 1.0}
    defaults |= {"checks": [], "most_possible": 128, "is_exchange_timed": True, "machine_cores": 2, "is_local": True}
    return Forecast(measured=measured, ahead=ahead, **(defaults | changes))


TWO, FOUR = make_scale(2, 1.51, 1.68, 1.6), make_scale(4, 1.6, 3.2)


def test_a_sentence_names_one_number_of_workers_and_one_range_and_the_next_says_what_is_not_known() -> None:
    assert state_forecast(make_forecast(TWO, ahead=FOUR)) == (
        "4 workers are recommended for all-reduce: 1.60 to 3.20 times as fast as a single node (forecast). "
        "Not known beyond 4 workers: measure with --workers 2 4 on a machine of 4 cores."
    )


def test_what_was_measured_is_recommended_where_more_workers_may_be_slower() -> None:
    stated = state_forecast(make_forecast(TWO, ahead=make_scale(4, 1.2, 3.2)))

    assert stated.startswith("2 workers are recommended for all-reduce: 1.51 to 1.68 times as fast as a single node (m")


def test_the_same_is_said_in_chinese() -> None:
    with speak("zh"):
        assert state_forecast(make_forecast(TWO, ahead=FOUR)) == (
            "全归约建议用 4 个工作节点：速度为单节点的 1.60 至 3.20 倍（预测）。"
            "超过 4 个工作节点时未知：请用 --workers 2 4 实测（需要 4 核的机器）。"
        ).replace("全归约", describe_forecast(make_forecast(TWO)))


def test_where_several_workers_are_slower_a_single_node_is_recommended() -> None:
    slow = make_forecast(make_scale(2, 0.5, 0.6, 0.55), ahead=make_scale(4, 0.3, 0.9))

    assert state_forecast(slow).startswith(
        "A single node is recommended, not all-reduce: with 2 workers it is 0.50 to 0.60 times as fast (measured). "
    )


@pytest.mark.parametrize("high", [1.1, 2.0])
def test_what_the_ranges_do_not_settle_is_called_open(high: float) -> None:
    stated = state_forecast(make_forecast(make_scale(2, 0.9, 0.95, 0.92), ahead=make_scale(4, 0.6, high)))

    assert stated.startswith("Whether all-reduce pays off is open: with 2 workers it is 0.90 to 0.95 times as fast as")


@pytest.mark.parametrize(
    ("job", "stated"),
    [
        (Interval(1.1, 1.2), "a single node (measured)"),
        (Interval(0.9, 1.2), "a single node in training, which its start-up may take back (measured)"),
        (Interval(0.8, 0.9), "a single node in training, which its start-up takes back (measured)"),
    ],
)
def test_a_start_up_that_eats_up_what_training_saves_is_told(job: Interval, stated: str) -> None:
    assert stated in state_forecast(make_forecast(TWO._replace(job_speedup=job)))


def test_where_no_more_workers_are_possible_nothing_is_unknown() -> None:
    assert "known" not in state_forecast(make_forecast(TWO, ahead=FOUR, most_possible=4))
    assert state_forecast(make_forecast(TWO)).endswith("(measured). Not known beyond 2 workers.")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"machine_cores": 4}, ""),
        ({"machine_cores": None}, ""),
        ({"cpus_per_replica": 1.5, "machine_cores": 4}, " on a machine of 8 cores"),
        ({"strategy": "parameter_server", "num_ps": 1, "machine_cores": 4}, " on a machine of 6 cores"),
    ],
)
def test_a_machine_with_too_few_cores_is_no_place_to_measure(changes: dict[str, Any], place: str) -> None:
    assert state_forecast(make_forecast(TWO, ahead=FOUR, **changes)).endswith(f"measure with --workers 2 4{place}.")


def test_what_is_in_doubt_is_not_recommended() -> None:
    doubtful = make_scale(8, 5.0, 6.0, 5.5, is_sound=False)

    assert state_forecast(make_forecast(TWO, doubtful, ahead=FOUR)).startswith("4 workers are recommended ")


def outlook_of(records: list[TrialRecord], **marks: Any) -> str:
    groups = group_trials(records)
    own = Marks(**marks)
    return state_outlook(summarize(groups), forecast_scaling(groups, own), own)


def test_the_outlook_is_about_the_winner() -> None:
    servers = Truth("parameter_server", num_ps=1, latency_seconds=5e-3)
    records = [*simulate(Truth()), *[own for own in simulate(servers) if own.num_workers > 1]]

    assert re.fullmatch(
        r"\d workers are recommended for all-reduce: [^:]*: measure with --workers 2 4\.", outlook_of(records)
    )
    both = [own for own in simulate(Truth(scaling="weak")) if own.num_workers > 1]
    assert outlook_of([*simulate(Truth()), *both]).count("recommended for all-reduce") == 2


def test_where_nothing_has_won_the_outlook_is_about_two_ways_at_most() -> None:
    slow = [
        own
        for truth in (
            Truth(latency_seconds=0.1),
            *(Truth("parameter_server", num_ps=count, latency_seconds=0.1) for count in (1, 2)),
        )
        for own in simulate(truth)
    ]
    singles = [own for own in slow if own.num_workers == 1][:3]

    assert outlook_of([*singles, *(own for own in slow if own.num_workers > 1)]).count("A single node is") == 2


@pytest.mark.parametrize("field", ["worse", "unproven"])
def test_of_a_way_in_doubt_and_of_any_way_over_such_a_baseline_nothing_is_said(field: str) -> None:
    records = simulate(Truth())

    assert outlook_of(records, **{field: ["all-reduce-2w"]}) == ""
    assert outlook_of(records, unproven=["single"]) == ""
    assert outlook_of([make_record("single"), make_record("all-reduce-1w")]) == ""


def test_caveats_are_told_once() -> None:
    local = make_forecast(TWO, ahead=FOUR)
    servers = make_forecast(TWO, ahead=FOUR, strategy="parameter_server", num_ps=1, is_exchange_timed=False)

    assert len(list_caveats([local, local])) == 2
    assert len(list_caveats([local, servers])) == 4
    assert len(list_caveats([replace(local, is_local=False)])) == 1


@pytest.mark.parametrize(("low", "high", "verdict"), [(1.9, 2.1, "as forecast"), (3.3, 3.5, "not as forecast")])
def test_a_check_says_whether_the_range_held(low: float, high: float, verdict: str) -> None:
    check = Check(2, Interval(1.6, 3.2), make_scale(4, low, high, 2.0))

    assert state_check(check) == (
        "From 2 workers alone, 1.60 to 3.20 would have been forecast for 4; "
        f"measured: 2.00 ({low:.2f}–{high:.2f}), {verdict}."
    )


def test_the_table_has_a_row_for_each_number_of_workers_that_is_known() -> None:
    cells = tabulate_workers(make_forecast(TWO, ahead=FOUR))

    assert cells.rows == [
        ["2", "measured", "1.60 (1.51–1.68)", "1.51–1.68"],
        ["4", "forecast", "1.60–3.20", "1.60–3.20"],
    ]
    assert len(cells.columns) == 4
    contended = make_scale(4, 1.1, 1.3, 1.2, is_sound=False, is_contended=True)
    assert tabulate_workers(make_forecast(TWO, contended)).rows[1][:2] == ["4", "measured †"]


def test_servers_and_scaling_are_named() -> None:
    servers = make_forecast(TWO, strategy="parameter_server", num_ps=1)

    assert describe_forecast(servers) == "parameter-server with 1 server"
    assert describe_forecast(replace(servers, scaling="weak")) == "parameter-server with 1 server and weak scaling"
    assert describe_forecast(forecast_scaling(group_trials(make_run()))[0]) == "all-reduce"
