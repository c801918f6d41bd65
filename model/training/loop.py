"""The training loop: from the newest checkpoint, or the start, to the trained model and its record."""

import functools
import hashlib
import math
import statistics
import time
from pathlib import Path
from typing import Any

from model.errors import TrainingDiverged
from model.files import write_json
from model.training.clocks import Clock
from model.training.config import TrainingConfig
from model.training.disturbance import Disturbance
from model.training.gpu import GpuWatch, find_gpu
from model.training.record import StepParts, describe_training, finish, write_replica_record
from model.training.role import Role
from model.training.signs import Signs
from model.training.state import CurvePoint, State, load_newest_checkpoint, save_checkpoint
from model.training.task import StepTiming, Task, Trainer

PROGRESS_SECONDS = 2.0

say = functools.partial(print, flush=True)


def identify(config: TrainingConfig, dataset_sha256: str) -> str:
    """Returns what a training with other settings or data does not have."""
    return hashlib.sha256(f"{config} {dataset_sha256}".encode()).hexdigest()[:12]


def find_checkpoints(output_dir: Path, config: TrainingConfig, dataset_sha256: str) -> Path:
    """Returns the folder of this training's checkpoints, which one with other settings or data never looks into."""
    return output_dir / "checkpoints" / identify(config, dataset_sha256)


class TrainingLoop:
    """One replica's way through a training.

    Args:
        task: What is trained.
        trainer: This replica's, once all replicas have met.
        role: This replica's.
        output_dir: The training's folder, which all replicas share.
        clock: What this process has spent so far.
        signs: Tell the launcher where this replica is.
    """

    def __init__(
        self, task: Task, trainer: Trainer, role: Role, output_dir: Path, clock: Clock, *, signs: Signs | None = None
    ) -> None:
        self._task, self._trainer, self._role, self._output_dir, self._clock = task, trainer, role, output_dir, clock
        self._checkpoints = find_checkpoints(output_dir, task.config, task.dataset.sha256)
        self._steps, self._disturbance, self._gpu = StepParts(), Disturbance(), GpuWatch(find_gpu())
        self._signs = signs or Signs(None, role)
        self._collective: dict[str, Any] | None = None
        # Of the workers of a parameter-server training the chief hears one after another, and they work side by side.
        self._sharers = role.num_workers if role.strategy == "parameter_server" else 1
        with clock.measure("build_seconds"):
            initial = trainer.read_values()
            self._initial_sha256 = initial.sha256
            self._state = load_newest_checkpoint(self._checkpoints, say) or State(0, initial)
        for name, seconds in self._state.clocks.items():  # start-up and compilation of every start add up
            clock.add(name, seconds)
        self._state.clocks = clock.seconds  # the clock itself: what it adds from now on is in the state

    def run(self) -> None:
        """Trains to the last step; the chief leaves the model and `training.json`.

        Raises:
            TrainingDiverged: The loss is no longer finite.
        """
        restored_step = self._prepare()
        while self._state.step < self._task.total_steps:
            self._train_to_checkpoint()
        self._signs.tell("ending")
        # In place of what steps told themselves before a restart, which may have been made in calls of one.
        self._clock.seconds.update(self._steps.stand_for(self._clock.seconds["train_seconds"]))
        if self._role.is_chief:
            with self._clock.measure("save_seconds"):
                self._trainer.save_model(self._state.values, self._output_dir / "model.keras")
        write_replica_record(
            self._output_dir,
            self._role,
            self._clock.seconds,
            self._state.values,
            restored_step=restored_step,
            steps=self._steps,
            disturbance=self._disturbance.to_json(),
            gpu=self._gpu.to_json(),
        )
        finish(self._output_dir, self._role, self._disturbance.spans)
        if self._role.is_chief:
            self._write_record()

    def _prepare(self) -> int:
        """Does all that comes before the first step is timed, and returns its number."""
        state, trainer = self._state, self._trainer
        self._signs.tell("compiling")
        with self._clock.measure("rendezvous_seconds"):
            state.step = trainer.load(state.values, state.step)
        if self._role.is_chief:
            for sentence in self._task.list_without_effect():
                say(f"note: {sentence}")
        if state.step:
            say(f"resumed from the checkpoint at step {state.step}")
        with self._clock.measure("compile_seconds"):
            trainer.compile()
        with self._clock.measure("warmup_seconds"):
            trainer.warm_up()
            self._collective = trainer.time_exchange()
            self._steps.trace(trainer.trace_steps())
        return state.step

    def _train_to_checkpoint(self) -> None:
        """Trains to the next checkpoint or the end of the epoch, whichever comes first."""
        state, steps_per_epoch = self._state, self._task.plan.steps_per_epoch
        interval = self._task.config.checkpoint_steps or steps_per_epoch
        epoch_end = (state.step // steps_per_epoch + 1) * steps_per_epoch
        stop = min(epoch_end, (state.step // interval + 1) * interval)
        progress = _Progress(self._task, self._sharers) if self._role.is_chief else None

        def record(timing: StepTiming) -> None:
            count = len(timing.losses)
            state.step_seconds += [timing.seconds / count] * count
            state.epoch_losses += timing.losses
            self._steps.add(timing)
            self._signs.note_step(timing.last_step)
            for name, seconds in timing.parts.items():
                self._clock.add(name, seconds / self._sharers)
            if progress is not None:
                progress.add(timing)

        self._signs.tell(f"training, step {state.step + 1}")
        with self._disturbance.measure(), self._gpu.measure(), self._clock.measure("train_seconds"):
            self._trainer.train(state.step, stop, record)
        state.step = stop
        if stop == epoch_end:
            self._signs.tell(f"evaluating after step {stop}")
            self._end_epoch()
        self._signs.tell(f"saving after step {stop}")
        with self._clock.measure("save_seconds"):
            state.values = self._trainer.read_values()
            if self._role.is_chief:
                save_checkpoint(self._checkpoints, state)

    def _end_epoch(self) -> None:
        state, task = self._state, self._task
        metric = task.objective.metric
        with self._clock.measure("eval_seconds"):
            value = metric.of_sum(self._trainer.sum_scores(), task.dataset.split("validation").count)
        if not math.isfinite(value):
            raise TrainingDiverged(f"The validation {metric.name} became {value}. Try a lower learning_rate.")
        epoch, seconds = state.step // task.plan.steps_per_epoch, self._clock.seconds["train_seconds"]
        point = CurvePoint(epoch, state.step, seconds, statistics.fmean(state.epoch_losses), value)
        state.curve.append(point)
        state.epoch_losses = []
        say(
            f"epoch {epoch}/{task.config.epochs} done: loss {point.train_loss:.3f}, "
            f"validation {metric.describe(value)} after {seconds:.1f} s of training"
        )

    def _write_record(self) -> None:
        record = describe_training(
            self._task,
            self._role,
            self._state,
            self._initial_sha256,
            self._output_dir,
            steps=self._steps,
            collective=self._collective,
            computing=self._trainer.describe_computing(),
        )
        write_json(self._output_dir / "training.json", record)
        say(f"trained in {record['train_seconds']:.1f} s, {record['images_per_second']:,.0f} {self._task.examples}/s")


class _Progress:
    """Tells the progress every few seconds."""

    def __init__(self, task: Task, sharers: int) -> None:
        self._task, self._sharers = task, sharers
        self._told, self._seen = time.perf_counter(), 0

    def add(self, timing: StepTiming) -> None:
        self._seen += len(timing.losses)
        elapsed = time.perf_counter() - self._told
        if elapsed >= PROGRESS_SECONDS:
            config, per_epoch = self._task.config, self._task.plan.steps_per_epoch
            rate = self._seen / self._sharers * config.global_batch_size / elapsed
            epoch, step = divmod(timing.last_step, per_epoch)
            say(
                f"epoch {epoch + 1}/{config.epochs} step {step + 1}/{per_epoch} "
                f"loss {timing.losses[-1]:.3f} {rate:,.0f} {self._task.examples}/s"
            )
            self._told, self._seen = time.perf_counter(), 0
