import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from model.data.dataset import PreparedDataset
from model.mllog import TrainingLog, format_event
from model.training.config import TrainingConfig
from model.training.task import Task

CONFIG = TrainingConfig(global_batch_size=16, epochs=3, target_accuracy=0.9, seed=7)


@pytest.fixture
def task(noise: PreparedDataset) -> Task:
    return Task(CONFIG, noise, cast("Any", None))


def read_events(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines()
    assert all(re.fullmatch(r":::MLLOG \{.*\}", line) for line in lines)
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]


def train(log: TrainingLog, task: Task, *accuracies: float) -> None:
    log.start_run(task, restored_step=0)
    for epoch, accuracy in enumerate(accuracies, start=1):
        log.start_epoch(epoch)
        log.start_evaluation(epoch)
        log.stop_evaluation(epoch, accuracy)
    log.stop_training()


def list_keys(path: Path) -> list[str]:
    return [event["key"] for event in read_events(path)]


def test_an_event_is_one_line_with_the_keys_of_the_format_in_their_order() -> None:
    line = format_event("POINT_IN_TIME", "eval_accuracy", 0.5, 1_700_000_000_000, {"epoch_num": 1})
    assert line == (
        ':::MLLOG {"namespace": "", "time_ms": 1700000000000, "event_type": "POINT_IN_TIME", '
        '"key": "eval_accuracy", "value": 0.5, "metadata": {"epoch_num": 1}}\n'
    )


def test_the_run_stops_with_the_evaluation_that_reaches_the_target(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mllog.txt"
    train(TrainingLog(path, 0.9), task, 0.5, 0.9, 0.95)
    events = read_events(path)
    keys = [event["key"] for event in events]
    epoch = ["epoch_start", "epoch_stop", "eval_start", "eval_accuracy", "eval_stop"]
    assert keys[0] == "init_start"
    assert keys[keys.index("init_stop") :] == ["init_stop", "run_start", *epoch, *epoch, "run_stop"]
    assert events[-1]["metadata"] == {"status": "success"}
    assert [event["value"] for event in events if event["key"] == "eval_accuracy"] == [0.5, 0.9]
    assert [event["metadata"]["epoch_num"] for event in events if event["key"] in epoch] == [1] * 5 + [2] * 5


def test_times_never_go_back_and_intervals_begin_and_end(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mllog.txt"
    train(TrainingLog(path, 0.9), task, 0.5, 0.9)
    events = read_events(path)
    times = [event["time_ms"] for event in events]
    assert times == sorted(times)
    for event in events:
        kind = {"start": "INTERVAL_START", "stop": "INTERVAL_END"}.get(event["key"].rpartition("_")[2], "POINT_IN_TIME")
        assert event["event_type"] == kind


@pytest.mark.parametrize(("target", "status"), [(0.9, "aborted"), (0.0, "success")])
def test_a_run_that_never_reaches_its_target_is_aborted_and_one_without_is_not(
    task: Task, tmp_path: Path, target: float, status: str
) -> None:
    path = tmp_path / "mllog.txt"
    train(TrainingLog(path, target), task, 0.5, 0.6)
    assert read_events(path)[-1]["metadata"] == {"status": status}
    assert list_keys(path).count("run_stop") == 1


def test_the_log_says_what_is_trained_before_the_run_starts(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mllog.txt"
    train(TrainingLog(path, 0.9), task, 0.9)
    events = read_events(path)
    before = {event["key"]: event["value"] for event in events[: list_keys(path).index("run_start")]}
    expected = {
        "submission_benchmark": "resnet8",
        "seed": 7,
        "global_batch_size": 16,
        "train_samples": 64,
        "eval_samples": 32,
        "eval_target": 0.9,
        "opt_name": "sgd",
        "opt_base_learning_rate": 0.2,
        "opt_learning_rate_warmup_steps": 2,
        "opt_learning_rate_training_steps": 12,
        "opt_weight_decay": 5e-4,
        "init_checkpoint_step": 0,
    }
    assert {key: before[key] for key in expected} == expected


def test_another_start_begins_the_log_anew(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mllog.txt"
    train(TrainingLog(path, 0.9), task, 0.9)
    TrainingLog(path, 0.9)
    assert list_keys(path) == ["init_start"]


def test_only_the_chief_writes(task: Task, tmp_path: Path) -> None:
    train(TrainingLog(None, 0.9), task, 0.9)
    assert not list(tmp_path.iterdir())
