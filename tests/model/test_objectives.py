import pytest

from model.errors import ConfigError
from model.objectives import LOSSES, LabelKind, Metric, check_loss_name, find_objective


@pytest.mark.parametrize(
    ("kind", "num_labels", "loss", "metric"),
    [
        ("classes", 7, "sparse_categorical_crossentropy", "accuracy"),
        ("several_hot", 7, "binary_crossentropy", "binary_accuracy"),
        ("numbers", 7, "mean_squared_error", "root_mean_squared_error"),
    ],
)
def test_a_loss_that_is_left_out_follows_from_the_labels(
    kind: LabelKind, num_labels: int, loss: str, metric: str
) -> None:
    objective = find_objective("", kind, num_labels)
    assert (objective.loss, objective.metric.name, objective.num_outputs) == (loss, metric, 7)
    assert objective == find_objective(loss, kind, num_labels)


def test_two_classes_may_be_one_logit_that_is_judged_by_accuracy() -> None:
    objective = find_objective("binary_crossentropy", "classes", 2)
    assert (objective.num_outputs, objective.metric.name, objective.is_classification) == (1, "accuracy", True)


def test_one_logit_cannot_tell_three_classes() -> None:
    with pytest.raises(ConfigError, match=r"takes two classes, 0 and 1.* Received: 3 classes\. Leave the loss out"):
        find_objective("binary_crossentropy", "classes", 3)


@pytest.mark.parametrize(
    ("loss", "kind", "message"),
    [
        ("mean_squared_error", "classes", r"takes numbers to predict\. Received: labels that are class numbers\."),
        ("sparse_categorical_crossentropy", "numbers", r"takes class numbers\. .* that are numbers to predict\."),
        ("huber", "several_hot", r"that are rows of 0 and 1\. Give a loss that takes them \(binary_crossentropy\)"),
        ("mse", "numbers", r"loss must be empty or one of .*mean_squared_error.* Received: 'mse'\."),
    ],
)
def test_a_loss_that_does_not_take_the_labels_is_refused(loss: str, kind: LabelKind, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_objective(loss, kind, 1)


def test_every_loss_is_known() -> None:
    for loss in ("", *LOSSES):
        check_loss_name(loss)


def test_a_metric_is_the_mean_of_scores_or_its_root() -> None:
    assert Metric("accuracy", higher_is_better=True).of_sum(3.0, 4) == 0.75
    assert Metric("root_mean_squared_error", higher_is_better=False, is_root=True).of_sum(36.0, 4) == 3.0


def test_a_metric_is_told_as_a_share_where_it_is_accuracy() -> None:
    assert Metric("accuracy", higher_is_better=True).describe(0.98123) == "accuracy 98.12%"
    assert Metric("huber", higher_is_better=False).describe(0.98123) == "huber 0.9812"
