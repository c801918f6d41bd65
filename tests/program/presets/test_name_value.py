import pytest

from tests.program.listening import find_metrics, make, measure


def read(line: str, metric: str = "", progress: str = "auto") -> dict[str, float]:
    return find_metrics(measure(make(progress, metric=metric), [(0.0, line)]))


def test_pairs_are_read_as_katib_reads_them() -> None:
    assert read("2026-11-28T01:00:00Z INFO epoch 1: accuracy=0.97 loss = 2.5e-1 f1=.5") == {
        "accuracy": 0.97,
        "loss": 0.25,
        "f1": 0.5,
    }


def test_settings_are_taken_for_metrics_only_where_the_form_was_chosen() -> None:
    line = "layers=3 hidden=128 lr=0.1 batch_size=32 loss=0.5"
    assert read(line) == {"loss": 0.5}
    assert read(line, progress="name=value") == {"loss": 0.5, "layers": 3.0, "hidden": 128.0}


def test_a_metric_that_is_asked_for_is_found_in_text() -> None:
    assert read("Epoch 3 Test Accuracy: 97.5%", metric="Test Accuracy") == {"Test Accuracy": 0.975}


@pytest.mark.parametrize("line", ["Test Accuracy: 0.9", "top5_Accuracy: 0.9", "Test-Accuracy = 0.9", "MyAccuracy: 0.9"])
def test_a_name_is_not_found_at_the_end_of_another_one(line: str) -> None:
    assert "Accuracy" not in read(line, metric="Accuracy")


@pytest.mark.parametrize(
    "line",
    ["Accuracy: 0.9", "step 7, Accuracy: 0.9", "Epoch 3 Accuracy: 0.9", "INFO Accuracy = 0.9", "a:1  Accuracy: 0.9"],
)
def test_a_name_is_found_where_it_stands_alone(line: str) -> None:
    assert read(line, metric="Accuracy") == {"Accuracy": 0.9}


@pytest.mark.parametrize("line", ["version=1.2.3", "loss=abc", "loss=", "loss=0.5x", "x=1", "time=3 lr=0.1 eta=9s"])
def test_what_is_no_metric_is_none(line: str) -> None:
    assert read(line) == {}


def test_per_cent_is_kept_as_a_share_even_without_its_sign() -> None:
    measurement = measure(make(), [(float(n), f"step={n} accuracy={90 + n}.5") for n in range(3)])
    assert find_metrics(measurement) == {"accuracy": 0.925}
    assert any("per cent" in note for note in measurement.notes)


def test_sums_over_workers_are_no_shares() -> None:
    lines = [(float(n), f"step={n} accuracy={value}") for n, value in enumerate((1.95, 0.98, 1.9))]
    measurement = measure(make(workers=2), lines)
    assert measurement.metrics == []
    assert any("sums over the workers" in note for note in measurement.notes)
