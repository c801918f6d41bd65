"""How good a model is, by one number: its name, its direction, and the way to it."""

import math
from dataclasses import dataclass

ACCURACY = "accuracy"
# What is computed from the same counts agrees to the last digits.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class MetricValue:
    """How good a trained model is.

    `num_examples` says of how many test examples the value is a share; null: it is none, such as an error or an AUC,
    and how far it is off by the choice of the test examples cannot be told from the value.
    """

    name: str
    value: float
    higher_is_better: bool
    num_examples: int | None = None

    def check(self, name: str | None = None, higher_is_better: bool | None = None) -> None:
        """Makes sure that it has a name, that a share is one, and that it is what the training was judged by.

        Args:
            name: What the training calls it; None where it does not say.
            higher_is_better: Its direction, likewise.

        Raises:
            ValueError: It is not.
        """
        if not self.name.strip():
            raise ValueError(f"a metric must have a name. Received: {self.name!r}.")
        if self.num_examples is not None and (self.num_examples < 1 or not 0 <= self.value <= 1):
            expected = "a metric with num_examples is a share of them, from 0 to 1 of at least one"
            raise ValueError(f"{expected}. Received: {self.name} {self.value:g} of {self.num_examples}.")
        for own, told in ((self.name, name), (self.higher_is_better, higher_is_better)):
            if told not in {None, own}:
                raise ValueError(
                    "training.json and evaluation.json must have the same metric, in the same direction. "
                    f"Received: {told!r} and {own!r}."
                )


@dataclass(frozen=True)
class CurvePoint:
    """The state of the training after one epoch, `train_seconds` into it.

    `validation_metric` is the metric on the validation split; older records have accuracy alone, under its name.
    """

    epoch: int
    step: int
    train_seconds: float
    train_loss: float
    validation_accuracy: float | None = None
    validation_metric: float | None = None

    @property
    def value(self) -> float:
        """The metric, whichever it is.

        Raises:
            ValueError: The point has none.
        """
        for value in (self.validation_metric, self.validation_accuracy):
            if value is not None:
                return value
        raise ValueError(f"epoch {self.epoch} of a curve must have validation_metric or validation_accuracy.")

    def check(self) -> None:
        """Makes sure that there is a metric, the same under both names.

        Raises:
            ValueError: There is not.
        """
        if self.validation_accuracy not in {None, self.value}:
            raise ValueError(
                f"epoch {self.epoch} of a curve must have one metric. Received: validation_metric {self.value:g} and "
                f"validation_accuracy {self.validation_accuracy:g}."
            )


def check_counts(num_correct: int | None, num_examples: int | None, metric: MetricValue | None) -> None:
    """Makes sure that counted answers and the metric say the same: of a classifier it is its accuracy.

    Raises:
        ValueError: They do not, or one of the counts is missing.
    """
    if (num_correct is None) != (num_examples is None):
        raise ValueError(
            f"test_n_correct and test_n_examples belong together. Received: {num_correct}, {num_examples}."
        )
    if metric is None or num_correct is None or not num_examples:
        return
    if not metric.higher_is_better or not math.isclose(metric.value, num_correct / num_examples, rel_tol=_ROUNDING):
        direction = "higher" if metric.higher_is_better else "lower"
        raise ValueError(
            f"the metric of counted answers is the share of right ones, {num_correct} of {num_examples}. Received: "
            f"{metric.name} {metric.value:g}, {direction} is better."
        )
