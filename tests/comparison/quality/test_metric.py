import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from comparison.groups import group_trials
from comparison.quality import CurvePoint, MetricValue
from comparison.records import RecordError, TrialRecord, assemble_record, format_records, parse_record
from tests.comparison.metric_factory import AUC, ERROR, make_metric_parts, make_metric_record, set_target
from tests.comparison.record_factory import make_parts, make_record

Parts = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def test_a_trial_without_counted_answers_has_the_metric_that_was_measured() -> None:
    record = make_metric_record("all-reduce-2w", 1, 0.52)

    assert record.quality == MetricValue("mean_absolute_error", 0.52, higher_is_better=False)
    assert (record.test_n_correct, record.test_n_examples, record.num_wrong, record.confusion) == (None,) * 4
    assert (record.is_accuracy, record.loss_name, record.example_shape) == (False, "mean_squared_error", [8])
    assert [point.value for point in record.curve] == pytest.approx([0.82, 0.53])


def test_counted_answers_are_an_accuracy_whether_or_not_a_record_names_it() -> None:
    training, launch, evaluation = make_parts(n_correct=2970)
    older = assemble_record(training, launch, evaluation)
    metric = {"name": "accuracy", "value": 0.99, "higher_is_better": True, "num_examples": 3000}
    for point in training["curve"]:
        point["validation_metric"] = point["validation_accuracy"]
    named = {"metric_name": "accuracy", "metric_higher_is_better": True, "example_shape": [28, 28, 1]}
    newer = assemble_record({**training, **named}, launch, {**evaluation, "metric": metric})

    assert older.quality == newer.quality == MetricValue("accuracy", 0.99, higher_is_better=True, num_examples=3000)
    assert [point.value for point in older.curve] == [point.value for point in newer.curve]
    assert (older.has_images, newer.has_images) == (True, True)
    assert group_trials([older, replace(newer, trial=1)]).keys() == {"single"}


@pytest.mark.parametrize(
    "record", [make_record(), make_metric_record("single", 1, 0.52), make_metric_record("single", 1, 0.9, AUC)]
)
def test_a_record_is_read_as_it_was_written(record: TrialRecord) -> None:
    assert parse_record(json.loads(format_records([record]))) == record


def test_a_record_of_an_older_version_is_read() -> None:
    values = json.loads(format_records([make_record()]))
    for name in ("metric", "loss_name", "metric_name", "metric_higher_is_better", "target_metric", "example_shape"):
        del values[name]
    for point in values["curve"]:
        del point["validation_metric"]

    assert parse_record(values) == make_record()


@pytest.mark.parametrize(
    ("metric", "target", "epoch"),
    [
        # The curves come near 0.6 from 0.9 and from 0.3: what is beyond the target on the wrong side does not reach it.
        (ERROR, 0.65, 2),
        (ERROR, 0.95, 1),
        (ERROR, 0.5, None),
        (AUC, 0.55, 2),
        (AUC, 0.2, 1),
        (AUC, 0.7, None),
    ],
)
def test_a_target_is_reached_from_the_worse_side(metric: dict[str, Any], target: float, epoch: int | None) -> None:
    record = set_target(make_metric_record("single", 1, 0.6, metric), target)

    assert (record.reached.epoch if record.reached else None) == epoch
    assert (record.seconds_to_target is None) == (epoch is None)


@pytest.mark.parametrize(
    ("shape", "has_images"), [(None, True), ([28, 28, 1], True), ([8], False), ({"a": [8]}, False), ([9, 2], False)]
)
def test_what_has_height_width_and_channels_is_an_image(shape: Any, has_images: bool) -> None:
    assert make_record(example_shape=shape).has_images is has_images


def change_evaluation(**changes: Any) -> Callable[[Parts], None]:
    return lambda parts: parts[2].update(changes)


def change_metric(**changes: Any) -> Callable[[Parts], None]:
    return lambda parts: parts[2]["metric"].update(changes)


def leave_out_metrics_of_the_curve(parts: Parts) -> None:
    for point in parts[0]["curve"]:
        del point["validation_metric"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_metric(name="loss"), "same metric, in the same direction. Received: 'mean_absolute_error' and 'loss'"),
        (change_metric(higher_is_better=True), "same metric, in the same direction. Received: False and True"),
        (change_metric(name=" "), "must have a name"),
        (change_metric(value=float("nan")), "value must be float. Received: nan"),
        (change_metric(value=1.5, num_examples=10), "a share of them, from 0 to 1"),
        (change_metric(num_examples=0), "a share of them"),
        (change_evaluation(metric=None), "lacks 'n_correct'"),
        (change_evaluation(n_correct=5), "lacks 'n_examples'"),
        (change_evaluation(n_correct=5, n_examples=None), "belong together. Received: 5, None"),
        (change_evaluation(n_correct=None, n_examples=0), "belong together. Received: None, 0"),
        (change_evaluation(n_correct=52, n_examples=100), "the metric of counted answers is the share of right ones"),
        (leave_out_metrics_of_the_curve, "epoch 1 of a curve must have validation_metric or validation_accuracy"),
    ],
)
def test_a_trial_that_says_two_things_of_its_metric_or_nothing_is_refused(
    change: Callable[[Parts], None], message: str
) -> None:
    parts = make_metric_parts("single", 1, 0.52, ERROR)
    change(parts)

    with pytest.raises(RecordError, match=message):
        assemble_record(*parts)


def test_a_point_with_two_metrics_is_refused() -> None:
    CurvePoint(1, 10, 2.0, 0.5, validation_accuracy=0.9, validation_metric=0.9).check()

    with pytest.raises(ValueError, match=r"must have one metric. Received: validation_metric 0.8 and"):
        CurvePoint(1, 10, 2.0, 0.5, validation_accuracy=0.9, validation_metric=0.8).check()


def test_trials_judged_by_different_metrics_are_not_compared() -> None:
    error, auc = make_metric_record("single", 1, 0.52), make_metric_record("all-reduce-2w", 1, 0.52, AUC)
    flipped = replace(error, trial=2, metric=MetricValue("mean_absolute_error", 0.52, higher_is_better=True))
    named_alike = replace(error, trial=2, metric=MetricValue("accuracy", 0.9, higher_is_better=True))
    counted = make_record()

    for others, received in (
        ([error, auc], r"auc, higher is better \(all-reduce-2w\)"),
        ([error, flipped], "mean_absolute_error, higher is better"),
        ([named_alike, counted], "accuracy, higher is better, of counted answers"),
    ):
        with pytest.raises(RecordError, match=f"must have the same metric. Received: .*{received}"):
            group_trials(others)


def test_trials_trained_with_different_losses_are_not_compared() -> None:
    with pytest.raises(RecordError, match=r"must have the same loss. Received: mean_squared_error \(single\), huber"):
        group_trials(
            [make_metric_record("single", 1, 0.5), make_metric_record("all-reduce-2w", 1, 0.5, loss_name="huber")]
        )
