import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.files import PROGRESS_FOLDER
from program.measurement import Measurement
from tests.program.listening import find_metrics, make


def step(number: float, at: float, examples: float | None = 8) -> str:
    values = {"event": "step", "time": 1000.0 + at, "step": number}
    return json.dumps(values if examples is None else {**values, "examples": examples})


def training(seconds: float = 1.0, steps: int = 21, first: int = 1) -> list[str]:
    return [
        json.dumps({"event": "begin", "time": 1000.0}),
        *(step(number, seconds * (number - first)) for number in range(first, first + steps)),
        json.dumps({"event": "metric", "time": 1100.0, "name": "accuracy", "value": 0.9, "n": 500}),
        json.dumps({"event": "end", "time": 1100.0}),
    ]


def write(folder: Path, lines: list[str], replica: str = "worker-0") -> Path:
    path = folder / PROGRESS_FOLDER / f"{replica}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def read(folder: Path, workers: int = 1, num_ps: int = 0) -> Measurement:
    listener = make(workers=workers, num_ps=num_ps)
    listener.follow(folder)
    return listener.finish()


def test_steps_examples_and_metrics_are_told(tmp_path: Path) -> None:
    write(tmp_path, training())
    measurement = read(tmp_path)
    assert (measurement.level, measurement.steps, measurement.train_seconds) == (2, 19, 19.0)
    assert (measurement.examples, measurement.examples_per_second) == (152.0, 8.0)
    assert (measurement.first_step, measurement.warmup_seconds) == (1, 1.0)
    (metric,) = measurement.metrics
    assert (metric.name, metric.value, metric.num_examples, metric.higher_is_better) == ("accuracy", 0.9, 500, True)
    assert measurement.by_replica == {"worker-0": {"steps": 21, "examples": 168.0, "metrics": {"accuracy": 0.9}}}
    assert measurement.step_seconds is not None
    assert measurement.step_seconds["median"] == 1.0


def test_what_is_told_on_purpose_comes_before_what_is_printed(tmp_path: Path) -> None:
    write(tmp_path, training())
    listener = make()
    for at in range(100):
        listener.hear("worker-0", f"step={at}", 1000.0 + at)
    listener.follow(tmp_path)
    assert listener.finish().level == 2


def test_replicas_own_examples_are_added_from_the_chiefs_first_measured_step_on(tmp_path: Path) -> None:
    write(tmp_path, training(), "worker-0")
    write(tmp_path, [step(number, number - 1 + 0.1, 4) for number in range(1, 22)], "worker-1")
    measurement = read(tmp_path, workers=2)
    assert measurement.examples == 19 * 8 + 19 * 4
    assert measurement.by_replica["worker-1"]["examples"] == 84.0


@pytest.mark.parametrize("seconds_ahead", [-60, 15, 60])
def test_replicas_in_step_on_nodes_whose_clocks_differ_are_counted_by_their_steps(
    tmp_path: Path, seconds_ahead: int
) -> None:
    write(tmp_path, training(), "worker-0")
    write(tmp_path, [step(number, number - 1 + seconds_ahead, 4) for number in range(1, 22)], "worker-1")
    assert read(tmp_path, workers=2).examples == 19 * 8 + 19 * 4


def test_one_that_speaks_for_the_job_is_not_added_to(tmp_path: Path) -> None:
    begin = json.dumps({"event": "begin", "time": 1000.0, "scope": "job"})
    write(tmp_path, [begin, *training()[1:]], "chief-0")
    write(tmp_path, training(), "worker-0")
    measurement = read(tmp_path, workers=2)
    assert measurement.examples == 19 * 8
    assert not any("not counted" in note for note in measurement.notes)


def test_a_worker_that_tells_nothing_is_missed(tmp_path: Path) -> None:
    write(tmp_path, training())
    assert any("Only worker-0 of 2 workers" in note for note in read(tmp_path, workers=2).notes)


def test_a_training_without_steps_is_timed_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    lines = training()
    write(tmp_path, [lines[0], *lines[-2:]])
    measurement = read(tmp_path)
    assert (measurement.train_seconds, measurement.steps, measurement.examples) == (100.0, None, None)


def test_a_file_is_followed_while_it_is_written(tmp_path: Path) -> None:
    listener = make(measure_steps=10)
    text = "".join(f"{line}\n" for line in training())
    path = write(tmp_path, [])
    states = []
    for place in range(0, len(text), 100):
        with path.open("a") as file:
            file.write(text[place : place + 100])  # a line is cut wherever a buffer was full
        listener.follow(tmp_path)
        states.append(listener.is_measured)
    assert states == sorted(states)
    assert (states[0], states[-1]) == (False, True)
    measurement = listener.finish()
    assert (measurement.steps, measurement.was_cut) == (19, True)
    assert not any("passed over" in note for note in measurement.notes)


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"step","ti',
        "\x00\x00",
        "[1, 2]",
        "null",
        '{"event":"step","time":1005.0}',
        '{"event":"step","time":NaN,"step":5}',
        '{"event":"step","time":"now","step":5}',
        '{"event":"step","time":1005.0,"step":-1}',
        '{"event":"step","time":1005.0,"step":1e999}',
        '{"event":"step","time":1005.0,"step":true}',
        '{"event":"step","time":1005.0,"step":5,"examples":-8}',
        '{"event":"metric","time":1005.0,"name":"a","value":"high"}',
        '{"event":"metric","time":1005.0,"name":"","value":1}',
        '{"event":"dance","time":1005.0}',
        "[" * 100_000,
        "9" * 10_000,
    ],
    ids=range(16),
)
def test_a_line_that_follows_no_schema_is_counted_and_passed_over(tmp_path: Path, line: str) -> None:
    lines = training()
    write(tmp_path, [*lines[:7], line, *lines[7:]])
    measurement = read(tmp_path)
    assert (measurement.steps, measurement.examples) == (19, 152.0)
    assert sum("1 of its lines" in note for note in measurement.notes) == 1


def test_bytes_that_are_no_utf_8_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, training())
    path.write_bytes(path.read_bytes().replace(b"accuracy", b"accur\xff\xfecy"))
    measurement = read(tmp_path)
    assert measurement.metrics == []
    assert measurement.steps == 19


def test_the_last_line_of_a_killed_process_may_lack_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, training()[:12])
    path.write_text(path.read_text().rstrip("\n"))
    assert read(tmp_path).by_replica["worker-0"]["steps"] == 11


def test_two_processes_that_write_one_file_make_no_time_and_no_step_run_backwards(tmp_path: Path) -> None:
    lines = [line for number in range(1, 22) for line in (step(number, number), step(max(1, number - 3), number + 0.1))]
    write(tmp_path, lines)
    measurement = read(tmp_path)
    assert measurement.by_replica["worker-0"]["steps"] == 21
    assert any("went back" in note for note in measurement.notes)


def test_lines_out_of_order_are_borne(tmp_path: Path) -> None:
    lines = training()
    lines[5], lines[15] = lines[15], lines[5]
    write(tmp_path, lines)
    measurement = read(tmp_path)
    assert measurement.train_seconds is not None
    assert measurement.train_seconds <= 20.0


def test_a_metric_that_is_no_number_is_none(tmp_path: Path) -> None:
    write(tmp_path, [*training()[:-2], '{"event":"metric","time":1100.0,"name":"auc","value":NaN}'])
    measurement = read(tmp_path)
    assert find_metrics(measurement) == {}
    assert any("auc was never a finite number" in note for note in measurement.notes)


def test_of_a_huge_file_only_the_end_is_read_after_the_job(tmp_path: Path) -> None:
    path = write(tmp_path, training(steps=11))
    with path.open("ab") as file:
        file.truncate(2**30)  # a gibibyte of nothing
        file.seek(2**30)
        file.write(b"\n" + "\n".join(training(steps=31)).encode())
    measurement = read(tmp_path)
    assert measurement.by_replica["worker-0"]["steps"] == 31
    assert any("MiB of it were left out" in note for note in measurement.notes)


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path, training(steps=11))
    with path.open("a") as file:
        file.write("x" * 300_000 + "\n" + "\n".join(training(steps=31)) + "\n")
    assert read(tmp_path).by_replica["worker-0"]["steps"] == 31


def test_other_files_of_that_ending_are_none_of_ours(tmp_path: Path) -> None:
    write(tmp_path, training()).rename(tmp_path / "predictions.jsonl")
    assert read(tmp_path).level == 0


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([line.encode() for line in training()])), max_size=20)
)
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("run")
    write(folder, []).write_bytes(b"\n".join(pieces))
    read(folder)


def test_replicas_that_are_not_in_step_are_cut_where_the_clock_is(tmp_path: Path) -> None:
    write(tmp_path, training(), "chief-0")
    write(tmp_path, [step(number, 0.5 * number, 4) for number in range(1, 201)], "worker-0")  # a hundred seconds
    measurement = read(tmp_path, workers=2)
    assert measurement.examples == 19 * 8 + 38 * 4


def test_a_pipe_in_the_files_place_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / PROGRESS_FOLDER).mkdir()
    os.mkfifo(tmp_path / PROGRESS_FOLDER / "worker-0.jsonl")
    assert read(tmp_path).level == 0


def test_a_name_that_harms_a_terminal_is_made_harmless(tmp_path: Path) -> None:
    write(tmp_path, [json.dumps({"event": "metric", "time": 1.0, "name": "loss\x1b[2J", "value": 1})])
    assert find_metrics(read(tmp_path)) == {"loss?[2J": 1.0}
