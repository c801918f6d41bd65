"""A training's state as flat vectors, and its checkpoints."""

import contextlib
import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.files import open_atomically

Vector = npt.NDArray[np.float32]

CHECKPOINTS_KEPT = 2


class Values(NamedTuple):
    """What a step changes.

    Attributes:
        weights: All trainable parameters, shape [P].
        velocity: The optimizer's momentum, shape [P].
        statistics: BatchNorm's moving means and variances and other float state of the model, shape [Q].
    """

    weights: Vector
    velocity: Vector
    statistics: Vector

    @property
    def sha256(self) -> str:
        """Digest of the weights and the statistics."""
        return hash_weights(self.weights, self.statistics)


class CurvePoint(NamedTuple):
    """The learning curve at an epoch's end.

    Attributes:
        epoch: From 1.
        step: Updates made so far.
        train_seconds: The training clock until then.
        train_loss: Mean over the epoch's steps.
        validation_metric: After the epoch: the accuracy, or what else models are judged by.
    """

    epoch: int
    step: int
    train_seconds: float
    train_loss: float
    validation_metric: float


@dataclass
class State:
    """Everything that a training must remember to go on as if it had never stopped.

    Attributes:
        step: Updates made so far.
        values: What they led to.
        clocks: Seconds spent so far, by clock.
        curve: The learning curve so far.
        step_seconds: Duration of each step so far.
        epoch_losses: Losses of the epoch's steps so far.
    """

    step: int
    values: Values
    clocks: dict[str, float] = field(default_factory=dict)
    curve: list[CurvePoint] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    epoch_losses: list[float] = field(default_factory=list)


def hash_weights(weights: Vector, statistics: Vector) -> str:
    """Returns the digest that names a trained model: of its weights, shape [P], and statistics, shape [Q]."""
    return hashlib.sha256(weights.tobytes() + statistics.tobytes()).hexdigest()


def save_checkpoint(directory: Path, state: State) -> Path:
    """Writes a checkpoint that is either whole or not there, and removes all but the newest `CHECKPOINTS_KEPT`.

    Args:
        directory: Folder of this training's checkpoints; made when missing.
        state: What to write.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"step-{state.step:09d}.npz"
    arrays: dict[str, Any] = {
        "step": np.int64(state.step),
        **state.values._asdict(),
        "clock_names": np.array(list(state.clocks), dtype=np.str_),
        "clock_seconds": np.array(list(state.clocks.values()), dtype=np.float64),
        "curve": np.array(state.curve, dtype=np.float64),
        "step_seconds": np.array(state.step_seconds, dtype=np.float64),
        "epoch_losses": np.array(state.epoch_losses, dtype=np.float64),
    }
    with open_atomically(path) as file:
        np.savez(file, **arrays)
    for old in _list_checkpoints(directory)[CHECKPOINTS_KEPT:]:
        with contextlib.suppress(FileNotFoundError):
            old.unlink()
    return path


def load_newest_checkpoint(directory: Path, report: Callable[[str], None]) -> State | None:
    """Returns the newest checkpoint that is whole, or None where there is none.

    The file's own checksums tell a damaged checkpoint; it is reported and the one before is taken.

    Args:
        directory: Folder of this training's checkpoints; need not exist.
        report: Called with a sentence for each damaged checkpoint.
    """
    for path in _list_checkpoints(directory):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return State(
                    step=int(arrays["step"]),
                    values=Values(*(arrays[name] for name in Values._fields)),
                    clocks=dict(zip(map(str, arrays["clock_names"]), arrays["clock_seconds"].tolist(), strict=True)),
                    curve=[CurvePoint(int(epoch), int(step), *rest) for epoch, step, *rest in arrays["curve"].tolist()],
                    step_seconds=arrays["step_seconds"].tolist(),
                    epoch_losses=arrays["epoch_losses"].tolist(),
                )
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            report(f"checkpoint {path.name} is damaged ({type(error).__name__}: {error}); trying the one before it")
    return None


def _list_checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*.npz"), reverse=True)
