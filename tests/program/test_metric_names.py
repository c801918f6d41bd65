import pytest

from program.metric_names import find_direction, is_metric, is_share

UP = ["accuracy", "acc", "val_accuracy", "Test Accuracy", "eval/auc", "f1_score", "top_5_accuracy", "macroF1", "bleu",
      "precision_1", "sparse_categorical_accuracy", "mean_iou"]  # fmt: skip
DOWN = ["loss", "val_loss", "rmse", "mae", "mse", "perplexity", "root_mean_squared_error", "top_1_error",
        "cross_entropy", "accuracy_loss", "word_error_rate"]  # fmt: skip
UNKNOWN = ["reward", "score", "gap", "x"]


@pytest.mark.parametrize(
    ("name", "direction"), [*((n, True) for n in UP), *((n, False) for n in DOWN), *((n, None) for n in UNKNOWN)]
)
def test_well_known_names_tell_their_direction_and_others_do_not(name: str, direction: bool | None) -> None:
    assert find_direction(name) is direction


@pytest.mark.parametrize(
    "name",
    ["lr", "learning_rate", "Learning Rate", "epoch", "global_step", "images/sec", "batch_size", "steps/sec", "seed"],
)
def test_settings_and_speeds_are_no_metrics(name: str) -> None:
    assert not is_metric(name)


def test_an_accuracy_is_a_share_and_a_loss_is_none() -> None:
    assert is_share("val_top_5_accuracy")
    assert not is_share("loss")
    assert not is_share("bleu")
