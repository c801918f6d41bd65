import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.dataset import PreparedDataset
from model.data.fetch import encode_idx
from model.data.sources import load_dataset
from model.prepare import main, prepare

CANONICAL_MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}


def test_an_own_npz_becomes_a_prepared_data_set(npz: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    prepared = prepare(str(npz), tmp_path / "deep" / "out", report=lines.append)
    opened = PreparedDataset.open(tmp_path / "deep" / "out", verify=True)
    assert opened.sha256 == prepared.sha256
    assert opened.manifest["source"] == str(npz)
    assert lines == [
        f"digits: 110 train, 10 validation, 30 test images of 2 x 2 x 1, 3 classes, in {tmp_path / 'deep' / 'out'}"
    ]


def test_what_is_often_a_slip_is_a_warning(tmp_path: Path) -> None:
    lines: list[str] = []
    images, labels = np.linspace(-1, 1, 96).reshape(24, 2, 2), np.arange(24) % 3
    np.savez(tmp_path / "scaled.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)

    prepare(str(tmp_path / "scaled.npz"), tmp_path / "out", report=lines.append)

    assert lines[0].startswith("Warning: The pixels are between -1 and 1, where the built-in models expect 0 to 255.")


def test_the_program_takes_every_option(npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--validation-fraction=0.5", "--seed=3", "--max-train-images=60"]
    assert main([f"--dataset={npz}", f"--output-dir={tmp_path / 'out'}", *options]) == 0
    assert "30 train, 30 validation, 30 test images" in capsys.readouterr().out
    assert PreparedDataset.open(tmp_path / "out").manifest["seed"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset=cifar"], "error: Unknown data set 'cifar'. Known: mnist, fashion_mnist"),
        (["--dataset=none.npz"], "error: There is no file none.npz. Expected an .npz file"),
        (["--dataset=cifar", "--seed=-1"], "error: seed must be 0 or more. Received: -1"),
    ],
)
def test_what_a_user_gets_wrong_is_one_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([f"--output-dir={tmp_path / 'out'}", *options]) == 2
    assert capsys.readouterr().err.startswith(message)
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_one_message(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main([f"--dataset={npz}", f"--output-dir={tmp_path / 'file' / 'out'}"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert str(tmp_path / "file") in message


@pytest.mark.skipif(sys.platform != "linux", reason="sends SIGXFSZ elsewhere")
def test_a_disk_that_is_full_is_one_message_that_names_the_file(npz: Path, tmp_path: Path) -> None:
    code = "import resource, sys; from model.prepare import main; resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)); "
    with np.load(npz) as arrays:  # a folder's need no copy
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
    arguments = [f"--dataset={tmp_path}", f"--output-dir={tmp_path / 'out'}"]
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit(main())", *arguments], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"error: \S+/train_images.bin cannot be written or read: .*\n", ended.stderr)


def test_of_many_inputs_some_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays: dict[str, Any] = {f"x_{split}/i{index}": np.zeros(60) for split in ("train", "test") for index in range(25)}
    np.savez(tmp_path / "many.npz", y_train=np.arange(60) % 2, y_test=np.arange(60) % 2, **arrays)
    prepare(str(tmp_path / "many.npz"), tmp_path / "out")
    line = capsys.readouterr().out.splitlines()[-1]
    assert "test examples of i0 1, i1 1, " in line
    assert ", 5 more, 2 classes, in " in line


def test_the_program_starts_without_tensorflow() -> None:
    program = "import sys, model.prepare; print(*{'tensorflow', 'keras', 'kfp', 'kubernetes'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "\n"


MEASURE = """
import resource, sys
from model.prepare import main
main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_a_part_of_a_large_file_takes_no_memory_for_the_whole(npz: Path, tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).random((20_000, 28, 28)), np.arange(20_000) % 10
    np.savez(tmp_path / "large.npz", x_train=images, y_train=labels, x_test=images[:100], y_test=labels[:100])
    peaks = []
    for file in (npz, tmp_path / "large.npz"):
        options = [f"--dataset={file}", f"--output-dir={tmp_path / 'out'}", "--max-train-images=60"]
        command = [sys.executable, "-c", MEASURE, *options]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(finished.stdout.splitlines()[-1]))
    assert peaks[1] - peaks[0] < images.nbytes


@pytest.mark.slow
def test_mnist_is_the_canonical_one(tmp_path: Path) -> None:
    arrays = load_dataset("mnist").arrays
    for key, md5 in CANONICAL_MD5.items():
        array = getattr(arrays, key).astype(np.uint8)
        content = encode_idx(array[..., 0] if key.startswith("x") else array)
        assert hashlib.md5(content).hexdigest() == md5
    prepare("mnist", tmp_path / "mnist")
    prepared = PreparedDataset.open(tmp_path / "mnist", verify=True)
    assert [prepared.split(split).count for split in ("train", "validation", "test")] == [55_000, 5_000, 10_000]
    histogram = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert prepared.manifest["splits"]["test"]["class_histogram"] == histogram
    assert prepared.sha256 == "808fc9eb1bf02c4e57edf834ce7c69ce9b1698c2296b469aa14643b9e93f854a"
