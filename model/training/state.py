"""A training's state as flat vectors, and its checkpoints."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

CHECKPOINTS_KEPT = 2


@dataclass
class State:
    """Everything that a training must remember to go on as if it had never stopped.

    Attributes:
        step: Updates made so far.
        weights: All trainable parameters, shape [P].
        velocity: The optimizer's momentum, shape [P].
        statistics: BatchNorm's moving means and variances and other float state of the model, shape [Q].
        clocks: Seconds spent so far, by the names of the trial record.
        curve: The learning curve's points so far.
        step_seconds: Duration of each step so far.
        epoch_losses: Losses of the epoch's steps so far.
    """

    step: int
    weights: Vector
    velocity: Vector
    statistics: Vector
    clocks: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    epoch_losses: list[float] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """Digest of the weights and the statistics."""
        return hash_weights(self.weights, self.statistics)


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
    partial = path.with_suffix(f".{os.getpid()}.partial")
    arrays: dict[str, Any] = {
        "step": np.int64(state.step),
        "weights": state.weights,
        "velocity": state.velocity,
        "statistics": state.statistics,
        "clock_names": np.array(list(state.clocks), dtype=np.str_),
        "clock_seconds": np.array(list(state.clocks.values()), dtype=np.float64),
        "curve_names": np.array(list(state.curve[0]) if state.curve else [], dtype=np.str_),
        "curve": np.array([list(point.values()) for point in state.curve], dtype=np.float64),
        "step_seconds": np.array(state.step_seconds, dtype=np.float64),
        "epoch_losses": np.array(state.epoch_losses, dtype=np.float64),
    }
    with partial.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
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
                curve_names = [str(name) for name in arrays["curve_names"]]
                return State(
                    step=int(arrays["step"]),
                    weights=arrays["weights"],
                    velocity=arrays["velocity"],
                    statistics=arrays["statistics"],
                    clocks=dict(zip(map(str, arrays["clock_names"]), arrays["clock_seconds"].tolist(), strict=True)),
                    curve=[_curve_point(curve_names, values) for values in arrays["curve"].tolist()],
                    step_seconds=arrays["step_seconds"].tolist(),
                    epoch_losses=arrays["epoch_losses"].tolist(),
                )
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            report(f"checkpoint {path.name} is damaged ({type(error).__name__}: {error}); trying the one before it")
    return None


def _list_checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*.npz"), reverse=True)


def _curve_point(names: list[str], values: list[float]) -> dict[str, Any]:
    point: dict[str, Any] = dict(zip(names, values, strict=True))
    for name in ("epoch", "step"):
        point[name] = int(point[name])
    return point
