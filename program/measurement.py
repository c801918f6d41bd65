"""What is known of one training of a program, however much of it the program tells."""

from dataclasses import dataclass, field
from typing import Any, Literal

# 0: the job alone, by its pods or processes. 1: what the program prints, or writes for TensorBoard. 2: what it tells in
# the file that the variable TFJOB_SPEEDUP_PROGRESS names. Level 3 is this project's own loop.
Level = Literal[0, 1, 2]


@dataclass(frozen=True)
class Metric:
    """How good a trained model is, by one number.

    Args:
        name: What the program calls it: `accuracy`, `auc`, `loss`, …
        value: Its last finite value.
        higher_is_better: Its direction; None where nobody has said and its name does not tell.
        num_examples: Of how many examples it is a share; None: it is no share, or nobody tells, so that it has no
            binomial interval.
        replica: Who told it, e.g. `worker-0`.
    """

    name: str
    value: float
    higher_is_better: bool | None = None
    num_examples: int | None = None
    replica: str | None = None


@dataclass(frozen=True)
class CurvePoint:
    """A metric on its way: `train_seconds` after the training began, at `step` where that is told."""

    name: str
    value: float
    train_seconds: float
    step: int | None = None


@dataclass(frozen=True)
class Measurement:
    """What one training of a program has told; a figure is None where it cannot be known.

    Args:
        level: How it was told.
        train_seconds: From the beginning of the training, or the first step that was told, to the last step that was.
        warmup_seconds: The part before `train_seconds` that was left out as warm-up, if steps were told.
        steps: Steps within `train_seconds`.
        examples: Examples that all replicas together trained on within `train_seconds`.
        unit: What is counted there: `images`, `tokens`, `examples`, `steps`.
        examples_per_second: `examples / train_seconds`, or the program's own figure where it tells only that.
        step_seconds: Statistics of the seconds a step took: `n`, `mean`, `median`, `p90`, `p99`.
        first_step: The number of the chief's first step: above 0 or 1 it may have found an old checkpoint.
        was_cut: Whether the training was ended once enough steps had been told.
        metrics: The last value of each metric.
        curve: The values on their way.
        by_replica: For each replica that tells anything: its `steps`, `examples` and, by name, its `metrics` at the
            last step that all have told them of.
        notes: What a reader of the figures should know.
    """

    level: Level = 0
    train_seconds: float | None = None
    warmup_seconds: float | None = None
    steps: int | None = None
    examples: float | None = None
    unit: str = "examples"
    examples_per_second: float | None = None
    step_seconds: dict[str, float] | None = None
    first_step: int | None = None
    was_cut: bool = False
    metrics: list[Metric] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    by_replica: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
