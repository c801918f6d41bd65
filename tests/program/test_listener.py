import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from program.errors import ProgramError
from program.measurement import Measurement
from tests.program.listening import find_metrics, hear_all, make, measure

STEPS = [(float(second), f"step={second} loss={1 / (1 + second):.4f}") for second in range(41)]


def test_auto_takes_the_form_that_fits_and_says_which() -> None:
    measurement = measure(make(batch=32, workers=2), STEPS)
    assert (measurement.level, measurement.steps, measurement.train_seconds) == (1, 39, 39.0)
    assert measurement.examples == 39 * 32 * 2
    assert measurement.examples_per_second == 64.0
    assert measurement.notes[0].startswith("Progress was read as name=value")


def test_without_a_batch_nothing_tells_how_many_examples_there_were() -> None:
    measurement = measure(make(), STEPS)
    assert (measurement.unit, measurement.examples, measurement.examples_per_second) == ("steps", None, None)
    assert any("--batch-size-per-replica" in note for note in measurement.notes)


def test_with_servers_a_step_is_one_workers_and_not_one_of_all_together() -> None:
    assert measure(make(batch=32, workers=2, num_ps=1), STEPS).examples == 39 * 32


def test_who_is_told_not_to_listen_knows_nothing(tmp_path: Path) -> None:
    listener = make("none")
    listener.follow(tmp_path)
    assert measure(listener, STEPS) == Measurement()
    assert listener.describe_silence() is None


def test_several_replicas_that_tell_the_same_global_step_are_not_added() -> None:
    listener = make(batch=32, workers=2)
    hear_all(listener, STEPS, "worker-1")
    measurement = measure(listener, STEPS, "worker-0")
    assert measurement.examples == 39 * 32 * 2
    assert {name: told["steps"] for name, told in measurement.by_replica.items()} == {"worker-0": 40, "worker-1": 40}


def test_the_clock_ends_with_the_last_step_and_not_with_the_process() -> None:
    measurement = measure(make(), [*STEPS, (71.0, "saved the model"), (72.0, "goodbye")])
    assert measurement.train_seconds == 39.0


def test_the_chief_speaks_for_the_job_wherever_it_stands() -> None:
    listener = make(workers=2)
    hear_all(listener, [(2 * at, line) for at, line in STEPS], "worker-0")
    assert measure(listener, STEPS, "chief-0").train_seconds == 39.0


def test_steps_of_an_evaluator_are_none_of_the_training() -> None:
    listener = make()
    hear_all(listener, STEPS, "evaluator-0")
    assert listener.finish().train_seconds is None


def test_output_that_was_held_back_gives_no_clock_and_says_what_to_do() -> None:
    measurement = measure(make(batch=1), [(5.0, line) for _, line in STEPS])
    assert measurement.train_seconds is None
    assert any("PYTHONUNBUFFERED" in note for note in measurement.notes)


def test_enough_is_measured_once_so_many_steps_came_after_the_warm_up() -> None:
    listener = make(measure_steps=20)
    hear_all(listener, STEPS[:20])
    states = []
    for line in STEPS[20:23]:
        states.append(listener.is_measured)
        hear_all(listener, [line])
    assert states == [False, False, True]  # the first step was warm-up
    assert listener.finish().was_cut


def test_a_training_to_its_end_is_never_measured_enough() -> None:
    listener = make()
    hear_all(listener, STEPS)
    assert not listener.is_measured


def test_steps_that_go_back_are_told_and_counted_once() -> None:
    again = [(50.0 + step, f"step={step}") for step in range(20, 61)]
    measurement = measure(make(), [*STEPS, *again])
    assert (measurement.steps, measurement.train_seconds) == (59, 109.0)
    assert any("went back" in note for note in measurement.notes)


def test_silence_is_told_with_what_was_expected_and_the_last_lines() -> None:
    listener = make()
    hear_all(listener, [(0.0, "hello"), (1.0, "world")])
    silence = listener.describe_silence()
    assert silence is not None
    assert "INFO:tensorflow:loss = 0.3, step = 100" in silence
    assert "  worker-0: world" in silence


def test_a_program_that_printed_nothing_is_told_so() -> None:
    silence = make("keras").describe_silence()
    assert silence is not None
    assert silence.endswith("Nothing was printed.")


def test_a_metric_that_is_asked_for_and_never_comes_is_told() -> None:
    listener = make(metric="auc")
    assert any("'auc' was never told; these were: loss" in note for note in measure(listener, STEPS).notes)
    assert listener.describe_silence() is not None


def test_another_form_than_the_chosen_one_is_no_progress() -> None:
    listener = make("estimator")
    hear_all(listener, STEPS)
    assert listener.describe_silence() is not None


def test_where_all_came_there_is_no_silence() -> None:
    listener = make(metric="loss")
    hear_all(listener, STEPS)
    assert listener.describe_silence() is None


@pytest.mark.parametrize(
    ("progress", "changes", "says"),
    [
        ("kears", {}, "must be one of auto, none"),
        ("auto", {"direction": "up", "metric": "auc"}, "must be max"),
        ("auto", {"direction": "max"}, "metric names none"),
        ("none", {"metric": "auc"}, "leave out"),
        ("auto", {"batch": 0}, "batch_size_per_replica must be 1 or more"),
        ("auto", {"measure_steps": -1}, "measure_steps must be 0 or more"),
        ("auto", {"measure_steps": 1}, "one step is no measurement"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(progress: str, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        make(progress, **changes)  # type: ignore[arg-type]  # of several types


def test_metrics_keep_their_names_direction_and_way() -> None:
    measurement = measure(make(), STEPS)
    (metric,) = measurement.metrics
    assert (metric.name, metric.higher_is_better, metric.replica) == ("loss", False, "worker-0")
    assert [point.train_seconds for point in measurement.curve] == [float(second) for second in range(41)]
    assert find_metrics(measurement) == {"loss": 0.0244}


def test_output_that_comes_in_blocks_is_timed_by_its_blocks() -> None:
    listener = make(batch=1)
    for step in range(1, 1000):
        block, place = divmod(step, 100)
        listener.hear("worker-0", f"step={step}", 1000.0 + 10.0 * block + place * 1e-5)
    measurement = listener.finish()
    assert measurement.examples_per_second == pytest.approx(10.0, rel=0.02)
    assert measurement.first_step == 1
    assert measurement.by_replica["worker-0"]["steps"] == 999


def test_a_speed_that_does_not_say_whose_it_is_is_not_believed() -> None:
    measurement = measure(make(workers=2), [(float(n), f"images/sec={100 + n}") for n in range(9)])
    assert measurement.examples_per_second is None
    assert any("not whether it is one worker's" in note for note in measurement.notes)


def test_metrics_without_steps_are_no_clock_and_it_is_said() -> None:
    measurement = measure(make(), [(0.0, "loss=0.5"), (1.0, "loss=0.4")])
    assert (measurement.level, measurement.train_seconds) == (1, None)
    assert any("no clock of the training alone" in note for note in measurement.notes)


def test_nothing_is_heard_after_the_end() -> None:
    listener = make()
    measurement = measure(listener, STEPS)
    hear_all(listener, [(99.0, "step=99 loss=7")])
    assert listener.finish() == measurement


def test_memory_does_not_grow_with_the_lines() -> None:
    listener = make(batch=1, regexes=[r"own=loss=([\d.]+)"])

    def listen(first: int) -> int:
        for number in range(first, first + 1000):
            listener.hear("worker-0", f"step={number // 100} loss={number / 7} x{number}_loss=3", 1000.0 + number)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        listen(0)
        before = listen(1000)
        after = listen(2000)
    finally:
        tracemalloc.stop()
    listener.close()
    assert after - before < 100_000


def test_what_harms_a_terminal_is_not_handed_on(tmp_path: Path) -> None:
    listener = make("keras")
    listener.hear("worker-0", "bell\x07 and\ttab", 0.0)
    silence = listener.describe_silence()
    assert silence is not None
    assert silence.endswith("worker-0: bell? and tab")


def test_of_another_form_only_what_is_asked_for_is_taken() -> None:
    lines = [(float(n), f"INFO:tensorflow:loss = 0.5, step = {n}00") for n in range(9)]
    measurement = measure(make(metric="Test AUC"), [*lines, (20.0, "f1=0.5 loss=7 Test AUC: 0.75")])
    assert find_metrics(measurement) == {"Test AUC": 0.75, "loss": 0.5}
    assert measurement.notes[0].startswith("Progress was read as estimator")


def end_apart(measure_steps: int, losses: Sequence[float]) -> Measurement:
    """Returns what two workers told of which the second is ended two steps after the first."""
    listener = make(workers=2, measure_steps=measure_steps)
    for step in range(1, 23):
        for index, loss in enumerate(losses):
            if step <= 20 + 2 * index:
                listener.hear(f"worker-{index}", f"step={step} loss={loss / step}", 1000.0 + step)
    return listener.finish()


@pytest.mark.parametrize("measure_steps", [0, 10])
def test_workers_that_are_ended_at_steps_of_their_own_are_compared_at_the_last_that_all_told(
    measure_steps: int,
) -> None:
    measurement = end_apart(measure_steps, [1.0, 1.0])
    assert {name: told["metrics"] for name, told in measurement.by_replica.items()} == {
        "worker-0": {"loss": 0.05},
        "worker-1": {"loss": 0.05},
    }


def test_workers_that_differ_at_the_same_step_are_told() -> None:
    measurement = end_apart(10, [1.0, 1.2])
    assert [told["metrics"] for told in measurement.by_replica.values()] == [{"loss": 0.05}, {"loss": 0.06}]


def test_of_a_cut_training_no_values_of_different_steps_are_compared() -> None:
    listener = make(workers=2, measure_steps=4)
    for step in range(1, 21):
        listener.hear(f"worker-{step % 2}", f"step={step} loss={1 / step}", 1000.0 + step)
    measurement = listener.finish()
    assert [told["metrics"] for told in measurement.by_replica.values()] == [{}, {}]


def test_an_expression_that_finds_words_is_not_said_to_find_nothing() -> None:
    listener = make(regexes=[r"auc=foo (\w+)"])
    hear_all(listener, [(float(n), f"step={n} foo bar") for n in range(5)])
    silence = listener.describe_silence()
    listener.close()
    assert silence is not None
    assert silence.startswith(r"The regular expression of 'auc' matched no number, but e.g. 'bar': foo (\w+)")
