import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.lines import NUMBER_OR_NAN
from tests.program.listening import make

PIECES = (
    *(
        "Epoch 1/5",
        "10/100 [==>..] - 3s 3ms/step - loss: nan",
        "100/100 ━━━ 1s 3ms/step - accuracy: 1e999",
        "7/Unknown 1s",
    ),
    *("INFO:tensorflow:loss = 0.1, step = 100 (0.7 sec)", "global_step/sec: 0", "global_step/sec: 1e-320"),
    *("Saving dict for global step 9: accuracy = inf", "Saving checkpoints for 999999999999999 into", "step = 99999"),
    *("train | step: 1 | steps/sec: 0 | output: {'loss': nan", "eval | step: 2 | output:", "}", "'a': 1"),
    *(
        "1 images/sec: 0 +/- 0 (jitter = 0)",
        "total images/sec: 1e400",
        "Batch size: 0 global",
        "Accuracy @ 1 = 7 [0 examples]",
    ),
    *("step=1 loss=0.5", "accuracy=97%", "images/sec=0", "auc: 0.5", "step=-1", "step=1.5", "loss=" + "9" * 5000),
    *("\r", "\b", "\n", "\x1b[", "\x1b[31m", "\x00", "\ud800", "b'", "\\t", " - ", "=", ": ", "/", "٣/٤", "²"),
)
lines = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=8).map("".join)


@given(st.lists(st.tuples(lines, st.floats(), st.sampled_from(["worker-0", "worker-1", "chief-0", "ps-0", "", "-9"]))))
def test_no_line_breaks_it_and_every_figure_is_finite(told: list[tuple[str, float, str]]) -> None:
    listener = make(metric="auc", batch=8, workers=2, measure_steps=2)
    for text, at, replica in told:
        listener.hear(replica, text, at)
    _ = listener.is_measured
    listener.describe_silence()
    measurement = listener.finish()
    amounts = [
        *(measurement.train_seconds, measurement.examples, measurement.examples_per_second, measurement.warmup_seconds),
        *(measurement.step_seconds or {}).values(),
        *(point.train_seconds for point in measurement.curve),
    ]
    assert all(amount is None or 0 <= amount < math.inf for amount in amounts)
    values = [metric.value for metric in measurement.metrics] + [point.value for point in measurement.curve]
    assert all(map(math.isfinite, values))


LONG = 8000
WORST = {
    "one word": "a" * LONG,
    "one number": "9" * LONG,
    "words": "ab " * (LONG // 3),
    "numbers": "1 " * (LONG // 2),
    "blanks after a word": "accuracy" + " " * LONG,
    "blanks after a bar": "1/2" + " " * LONG,
    "bars without an end": "1/2 " * (LONG // 4),
    "dots": "1." * (LONG // 2),
    "commas": "1,111" * (LONG // 5),
    "pairs": "a=1 " * (LONG // 4),
    "pairs without values": "a= " * (LONG // 3),
    "quotes": "'a': " * (LONG // 5),
    "dashes": " - " * (LONG // 3),
    "pipes": "train | step: 1 |" * (LONG // 17),
    "an escape without an end": "\x1b[" * (LONG // 2),
    "an epoch without an end": "Epoch 1/2" + " " * LONG + "x",
    "an estimator's names": "step = 1, " + "a.b/c-" * (LONG // 6),
    "the asked metric": "auc:" * (LONG // 4),
    "redraws": "\r \b" * (LONG // 3),
}


@pytest.mark.parametrize("line", WORST.values(), ids=list(WORST))
def test_the_worst_line_takes_milliseconds(line: str) -> None:
    listener = make(metric="auc")
    listener.hear("worker-0", "Epoch 1/2", 0.0)
    took = []
    for _ in range(3):
        began = time.thread_time()
        listener.hear("worker-0", line, 1.0)
        took.append(time.thread_time() - began)
    assert min(took) < 0.1


def test_no_number_repeats_without_a_bound() -> None:
    assert "*" not in NUMBER_OR_NAN.replace("\\*", "")
    assert "+" not in NUMBER_OR_NAN.replace("[-+]", "")
