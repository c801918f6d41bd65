from collections.abc import Sequence
from typing import Any

import pytest

from comparison.audit.findings import Finding, Status
from comparison.audit.marks import (
    Marks,
    explain_fastest,
    explain_marks,
    find_fastest,
    find_winner,
    is_worse,
    list_broken_rules,
    mark_configurations,
)
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.summary import summarize
from tests.comparison.record_factory import make_record, make_run


def make_trials(configuration: str, train_seconds: Sequence[float], **changes: Any) -> list[TrialRecord]:
    return [make_record(configuration, trial, seconds, **changes) for trial, seconds in enumerate(train_seconds)]


def mark(records: list[TrialRecord]) -> Marks:
    groups = group_trials(records)
    return mark_configurations(groups, audit_fairness(groups))


def break_rule(rule: str, *configurations: str) -> Finding:
    return Finding(rule, Status.VIOLATED, "Broken.", configurations=configurations)


SINGLE = make_trials("single", [60.0, 61.0])
FASTER = make_trials("all-reduce-2w", [37.0, 37.5])


@pytest.mark.parametrize(
    ("seconds", "winner"),
    [([37.0, 37.5], "all-reduce-2w"), ([90.0, 91.0], "single"), ([50.0, 70.0], None), ([9.0], None)],
)
def test_the_winner_is_told_from_the_baseline_or_not_named(seconds: list[float], winner: str | None) -> None:
    assert find_winner(summarize(group_trials([*SINGLE, *make_trials("all-reduce-2w", seconds)])), Marks()) == winner


@pytest.mark.parametrize("marks", [Marks(worse=["all-reduce-2w"]), Marks(unproven=["all-reduce-2w"])])
def test_a_faster_configuration_that_is_not_sound_does_not_win_nor_does_the_baseline(marks: Marks) -> None:
    assert find_winner(summarize(group_trials([*SINGLE, *FASTER])), marks) is None


def test_the_fastest_sound_configuration_wins_over_a_faster_one_that_is_not() -> None:
    table = summarize(group_trials([*SINGLE, *FASTER, *make_trials("all-reduce-4w", [20.0, 20.2])]))

    assert find_winner(table, Marks()) == "all-reduce-4w"
    assert find_winner(table, Marks(worse=["all-reduce-4w"])) == "all-reduce-2w"


def test_one_worker_alone_measures_what_distributing_costs_and_wins_nothing() -> None:
    alone = make_trials("all-reduce-1w", [20.0, 20.2])

    assert find_winner(summarize(group_trials([*SINGLE, *FASTER, *alone])), Marks()) == "all-reduce-2w"
    assert find_winner(summarize(group_trials([*SINGLE, *alone])), Marks()) is None


def test_nothing_wins_over_a_baseline_that_proves_nothing() -> None:
    assert find_winner(summarize(group_trials([*SINGLE, *FASTER])), Marks(unproven=["single"])) is None


def test_the_baseline_wins_only_where_all_were_measured_to_be_slower() -> None:
    slower = make_trials("all-reduce-2w", [90.0, 91.0])
    once = make_trials("all-reduce-4w", [90.0])

    assert find_winner(summarize(group_trials([*SINGLE, *slower])), Marks()) == "single"
    assert find_winner(summarize(group_trials([*SINGLE, *slower, *once])), Marks()) is None


SERVER = "parameter-server-2w-1ps"


@pytest.mark.parametrize(
    ("seconds", "marks", "fastest"),
    [
        ([37.1, 37.4], Marks(), ["all-reduce-2w", SERVER]),
        ([37.1, 37.4], Marks(worse=[SERVER]), ["all-reduce-2w"]),
        ([50.0, 50.5], Marks(), ["all-reduce-2w"]),
        ([20.0], Marks(), ["all-reduce-2w", SERVER]),  # a single trial tells nothing apart
    ],
)
def test_what_cannot_be_told_from_the_winner_may_be_the_fastest_too(
    seconds: list[float], marks: Marks, fastest: list[str]
) -> None:
    groups = group_trials([*SINGLE, *FASTER, *make_trials(SERVER, seconds)])

    assert find_fastest(summarize(groups), groups, marks) == fastest


def test_the_baseline_is_the_fastest_alone_or_not_at_all() -> None:
    slower = group_trials([*SINGLE, *make_trials("all-reduce-2w", [90.0, 91.0])])
    equal = group_trials([*SINGLE, *make_trials("all-reduce-2w", [60.2, 60.9])])

    assert find_fastest(summarize(slower), slower, Marks()) == ["single"]
    assert find_fastest(summarize(equal), equal, Marks()) == []


def test_the_star_says_whether_it_was_told_apart() -> None:
    assert explain_fastest(["single"]) == "★ trained fastest."
    assert explain_fastest(["a", "b"]) == "★ not told apart, each may be the fastest: a, b."


def test_contention_alone_has_a_mark_of_its_own() -> None:
    marks = mark(make_run())

    assert marks.contended == ["parameter-server-2w-1ps"]
    assert not marks.unfair
    assert not marks.worse


def test_a_disturbed_machine_has_a_mark_of_its_own() -> None:
    findings = [break_rule("no trial held up", "single")]

    assert mark_configurations(group_trials(SINGLE), findings) == Marks(
        contended=[], disturbed=["single"], unfair=[], worse=[], unproven=[], baselines=[]
    )


def test_what_breaks_a_rule_that_decides_is_unfair_and_unproven() -> None:
    findings = [break_rule("no two trials at a time", "all-reduce-2w"), break_rule("same image", "single")]

    marks = mark_configurations(group_trials([*SINGLE, *FASTER]), findings)

    assert marks.unfair == ["single", "all-reduce-2w"]
    assert marks.unproven == ["all-reduce-2w"]


def test_a_configuration_that_bought_its_speed_with_accuracy_is_worse() -> None:
    careless = [make_record("all-reduce-2w", trial, 37.0 + trial, n_correct=2850) for trial in range(2)]

    assert mark([*SINGLE, *careless]).worse == ["all-reduce-2w"]


def test_a_configuration_that_misses_the_target_its_baseline_reaches_is_worse() -> None:
    missed = make_trials("all-reduce-2w", [37.0, 37.5], misses_target=True)
    once = [*missed[:1], FASTER[1]]

    assert mark([*SINGLE, *missed]).worse == ["all-reduce-2w"]
    assert not mark([*SINGLE, *once]).worse
    assert not mark([*make_trials("single", [60.0, 61.0], misses_target=True), *missed]).worse


def test_without_a_baseline_nothing_is_worse() -> None:
    assert not is_worse(group_trials(FASTER), "all-reduce-2w")


def test_the_rules_that_some_configurations_break_are_listed_but_for_those_told_elsewhere() -> None:
    findings = [
        break_rule("same image", "single"),
        break_rule("no trial contended", "single"),
        break_rule("no trial held up", "single"),
        break_rule("same data", "all-reduce-2w"),
    ]

    assert list_broken_rules(findings, ["single", "all-reduce-4w"]) == ["same image"]


def test_only_the_marks_that_are_there_are_explained() -> None:
    assert explain_marks(Marks()) == []
    assert [text[0] for text in explain_marks(Marks(["a"], ["a"], ["a"], ["a"]))] == ["†", "‡", "§", "¶"]
