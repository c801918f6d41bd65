"""What every way of distributing a training has in common."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from model.data import BatchPlan, PreparedDataset
from model.errors import ConfigError, TrainingDiverged
from model.networks import check_model_input
from model.objectives import ACCURACY, CROSS_ENTROPY, Objective, find_objective
from model.training.config import TrainingConfig
from model.training.schedule import learning_rate_at
from model.training.state import Values


@dataclass(frozen=True)
class Task:
    """What is trained, on what and how.

    Attributes:
        config: The training's settings.
        dataset: The prepared data.

    Raises:
        ConfigError: The training split does not fill a batch, or the loss or the model does not take such data.
    """

    config: TrainingConfig
    dataset: PreparedDataset

    def __post_init__(self) -> None:
        check_model_input(self.config.model, self.dataset.input_shape)
        _ = self.objective
        count = self.dataset.split("train").count
        if self.config.global_batch_size > count:
            raise ConfigError(
                f"global_batch_size must not exceed the number of training {self.examples}. "
                f"Received: {self.config.global_batch_size} and {count}."
            )

    @functools.cached_property
    def objective(self) -> Objective:
        """The loss, and what the model is judged by."""
        return find_objective(self.config.loss, self.dataset.label_kind, self.dataset.num_labels)

    @functools.cached_property
    def plan(self) -> BatchPlan:
        """The order of the training examples."""
        return BatchPlan(
            self.dataset.split("train").count, self.config.global_batch_size, self.max_shift, self.config.seed
        )

    @property
    def max_shift(self) -> int:
        """Largest random shift of an image in pixels; 0 for what is none."""
        return self.config.max_shift if self.dataset.is_images else 0

    @property
    def examples(self) -> str:
        """What the examples are called."""
        return "images" if self.dataset.is_images else "examples"

    @property
    def target_accuracy(self) -> float:
        """Validation accuracy whose time is recorded; 0 for none, as where models are judged by something else."""
        return self.config.target_accuracy if self.objective.metric.name == ACCURACY.name else 0.0

    def list_without_effect(self) -> list[str]:
        """Returns what is set and has no effect on these data, a sentence each."""
        config, metric = self.config, self.objective.metric.name
        told = {
            "max_shift has no effect, as the data are no images": config.max_shift and not self.dataset.is_images,
            f"target_accuracy has no effect, as the models are judged by their {metric}": (
                config.target_accuracy and metric != ACCURACY.name
            ),
            f"label_smoothing has no effect on {self.objective.loss}": (
                config.label_smoothing and self.objective.loss != CROSS_ENTROPY
            ),
        }
        return [sentence for sentence, is_so in told.items() if is_so]

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.plan.steps_per_epoch * self.config.epochs

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step of the global batch size."""
        total = self.total_steps
        warmup = math.ceil(total * self.config.warmup_fraction)
        return learning_rate_at(step, peak=self.config.learning_rate, warmup_steps=warmup, total_steps=total)

    def first_group(self, step: int, rank: int) -> int:
        """Returns the number of a worker's first BatchNorm group of a step since the training's start."""
        return step * self.config.groups_per_step + rank * self.config.groups_per_replica


@dataclass(frozen=True)
class StepTiming:
    """The steps of one call as they were measured on this replica: one, or several that follow each other.

    Attributes:
        step: The first of them, from 0.
        losses: Of each the mean loss over the global batch (all-reduce, single) or over one worker's share (parameter
            server).
        seconds: Duration of the call.
        parts: The seconds of its parts, by those clocks that are parts of `train_seconds`. What is left is the forward
            and backward computation. Nothing where they were not told apart.
        worker: Which replica's step it was where the chief only hands them out, as in `worker-0`; else None.
    """

    step: int
    losses: Sequence[float]
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    worker: str | None = None

    @property
    def last_step(self) -> int:
        """The last of the steps."""
        return self.step + len(self.losses) - 1

    @property
    def compute_seconds(self) -> float:
        """Duration of the forward and backward computation."""
        return self.seconds - math.fsum(self.parts.values())


OnStep = Callable[[StepTiming], None]


class Trainer(Protocol):
    """One way of distributing a training, as the chief and the all-reduce workers drive it."""

    def load(self, values: Values, step: int) -> int:
        """Takes over values and the step that they are of, the chief's on all workers, and returns that step."""

    def compile(self) -> None:
        """Traces and compiles everything that is timed later, and leaves the values as they were."""

    def warm_up(self) -> None:
        """Makes steps with what `compile` left, for the cost of first use, and leaves the values as they were."""

    def trace_steps(self) -> Sequence[StepTiming]:
        """Returns steps whose parts were measured apart from the training; none where its own steps tell theirs.

        It leaves the values as they were. All workers call it after `warm_up`.
        """

    def time_exchange(self) -> dict[str, Any] | None:
        """Returns the record's `collective`, and leaves the values as they were; None where nothing is exchanged.

        All workers call it after `warm_up`.
        """

    def train(self, start: int, stop: int, on_step: OnStep) -> None:
        """Makes the updates from step `start` up to `stop`.

        Raises:
            TrainingDiverged: The loss of a step is not finite.
        """

    def sum_scores(self) -> float:
        """Returns the sum of the scores of the validation split: how many are right, or the errors' sum."""

    def describe_computing(self) -> dict[str, Any]:
        """Returns the record's fields on how it computes: `precision`, `gpus`, `steps_per_call` and others."""

    def read_values(self) -> Values:
        """Returns the values as they are now."""

    def save_model(self, values: Values, path: Path) -> None:
        """Writes the Keras model with these values, whole or not at all."""


def check_loss(step: int, loss: float) -> None:
    """Checks that a step's loss is finite.

    Raises:
        TrainingDiverged: It is not; the message names the step.
    """
    if not math.isfinite(loss):
        raise TrainingDiverged(f"The loss became {loss} at step {step}. Try a lower learning_rate.")
