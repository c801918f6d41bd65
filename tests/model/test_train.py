import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model import train
from model.data.dataset import PreparedDataset
from model.train import build_parser, describe_bad_lookup, main

MALFORMED = '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'
# As a worker said it whose peer's network had been cut.
HEARTBEATS_STOPPED = """\
Collective ops is aborted by: Error reported from /job:worker/task:1: The following tasks are unhealthy \
(stopped sending heartbeats):
/job:worker/replica:0/task:1
The tasks have crashed. Check the task logs for an earlier error, or scheduler \
events (e.g. preemption, eviction) to debug further.
The error could be from a previous operation. Restart your program to reset. \
[type.googleapis.com/tensorflow.DerivedStatus='']"""
REDUCTION_FAILED = """Graph execution error:

Detected at node CollectiveReduceV2 defined at (most recent call last):
  File "model/synchronous.py", line 44, in reduce_sum

Collective ops is aborted by: Socket closed
The error could be from a previous operation. Restart your program to reset.
\t [[{{node CollectiveReduceV2}}]] [Op:__inference_reduce_sum_1747]"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--global-batch-size=65"], "must not exceed the number of training images. Received: 65 and 64.\n"),
        (["--learning-rate=-1"], "learning_rate must be a finite number above 0. Received: -1.0.\n"),
        (["--model=resnet9"], "Received: 'resnet9'.\n"),
        (
            ["--model=model.plan:none", "--global-batch-size=16"],
            "has no function 'none'. Received: model ",
        ),
        (["--data-dir=none"], "`python -m model.prepare` writes a prepared data set.\n"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_exit_code_2(
    noise: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([f"--data-dir={noise.directory}", f"--output-dir={tmp_path / 'out'}", *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert message in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tf_config", ["{", MALFORMED])
def test_a_malformed_tf_config_is_one_line_and_exit_code_2(
    noise: PreparedDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tf_config: str,
) -> None:
    monkeypatch.setenv("TF_CONFIG", tf_config)
    assert main([f"--data-dir={noise.directory}", f"--output-dir={tmp_path}"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: TF_CONFIG")
    assert told.endswith(f"Received: {tf_config}\n")
    assert told.count("\n") == 1


def test_the_workers_must_divide_the_batch(
    noise: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert main([f"--data-dir={noise.directory}", f"--output-dir={tmp_path}", "--global-batch-size=16"]) == 2
    assert capsys.readouterr().err.endswith("Received: 16 and 3.\n")


def test_the_users_mistakes_are_told_before_tensorflow_is_imported() -> None:
    program = "import sys, model.train; print(*{'tensorflow', 'keras', 'kfp', 'kubernetes'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "\n"


def test_the_program_describes_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser("train")
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["--help"])
    told = capsys.readouterr().out
    options = {option: action.help for action in parser._actions for option in action.option_strings}
    assert "--batch-norm-group-size" in options
    assert [option for option, text in options.items() if not (text or "").strip() or option not in told] == []


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (REDUCTION_FAILED, "Collective ops is aborted by: Socket closed"),
        ("Graph execution error:\n\nDetected at node Reduce\n<stack traces unavailable>\nGone", "Gone"),
        ("Socket closed", "Socket closed"),
        (HEARTBEATS_STOPPED, HEARTBEATS_STOPPED.partition("\n")[0] + " worker-1"),
        ("", ""),
    ],
)
def test_of_a_lost_contact_the_cause_is_told_and_not_the_graph(message: str, cause: str) -> None:
    assert train._find_cause(message) == cause


def test_what_follows_from_the_role_is_no_option() -> None:
    parser: Any = build_parser("train")
    names = {action.dest for action in parser._actions}
    assert {"data_dir", "output_dir"} <= names
    assert not {"num_workers", "num_ps"} & names


def test_data_that_changed_since_they_were_prepared_are_refused(
    noise: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = shutil.copytree(noise.directory, tmp_path / "data")
    images = data_dir / "train_images.bin"
    content = bytearray(images.read_bytes())
    content[100] ^= 1
    images.write_bytes(content)
    assert main([f"--data-dir={data_dir}", f"--output-dir={tmp_path / 'out'}"]) == 2
    assert "train_images.bin" in capsys.readouterr().err


def test_a_number_that_the_models_table_does_not_have_is_told_in_words() -> None:
    message = "Graph execution error:\nDetected at node ResourceGather\nindices[3,17] = 5001 is not in [0, 500)\n"
    told = describe_bad_lookup(message)
    assert told is not None
    assert told.startswith("The model looks up the number 5001 in a table of 500 rows, numbered from 0. Give ")
    assert describe_bad_lookup("another error") is None
