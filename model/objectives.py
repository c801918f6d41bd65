"""What a training makes small and what it is judged by: the losses, the labels that each takes, and their metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError

# Class numbers, one an example; rows of 0 and 1, any number of them 1; and numbers to predict (regression).
LabelKind = Literal["classes", "several_hot", "numbers"]


@dataclass(frozen=True)
class Metric:
    """What a model is judged by, a mean over examples.

    Attributes:
        name: As Keras calls it.
        higher_is_better: Its direction.
        is_root: Whether it is the root of that mean.
    """

    name: str
    higher_is_better: bool
    is_root: bool = False

    def of_sum(self, total: float, count: int) -> float:
        """Returns the metric of examples whose scores have this sum."""
        mean = total / count
        return float(mean**0.5) if self.is_root else mean

    def describe(self, value: float) -> str:
        """Returns the metric's name and value, as programs print it."""
        return f"{self.name} {value:.2%}" if self.name == ACCURACY.name else f"{self.name} {value:.4g}"


ACCURACY = Metric("accuracy", higher_is_better=True)
BINARY_ACCURACY = Metric("binary_accuracy", higher_is_better=True)
MEAN_ABSOLUTE_ERROR = Metric("mean_absolute_error", higher_is_better=False)
ROOT_MEAN_SQUARED_ERROR = Metric("root_mean_squared_error", higher_is_better=False, is_root=True)

CROSS_ENTROPY, BINARY_CROSS_ENTROPY = "sparse_categorical_crossentropy", "binary_crossentropy"
LOSSES: Mapping[str, Mapping[LabelKind, Metric]] = {
    CROSS_ENTROPY: {"classes": ACCURACY},
    BINARY_CROSS_ENTROPY: {"classes": ACCURACY, "several_hot": BINARY_ACCURACY},
    "mean_squared_error": {"numbers": ROOT_MEAN_SQUARED_ERROR},
    "mean_absolute_error": {"numbers": MEAN_ABSOLUTE_ERROR},
    "huber": {"numbers": MEAN_ABSOLUTE_ERROR},
}
_DEFAULTS: Mapping[LabelKind, str] = {
    "classes": CROSS_ENTROPY,
    "several_hot": BINARY_CROSS_ENTROPY,
    "numbers": "mean_squared_error",
}
_NUM_BINARY_CLASSES = 2


@dataclass(frozen=True)
class Objective:
    """The loss of a training and what its model is judged by.

    Attributes:
        loss: A name of `LOSSES`.
        label_kind: What the labels are.
        num_outputs: Values that the model must give for an example.
    """

    loss: str
    label_kind: LabelKind
    num_outputs: int

    @property
    def metric(self) -> Metric:
        """What the model is judged by."""
        return LOSSES[self.loss][self.label_kind]

    @property
    def is_classification(self) -> bool:
        """Whether each example is of one class, so that an answer is right or wrong."""
        return self.label_kind == "classes"

    @property
    def outputs(self) -> str:
        """What the model's values are called."""
        return "numbers" if self.label_kind == "numbers" else "logits"


def check_loss_name(loss: str) -> None:
    """Checks that a loss is known; an empty text leaves it to the labels.

    Raises:
        ConfigError: It is not.
    """
    if loss and loss not in LOSSES:
        raise ConfigError(f"loss must be empty or one of {', '.join(LOSSES)}. Received: {loss!r}.")


def find_objective(loss: str, label_kind: LabelKind, num_labels: int) -> Objective:
    """Returns the objective of a loss, or of labels where that is left to them.

    Args:
        loss: A name of `LOSSES`, or nothing.
        label_kind: What the labels are.
        num_labels: Number of classes, or of the values in an example's label.

    Raises:
        ConfigError: The loss does not take such labels.
    """
    check_loss_name(loss)
    loss = loss or _DEFAULTS[label_kind]
    if label_kind not in LOSSES[loss]:
        expected = " or ".join(describe_kind(kind) for kind in LOSSES[loss])
        raise ConfigError(
            f"loss {loss} takes {expected}. Received: labels that are {describe_kind(label_kind)}. Give a loss that "
            f"takes them ({', '.join(name for name, kinds in LOSSES.items() if label_kind in kinds)}), or prepare the "
            "data for this one: `python -m model.prepare --loss`, which the pipeline does by itself."
        )
    is_two_class = loss == BINARY_CROSS_ENTROPY and label_kind == "classes"
    if is_two_class and num_labels != _NUM_BINARY_CLASSES:
        raise ConfigError(
            f"loss {loss} takes two classes, 0 and 1, or rows of 0 and 1. Received: {num_labels} classes. "
            f"Leave the loss out, or give {CROSS_ENTROPY}."
        )
    return Objective(loss, label_kind, 1 if is_two_class else num_labels)


def describe_kind(kind: LabelKind) -> str:
    """Returns a kind of labels in words."""
    words = {"classes": "class numbers", "several_hot": "rows of 0 and 1", "numbers": "numbers to predict"}
    return words[kind]
