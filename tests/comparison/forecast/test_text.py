import math
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from comparison.audit.marks import Marks
from comparison.forecast.model import NETWORKS
from comparison.forecast.scaling import Check, Estimate, Forecast, forecast_scaling, look_ahead
from comparison.forecast.text import (
    describe_forecast,
    describe_networks,
    format_workers,
    list_caveats,
    state_check,
    state_forecast,
    state_outlook,
    tabulate_networks,
    tabulate_workers,
)
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.statistics import Ratio
from comparison.summary import summarize
from comparison.texts import speak
from tests.comparison.record_factory import make_record, make_run


def forecast(own_seconds: float = 36.0, trials: int = 2, **changes: Any) -> Forecast:
    records = [
        make_record(name, trial, seconds + 0.1 * trial, **changes)
        for name, seconds in (("single", 60.0), ("all-reduce-2w", own_seconds))
        for trial in range(trials)
    ]
    return forecast_scaling(group_trials(records), 50)[0]


def test_the_sentence_says_from_how_many_workers_on_it_pays_off() -> None:
    sentence = state_forecast(forecast())

    assert sentence.startswith("All-reduce is predicted to pay off from 2 workers on, to be fastest with about ")
    assert sentence.endswith("and cheapest in core-seconds with 1.")


def test_a_best_number_at_the_end_of_the_range_is_said_to_be_there() -> None:
    assert "fastest with about 128, the most looked at, " in state_forecast(forecast(30.0, communication_seconds=0.0))


def test_the_sentence_says_that_it_never_pays_off() -> None:
    sentence = state_forecast(forecast(90.0, communication_seconds=50.0))

    assert sentence.startswith("All-reduce is predicted not to pay off with up to 128 workers: at best 0.")


def test_what_the_trials_do_not_settle_is_said_to_be_unsettled() -> None:
    assert state_forecast(forecast(trials=1)).startswith(
        "If the means hold, which the trials do not settle, all-reduce is"
    )


def test_a_start_up_that_eats_up_what_training_saves_is_told() -> None:
    records = [
        make_record("single", total_seconds=61.0),
        make_record("all-reduce-2w", train_seconds=36.0, total_seconds=136.0),
    ]
    (own,) = forecast_scaling(group_trials(records), 10)

    assert "workers on in training, but not with its start-up, to be" in state_forecast(own)


def make_falling(latency_seconds: float, *, setup_seconds: float = 5.0, noise: float = 0.0) -> list[TrialRecord]:
    """Returns two trials of one, two and four workers that share what is computed and pay for latencies alone."""
    records = []
    for count, trial in product((1, 2, 4), range(2)):
        communication_seconds = 858 * 2 * (count - 1) * latency_seconds
        train_seconds = (60 / count + communication_seconds) * (1 + noise * (trial - 0.5) * (count - 2))
        records.append(
            make_record(
                "single" if count == 1 else f"all-reduce-{count}w",
                trial,
                train_seconds,
                communication_seconds=communication_seconds,
                total_seconds=train_seconds + (5.0 if count == 1 else setup_seconds),
                step_seconds={"p50": 0.07, "p90": 0.07, "p99": 0.07},
            )
        )
    return records


@pytest.mark.parametrize(
    ("latency_seconds", "stated", "cell"),
    [
        (1e-5, "pays off from 2 workers on", "2 and more"),
        (1.5e-3, "pays off with 2 to 16 workers", "2 to 16"),
        (0.0151, "pays off with 2 workers only", "2"),
        (0.1, "does not pay off with up to 128 workers: at best 0.", "never"),
    ],
)
def test_where_the_line_falls_below_one_again_every_text_says_so(
    latency_seconds: float, stated: str, cell: str
) -> None:
    records = make_falling(latency_seconds)
    (own,) = forecast_scaling(group_trials(records), 10)
    predicted = re.sub("^pays off", "is predicted to pay off", stated)
    predicted = re.sub("^does not", "is predicted not to", predicted)

    assert state_in_brief(records).startswith(f"all-reduce {stated}")
    assert state_forecast(own).startswith(f"All-reduce {predicted}")
    assert tabulate_networks(own)[0][1:3] == [cell, cell]


def test_the_end_of_what_pays_off_has_a_band() -> None:
    (own,) = forecast_scaling(group_trials(make_falling(1.5e-3, noise=0.1)), 50)
    end = look_ahead(own).pay_off_end

    assert end.low < end.value == 16 < end.high
    assert f" pay off with 2 to 16 ({end.low:.0f}–{end.high:.0f}) workers" in state_forecast(own)
    assert tabulate_networks(own)[0][1] == f"2 to 16 ({end.low:.0f}–{end.high:.0f})"


def test_a_start_up_that_ends_earlier_what_pays_off_is_told() -> None:
    records = make_falling(1.5e-3, setup_seconds=25.0)
    (own,) = forecast_scaling(group_trials(records), 10)

    assert " pay off with 2 to 16 workers (start-up included, with 2 to 8 workers), to be" in state_forecast(own)
    assert tabulate_networks(own)[0][1:3] == ["2 to 16", "2 to 8"]


def test_where_the_line_never_pays_off_the_bands_better_edge_is_a_range_too() -> None:
    (own,) = forecast_scaling(group_trials(make_falling(0.018, noise=0.1)), 50)
    end = look_ahead(own).pay_off_end

    assert end.value == 1 < end.high < 128
    assert f" not to pay off with up to 128 workers, though with 2 to {end.high:.0f} workers it could: " in (
        state_forecast(own)
    )


@pytest.mark.parametrize(
    ("latency", "said"), [(0.008, "pays off if at all with 2 to 4 workers"), (0.012, "if at all with 2 workers only")]
)
def test_where_the_bands_worse_edge_never_pays_off_the_range_is_that_of_the_fit(latency: float, said: str) -> None:
    records = make_falling(latency, noise=0.1)
    (own,) = forecast_scaling(group_trials(records), 50)

    assert math.isinf(look_ahead(own).break_even.high)
    assert f"{said} and is fastest with about 2 (1–4), " in state_in_brief(records)
    assert "never" not in state_in_brief(records)


def test_the_range_that_pays_off_is_said_in_chinese() -> None:
    records = make_falling(1.5e-3, setup_seconds=25.0)

    with speak("zh"):
        assert "在 2 至 16 个工作节点时划算（计入启动时间则在 2 至 8 个工作节点时），" in state_in_brief(records)


def state_in_brief(records: list[TrialRecord], **marked: list[str]) -> str:
    return state_outlook(summarize(group_trials(records)), forecast_scaling(group_trials(records), 50), Marks(**marked))


def test_the_forecast_in_brief_is_about_the_winners_way_of_distributing() -> None:
    outlook = state_in_brief(make_run())
    own = forecast_scaling(group_trials(make_run()), 50)[0]
    fastest, best = look_ahead(own).fastest, look_ahead(own).best_speedup

    assert outlook.startswith(f"all-reduce pays off from 2 workers on and is fastest with about {fastest.value:.0f} (")
    assert outlook.endswith(f", {best.value:.2f}× ({best.low:.2f}–{best.high:.2f}).")


def test_without_a_winner_the_forecast_in_brief_is_about_two_ways_at_most() -> None:
    names = ("single", "all-reduce-2w", "parameter-server-2w-1ps", "parameter-server-2w-2ps")
    outlook = state_in_brief([make_record(name, train_seconds=60.0 - len(name)) for name in names])

    first, second = outlook.split("; ")
    assert first.startswith("if the means hold, which the trials do not settle, all-reduce pays off from ")
    assert second.startswith(
        "if the means hold, which the trials do not settle, parameter-server with 1 server pays off with 2 to "
    )
    assert second.endswith(").")


def test_the_forecast_in_brief_says_that_it_never_pays_off() -> None:
    records = [
        make_record(name, trial, seconds + 0.1 * trial, communication_seconds=communication)
        for name, seconds, communication in (("single", 60.0, 0.0), ("all-reduce-2w", 90.0, 50.0))
        for trial in range(2)
    ]

    outlook = state_in_brief(records)

    assert outlook.startswith("all-reduce does not pay off with up to 128 workers: at best 0.")
    assert outlook.endswith(") as fast as a single node.")


def test_each_kind_of_scaling_has_a_forecast_in_brief() -> None:
    names = {"single": 60.0, "all-reduce-2w": 36.0, "parameter-server-2w-1ps": 40.0, "all-reduce-2w-weak": 55.0}
    records = [make_record(name, trial, seconds + trial) for name, seconds in names.items() for trial in range(2)]

    first, second = state_in_brief(records).split("; ")

    assert first.startswith("all-reduce pays off from ")
    assert "all-reduce with weak scaling pays off from " in second


@pytest.mark.parametrize("field", ["worse", "unproven"])
def test_a_way_of_distributing_that_is_not_sound_has_no_forecast_in_brief(field: str) -> None:
    outlook = state_in_brief(make_run(), **{field: ["all-reduce-2w"]})

    assert outlook.startswith("parameter-server with 1 server ")
    assert ";" not in outlook


def test_nothing_is_said_in_brief_where_nothing_is_forecast() -> None:
    assert state_in_brief([make_record("single"), make_record("all-reduce-1w")]) == ""


def test_caveats_are_told_once() -> None:
    caveats = list_caveats(forecast_scaling(group_trials(make_run()), 10))

    assert len(caveats) == len(set(caveats)) == 4
    assert any(caveat.startswith("Measured with 2 workers only") for caveat in caveats)
    assert any("its replicas shared too few cores" in caveat for caveat in caveats)
    assert any(caveat.startswith("Beyond 2 workers, this global batch of 128") for caveat in caveats)
    assert any("One trial" in caveat for caveat in list_caveats([forecast(trials=1)]))


@pytest.mark.parametrize(("is_contended", "end"), [(False, "+10 %."), (True, "shared too few cores.")])
def test_a_check_tells_its_error_and_whether_it_is_fair(is_contended: bool, end: str) -> None:
    check = Check(4, 2, Estimate(3.3, 3.0, 3.5), Ratio(3.0), 0.1, is_contended)

    assert state_check(check).startswith("Predicted from 2 workers for 4: 3.30× (3.00–3.50); measured 3.00×: +10 %")
    assert state_check(check).endswith(end)


def test_tables_have_a_row_for_each_network_and_number_of_workers() -> None:
    own = forecast()

    assert [row[0] for row in tabulate_networks(own)] == [
        "as in the trials (loopback)",
        *(network.name for network in NETWORKS),
    ]
    assert [row[0] for row in tabulate_workers(own)] == ["1", "2", "4", "8", "16", "32", "64", "128"]
    assert len(describe_networks()) == len(NETWORKS)


def test_what_crossed_a_network_is_not_forecast_on_an_ethernet() -> None:
    names = [row[0] for row in tabulate_networks(replace(forecast(), is_local=False))]

    assert names == ["as in the trials", "NVLink with NCCL", "no communication"]


def test_servers_are_counted() -> None:
    _, servers = forecast_scaling(group_trials(make_run()), 10)

    assert describe_forecast(servers) == "parameter-server with 1 server"
    weak = [replace(own, scaling="weak", per_replica_batch_size=128) for own in make_run()]
    assert [describe_forecast(own) for own in forecast_scaling(group_trials(weak), 10)] == [
        "all-reduce with weak scaling",
        "parameter-server with 1 server and weak scaling",
    ]


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(16, 8, 1024), "16 (8–1,024)"),
        (Estimate(2, 2, 2), "2"),
        (Estimate(math.inf, 4, math.inf), "never (4–never)"),
        (Estimate(math.inf, math.inf, math.inf), "never"),
    ],
)
def test_numbers_of_workers_have_a_band_where_it_is_one(estimate: Estimate, text: str) -> None:
    assert format_workers(estimate) == text
