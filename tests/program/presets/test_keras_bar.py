import pytest

from tests.program.listening import find_metrics, hear_all, make, measure

BAR_2 = "[==============================]"
BAR_3 = "\x1b[32m━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[37m\x1b[0m"


def draw_keras_3(step: int, rest: str, total: int = 100) -> str:
    return f"\r\x1b[1m{step:3d}/{total}\x1b[0m {BAR_3} \x1b[1m{rest}" + "\b" * 60


def draw_keras_2(step: int, rest: str) -> str:
    return "\b" * 60 + f"\r{step:3d}/100 [=====>........................] - {rest}"


def print_epochs(*lines: str, seconds: tuple[float, ...] = (15.0, 10.0, 10.0)) -> list[tuple[float, str]]:
    """Three epochs of a hundred steps; the first takes longer."""
    told: list[tuple[float, str]] = []
    at = 0.0
    for epoch, (line, took) in enumerate(zip(lines, seconds, strict=True), 1):
        told.append((at, f"Epoch {epoch}/{len(lines)}"))
        at += took
        told.append((at, line))
    return told


KERAS_3_VERBOSE_1 = print_epochs(
    *(
        draw_keras_3(1, "9s\x1b[0m 1s/step - accuracy: 1.9500 - loss: 4.6")
        + draw_keras_3(60, "2s\x1b[0m 100ms/step - accuracy: 1.9100 - loss: 0.7")
        + draw_keras_3(100, f"10s\x1b[0m 100ms/step - accuracy: 0.9{epoch} - loss: 0.3 - val_accuracy: 0.8{epoch}")
        for epoch in (1, 2, 3)
    )
)
KERAS_2_VERBOSE_1 = print_epochs(
    *(
        draw_keras_2(1, "ETA: 9s - loss: 4.6 - accuracy: 1.95")
        + draw_keras_2(60, "ETA: 2s - loss: 0.7 - accuracy: 1.91")
        + "\b" * 60
        + f"\r100/100 {BAR_2} - 10s 100ms/step - loss: 0.3 - accuracy: 0.9{epoch} - val_accuracy: 0.8{epoch}"
        for epoch in (1, 2, 3)
    )
)
KERAS_3_VERBOSE_2 = print_epochs(
    *(f"100/100 - 10s - 100ms/step - accuracy: 0.9{e} - loss: 0.3 - val_accuracy: 0.8{e}" for e in (1, 2, 3))
)
KERAS_2_VERBOSE_2 = print_epochs(
    *(
        f"100/100 - 10s - loss: 0.3 - accuracy: 0.9{e} - val_accuracy: 0.8{e} - 10s/epoch - 100ms/step"
        for e in (1, 2, 3)
    )
)
FORMS = pytest.mark.parametrize(
    "lines",
    [KERAS_3_VERBOSE_1, KERAS_2_VERBOSE_1, KERAS_3_VERBOSE_2, KERAS_2_VERBOSE_2],
    ids=["Keras 3, verbose 1", "Keras 2, verbose 1", "Keras 3, verbose 2", "Keras 2, verbose 2"],
)


@FORMS
def test_each_form_tells_the_same(lines: list[tuple[float, str]]) -> None:
    measurement = measure(make(batch=32, workers=2), lines)
    assert measurement.notes[0].startswith("Progress was read as keras")
    assert (measurement.steps, measurement.train_seconds, measurement.warmup_seconds) == (200, 20.0, 15.0)
    assert measurement.examples_per_second == 200 * 64 / 20
    assert measurement.first_step == 0
    assert find_metrics(measurement) == {"accuracy": 0.93, "loss": 0.3, "val_accuracy": 0.83}


@FORMS
def test_only_the_last_redraw_is_true_for_before_it_workers_metrics_are_summed(lines: list[tuple[float, str]]) -> None:
    measurement = measure(make(workers=2), lines)
    assert [point.value for point in measurement.curve if point.name == "accuracy"] == [0.91, 0.92, 0.93]


def test_a_callbacks_output_cuts_the_bar_and_harms_nothing() -> None:
    cut = [
        (0.0, "Epoch 1/2"),
        (1.0, draw_keras_3(1, "9s\x1b[0m 1s/step - accuracy: 1.9500 - loss: 4.6cut in")),
        (9.0, draw_keras_3(60, "2s\x1b[0m 100ms/step - accuracy: 1.9100 - loss: 0.7Epoch 00001: saving model")),
        (15.0, draw_keras_3(100, "15s\x1b[0m 100ms/step - accuracy: 0.91 - loss: 0.3callback says hi")),
        (15.0, "Epoch 2/2"),
        (25.0, draw_keras_3(100, "10s\x1b[0m 100ms/step - accuracy: 0.92 - loss: 0.2")),
    ]
    measurement = measure(make(workers=2), cut)
    assert find_metrics(measurement) == {"accuracy": 0.92, "loss": 0.2}
    assert measurement.by_replica["worker-0"]["steps"] == 200


def test_an_epoch_without_an_end_of_line_is_heard_in_pieces() -> None:
    pieces = [
        (0.0, "Epoch 1/1"),
        *((float(second), draw_keras_3(second, "9s\x1b[0m 1s/step - loss: 0.5")) for second in range(1, 100)),
        (100.0, draw_keras_3(100, "100s\x1b[0m 1s/step - loss: 0.5")),
        (104.0, draw_keras_3(100, "104s\x1b[0m 1s/step - loss: 0.5 - val_loss: 0.6")),
    ]
    measurement = measure(make(), pieces)
    assert (measurement.steps, measurement.train_seconds) == (99, 99.0)
    assert find_metrics(measurement) == {"val_loss": 0.6, "loss": 0.5}


@pytest.mark.parametrize(
    "line",
    [
        draw_keras_3(1, "9s\x1b[0m 1s/step - accuracy: 0.5", 313)
        + draw_keras_3(313, "1s\x1b[0m 3ms/step - accuracy: 0.98 - loss: 0.05", 313),
        "313/313 - 1s - 3ms/step - accuracy: 0.98 - loss: 0.05",
        draw_keras_3(1, "9s\x1b[0m 1s/step - accuracy: 0.5")
        + draw_keras_3(100, "1s\x1b[0m 3ms/step - accuracy: 0.98 - loss: 0.05"),
    ],
    ids=["verbose 1", "verbose 2", "as many batches as the training has"],
)
def test_what_evaluate_prints_is_no_step_of_the_training(line: str) -> None:
    measurement = measure(make(), [*KERAS_3_VERBOSE_1, (40.0, line)])
    assert (measurement.steps, measurement.train_seconds) == (200, 20.0)
    assert find_metrics(measurement)["eval_accuracy"] == 0.98
    assert find_metrics(measurement)["accuracy"] == 0.93


def test_predictions_before_and_after_are_no_steps_either() -> None:
    line = draw_keras_3(313, "1s\x1b[0m 3ms/step", 313)
    measurement = measure(make(), [(-5.0, line), *KERAS_3_VERBOSE_2, (40.0, line)])
    assert (measurement.steps, measurement.train_seconds) == (200, 20.0)


def test_one_epoch_alone_has_its_first_step_left_out_by_the_programs_own_figure() -> None:
    measurement = measure(make(), [(0.0, "Epoch 1/1"), (20.0, "100/100 - 20s - 100ms/step - loss: 0.3")])
    assert measurement.steps == 99
    assert measurement.train_seconds == pytest.approx(9.9)
    assert measurement.warmup_seconds == pytest.approx(10.1)
    assert any("Only one epoch" in note for note in measurement.notes)


def test_a_training_that_goes_on_at_a_late_epoch_shows_by_its_first_step() -> None:
    lines = [(0.0, "Epoch 4/5"), (9.0, KERAS_3_VERBOSE_2[1][1]), (9.0, "Epoch 5/5"), (18.0, KERAS_3_VERBOSE_2[3][1])]
    assert measure(make(), lines).first_step == 300


def test_a_data_set_of_unknown_length_is_counted_as_it_comes() -> None:
    unknown = "\r     12/Unknown 1s 9ms/step - loss: 0.5\r    100/Unknown 9s 9ms/step - loss: 0.4"
    lines = [(0.0, "Epoch 1/2"), (15.0, unknown), (15.0, "Epoch 2/2"), (25.0, KERAS_3_VERBOSE_2[3][1])]
    measurement = measure(make(), lines)
    assert measurement.by_replica["worker-0"]["steps"] == 200


def test_keras_of_old_counts_samples() -> None:
    lines = [
        told
        for epoch in range(3)
        for told in [
            (10.0 * epoch, f"Epoch {epoch + 1}/3"),
            (10.0 * epoch + 10, f"6000/6000 {BAR_2} - 10s 83us/sample - loss: 0.3 - acc: 0.91"),
        ]
    ]
    measurement = measure(make(), lines)
    assert (measurement.steps, measurement.examples, measurement.examples_per_second) == (None, 12_000.0, 600.0)


def test_a_learning_rate_is_no_metric() -> None:
    lines = print_epochs(*(["100/100 - 10s - 100ms/step - loss: 0.3 - learning_rate: 0.01 - lr: 0.01"] * 3))
    assert set(find_metrics(measure(make(), lines))) == {"loss"}


def test_workers_that_trained_alone_are_found_out_by_their_metrics() -> None:
    listener = make(workers=2)
    hear_all(listener, KERAS_3_VERBOSE_2, "worker-0")
    other = [(at, line.replace("accuracy: 0.93", "accuracy: 0.94")) for at, line in KERAS_3_VERBOSE_2]
    assert any("may have trained alone" in note for note in measure(listener, other, "worker-1").notes)


def test_workers_that_trained_together_are_not_suspected() -> None:
    listener = make(workers=2)
    hear_all(listener, KERAS_3_VERBOSE_2, "worker-0")
    assert not any("alone" in note for note in measure(listener, KERAS_3_VERBOSE_2, "worker-1").notes)


def test_a_bar_in_a_line_of_kilobytes_is_read_at_its_end() -> None:
    long = "".join(draw_keras_3(step, "9s\x1b[0m 1s/step - loss: 0.5") for step in range(1, 100))
    lines = print_epochs(*[long + draw_keras_3(100, "9s\x1b[0m 100ms/step - loss: 0.25")] * 3)
    assert len(lines[1][1]) > 10_000
    assert find_metrics(measure(make(), lines)) == {"loss": 0.25}


def test_a_sum_in_a_full_bar_that_is_cut_gives_way_to_the_last_redraw() -> None:
    full = draw_keras_3(100, "9s\x1b[0m 90ms/step - accuracy: 1.9 - loss: 0.8WARNING: slow callback")
    last = draw_keras_3(100, "10s\x1b[0m 100ms/step - accuracy: 0.95 - loss: 0.4")
    measurement = measure(make(workers=2), [(0.0, "Epoch 1/1"), (9.9, full), (10.0, last)])
    assert [(point.name, point.value) for point in measurement.curve] == [("accuracy", 0.95), ("loss", 0.4)]
    assert not any("sums over" in note for note in measurement.notes)
