from dataclasses import replace
from typing import Any

import pytest

from comparison.groups import group_trials
from comparison.records import RecordError
from comparison.report.run_comparison import (
    Run,
    compare_runs,
    list_cautions,
    list_run_differences,
    render_run_html,
    render_run_markdown,
    state_changes,
    tabulate_changes,
)
from comparison.table import Cells
from tests.comparison.page.html_parser import list_unclosed
from tests.comparison.record_factory import delay, make_record, make_run_info

NAMES = ("single", "all-reduce-2w")


def make(run_id: str, seconds: float, trials: int = 3, names: tuple[str, ...] = NAMES, **changes: Any) -> Run:
    parameters = {"learning_rate": changes.get("learning_rate", 0.2)}
    records = [
        make_record(name, trial, seconds * (1 + 0.01 * trial + 0.001 * place), run_id=run_id, **changes)
        for place, name in enumerate(names)
        for trial in range(trials)
    ]
    if run_id == "after":
        records = [delay(record, 1e7) for record in records]
    return Run(make_run_info(run_id=run_id, parameters=parameters), group_trials(records))


def read_column(cells: Cells, header: str) -> list[str]:
    return [row[cells.columns.index(header)] for row in cells.rows]


def test_a_run_that_takes_half_the_time_is_told_from_the_one_before() -> None:
    change = compare_runs(make("before", 60), make("after", 30))["single"]

    assert change.train_seconds is not None
    assert change.images_per_second is not None
    assert change.train_seconds.value == pytest.approx(0.5)
    assert change.train_seconds.direction == -1
    assert change.images_per_second.value == pytest.approx(2)
    assert change.images_per_second.direction == 1


def test_a_run_that_took_as_long_as_the_one_before_differs_in_nothing() -> None:
    run, again = make("before", 60), make("after", 60)

    for change in compare_runs(run, again).values():
        assert change.train_seconds is not None
        assert change.train_seconds.value == 1
        assert change.train_seconds.direction == 0
        assert change.quality.value == 0
    assert not list_run_differences(run, again).rows
    assert state_changes(compare_runs(run, again)).startswith(
        "Of 2 configurations, 0 trained faster in the second run than in the first, 0 slower, 2 cannot be told apart"
    )


def test_a_run_against_itself_or_a_copy_is_refused() -> None:
    run = make("one", 60)
    message = r"measured apart are expected\. Received: 6 of 6 trials of (one|two) are trials of one, too\. Name"

    for copy in (run, make("two", 60)):
        with pytest.raises(RecordError, match=message):
            compare_runs(run, copy)


def disturb(run: Run, waited: float | None, others: float | None) -> Run:
    """Returns a run whose replicas had less of their cores, each for so many seconds of its training of 60."""
    seconds: dict[str, Any] = {"waited_seconds": waited, "others_cpu_seconds": others, "steal_seconds": None}
    groups = {
        name: [
            replace(own, train_seconds=60.0, replicas=[replace(replica, **seconds) for replica in own.replicas])
            for own in trials
        ]
        for name, trials in run.groups.items()
    }
    return Run(run.info, groups)


def test_how_free_the_cores_were_stands_among_the_differences() -> None:
    before, after = disturb(make("before", 60), 3.0, 0.6), disturb(make("after", 60), 9.0, 0.6)

    assert list_run_differences(before, after).rows == [["waited for cores, %", "5", "15"]]
    unknown = disturb(make("after", 60), None, None)
    assert list_run_differences(before, unknown).rows == [
        ["waited for cores, %", "5", "–"],
        ["cores taken by others, %", "1", "–"],
    ]


def test_broken_rules_and_disturbances_of_either_run_are_named() -> None:
    planned = make_run_info(
        run_id="before", parameters={"trials": 4}, configurations=[{"name": name} for name in NAMES]
    )
    before, after = Run(planned, make("before", 60).groups), make("after", 60)
    trials = [*after.groups["single"]]
    trials[0] = replace(trials[0], restarts=1, replicas=[replace(trials[0].replicas[0], others_cpu_seconds=20.0)])
    after = Run(after.info, {**after.groups, "single": trials})

    cautions = list_cautions(before, after, compare_runs(before, after))

    assert cautions == [
        "before: rule broken by single, all-reduce-2w: every planned trial there.",
        "after: single disturbed: the machine was not equally fast in all trials.",
        "after: rule broken by single: no restart, no resumption.",
    ]


def test_the_rounds_of_two_runs_are_not_taken_for_the_same_ones() -> None:
    before, after = make("before", 60), make("after", 60, trials=2)

    ratio = compare_runs(before, after)["single"].train_seconds

    assert ratio is not None
    assert ratio.direction == 0
    assert ratio.low is not None


def test_single_trials_decide_nothing() -> None:
    changes = compare_runs(make("before", 60, trials=1), make("after", 30, trials=1))

    assert set(read_column(tabulate_changes(changes), "training time")) == {"not decided by a single trial"}


def test_an_accuracy_beyond_its_interval_is_told() -> None:
    changes = compare_runs(make("before", 60, n_correct=2970), make("after", 60, n_correct=2700))

    assert changes["single"].quality.value == pytest.approx(-0.09)
    assert set(read_column(tabulate_changes(changes), "accuracy")) == {"lower"}


def test_what_differs_between_the_runs_is_listed_and_nothing_else() -> None:
    before = make("before", 60)
    after = make("after", 60, learning_rate=0.1, host={"cpu_model": "Intel Xeon", "cores": 16})

    differences = {what: values for what, *values in list_run_differences(before, after).rows}

    assert differences["learning_rate"] == ["0.2", "0.1"]
    assert differences["cpu model"] == ["AMD EPYC", "Intel Xeon"]
    assert "cores" not in differences


@pytest.mark.parametrize("field", ["dataset_sha256", "model"])
def test_runs_of_other_data_or_models_are_refused(field: str) -> None:
    other: dict[str, Any] = {field: "other"}
    with pytest.raises(RecordError, match=f"only with the same {field}. Received: .* in before and other in after"):
        compare_runs(make("before", 60), make("after", 60, **other))


def test_runs_without_a_configuration_in_common_are_refused() -> None:
    with pytest.raises(RecordError, match=r"share a configuration\. Received: single in before and all-reduce-2w in"):
        compare_runs(make("before", 60, names=("single",)), make("after", 60, names=("all-reduce-2w",)))


def test_a_configuration_that_did_other_work_gets_no_ratio_but_a_line() -> None:
    before, after = make("before", 60), make("after", 30, epochs=1, images_seen=54912)
    changes = compare_runs(before, after)

    assert changes["single"].train_seconds is None
    assert set(read_column(tabulate_changes(changes), "training time")) == {"not comparable"}
    assert "single: not the same work, they differ in epochs, images_seen." in list_cautions(before, after, changes)


def test_what_is_in_one_run_only_and_what_was_contended_is_told() -> None:
    before, after = make("before", 60, contended=True), make("after", 60, names=("single",))

    cautions = list_cautions(before, after, compare_runs(before, after))

    assert "Only in before: all-reduce-2w." in cautions
    assert any(own.startswith("before: single, all-reduce-2w contended") for own in cautions)


def test_page_and_markdown_say_the_same() -> None:
    before, after = make("before", 60), make("after", 30, learning_rate=0.1)

    page, text = render_run_html(before, after), render_run_markdown(before, after)

    for said in (
        "2 trained faster in the second run than in the first",
        "0.50 (",
        "learning_rate",
        "Run before against run after",
    ):
        assert said in page
        assert said in text
    assert list_unclosed(page) == []
