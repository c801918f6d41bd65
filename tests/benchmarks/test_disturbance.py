import math

import pytest

from benchmarks.disturbance import correlate, describe_correlations, describe_samples, join_replicas

SAMPLES: list[dict[str, float | None]] = [
    {"train_seconds": 8.0, "waited_seconds": 0.0, "steal_seconds": 0.0, "others_cpu_seconds": None, "calibration": 3.0},
    {"train_seconds": 9.0, "waited_seconds": 1.0, "steal_seconds": 0.0, "others_cpu_seconds": None, "calibration": 1.0},
    {"train_seconds": 10.0, "waited_seconds": 2.0, "steal_seconds": 0.0, "others_cpu_seconds": 1.0, "calibration": 3.0},
]


def test_what_follows_the_training_time_is_told_from_what_does_not() -> None:
    assert correlate(SAMPLES, "waited_seconds") == pytest.approx(1)
    assert math.isclose(correlate(SAMPLES, "calibration") or 0.0, 0.0, abs_tol=1e-9)


@pytest.mark.parametrize("figure", ["steal_seconds", "others_cpu_seconds"])
def test_what_never_changed_or_was_not_always_measured_has_no_correlation(figure: str) -> None:
    assert correlate(SAMPLES, figure) is None


def test_the_tables_have_a_row_for_each_training_and_for_each_figure() -> None:
    assert describe_samples(SAMPLES).splitlines()[2:] == [
        "| 8.000 | 0.000 | 0.000 | – | 3.000 |",
        "| 9.000 | 1.000 | 0.000 | – | 1.000 |",
        "| 10.000 | 2.000 | 0.000 | 1.000 | 3.000 |",
    ]
    assert describe_correlations(SAMPLES).splitlines()[2:] == [
        "| waited_seconds | 1.00 |",
        "| steal_seconds | – |",
        "| others_cpu_seconds | – |",
        "| calibration | 0.00 |",
    ]


def test_of_several_replicas_the_most_disturbed_one_counts_and_the_chief_has_the_time() -> None:
    loads = [{"machine": "a", "cores": [core], "busy_seconds": 5.0 + core, "own_seconds": 4.0} for core in range(2)]
    chief = {"train_seconds": 8.0, "waited_seconds": 1.0, "steal_seconds": None, "load": loads[0]}
    worker = {"train_seconds": 8.1, "waited_seconds": 0.5, "steal_seconds": None, "load": loads[1]}
    assert join_replicas([chief, worker]) == {
        "train_seconds": 8.0,
        "waited_seconds": 1.0,
        "steal_seconds": None,
        "others_cpu_seconds": 2.0,
    }
