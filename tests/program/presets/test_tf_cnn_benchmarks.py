import pytest

from tests.program.listening import find_metrics, hear_all, make, measure


def print_log(rate: float, total: str = "") -> list[tuple[float, str]]:
    lines = [
        (0.0, "Batch size:  64 global"),
        (0.0, "             32 per device"),
        (1.0, "Running warm up"),
        (9.0, "Done warm up"),
        (9.0, "Step\tImg/sec\ttotal_loss"),
        *(
            (10.0 + step, f"{step or 1}\timages/sec: {rate} +/- 0.3 (jitter = 1.2)\t7.{step}")
            for step in range(0, 41, 10)
        ),
    ]
    return [*lines, (51.0, "-" * 64), (52.0, f"total images/sec: {total}")] if total else lines


def test_the_total_is_the_whole_jobs_and_not_added_up() -> None:
    listener = make(workers=2)
    hear_all(listener, print_log(64.5, "128.50"), "worker-1")
    measurement = measure(listener, print_log(64.0, "128.50"), "worker-0")
    assert (measurement.unit, measurement.examples_per_second) == ("images", 128.5)
    assert measurement.examples == measurement.steps * 128 if measurement.steps else False
    assert find_metrics(measurement) == {"loss": 7.4}


def test_without_a_total_the_workers_own_averages_are_added() -> None:
    listener = make(workers=2)
    hear_all(listener, print_log(64.5), "worker-1")
    assert measure(listener, print_log(64.0), "worker-0").examples_per_second == 128.5


def test_a_worker_that_is_not_heard_is_taken_for_like_the_others_and_said() -> None:
    measurement = measure(make(workers=2), print_log(64.0))
    assert measurement.examples_per_second == 128.0
    assert any("1 of 2 workers told a speed" in note for note in measurement.notes)


def test_a_figure_that_the_clock_contradicts_is_said() -> None:
    measurement = measure(make(), print_log(64.0, "400.0"))
    assert measurement.examples_per_second == 400.0
    assert any("by its steps and the clock it is 64" in note for note in measurement.notes)


def test_tabs_arrive_as_they_are_written_in_bytes() -> None:
    lines = [(at, repr(line.encode())) for at, line in print_log(64.0)]
    assert r"\t" in lines[-1][1]
    measurement = measure(make(), lines)
    assert measurement.examples_per_second == 64.0
    assert find_metrics(measurement) == {"loss": 7.4}


def test_accuracies_come_with_their_number_of_examples() -> None:
    lines = [*print_log(64.0), (60.0, "Accuracy @ 1 = 0.7500 Accuracy @ 5 = 0.9200 [1000 examples]")]
    metrics = {metric.name: metric for metric in measure(make(), lines).metrics}
    assert metrics["eval_top_1_accuracy"].value == pytest.approx(0.75)
    assert metrics["eval_top_1_accuracy"].num_examples == 1000
