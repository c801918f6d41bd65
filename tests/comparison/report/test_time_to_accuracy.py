from collections.abc import Sequence
from dataclasses import replace

import pytest

from comparison.groups import group_trials
from comparison.page import render_page
from comparison.records import TrialRecord
from comparison.report.time_to_accuracy import describe_targets, name_target, tabulate_targets
from comparison.summary import compute_target_speedups
from tests.comparison.record_factory import make_record


def make_trials(configuration: str, train_seconds: Sequence[float], *, missing: int = 0) -> list[TrialRecord]:
    """Returns trials that reach the target after the first of two epochs, but for the last ones, which never do."""
    reached = len(train_seconds) - missing
    return [
        make_record(configuration, trial, seconds, misses_target=trial >= reached)
        for trial, seconds in enumerate(train_seconds)
    ]


SINGLE = make_trials("single", [60.0, 62.0])
FASTER = make_trials("all-reduce-2w", [40.0, 41.0])


def take_another_epoch(record: TrialRecord) -> TrialRecord:
    """Returns the record of a trial that reached the target after its second epoch."""
    first, second = record.curve
    curve = [replace(first, validation_accuracy=0.9799), second]
    return replace(record, curve=curve, seconds_to_target=second.train_seconds)


def test_epochs_seconds_and_speedup_to_the_target_are_those_of_the_trials() -> None:
    single, faster = tabulate_targets(group_trials([*SINGLE, FASTER[0], take_another_epoch(FASTER[1])]))

    assert (single.configuration, single.epochs, single.seconds) == ("single", [1, 1], [30.0, 31.0])
    assert (faster.configuration, faster.epochs, faster.seconds) == ("all-reduce-2w", [1, 2], [20.0, 41.0])
    assert single.speedup is not None
    assert faster.speedup is not None
    assert (single.speedup.value, single.speedup.low) == (1.0, None)
    assert faster.speedup.value == pytest.approx((30 + 31) / (20 + 41))
    assert faster.speedup.direction == 0


def test_what_is_faster_in_every_trial_reaches_the_target_faster() -> None:
    speedup = compute_target_speedups(group_trials([*SINGLE, *FASTER]))["all-reduce-2w"]

    assert speedup.value == pytest.approx((30 + 31) / (20 + 20.5))
    assert speedup.direction == 1


@pytest.mark.parametrize(
    ("records", "compared"),
    [
        ([*SINGLE, *make_trials("all-reduce-2w", [40.0, 41.0], missing=1)], {"single"}),
        ([*make_trials("single", [60.0, 62.0], missing=1), *FASTER], set()),
        ([*make_trials("single", [60.0, 62.0], missing=1), *make_trials("single-2cpu", [35.0, 36.0])], set()),
        ([*SINGLE, *make_trials("all-reduce-2w-weak", [33.0, 34.0])], {"single", "all-reduce-2w-weak"}),
    ],
)
def test_only_configurations_all_of_whose_trials_reached_the_target_are_compared(
    records: list[TrialRecord], compared: set[str]
) -> None:
    assert compute_target_speedups(group_trials(records)).keys() == compared


def test_a_trial_that_never_reached_the_target_stays_in_the_table() -> None:
    missed = make_trials("all-reduce-2w", [40.0, 41.0], missing=2)
    records = [*SINGLE, *make_trials("parameter-server-2w-1ps", [50.0, 51.0], missing=1), *missed]

    (half,) = describe_targets(group_trials(records))

    assert half["title"] == ""
    assert half["rows"] == [
        ["single", "2 of 2", "1", "30.5 ± 6.4", "1.00", "30.0, 31.0"],
        ["all-reduce-2w", "0 of 2", "–", "–", "–", "–, –"],
        ["parameter-server-2w-1ps", "1 of 2", "1", "25.0", "–", "25.0, –"],
    ]


def test_of_many_trials_the_first_are_listed_and_the_others_counted() -> None:
    trials = make_trials("single", [60.0] * 11)
    (half,) = describe_targets(group_trials([*map(take_another_epoch, trials[:1]), *trials[1:]]))

    assert half["rows"][0][2] == "1–2"
    assert half["rows"][0][-1] == ", ".join(["60.0"] + 9 * ["30.0"] + ["1 more trial"])


def test_strong_and_weak_scaling_have_tables_of_their_own() -> None:
    halves = describe_targets(group_trials([*SINGLE, *FASTER, *make_trials("all-reduce-2w-weak", [33.0, 34.0])]))

    assert [(half["title"], [row[0] for row in half["rows"]]) for half in halves] == [
        ("Strong scaling", ["single", "all-reduce-2w"]),
        ("Weak scaling", ["single", "all-reduce-2w-weak"]),
    ]


def test_without_a_target_there_is_no_section() -> None:
    records = [replace(record, target_accuracy=None, seconds_to_target=None) for record in SINGLE]

    assert describe_targets(group_trials(records)) == []
    assert name_target(records) == ""
    assert "<table" not in render_page("report/time_to_accuracy.html.j2", targets=[], target="")


def test_the_section_names_the_target() -> None:
    page = render_page("report/time_to_accuracy.html.j2", targets=describe_targets(group_trials(SINGLE)), target="98 %")

    assert name_target([*SINGLE, replace(SINGLE[0], target_accuracy=0.975)]) == "97.5 %, 98 %"
    assert "validation accuracy is at least the target, 98 %, which" in page


def test_a_seed_that_learns_slowly_widens_no_speedup_where_rounds_are_paired() -> None:
    seeds = [60.0, 120.0, 90.0]
    single, double = make_trials("single", seeds), make_trials("all-reduce-2w", [own / 1.5 for own in seeds])
    other = [replace(own, trial=own.trial + 10) for own in double]

    paired, apart = (compute_target_speedups(group_trials([*single, *own]))["all-reduce-2w"] for own in (double, other))

    assert (paired.low, paired.high) == pytest.approx((1.5, 1.5))
    assert apart.direction == 0
    notes = [describe_targets(group_trials([*single, *own]))[0]["note"] for own in (double, other)]
    assert notes == [
        "Speedups to the target compare round with round: what trained in one shares its seed.",
        "Speedups to the target compare means: not all configurations trained in the same rounds.",
    ]
    (half,) = describe_targets(group_trials(single))
    assert half["note"] == ""
    targets = describe_targets(group_trials([*single, *double]))
    assert notes[0] in render_page("report/time_to_accuracy.html.j2", targets=targets, target="98 %")
