import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import program.expressions.matcher
from program.errors import ProgramError
from program.expressions import Matching, parse_expressions
from tests.program.listening import find_metrics, hear_all, make, measure


@pytest.mark.parametrize(
    ("text", "group"),
    [
        (r"loss=loss is ([\d.]+)", 1),
        (r"loss=(?P<loss>[\d.]+) of (\w+)", 1),
        (r"loss=(\w+) (?P<value>[\d.]+)", 2),
        (r"my-metric/x=a=(\d)", 1),
    ],
)
def test_an_expression_captures_one_value(text: str, group: int) -> None:
    (expression,) = parse_expressions([text])
    assert expression.group == group


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["loss"], "must be NAME=REGEX"),
        (["=x(.)"], "must be NAME=REGEX"),
        (["loss="], "must be NAME=REGEX"),
        (["loss=("], "no regular expression"),
        (["loss=[[a](.)"], "no regular expression"),
        (["loss=abc"], "captures 0"),
        (["loss=(a)(b)"], "captures 2"),
        (["loss=(?P<a>.)(?P<b>.)"], "captures 2"),
        (["loss=(a)", "loss=(b)"], "must come once; loss"),
        (["loss=" + "a" * 3000 + "(b)"], "at most 2,000 characters"),
        (["loss=(a){99999999999999999999}"], "no regular expression"),
    ],
)
def test_what_is_no_expression_is_refused_in_words(texts: list[str], says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        parse_expressions(texts)


def test_own_expressions_tell_steps_examples_and_metrics() -> None:
    listener = make(regexes=[r"step=it (\d+)", r"examples=seen ([\d,]+)", r"accuracy=acc (\S+)"])
    measurement = measure(listener, [(float(n), f"it {n} seen {n * 1000:,} acc {90 + n / 10}%") for n in range(21)])
    assert measurement.notes[0] == "Progress was read as regular expressions."
    assert (measurement.steps, measurement.examples, measurement.examples_per_second) == (19, 19_000.0, 1000.0)
    assert find_metrics(measurement) == {"accuracy": pytest.approx(0.92)}


def test_own_metrics_join_the_clock_of_a_preset() -> None:
    listener = make(regexes=[r"score=My score is (\S+)"], metric="score", direction="max")
    lines = [(float(n), f"INFO:tensorflow:loss = 0.5, step = {n}00") for n in range(9)]
    measurement = measure(listener, [*lines, (20.0, "My score is 17.5")])
    assert (measurement.steps, measurement.train_seconds) == (700, 7.0)
    assert (measurement.metrics[0].name, measurement.metrics[0].higher_is_better) == ("score", True)
    assert listener.describe_silence() is None


def test_one_that_never_matches_is_told_with_the_last_lines() -> None:
    listener = make(regexes=[r"step=it (\d+)", r"auc=AUC (\S+)"])
    hear_all(listener, [(0.0, "it 1"), (1.0, "auc 0.5")])
    silence = listener.describe_silence()
    assert silence == (
        "The regular expression of 'auc' never matched: AUC (\\S+)\n"
        "The last lines were:\n  worker-0: it 1\n  worker-0: auc 0.5"
    )


def test_what_is_no_number_is_told_once() -> None:
    listener = make(regexes=[r"auc=AUC (\S+)"])
    notes = measure(listener, [(0.0, "AUC high"), (1.0, "AUC low"), (2.0, "AUC nan")]).notes
    assert [note for note in notes if "no number" in note] == [
        "The regular expression of 'auc' matched what is no number, e.g. 'high'."
    ]


def test_a_catastrophic_one_is_dropped_and_told_and_the_others_go_on() -> None:
    listener = make(regexes=[r"bad=(a+)+$", r"step=it (\d+)"])
    began = time.monotonic()
    measurement = measure(listener, [(0.0, "it 1"), (1.0, "a" * 100 + "b"), (2.0, "it 2"), (3.0, "it 3")])
    assert time.monotonic() - began < 600  # as good as for ever without the bound
    assert measurement.steps == 1
    assert sum("'bad' took longer" in note for note in measurement.notes) == 1


def test_a_process_that_dies_drops_its_expressions_and_nothing_else() -> None:
    matching = Matching(parse_expressions([r"step=it (\d+)"]))
    matching.hear("worker-0", 0.0, "it 1")
    assert [own.texts for own in matching.flush()] == [{"step": "1"}]
    assert matching._process is not None
    os.kill(matching._process.pid, signal.SIGKILL)
    matching._process.wait()
    matching.hear("worker-0", 1.0, "it 2")
    assert matching.flush() == []
    assert len(matching.notes) == 1


def test_a_process_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    matching = Matching(parse_expressions([r"step=it (\d+)"]), patience_seconds=0.1)
    matching._patience_seconds = 60.0
    matching.hear("worker-0", 0.0, "it 1")
    matching.flush()
    assert matching._process is not None
    os.kill(matching._process.pid, signal.SIGSTOP)
    matching._patience_seconds = 0.1
    matching.hear("worker-0", 1.0, "it 2")
    assert matching.flush() == []
    assert matching._process is None


def test_many_lines_are_matched_a_batch_at_a_time() -> None:
    matching = Matching(parse_expressions([r"step=it (\d+)"]))
    found = [own for n in range(2500) for own in matching.hear("worker-0", float(n), f"it {n}")]
    found += matching.flush()
    matching.close()
    assert [own.texts["step"] for own in found] == [str(n) for n in range(2500)]
    assert [own.at for own in found] == [float(n) for n in range(2500)]


def test_the_process_ends_when_its_input_does() -> None:
    path = Path(program.expressions.matcher.__file__)
    done = subprocess.run(
        ["python3", str(path)], input=b'[["a", "(b)", 1]]\n["abc"]\n', capture_output=True, check=True
    )
    assert done.stdout == b'[[[0, {"a": "b"}]], []]\n'
