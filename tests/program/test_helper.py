import ast
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import program.helper.tfjob_speedup_progress as helper
from program.files import PROGRESS_FOLDER
from program.helper import HELPER_FILE, install_helper, progress_env
from program.measurement import Measurement
from tests.program.listening import find_metrics, make

SOURCE = Path(helper.__file__)
WORKER_1 = {"TF_CONFIG": json.dumps({"cluster": {}, "task": {"type": "worker", "index": 1}})}
TRAINING = """
import tfjob_speedup_progress as progress
with progress.training():
    for _ in range(5):
        progress.step(examples=8)
progress.metric("accuracy", 0.5, n=10)
"""


def run(
    folder: Path, code: str, env: Mapping[str, str] | None = None, replica: str = ""
) -> subprocess.CompletedProcess[str]:
    install_helper(folder / "helper")
    variables = {**os.environ, **progress_env(folder / "helper", folder / "out", replica, os.environ), **(env or {})}
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out" / PROGRESS_FOLDER).glob("*"))


def read(folder: Path) -> Measurement:
    listener = make()
    listener.follow(folder / "out")
    return listener.finish()


def test_what_is_told_in_a_program_is_heard(tmp_path: Path) -> None:
    done = run(tmp_path, TRAINING, WORKER_1)
    assert (done.returncode, done.stderr) == (0, "")
    measurement = read(tmp_path)
    assert measurement.by_replica == {"worker-1": {"steps": 5, "examples": 40.0, "metrics": {"accuracy": 0.5}}}
    assert measurement.level == 2
    assert not any("passed over" in note for note in measurement.notes)


def test_without_the_variable_it_does_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, TRAINING, {helper.VARIABLE: ""})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "out").exists()


def test_its_syntax_is_that_of_python_3_6_and_it_needs_nothing() -> None:
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} | {
        str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    assert imported <= {
        "atexit",
        "contextlib",
        "importlib",
        "json",
        "os",
        "re",
        "socket",
        "sys",
        "threading",
        "time",
        "typing",
    }


@pytest.mark.parametrize(
    ("env", "replica", "name"),
    [
        ({"TF_CONFIG": '{"task": {"type": "chief", "index": 0}}'}, "", "chief-0"),
        ({"TF_CONFIG": '{"task": {"type": "chief", "index": 0}}'}, "worker-3", "worker-3"),
        ({"TF_CONFIG": '{"task": {"type": "../../x", "index": "7"}}'}, "", "..-..-x-7"),
    ],
)
def test_a_replica_has_a_file_by_its_name(tmp_path: Path, env: dict[str, str], replica: str, name: str) -> None:
    run(tmp_path, TRAINING, env, replica)
    assert list_files(tmp_path) == [f"{name}.jsonl"]


@pytest.mark.parametrize("tf_config", ["", "{", "[]", '{"task": 3}', '{"task": {"type": "worker"}}'])
def test_without_a_role_each_process_has_a_file_of_its_own(tmp_path: Path, tf_config: str) -> None:
    run(tmp_path, TRAINING, {"TF_CONFIG": tf_config})
    run(tmp_path, TRAINING, {"TF_CONFIG": tf_config})
    assert len(list_files(tmp_path)) == 2


def test_a_variable_that_names_a_file_is_taken_at_its_word(tmp_path: Path) -> None:
    run(tmp_path, TRAINING, {helper.VARIABLE: str(tmp_path / "deep" / "mine.jsonl")})
    assert len((tmp_path / "deep" / "mine.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize("place", ["/proc/nowhere/", "/dev/full"])
def test_a_place_that_cannot_be_written_is_said_once_and_harms_no_training(tmp_path: Path, place: str) -> None:
    done = run(tmp_path, TRAINING + "progress.end()\nprint('trained')", {helper.VARIABLE: place})
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("progress is not told") == 1


def test_a_process_that_is_forked_writes_nothing_twice(tmp_path: Path) -> None:
    code = """
import os
import tfjob_speedup_progress as progress
progress.step(examples=8)
child = os.fork()
progress.step(examples=8)
if child:
    os.waitpid(child, 0)
"""
    run(tmp_path, code, WORKER_1)
    assert read(tmp_path).by_replica["worker-1"] == {"steps": 2, "examples": 16.0, "metrics": {}}


def test_lines_are_there_within_a_second_or_two_and_not_only_in_the_end(tmp_path: Path) -> None:
    code = f"""
import os, time
import tfjob_speedup_progress as progress
while not os.path.exists(os.environ[{helper.VARIABLE!r}] + "worker-1.jsonl"):
    progress.step()
    time.sleep(0.1)
os._exit(9)  # as by SIGKILL
"""
    assert run(tmp_path, code, WORKER_1).returncode == 9
    assert 1 <= (read(tmp_path).by_replica["worker-1"]["steps"] or 0) <= 20


def test_a_training_that_fails_does_not_end(tmp_path: Path) -> None:
    run(tmp_path, "import tfjob_speedup_progress as p\nwith p.training():\n    p.step()\n    1 / 0", WORKER_1)
    text = (tmp_path / "out" / PROGRESS_FOLDER / "worker-1.jsonl").read_text()
    assert '"begin"' in text
    assert '"end"' not in text


def test_what_is_no_number_is_not_told_and_no_error(tmp_path: Path) -> None:
    code = "import tfjob_speedup_progress as p\np.metric('a', 'high')\np.metric('b', None)\np.metric('c', '0.5')"
    run(tmp_path, code, WORKER_1)
    assert find_metrics(read(tmp_path)) == {"c": 0.5}


def test_a_large_count_keeps_its_digits_and_what_is_none_is_not_told(tmp_path: Path) -> None:
    steps = ("123456789", "'many'", "1, step=None", "1, step='x'")
    code = "\n".join(["import tfjob_speedup_progress as p", *(f"p.step({step})" for step in steps)])
    assert run(tmp_path, code, WORKER_1).stderr == ""
    assert read(tmp_path).by_replica["worker-1"]["examples"] == 123456790.0


def test_threads_lose_no_line(tmp_path: Path) -> None:
    code = """
import threading
import tfjob_speedup_progress as progress
threads = [threading.Thread(target=lambda: [progress.metric("loss", n) for n in range(3000)]) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    run(tmp_path, code, WORKER_1)
    text = (tmp_path / "out" / PROGRESS_FOLDER / "worker-1.jsonl").read_text()
    assert len(text.splitlines()) == 12_000


def test_its_folder_goes_in_front_of_the_path_and_not_in_its_place(tmp_path: Path) -> None:
    assert progress_env("/helper", "/out", env={"PYTHONPATH": "/mine:/theirs"}) == {
        helper.VARIABLE: f"/out/{PROGRESS_FOLDER}/",
        "PYTHONPATH": "/helper:/mine:/theirs",
    }
    install_helper(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [HELPER_FILE]


KERAS = """
import numpy as np
import keras
import tfjob_speedup_progress as progress
x = np.random.rand(640, 4).astype("float32")
model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"], steps_per_execution=STEPS)
tell = progress.keras_callback(batch_size=32)
model.fit(x, x[:, 0] > 0.5, batch_size=32, epochs=3, validation_split=0.1, callbacks=[tell], verbose=VERBOSE)
model.evaluate(x, x[:, 0] > 0.5, callbacks=[tell], verbose=VERBOSE)
"""


def run_keras(folder: Path, verbose: int, steps: int, package: str) -> tuple[Measurement, Measurement]:
    """Returns what the helper tells of a training, and what is heard of what the same training prints."""
    code = KERAS.replace("VERBOSE", str(verbose)).replace("STEPS", str(steps))
    code = code.replace("import keras", f"import {package} as keras")
    done = run(folder, code, {**WORKER_1, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stderr
    listener = make()
    for number, line in enumerate(done.stdout.split("\n")):
        listener.hear("worker-1", line, 1000.0 + number)
    return read(folder), listener.finish()


@pytest.mark.slow
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize(("verbose", "steps"), [(1, 1), (2, 6)])
def test_keras_tells_the_same_by_the_callback_and_by_what_it_prints(
    tmp_path: Path, verbose: int, steps: int, package: str
) -> None:
    told, printed = run_keras(tmp_path, verbose, steps, package)
    assert told.by_replica["worker-1"]["steps"] == (54 if steps == 1 else 54 - steps)
    assert printed.by_replica["worker-1"]["steps"] == 54
    assert told.by_replica["worker-1"]["examples"] == 54 * 32
    heard = find_metrics(printed)
    assert set(heard) == {"accuracy", "loss", "val_accuracy", "val_loss", "eval_accuracy", "eval_loss"}
    assert find_metrics(told) == {name: pytest.approx(value, abs=1e-4) for name, value in heard.items()}


@pytest.mark.slow
def test_a_session_tells_its_steps_by_the_hook(tmp_path: Path) -> None:
    code = """
import tensorflow as tf
import tfjob_speedup_progress as progress
with tf.Graph().as_default():
    step = tf.compat.v1.train.get_or_create_global_step()
    train = tf.compat.v1.assign_add(step, 1)
    with tf.compat.v1.train.MonitoredTrainingSession(hooks=[progress.session_hook(batch_size=16)]) as session:
        for _ in range(10):
            session.run(train)
"""
    done = run(tmp_path, code, {**WORKER_1, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stderr
    measurement = read(tmp_path)
    assert measurement.by_replica["worker-1"]["examples"] == 160.0
    assert measurement.by_replica["worker-1"]["steps"] in {9, 10}
