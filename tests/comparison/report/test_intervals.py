from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.report.intervals import describe_statistics, list_second_figures, warn_of_second_figures
from comparison.statistics import Ratio
from tests.comparison.record_factory import make_record, make_run


def make_trials(configuration: str, train_seconds: Sequence[float], **changes: Any) -> list[TrialRecord]:
    return [
        make_record(configuration, trial, seconds, **{"total_seconds": seconds + 15} | changes)
        for trial, seconds in enumerate(train_seconds)
    ]


SINGLE = make_trials("single", [60.0, 61.0])


def test_the_basis_of_the_intervals_is_told() -> None:
    double = make_trials("all-reduce-2w", [37.0, 37.5])

    assert describe_statistics(group_trials(SINGLE)) == (
        "Without repeated trials a speedup has no interval, and nothing is decided."
    )
    assert describe_statistics(group_trials([*SINGLE, *double])) == (
        "1 comparison with a baseline: intervals of speedups are 95 % intervals. "
        "Trials of a configuration scatter by 0.2 %, estimated from all configurations with a core for each replica "
        "(1 degree of freedom, differences between rounds taken out). "
        "At this noise 2 trials of each configuration find a difference of 10 % in 90 % of runs; "
        "over the 95 % interval of the noise it is 2 to 8."
    )
    more = [make_trials(f"all-reduce-{count}w", [100 / count, 101 / count]) for count in (2, 4, 5, 8)]
    text = describe_statistics(group_trials([*SINGLE, *(record for trials in more for record in trials)]))
    assert text.startswith("4 comparisons with a baseline: intervals of speedups are 95 % intervals that hold for")
    assert "(4 degrees of freedom, differences between rounds taken out). At this noise " in text


@pytest.mark.parametrize(
    ("second", "end"),
    [
        (1.0, "find a difference of 10 % in 90 % of runs."),
        (1.03, "in 90 % of runs; over the 95 % interval of the noise it is 3 to 517."),
        (1.25, "in 90 % of runs; over the 95 % interval of the noise it is 8 to more than a thousand."),
    ],
)
def test_with_the_trials_that_it_takes_is_told_how_far_their_noise_is_known(second: float, end: str) -> None:
    pairs = {"single": [60.0, 60.0], "all-reduce-2w": [40.0, 40.0 * second]}
    groups = group_trials(record for name, own in pairs.items() for record in make_trials(name, own))

    assert describe_statistics(groups).endswith(end)


def test_where_all_is_contended_no_common_noise_is_told() -> None:
    trials = [replace(record, contended=True) for record in make_run()]

    assert describe_statistics(group_trials(trials)).endswith(" that hold for all of them together.")


def test_each_kind_of_scaling_is_told_its_own_basis() -> None:
    strong = [make_record("all-reduce-2w", trial, 37.0 + trial) for trial in range(2)]
    weak = [make_record("all-reduce-4w-weak", trial, 20.0 + trial) for trial in range(2)]

    strong_text, _, weak_text = describe_statistics(group_trials([*SINGLE, *strong, *weak])).partition(
        " Weak scaling: "
    )

    assert strong_text.startswith("Strong scaling: 1 comparison with a baseline: ")
    assert weak_text.startswith("1 comparison with a baseline: ")
    assert strong_text.count(" scatter by ") == weak_text.count(" scatter by ") == 1


def test_a_second_figure_is_told_only_where_it_disagrees_with_the_mean() -> None:
    single = make_trials("single", [60.0, 61.0, 60.5])
    steady = group_trials([*single, *make_trials("all-reduce-2w", [40.0, 40.5, 40.2])])
    held_up = group_trials([*single, *make_trials("all-reduce-2w", [40.0, 40.5, 55.0])])

    assert list_second_figures(steady) == {}
    assert warn_of_second_figures(steady) == []
    assert list_second_figures(held_up) == {"speedup, median of rounds": {"all-reduce-2w": Ratio(60.0 / 40.0)}}
    assert warn_of_second_figures(held_up) == [
        (
            "Figures that single slow trials move less differ by more than 3 % from the means: "
            "all-reduce-2w 1.34 (speedup, median of rounds: 1.50)."
        )
    ]


def wait(trials: list[TrialRecord], *shares: float) -> list[TrialRecord]:
    return [
        replace(own, replicas=[replace(each, waited_seconds=share * own.train_seconds) for each in own.replicas])
        for own, share in zip(trials, shares, strict=True)
    ]


def test_a_speedup_without_waiting_is_told_where_a_trial_waited_for_cores() -> None:
    single = wait(make_trials("single", [60.0, 61.0]), 0.1, 0.1)
    double = wait(make_trials("all-reduce-2w", [40.0, 50.0]), 0.3, 0.44)

    figures = list_second_figures(group_trials([*single, *double]))

    assert list(figures) == ["speedup without waiting"]
    assert figures["speedup without waiting"]["all-reduce-2w"].value == pytest.approx(121 / (40 + 0.86 * 50))
    (warning,) = warn_of_second_figures(group_trials([*single, *double]))
    assert "all-reduce-2w 1.34 (speedup without waiting: 1.46 (" in warning
