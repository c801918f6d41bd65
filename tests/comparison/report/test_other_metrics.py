# The report of models that are judged by another metric than accuracy, on data that are no images.
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit import Status
from comparison.groups import group_trials
from comparison.records import RecordError, TrialRecord
from comparison.report.analysis import Analysis, analyze
from comparison.report.html import render_report
from comparison.report.markdown import render_markdown
from comparison.report.plots import find_crossing, plot_accuracy
from comparison.report.run_comparison import Run, compare_runs, render_run_html, render_run_markdown
from comparison.report.time_to_accuracy import describe_targets, name_target
from comparison.report.verdict import Kind
from comparison.summary import COLUMNS, METRIC_COLUMNS
from comparison.table import to_csv
from comparison.texts import LANGUAGES, speak
from tests.comparison.metric_factory import (
    AUC,
    ERROR,
    make_metric_plan,
    make_metric_record,
    make_metric_run,
)
from tests.comparison.record_factory import make_record, make_run_info

SINGLE = [0.520, 0.531, 0.526]
ALIKE = [0.523, 0.529, 0.527]
MORE = [0.581, 0.593, 0.588]
LESS = [0.460, 0.472, 0.466]


def analyze_values(values: Mapping[str, Sequence[float]], metric: Mapping[str, Any] = ERROR) -> Analysis:
    records = make_metric_run(values, metric)
    return analyze(records, make_metric_plan(records))


def analyze_pair(own: Sequence[float], metric: Mapping[str, Any] = ERROR) -> Analysis:
    return analyze_values({"single": SINGLE, "all-reduce-2w": own}, metric)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    records = make_metric_run({"single": SINGLE, "all-reduce-2w": ALIKE, "parameter-server-2w-1ps": MORE}, target=0.55)
    return analyze(records, make_metric_plan(records, target_metric=0.55))


@pytest.mark.parametrize(("metric", "worse", "better"), [(ERROR, MORE, LESS), (AUC, LESS, MORE)])
def test_worse_models_win_nothing_and_better_ones_do_in_either_direction(
    metric: Mapping[str, Any], worse: Sequence[float], better: Sequence[float]
) -> None:
    lost, won = (analyze_pair(own, metric) for own in (worse, better))

    assert lost.answers["strong"].kind == Kind.NO_ANSWER
    assert "its models are worse than the single node's" in lost.verdict
    assert lost.marks.worse == ["all-reduce-2w"]
    assert lost.answers["strong"].fastest == ()
    assert any("all-reduce-2w: its models are worse" in own for own in lost.warnings)
    assert won.answers["strong"].kind == Kind.PAYS_OFF
    assert "with better models" in won.verdict
    assert won.marks.worse == []


@pytest.mark.parametrize("own", [ALIKE, MORE, LESS, [0.5, 0.6, 0.52]])
def test_a_score_says_what_the_same_error_says(own: Sequence[float]) -> None:
    """An error e and the score 1 - e are one thing, so that nothing but words may differ."""
    error = analyze_pair(own)
    score = analyze_values(
        {"single": [1 - e for e in SINGLE], "all-reduce-2w": [1 - e for e in own]}, {**ERROR, "higher_is_better": True}
    )

    assert error.answers["strong"].kind == score.answers["strong"].kind
    assert error.marks == score.marks
    assert error.answers["strong"].fastest == score.answers["strong"].fastest


def test_the_answer_names_the_metric_and_how_far_it_may_be_off() -> None:
    verdict = analyze_pair(ALIKE).verdict

    assert "with models that are not told apart (mean absolute error 0.5263 against 0.5257, ± 0.0063)" in verdict
    assert "accura" not in verdict


def test_models_that_two_trials_cannot_tell_apart_are_not_called_equal() -> None:
    found = analyze_values({"single": [0.50, 0.51], "all-reduce-2w": [0.505, 0.53]})

    assert found.answers["strong"].kind == Kind.PAYS_OFF
    assert "leave open whether the mean absolute error of its models is worse by up to 0.11" in found.verdict
    assert (
        "all-reduce-2w: for all that 2 trials tell, its mean absolute error may be worse than the single node's by "
        "up to 0.11."
    ) in found.warnings
    assert not [own for own in analyze_pair(ALIKE).warnings if "may be worse" in own]


@pytest.mark.parametrize(
    ("metric", "single", "own"),
    [
        # Each round is worse by a fifth, and one seed makes all errors large.
        (ERROR, [0.5, 0.5, 5.0], [0.6, 0.6, 6.0]),
        # Every distributed training went astray, by amounts that differ more than all else.
        (ERROR, [0.5, 0.51, 0.52], [1e6, 1e6, 2e6]),
        (AUC, [0.91, 0.95, 0.93], [0.90, 0.91, 0.55]),
    ],
)
def test_a_scatter_that_hides_worse_models_makes_no_answer(
    metric: Mapping[str, Any], single: Sequence[float], own: Sequence[float]
) -> None:
    found = analyze_values({"single": single, "all-reduce-2w": own}, metric)

    assert found.answers["strong"].kind == Kind.NO_ANSWER
    assert "its models may be worse than the single node's" in found.verdict
    assert found.marks.worse == ["all-reduce-2w"]
    assert json.loads(found.recommendation())["next_step"] == "tfjob-speedup run --trials 6"
    # The other way round nothing is hidden that a reader must fear.
    assert analyze_values({"single": own, "all-reduce-2w": single}, metric).marks.worse == []


def test_of_a_single_trial_the_answer_says_that_it_tells_nothing_of_the_models() -> None:
    found = analyze_values({"single": [0.5], "all-reduce-2w": [5.0]})

    assert (
        "with models that a single trial cannot tell apart (mean absolute error 5.000 against 0.5000)" in found.verdict
    )
    assert "all-reduce-2w: 1 trial cannot tell whether its mean absolute error is worse than the single node's." in (
        found.warnings
    )


def test_the_same_weights_are_told_with_their_metric() -> None:
    records = [
        make_metric_record(name, trial, 0.5 + trial / 100, weights_sha256=f"{trial}")
        for name in ("single", "all-reduce-2w")
        for trial in (1, 2)
    ]

    assert "with the same weights, bit for bit (mean absolute error 0.5150)" in (
        analyze(records, make_metric_plan(records)).verdict
    )


def test_the_table_and_the_file_have_the_metric_in_place_of_accuracy(analysis: Analysis) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(analysis.rows))))
    shown = analysis.terminal_table()

    assert tuple(lines[0]) == (*COLUMNS, *METRIC_COLUMNS)
    assert [line["metric_value"] for line in lines] == ["0.525667", "0.526333", "0.587333"]
    assert {line["metric_name"] for line in lines} == {"mean_absolute_error"}
    assert {line["metric_higher_is_better"] for line in lines} == {"False"}
    assert {line["test_accuracy"] for line in lines} == {""}
    assert float(lines[0]["metric_sd"]) == pytest.approx(0.00550757)
    assert "mean absolute error ↓" in shown.splitlines()[0]
    assert "0.5257 ± 0.0137" in shown
    assert "↓ lower is better." in shown
    assert "¶ models worse than the single node's by their mean absolute error" in shown


def test_an_arrow_says_that_more_of_a_score_is_better() -> None:
    shown = analyze_pair(ALIKE, AUC).terminal_table()

    assert "auc ↑" in shown.splitlines()[0]
    assert "↑ higher is better." in shown


def test_programs_get_the_metric_by_name(analysis: Analysis) -> None:
    answer = json.loads(analysis.recommendation())

    assert answer["test_accuracy"] is None
    assert answer["metric"] == {
        "name": "mean_absolute_error",
        "higher_is_better": False,
        "value": pytest.approx(0.526333, rel=1e-5),
        "baseline": pytest.approx(0.525667, rel=1e-5),
        "margin": pytest.approx(0.00625, rel=1e-3),
    }
    assert analysis.metrics["test_mean_absolute_error_all_reduce_2w"] == pytest.approx(0.526333, rel=1e-5)
    assert not [name for name in analysis.metrics if "accuracy" in name]
    single = json.loads(analyze_values({"single": [0.5], "all-reduce-2w": [5.0]}).recommendation())
    assert single["metric"]["margin"] is None


def test_an_accuracy_is_told_to_programs_as_before() -> None:
    answer = json.loads(analyze([make_record(), make_record("all-reduce-2w")], make_run_info()).recommendation())

    assert not {"metric", "test_accuracy"} & answer.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_speaks_of_accuracy_or_images(analysis: Analysis, language: str) -> None:
    with speak(language):
        again = analyze(analysis.trials, analysis.run_info)
        page, short = render_report(again), render_markdown(again)
    # The records, the parameters and what a container runs keep their names.
    told = re.sub(r"<pre.*?</pre>|<dt>target_accuracy</dt>|<style.*?</style>|<svg", "", page, flags=re.DOTALL)
    told = re.sub(r"image pull|pull_seconds|same image|<dt>image</dt>|image\)|拉取镜像|镜像相同|镜像", "", told)

    for text in (told, short):
        assert not re.findall(r".{30}(?:[Aa]ccura|[Ii]mages?\b|准确率|图像).{30}", text)
    assert ("What the models confuse" if language == "en" else "模型混淆") not in page


def test_the_plot_is_in_the_metrics_own_unit_and_names_the_better_direction(analysis: Analysis) -> None:
    with analysis.speak():
        svg = plot_accuracy(analysis.groups)

    assert "validation mean absolute error ↓" in svg
    assert ">target 0.55<" in svg
    assert "Validation mean absolute error against training time of single: 0.5357 after 60.6 s" in svg
    assert find_crossing(analysis.groups["single"]) == pytest.approx((60.6, 0.55))
    assert find_crossing(analysis.groups["parameter-server-2w-1ps"]) is None


def test_the_time_to_a_target_is_that_of_the_first_epoch_as_good(analysis: Analysis) -> None:
    (half,) = describe_targets(analysis.groups)

    assert name_target(analysis.trials) == "0.55"
    assert [row[:3] for row in half["rows"]] == [
        ["single", "3 of 3", "2"],
        ["all-reduce-2w", "3 of 3", "2"],
        ["parameter-server-2w-1ps", "0 of 3", "–"],
    ]
    assert "validation mean absolute error (↓ is better) is as good as the target, 0.55, which" in render_report(
        analysis
    )


def test_a_target_that_one_way_of_distributing_misses_makes_it_worse() -> None:
    records = make_metric_run({"single": [0.5, 0.7, 0.5], "all-reduce-2w": [0.56, 0.66, 0.62]}, target=0.55)
    found = analyze(records, make_metric_plan(records, target_metric=0.55))

    assert found.marks.worse == ["all-reduce-2w"]
    assert "none of its models reaches the target mean absolute error, which the single node's do" in found.verdict


def test_a_target_accuracy_is_no_target_of_another_metric() -> None:
    found = analyze_pair(ALIKE)

    assert describe_targets(found.groups) == []
    assert any(own.startswith("There is no time to a target") for own in found.notes)
    assert not [own for own in found.findings if own.status is Status.VIOLATED]


def test_a_target_that_was_not_planned_is_a_broken_rule() -> None:
    records = make_metric_run({"single": SINGLE, "all-reduce-2w": ALIKE}, target=0.55)
    rules = {own.rule: own for own in analyze(records, make_metric_plan(records)).findings}

    assert rules["target as it was planned"].status is Status.VIOLATED


def test_what_a_metric_does_not_say_of_the_test_examples_is_not_known(analysis: Analysis) -> None:
    rules = {own.rule: own for own in analysis.findings}

    assert rules["same test images"].status is Status.UNKNOWN
    assert {name for name, own in rules.items() if own.status is Status.UNKNOWN} == {"same test images"}


def test_a_metric_of_other_numbers_of_examples_breaks_a_rule() -> None:
    records = make_metric_run({"single": SINGLE, "all-reduce-2w": ALIKE}, AUC)
    counted = [
        replace(own, metric=replace(own.quality, num_examples=100 if own.configuration == "single" else 90))
        for own in records
    ]
    rules = {own.rule: own for own in analyze(counted, make_metric_plan(counted)).findings}

    assert rules["same test images"].status is Status.VIOLATED
    assert "90 examples, where single has 100 examples" in rules["same test images"].sentence


def test_a_time_to_a_target_that_the_curve_does_not_have_is_a_contradiction() -> None:
    records = make_metric_run({"single": SINGLE, "all-reduce-2w": ALIKE}, target=0.55)
    early = [replace(own, seconds_to_target=0.5 * own.train_seconds) for own in records]
    sentences = {own.rule: own for own in analyze(early, make_metric_plan(early, target_metric=0.55)).findings}

    assert sentences["counts and clocks add up"].status is Status.VIOLATED
    assert "the target was reached after 30.3 s" in sentences["counts and clocks add up"].sentence


def test_models_that_all_give_one_answer_are_told() -> None:
    warnings = analyze_values({"single": [0.5, 0.5], "all-reduce-2w": [0.5, 0.5]}).warnings

    assert (
        "All models have the very same mean absolute error, though their weights differ: they seem to give one answer."
        in warnings
    )
    assert not [own for own in analyze_pair(ALIKE).warnings if "very same" in own]


@pytest.mark.parametrize("metric", [ERROR, AUC])
def test_models_that_do_not_improve_are_told(metric: Mapping[str, Any]) -> None:
    def turn(record: TrialRecord) -> TrialRecord:
        values = [point.value for point in record.curve]
        curve = [
            replace(own, validation_metric=value) for own, value in zip(record.curve, reversed(values), strict=True)
        ]
        return replace(record, curve=curve)

    records = make_metric_run({"single": SINGLE, "all-reduce-2w": ALIKE}, metric)
    idle = [turn(own) if own.configuration == "all-reduce-2w" else own for own in records]
    found = [own for own in analyze(idle, make_metric_plan(idle)).warnings if "no better at the end" in own]

    assert [own.partition(":")[0] for own in found] == ["all-reduce-2w"]


def test_two_runs_are_compared_by_their_metric() -> None:
    before, after = (make_metric_run({"single": own}) for own in (SINGLE, MORE))
    later = [replace(own, started_at=own.started_at + 1e6, run_id="run-2") for own in after]
    runs = [Run(make_metric_plan(own), group_trials(own)) for own in (before, later)]

    shown, page = render_run_markdown(runs[0], runs[1]), render_run_html(runs[0], runs[1])

    assert compare_runs(runs[0], runs[1])["single"].quality.direction == -1
    assert "| mean absolute error, after − before" in shown
    assert re.search(r"\+0\.06167 ± 0\.01\d* +\| +worse", shown)
    assert "mean absolute error: differences of means, ↓ is better." in shown
    assert "examples/s, after ÷ before" in shown
    assert not re.findall("[Aa]ccurac", shown + re.sub(r"target_accuracy", "", page))


def test_two_runs_with_different_metrics_are_not_compared() -> None:
    before, after = make_metric_run({"single": SINGLE}), make_metric_run({"single": SINGLE}, AUC)
    later = [replace(own, started_at=own.started_at + 1e6, run_id="run-2") for own in after]
    runs = [Run(make_metric_plan(own), group_trials(own)) for own in (before, later)]

    with pytest.raises(
        RecordError, match=r"only with the same metric. Received: mean_absolute_error, lower is better in"
    ):
        compare_runs(runs[0], runs[1])


def test_weak_scaling_processes_examples() -> None:
    assert "processed examples 1." in analyze_values({"single": SINGLE, "all-reduce-2w-weak": ALIKE}).verdict
