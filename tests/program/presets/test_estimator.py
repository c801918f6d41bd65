import pytest

from tests.program.listening import find_metrics, hear_all, make, measure

LOG = [
    (0.0, "INFO:tensorflow:Calling model_fn."),
    (1.0, "INFO:tensorflow:Saving checkpoints for 0 into /out/model.ckpt."),
    (5.0, "INFO:tensorflow:loss = 2.3, step = 0"),
    (15.0, "INFO:tensorflow:global_step/sec: 10.0"),
    (15.0, "INFO:tensorflow:loss = 0.9, step = 100 (10.000 sec)"),
    (20.0, "INFO:tensorflow:global_step/sec: 20.0"),
    (20.0, "INFO:tensorflow:loss = 0.5, step = 200 (5.000 sec)"),
    (25.0, "INFO:tensorflow:accuracy = 0.9, loss = 0.4, step = 300 (5.000 sec)"),
    (30.0, "INFO:tensorflow:loss = 0.3, step = 400 (5.000 sec)"),
    (34.9, "INFO:tensorflow:Saving checkpoints for 499 into /out/model.ckpt."),
    (42.0, "INFO:tensorflow:Loss for final step: 0.25."),
    (50.0, "INFO:tensorflow:Saving dict for global step 499: accuracy = 0.97, global_step = 499, loss = 0.11"),
]


def test_steps_and_metrics_of_hooks_are_read() -> None:
    measurement = measure(make(batch=10, workers=2), LOG)
    assert measurement.notes[0].startswith("Progress was read as estimator")
    assert measurement.first_step == 0
    assert measurement.steps == 399
    assert measurement.train_seconds == pytest.approx(19.9)
    assert measurement.examples == 399 * 20
    assert find_metrics(measurement) == {"eval_accuracy": 0.97, "eval_loss": 0.11, "accuracy": 0.9, "loss": 0.25}


def test_what_is_asked_for_is_found_where_it_was_evaluated() -> None:
    log = [line for line in LOG if "accuracy = 0.9," not in line[1]]
    measurement = measure(make(metric="accuracy"), log)
    assert (measurement.metrics[0].name, measurement.metrics[0].value) == ("eval_accuracy", 0.97)


def test_a_late_workers_first_step_is_no_evidence_on_the_chief() -> None:
    listener = make(workers=2)
    hear_all(listener, [(20.0, "INFO:tensorflow:loss = 0.5, step = 222"), LOG[-3]], "worker-0")
    assert measure(listener, LOG, "chief-0").first_step == 0


def test_a_log_of_another_form_is_read_too() -> None:
    log = [
        (at, line.replace("INFO:tensorflow:", "I1128 01:00:00.1 7 basic_session_run_hooks.py:262] "))
        for at, line in LOG
    ]
    assert measure(make("estimator"), log).steps == 399


def test_a_loss_that_is_no_number_is_no_metric() -> None:
    measurement = measure(make(), [(0.0, "loss = nan, step = 0"), (1.0, "loss = nan, step = 100 (1 sec)")])
    assert measurement.metrics == []
    assert any("loss was never a finite number" in note for note in measurement.notes)


def test_a_loss_that_became_none_is_told_with_its_last_number() -> None:
    measurement = measure(make(), [(0.0, "loss = 0.5, step = 0"), (1.0, "loss = nan, step = 100 (1 sec)")])
    assert find_metrics(measurement) == {"loss": 0.5}
    assert any("last loss was no finite number" in note for note in measurement.notes)
