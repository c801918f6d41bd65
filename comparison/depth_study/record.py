"""What a depth study left behind, as docs/schemas.md defines it: residual against plain networks."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison.records import RecordError, check_schema_version, load_json, parse_object, read_text

# What the ratio of the gradient norms at the first and at the last convolution is called, and what its inverse is.
# The words are labels for factors that are chosen, not derived: the ratio is what was measured.
EXPLODING_RATIO, GROWING_RATIO = 100.0, 10.0
EXPLODING, GROWING, SHRINKING, VANISHING = "explodes", "grows", "shrinks", "vanishes"
NEITHER, NOT_FINITE, ALL_ZERO = "changes little", "is not finite", "is zero"


@dataclass(frozen=True)
class Initial:
    """A network before its training: its loss on one batch, and the norm of the gradient by each convolution's kernel.

    What was not finite is None. Kernels are named by their layer, from the first to the last.
    """

    has_batch_norm: bool
    loss: float | None
    gradient_norms: dict[str, float | None]

    @property
    def norms(self) -> list[float]:
        """The norms from the first convolution to the last, NaN where one is not finite."""
        return [math.nan if norm is None else norm for norm in self.gradient_norms.values()]

    @property
    def ratio(self) -> float:
        """Norm at the first convolution ÷ norm at the last; NaN where there is no such number."""
        first, last = self.norms[0], self.norms[-1]
        return first / last if last else math.nan

    @property
    def reading(self) -> str:
        """What the gradients do on their way from the last convolution to the first."""
        if not all(map(math.isfinite, self.norms)):
            return NOT_FINITE
        if math.isnan(self.ratio):
            return ALL_ZERO
        if self.ratio >= GROWING_RATIO:
            return EXPLODING if self.ratio >= EXPLODING_RATIO else GROWING
        if self.ratio <= 1 / GROWING_RATIO:
            return VANISHING if self.ratio <= 1 / EXPLODING_RATIO else SHRINKING
        return NEITHER


@dataclass(frozen=True)
class Network:
    """One network of a study: how it was trained, and how it was before."""

    model: str
    has_shortcuts: bool
    depth: int
    num_parameters: int
    train_losses: list[float]
    final_train_loss: float | None
    num_final_steps: int
    diverged_at_step: int | None
    validation_n_correct: int
    validation_n_examples: int
    compile_seconds: float
    train_seconds: float
    initial: list[Initial]

    @property
    def kind(self) -> str:
        """What the family is called."""
        return "residual" if self.has_shortcuts else "plain"

    @property
    def validation_accuracy(self) -> float:
        """The share of the validation images that are classified correctly after the training."""
        return self.validation_n_correct / self.validation_n_examples


@dataclass(frozen=True)
class Study:
    """A depth study as docs/schemas.md defines it."""

    schema_version: int
    dataset: str
    dataset_sha256: str
    num_classes: int
    settings: dict[str, Any]
    networks: list[Network]
    num_processes: int
    total_seconds: float
    versions: dict[str, Any]
    host: dict[str, Any]

    @property
    def depths(self) -> list[int]:
        """The networks' depths, the deepest first."""
        return sorted({network.depth for network in self.networks}, reverse=True)

    def find(self, depth: int, *, has_shortcuts: bool) -> Network:
        """Returns the residual or the plain network of a depth."""
        return next(n for n in self.networks if (n.depth, n.has_shortcuts) == (depth, has_shortcuts))

    def list_initials(self, *, has_batch_norm: bool) -> list[tuple[Network, Initial]]:
        """Returns each network with how it was before its training, with or without BatchNorm."""
        return [(n, entry) for n in self.networks for entry in n.initial if entry.has_batch_norm == has_batch_norm]


def read_study(path: Path) -> Study:
    """Returns the study that a file holds.

    Raises:
        RecordError: The file is missing or does not follow the schema, or a network of a pair is missing.
    """
    values = load_json(read_text(path), str(path))
    check_schema_version(values, str(path))
    study = parse_object(Study, values, str(path))
    received = sorted((network.depth, network.has_shortcuts) for network in study.networks)
    if not received or received != sorted((depth, kind) for depth in study.depths for kind in (False, True)):
        names = ", ".join(network.model for network in study.networks) or "nothing"
        raise RecordError(f"{path} must hold a residual and a plain network of each depth. Received: {names}.")
    for network in study.networks:
        if [entry.has_batch_norm for entry in network.initial] != [True, False]:
            raise RecordError(f"{path} must hold the initial gradients of {network.model} with and without BatchNorm.")
        if not all(entry.gradient_norms for entry in network.initial):
            raise RecordError(f"{path} holds no gradient norms of {network.model}.")
    return study
