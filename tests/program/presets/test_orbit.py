import pytest

from tests.program.listening import find_metrics, make, measure

LOG = [
    (0.0, "I1128 01:00:00.1 controller.py:520] train | step:      0 | training until step 3000..."),
    (20.0, "I1128 controller.py:520] train | step:   1000 | steps/sec:   50.0 | output: {'loss': 2.3, 'lr': 0.1}"),
    (30.0, "train | step:   2000 | steps/sec:  100.0 | output: "),
    (30.0, "    {'learning_rate': 0.1,"),
    (30.0, "     'accuracy': np.float32(0.91),"),
    (30.0, "     'loss': 0.5}"),
    (35.0, " eval | step:   2000 | eval time:    5.0 sec | output: {'accuracy': 0.9, 'loss': 0.6}"),
    (45.0, "train | step:   3000 | steps/sec:  100.0 | output: {'accuracy': tf.Tensor(0.95, shape=()), 'loss': 0.25}"),
    (50.0, " eval | step:   3000 | eval time:    5.0 sec | output:"),
    (50.0, "    {'accuracy': array(0.93, dtype=float32), 'loss': 0.3}"),
    (51.0, "{'accuracy': 0.1}"),
]


def test_the_controllers_lines_are_read() -> None:
    measurement = measure(make(), LOG)
    assert measurement.notes[0].startswith("Progress was read as orbit")
    assert (measurement.steps, measurement.train_seconds, measurement.first_step) == (2000, 25.0, 0)
    assert find_metrics(measurement) == {"eval_accuracy": 0.93, "eval_loss": 0.3, "accuracy": 0.95, "loss": 0.25}


def test_a_time_history_tells_examples_of_the_whole_job() -> None:
    lines = [
        (float(n), f"TimeHistory: 1.00 seconds, 1,024.50 examples/second between steps {10 * n} and {10 * n + 10}")
        for n in range(4)
    ]
    measurement = measure(make(), lines)
    assert measurement.examples_per_second == pytest.approx(1024.5)
