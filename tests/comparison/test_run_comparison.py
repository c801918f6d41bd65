from typing import Any

import pytest

from comparison.records import RecordError, TrialRecord
from comparison.run_comparison import (
    Run,
    compare_runs,
    list_cautions,
    list_run_differences,
    render_html,
    render_markdown,
    state_changes,
    tabulate_changes,
)
from comparison.summary import group_trials
from tests.comparison.html_parser import list_unclosed
from tests.comparison.record_factory import make_record, make_run_info

NAMES = ("single", "all-reduce-2w")


def make(run_id: str, seconds: float, trials: int = 3, names: tuple[str, ...] = NAMES, **changes: Any) -> Run:
    parameters = {"learning_rate": changes.get("learning_rate", 0.2)}
    records: list[TrialRecord] = [
        make_record(name, trial, seconds * (1 + 0.01 * trial), run_id=run_id, **changes)
        for name in names
        for trial in range(trials)
    ]
    return Run(make_run_info(run_id=run_id, parameters=parameters), group_trials(records))


def test_a_run_that_takes_half_the_time_is_told_from_the_one_before() -> None:
    change = compare_runs(make("before", 60), make("after", 30))["single"]

    assert change.train_seconds is not None
    assert change.images_per_second is not None
    assert change.train_seconds.value == pytest.approx(0.5)
    assert change.train_seconds.direction == -1
    assert change.images_per_second.value == pytest.approx(2)
    assert change.images_per_second.direction == 1


def test_a_run_against_itself_differs_in_nothing() -> None:
    run = make("one", 60)

    for change in compare_runs(run, run).values():
        assert change.train_seconds is not None
        assert change.train_seconds.value == 1
        assert change.train_seconds.direction == 0
        assert change.accuracy_difference == 0
    assert list_run_differences(run, run).empty
    assert "0 trained faster than before, 0 slower, 2 cannot be told apart" in state_changes(compare_runs(run, run))


def test_the_rounds_of_two_runs_are_not_taken_for_the_same_ones() -> None:
    before, after = make("before", 60), make("after", 60, trials=2)

    ratio = compare_runs(before, after)["single"].train_seconds

    assert ratio is not None
    assert ratio.direction == 0
    assert ratio.low is not None


def test_single_trials_decide_nothing() -> None:
    changes = compare_runs(make("before", 60, trials=1), make("after", 30, trials=1))

    assert set(tabulate_changes(changes)["training time"]) == {"not decided by a single trial"}


def test_an_accuracy_beyond_its_interval_is_told() -> None:
    changes = compare_runs(make("before", 60, n_correct=2970), make("after", 60, n_correct=2700))

    assert changes["single"].accuracy_difference == pytest.approx(-0.09)
    assert set(tabulate_changes(changes)["accuracy"]) == {"lower"}


def test_what_differs_between_the_runs_is_listed_and_nothing_else() -> None:
    before = make("before", 60)
    after = make("after", 60, learning_rate=0.1, host={"cpu_model": "Intel Xeon", "cores": 2})

    differences = {what: values for what, *values in list_run_differences(before, after).to_dict("split")["data"]}

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
    assert set(tabulate_changes(changes)["training time"]) == {"not comparable"}
    assert "single: not the same work, they differ in epochs, images_seen." in list_cautions(before, after, changes)


def test_what_is_in_one_run_only_and_what_was_contended_is_told() -> None:
    before, after = make("before", 60, contended=True), make("after", 60, names=("single",))

    cautions = list_cautions(before, after, compare_runs(before, after))

    assert "Only in before: all-reduce-2w." in cautions
    assert any(own.startswith("before: single, all-reduce-2w contended") for own in cautions)


def test_page_and_markdown_say_the_same() -> None:
    before, after = make("before", 60), make("after", 30, learning_rate=0.1)

    page, text = render_html(before, after), render_markdown(before, after)

    for said in ("2 trained faster than before", "0.50 (", "learning_rate", "Run before against run after"):
        assert said in page
        assert said in text
    assert list_unclosed(page) == []
