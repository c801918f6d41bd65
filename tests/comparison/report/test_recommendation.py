import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.records import TrialRecord
from comparison.report.analysis import analyze
from comparison.report.verdict import Kind
from comparison.statistics import Ratio
from tests.comparison.record_factory import delay, make_record, make_run, make_run_info
from tests.comparison.report.test_a_a import make_twice


def make_trials(
    configuration: str, seconds: Sequence[float], n_correct: int = 2970, cores: int = 2
) -> list[TrialRecord]:
    host = {"cpu_model": "AMD EPYC", "cores": cores, "memory_bytes": 2**34, "platform": "Linux"}
    return [make_record(configuration, trial, own, n_correct, host=host) for trial, own in enumerate(seconds)]


def recommend(*trials: list[TrialRecord]) -> dict[str, Any]:
    records = [record for own in trials for record in own]
    plan = {"target_accuracy": 0.98, "trials": max(record.round or record.trial + 1 for record in records)}
    names = dict.fromkeys(record.configuration for record in records)
    planned = make_run_info(parameters=plan, configurations=[{"name": name} for name in names])
    recommendation: dict[str, Any] = json.loads(analyze(records, planned).recommendation())
    return recommendation


SINGLE = make_trials("single", [60.0, 61.0, 60.5])
FAST = make_trials("all-reduce-2w", [37.0, 37.5, 37.2])
EIGHT = [make_trials("single", [60.0, 61.0, 60.5], cores=8), make_trials("all-reduce-2w", [37.0, 37.5, 37.2], cores=8)]
BIGGER = make_trials("single-2cpu", [55.0, 55.5, 55.2], cores=8)


def test_a_recommendation_has_the_fields_of_its_schema() -> None:
    found = recommend(SINGLE, FAST)

    assert list(found) == [
        *("schema_version", "answer", "configuration", "speedup", "whole_job_speedup", "is_fair", "cost", "reasons"),
        "next_step",
    ]
    assert found["is_fair"]
    assert found["answer"] == "pays_off"
    assert found["configuration"] == "all-reduce-2w"
    assert found["speedup"]["value"] == pytest.approx(181.5 / 111.7)
    assert found["speedup"]["low"] < found["speedup"]["value"] < found["speedup"]["high"]
    assert found["whole_job_speedup"]["value"] == pytest.approx(226.5 / 156.7)
    assert found["cost"] == {"core_seconds_ratio": pytest.approx(2 * 156.7 / 226.5)}
    assert found["reasons"][0].startswith("Distributing pays off here: all-reduce with 2 workers")


def test_the_seconds_of_gpus_are_told_where_both_held_some() -> None:
    single = [replace(record, gpus=1, gpus_held=1) for record in SINGLE]
    pair = [replace(record, gpus=1, gpus_held=2) for record in FAST]

    assert recommend(single, pair)["cost"] == {
        "core_seconds_ratio": pytest.approx(2 * 156.7 / 226.5),
        "gpu_seconds": pytest.approx(2 * 156.7 / 3),
        "baseline_gpu_seconds": pytest.approx(226.5 / 3),
        "gpu_seconds_ratio": pytest.approx(2 * 156.7 / 226.5),
    }
    assert [*recommend(SINGLE, pair)["cost"]] == ["core_seconds_ratio"]


def test_nothing_is_suggested_that_needs_gpus_of_which_nobody_knows_whether_there_are_more() -> None:
    single, pair = ([replace(record, gpus=1) for record in records] for records in (SINGLE, FAST))

    assert (recommend(SINGLE, FAST)["next_step"] != "", recommend(single, pair)["next_step"]) == (True, "")


def test_an_answer_from_an_unfair_comparison_is_told_from_a_fair_one() -> None:
    other_rate = [replace(record, learning_rate=0.3) for record in FAST]
    found = recommend(SINGLE, other_rate)

    assert (found["answer"], found["is_fair"]) == ("pays_off", False)


def test_where_there_is_no_answer_there_are_no_figures_but_a_name_and_a_reason() -> None:
    found = recommend(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5, 37.2], 2850))

    assert (found["answer"], found["configuration"]) == ("no_answer", "all-reduce-2w")
    assert (found["speedup"], found["whole_job_speedup"]) == (None, None)
    assert found["cost"] == {"core_seconds_ratio": None}
    assert found["reasons"][0].startswith("No answer about all-reduce with 2 workers: its models are less accurate")
    assert found["next_step"] == ""


@pytest.mark.parametrize(
    ("trials", "kind", "command"),
    [
        ([SINGLE], Kind.NO_ANSWER, "tfjob-speedup run --workers 2"),
        ([SINGLE, FAST[:2]], Kind.NO_ANSWER, "tfjob-speedup run"),
        ([SINGLE[:1], FAST[:1]], Kind.NOT_DISTINGUISHABLE, "tfjob-speedup run --trials 3"),
        ([SINGLE, make_trials("all-reduce-2w", [64.0, 65.5, 64.9])], Kind.NOT, ""),
        ([SINGLE, FAST], Kind.PAYS_OFF, "tfjob-speedup run --bigger-nodes"),
        ([EIGHT[0], BIGGER, EIGHT[1]], Kind.PAYS_OFF, "tfjob-speedup run --workers 2 4"),
        ([SINGLE, make_trials("single-2cpu", [37.1, 37.4, 37.05]), FAST], Kind.BIGGER_NODE, ""),
        ([make_twice([60.0, 61.0, 60.5], [60.2, 60.8, 60.6])], Kind.NOT_DISTINGUISHABLE, ""),
    ],
)
def test_the_next_step_is_a_command_that_tells_more(trials: list[list[TrialRecord]], kind: Kind, command: str) -> None:
    found = recommend(*trials)

    assert (found["answer"], found["next_step"]) == (kind.value, command)


def test_a_single_round_has_two_baselines_decides_nothing_and_asks_for_more_rounds() -> None:
    first, distributed, last = (
        delay(
            replace(make_record(name, 1, seconds, total_seconds=seconds + 15), trial=trial, round=1, place=place), wait
        )
        for place, (name, trial, seconds, wait) in enumerate(
            [("single", 1, 60.0, 0.0), ("all-reduce-2w", 1, 40.0, 0.0), ("single", 2, 61.0, 4e3)], start=1
        )
    )
    plan = make_run_info(
        parameters={"target_accuracy": 0.98, "trials": 1, "seed": first.seed},
        configurations=[{"name": "single"}, {"name": "all-reduce-2w"}],
    )
    analysis = analyze([first, distributed, last], plan)
    found = json.loads(analysis.recommendation())

    assert analysis.verdict.startswith("Not decided by a single trial: all-reduce with 2 workers trained resnet8 on ")
    assert "(n = 1 trial)" in analysis.verdict
    assert found["answer"] == "not_distinguishable"
    assert found["speedup"] == {"value": 60.5 / 40, "low": None, "high": None}
    assert found["next_step"] == "tfjob-speedup run --trials 3"
    assert not analysis.marks.unproven
    assert "★" not in analysis.terminal_table()


def test_trials_that_scatter_ask_for_as_many_as_would_find_a_tenth() -> None:
    found = recommend(make_trials("single", [60.0, 66.0, 58.0]), make_trials("all-reduce-2w", [57.0, 66.2, 59.9]))

    assert found["answer"] == "not_distinguishable"
    assert found["next_step"].startswith("tfjob-speedup run --trials ")
    assert int(found["next_step"].split()[-1]) > 3


def test_the_second_baseline_of_an_odd_last_round_is_no_further_round() -> None:
    once = recommend(make_twice([60.0], [60.2]))
    assert once["next_step"] == "tfjob-speedup run --a-a --trials 3"


def test_a_run_that_would_take_days_is_no_next_step_but_whether_the_machine_is_fit_is() -> None:
    found = recommend(make_trials("single", [60.0, 75.0, 62.0]), make_trials("all-reduce-2w", [64.0, 61.0, 72.0]))

    assert found["answer"] == "not_distinguishable"
    assert found["next_step"] == "tfjob-speedup run --a-a"


def test_one_round_is_not_decided_by_what_chance_makes_of_its_two_models() -> None:
    found = recommend(SINGLE[:1], make_trials("all-reduce-2w", [37.0], n_correct=2900))

    assert (found["answer"], found["next_step"]) == ("not_distinguishable", "tfjob-speedup run --trials 3")
    assert "at lower accuracy (96.67 % against 99.00 %" in found["reasons"][0]


def test_a_bound_without_an_end_is_null() -> None:
    analysis = analyze([*SINGLE, *FAST], make_run_info(configurations=[]))
    endless = replace(analysis.answers["strong"], speedup=Ratio(1.6, 0.0, math.inf))

    found = json.loads(replace(analysis, answers={"strong": endless}).recommendation())

    assert found["speedup"] == {"value": 1.6, "low": 0.0, "high": None}


def test_of_two_kinds_of_scaling_it_is_that_on_strong_scaling() -> None:
    analysis = analyze([*make_run(), make_record("all-reduce-2w-weak")], make_run_info())

    assert set(analysis.answers) == {"strong", "weak"}
    assert json.loads(analysis.recommendation())["configuration"] == "all-reduce-2w"
