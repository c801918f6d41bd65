"""The training's log in the format of MLPerf, which other tools read: `mllog.txt`, written by the chief.

It is not a submission: what names one (organisation, division) is left to whoever makes one. The package of the format,
mlperf-logging, is not asked for: a line is one `json.dumps`, and the package would add the place in the source to each.

Source: mlcommons/logging, `mlperf_logging/mllog/mllog.py` for a line, `constants.py` for the keys; `eval_target` is of
its forerunner mlperf_compliance.
"""

import json
import math
import time
from pathlib import Path
from typing import Any, Literal

from model.training import Task

EventType = Literal["INTERVAL_START", "INTERVAL_END", "POINT_IN_TIME"]
FILE = "mllog.txt"


def format_event(event_type: EventType, key: str, value: Any, time_ms: int, metadata: dict[str, Any]) -> str:
    """Returns the line of one event, which happened at `time_ms`, in milliseconds of Unix time."""
    event = {
        "namespace": "",
        "time_ms": time_ms,
        "event_type": event_type,
        "key": key,
        "value": value,
        "metadata": metadata,
    }
    return f":::MLLOG {json.dumps(event)}\n"


def describe_task(task: Task) -> dict[str, Any]:
    """Returns what is known before the first step, by key."""
    config = task.config
    return {
        "submission_benchmark": config.model,
        "seed": config.seed,
        "global_batch_size": config.global_batch_size,
        "train_samples": task.dataset.split("train").count,
        "eval_samples": task.dataset.split("validation").count,
        "eval_target": config.target_accuracy or None,
        "opt_name": "sgd",
        "opt_base_learning_rate": config.learning_rate,
        "opt_learning_rate_warmup_steps": math.ceil(task.total_steps * config.warmup_fraction),
        "opt_learning_rate_decay_schedule": "cosine",
        "opt_learning_rate_training_steps": task.total_steps,
        "opt_weight_decay": config.weight_decay,
    }


class TrainingLog:
    """Writes the events of a training as they come. The run stops with the evaluation that reaches the target.

    Args:
        path: The file, written anew; None for a replica that is not the chief, which writes nothing.
        target_accuracy: The validation accuracy that the run is for; 0: none, it ends with the last epoch.
    """

    def __init__(self, path: Path | None, target_accuracy: float) -> None:
        self._path, self._target = path, target_accuracy
        self._is_running = False
        if path is not None:
            path.write_text("", encoding="ascii")
        self._write("INTERVAL_START", "init_start")

    def start_run(self, task: Task, restored_step: int) -> None:
        """Ends the initialisation: from here on the clock runs."""
        for key, value in describe_task(task).items():
            metadata = {"momentum": task.config.momentum, "nesterov": True} if key == "opt_name" else {}
            self._write("POINT_IN_TIME", key, value, **metadata)
        self._write("POINT_IN_TIME", "init_checkpoint_step", restored_step)
        self._write("INTERVAL_END", "init_stop")
        self._write("INTERVAL_START", "run_start")
        self._is_running = True

    def start_epoch(self, epoch: int) -> None:
        """Begins an epoch, numbered from 1."""
        if self._is_running:
            self._write("INTERVAL_START", "epoch_start", epoch_num=epoch)

    def start_evaluation(self, epoch: int) -> None:
        """Ends an epoch's training and begins its evaluation."""
        if self._is_running:
            self._write("INTERVAL_END", "epoch_stop", epoch_num=epoch)
            self._write("INTERVAL_START", "eval_start", epoch_num=epoch)

    def stop_evaluation(self, epoch: int, accuracy: float) -> None:
        """Ends an epoch's evaluation and, if it has reached the target, the run."""
        if self._is_running:
            self._write("POINT_IN_TIME", "eval_accuracy", accuracy, epoch_num=epoch)
            self._write("INTERVAL_END", "eval_stop", epoch_num=epoch)
            if self._target and accuracy >= self._target:
                self._stop_run("success")

    def stop_training(self) -> None:
        """Ends a run that has not reached its target, or has none."""
        if self._is_running:
            self._stop_run("aborted" if self._target else "success")

    def _stop_run(self, status: str) -> None:
        self._write("INTERVAL_END", "run_stop", status=status)
        self._is_running = False

    def _write(self, event_type: EventType, key: str, value: Any = None, **metadata: Any) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="ascii") as file:
                file.write(format_event(event_type, key, value, time.time_ns() // 1_000_000, metadata))
