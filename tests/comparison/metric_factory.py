from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from comparison.records import RunInfo, TrialRecord, assemble_record
from tests.comparison.record_factory import PLANNED, make_parts, make_run_info

ERROR = {"name": "mean_absolute_error", "higher_is_better": False}
AUC = {"name": "auc", "higher_is_better": True}
SECONDS = {"single": 60.0, "all-reduce-2w": 36.0, "parameter-server-2w-1ps": 45.0, "all-reduce-2w-weak": 33.0}
COUNTS = ("n_correct", "n_examples", "confusion_matrix")


def make_metric_parts(
    configuration: str, trial: int, value: float, metric: Mapping[str, Any], shape: Sequence[int] = (8,)
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Returns the three files of a trial of a model that is judged by a metric, whose curve comes near to it."""
    training, launch, evaluation = make_parts(configuration, trial, SECONDS[configuration] * (1 + 0.01 * (trial % 3)))
    end = -1 if metric["higher_is_better"] else 1
    for point, distance in zip(training["curve"], (0.3, 0.01), strict=True):
        del point["validation_accuracy"]
        point["validation_metric"] = value + end * distance
    named = {f"metric_{key}": own for key, own in metric.items()}
    loss = {"loss_name": "mean_squared_error", "target_accuracy": None, "seconds_to_target": None}
    weights = f"{configuration}{trial}"
    own = {"model": "table", "dataset": "houses", "example_shape": [*shape], "weights_sha256": weights}
    training |= {**named, **loss, **own}
    for replica in training["replicas"]:
        replica["weights_sha256"] = weights
    evaluation = {key: kept for key, kept in evaluation.items() if key not in COUNTS}
    evaluation |= {"weights_sha256": weights, "metric": {**metric, "value": value, "num_examples": None}}
    return training, launch, evaluation


def make_metric_record(
    configuration: str, trial: int, value: float, metric: Mapping[str, Any] = ERROR, **changes: Any
) -> TrialRecord:
    """Returns the record of one trial that is judged by a metric; `changes` replace fields."""
    return replace(assemble_record(*make_metric_parts(configuration, trial, value, metric)), **changes)


def set_target(record: TrialRecord, target: float) -> TrialRecord:
    """Returns the record of a training with that target, reached where its curve says so."""
    own = replace(record, target_metric=target)
    return replace(own, seconds_to_target=own.reached.train_seconds if own.reached else None)


def make_metric_run(
    values: Mapping[str, Sequence[float]], metric: Mapping[str, Any] = ERROR, target: float | None = None
) -> list[TrialRecord]:
    """Returns a trial for each value of each configuration."""
    records = [
        make_metric_record(name, trial, value, metric)
        for name, own in values.items()
        for trial, value in enumerate(own, start=1)
    ]
    return records if target is None else [set_target(record, target) for record in records]


def make_metric_plan(records: Sequence[TrialRecord], **parameters: Any) -> RunInfo:
    """Returns the plan that led to these trials."""
    first = {record.configuration: record for record in reversed(records)}
    return make_run_info(
        parameters={
            "dataset": "houses",
            "workers": [2],
            "trials": max(record.trial for record in records),
            "seed": 1,
            "target_accuracy": 0.98,
            **parameters,
        },
        configurations=[
            {"name": name, "training": {field: getattr(own, field) for field in PLANNED}}
            for name, own in reversed(first.items())
        ],
    )
