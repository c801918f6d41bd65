"""What every way of distributing a training has in common."""

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from model.data import BatchPlan, PreparedDataset
from model.training.config import TrainingConfig
from model.training.schedule import learning_rate_at
from model.training.state import State

if TYPE_CHECKING:  # the training program tells a user's mistakes before TensorFlow's seconds of import
    from model.strategies import FlatModel


class TrainingDiverged(Exception):  # noqa: N818 - the field's word
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Task:
    """What is trained, on what and how.

    Attributes:
        config: The training's settings.
        dataset: The prepared data.
        flat: The model as a function of flat vectors.
    """

    config: TrainingConfig
    dataset: PreparedDataset
    flat: "FlatModel"

    @functools.cached_property
    def plan(self) -> BatchPlan:
        """The order of the training images."""
        config = self.config
        return BatchPlan(self.dataset.split("train").count, config.global_batch_size, config.max_shift, config.seed)

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


class Trainer(Protocol):
    """One way of distributing a training, as the chief and the all-reduce workers drive it."""

    def load(self, state: State) -> int:
        """Takes over a state, the chief's on all workers, and returns its step."""

    def compile(self) -> None:
        """Traces and compiles everything that is timed later, and leaves the state as it was."""

    def warm_up(self) -> None:
        """Makes a step with what `compile` left, for the cost of first use, and leaves the state as it was."""

    def train(self, start: int, stop: int, on_step: "OnStep") -> None:
        """Makes the updates from step `start` up to `stop`.

        Raises:
            TrainingDiverged: The loss of a step is not finite.
        """

    def count_correct(self) -> int:
        """Returns how many images of the validation split are classified correctly."""

    def read_state(self) -> State:
        """Returns weights, velocity and statistics as they are now, at step 0 and without clocks."""


@dataclass(frozen=True)
class StepTiming:
    """One step as it was measured on this replica.

    Attributes:
        step: The step, from 0.
        loss: Mean loss over the global batch (all-reduce, single) or over one worker's share (parameter server).
        seconds: Duration of the step.
        parts: The seconds of its parts, by clock: `input_seconds` (choosing, reading and shifting images),
            `communication_seconds` (exchanging values with other replicas, waiting included) and `update_seconds`
            (the optimizer). What is left is the forward and backward computation.
        worker: Which replica's step it was where the chief only hands them out, as in `worker-0`; else None.
    """

    step: int
    loss: float
    seconds: float
    parts: Mapping[str, float]
    worker: str | None = None

    @property
    def compute_seconds(self) -> float:
        """Duration of the forward and backward computation."""
        return self.seconds - math.fsum(self.parts.values())


OnStep = Callable[[StepTiming], None]


def check_loss(step: int, loss: float) -> None:
    """Checks that a step's loss is finite.

    Raises:
        TrainingDiverged: It is not; the message names the step.
    """
    if not math.isfinite(loss):
        raise TrainingDiverged(f"The loss became {loss} at step {step}. Try a lower learning_rate.")


class Clock:
    """Seconds spent by section, on a monotonic clock."""

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(seconds or {})

    def add(self, name: str, seconds: float) -> None:
        """Adds to a section."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def measure(self, name: str) -> "_Section":
        """Returns a context whose duration is added to a section."""
        return _Section(self, name)


class _Section:
    def __init__(self, clock: Clock, name: str) -> None:
        self._clock, self._name = clock, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._clock.add(self._name, time.perf_counter() - self._start)
