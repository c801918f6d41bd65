import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.dataset import PreparedDataset
from model.errors import TrainingDiverged
from model.training.clocks import Clock
from model.training.config import TrainingConfig
from model.training.loop import TrainingLoop, find_checkpoints
from model.training.record import begin
from model.training.role import Role
from model.training.state import Values
from model.training.task import OnStep, StepTiming, Task

ALONE = Role("single", "worker", 0, num_workers=1, num_ps=0)


class CountingTrainer:
    """Its weights count the steps; it is told to fail at one, and how many to make in a call."""

    def __init__(self, fails_at: int | None = None, steps_per_call: int = 1) -> None:
        self.fails_at, self.steps_per_call = fails_at, steps_per_call
        self.calls: list[tuple[int, int]] = []
        self.steps: list[int] = []
        self.values = Values(np.zeros(2, np.float32), np.zeros(2, np.float32), np.zeros(1, np.float32))

    def load(self, values: Values, step: int) -> int:
        self.values = values
        return step

    def compile(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def trace_steps(self) -> list[StepTiming]:
        parts = [{"input_seconds": 0.5}, {"input_seconds": 1.5}]
        return [StepTiming(0, (0.0,), 4.0, own) for own in parts] if self.steps_per_call > 1 else []

    def describe_computing(self) -> dict[str, Any]:
        return {"precision": "float32", "deterministic": True, "jit_compile": False, "gpus": 0}

    def time_exchange(self) -> dict[str, Any] | None:
        return None

    def train(self, start: int, stop: int, on_step: OnStep) -> None:
        for first in range(start, stop, self.steps_per_call):
            steps = range(first, min(first + self.steps_per_call, stop))
            if self.fails_at in steps:
                raise TrainingDiverged(f"at step {self.fails_at}")
            self.steps += steps
            self.values = self.values._replace(weights=self.values.weights + len(steps))
            parts = {"input_seconds": 0.25} if self.steps_per_call == 1 else {}
            self.calls.append((first, len(steps)))
            on_step(StepTiming(first, [float(step) for step in steps], 0.5 + len(steps), parts))

    def sum_scores(self) -> float:
        return 16

    def read_values(self) -> Values:
        return self.values

    def save_model(self, values: Values, path: Path) -> None:
        path.write_text(json.dumps(values.weights.tolist()))


def train(noise: PreparedDataset, output_dir: Path, trainer: CountingTrainer, clock: Clock, **settings: Any) -> None:
    config = TrainingConfig(global_batch_size=16, epochs=3, checkpoint_steps=3, **settings)
    begin(output_dir, ALONE)
    TrainingLoop(Task(config, noise), trainer, ALONE, output_dir, clock).run()


def test_it_ends_with_the_model_and_the_record_of_every_epoch(noise: PreparedDataset, tmp_path: Path) -> None:
    trainer = CountingTrainer()
    train(noise, tmp_path, trainer, Clock({"import_seconds": 2.0}))
    record = json.loads((tmp_path / "training.json").read_text())
    assert trainer.steps == list(range(12))
    assert json.loads((tmp_path / "model.keras").read_text()) == [12, 12]
    assert [(point["epoch"], point["step"], point["train_loss"]) for point in record["curve"]] == [
        (1, 4, 1.5),
        (2, 8, 5.5),
        (3, 12, 9.5),
    ]
    assert {point["validation_accuracy"] for point in record["curve"]} == {0.5}
    assert record["input_seconds"] == 3
    assert record["traced_steps"] is None
    assert record["step_seconds"]["first"] == 1.5
    assert record["import_seconds"] == 2
    assert record["startup_seconds"] > 2
    assert record["num_parameters"] == 2


def test_calls_of_several_steps_end_with_a_checkpoint_and_count_as_many(noise: PreparedDataset, tmp_path: Path) -> None:
    trainer = CountingTrainer(steps_per_call=2)
    train(noise, tmp_path, trainer, Clock())
    record = json.loads((tmp_path / "training.json").read_text())
    # Four steps an epoch, and a checkpoint after every third of the training.
    assert trainer.calls == [(0, 2), (2, 1), (3, 1), (4, 2), (6, 2), (8, 1), (9, 2), (11, 1)]
    assert trainer.steps == list(range(12))
    assert [point["train_loss"] for point in record["curve"]] == [1.5, 5.5, 9.5]
    assert record["steps"] == 12
    # Eight of the steps took 2.5 s in pairs, four 1.5 s each.
    assert record["step_seconds"] == {"first": 1.25, "p50": 1.25, "p90": 1.5, "p99": 1.5}


@pytest.mark.parametrize("before", [2, 1])  # a GPU may choose otherwise after a restart
def test_where_its_steps_do_not_tell_their_parts_the_traced_ones_stand_for_them(
    noise: PreparedDataset, tmp_path: Path, before: int
) -> None:
    with pytest.raises(TrainingDiverged):
        train(noise, tmp_path, CountingTrainer(fails_at=7, steps_per_call=before), Clock())
    train(noise, tmp_path, CountingTrainer(steps_per_call=2), Clock())
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["traced_steps"] == 2
    assert record["input_seconds"] == pytest.approx(record["train_seconds"] / 4)  # 0.5 and 1.5 of 4 s each
    assert record["mean_compute_seconds"] == pytest.approx(record["train_seconds"] * 3 / 4, abs=1e-5)
    clocks = record["replicas"][0]["clocks"]
    assert (clocks["input_seconds"], clocks["train_seconds"]) == (record["input_seconds"], record["train_seconds"])


def test_a_training_that_was_cut_off_goes_on_from_its_last_checkpoint(noise: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged):
        train(noise, tmp_path, CountingTrainer(fails_at=7), Clock({"import_seconds": 2.0}))
    again = CountingTrainer()
    train(noise, tmp_path, again, Clock({"import_seconds": 3.0}))
    record = json.loads((tmp_path / "training.json").read_text())
    assert again.steps == list(range(6, 12))
    assert json.loads((tmp_path / "model.keras").read_text()) == [12, 12]
    assert [point["train_loss"] for point in record["curve"]] == [1.5, 5.5, 9.5]
    assert record["input_seconds"] == 3
    assert record["import_seconds"] == 5  # those of every start add up
    assert record["replicas"][0]["restored_step"] == 6


@pytest.mark.parametrize(("settings", "sha256"), [({"seed": 1}, "a"), ({"epochs": 4}, "a"), ({}, "b")])
def test_another_training_never_takes_up_these_checkpoints(settings: dict[str, int], sha256: str) -> None:
    ours = find_checkpoints(Path("out"), TrainingConfig(), "a")

    assert find_checkpoints(Path("out"), TrainingConfig(**settings), sha256) != ours  # type: ignore[arg-type]
    assert find_checkpoints(Path("out"), TrainingConfig(), "a") == ours
