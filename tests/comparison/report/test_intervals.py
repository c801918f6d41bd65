from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.report.intervals import describe_statistics
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
