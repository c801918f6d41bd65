import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.gpu import CASES, GOALS, describe_gpu, describe_software, describe_trial, main, name_case
from benchmarks.peers import compute_ratios
from comparison.records import Gpu
from tests.comparison.record_factory import make_record

CARD = Gpu("NVIDIA H200", "GPU-1", "610.1", 150, 40, 71.5, 1980.0, 410.0, [], 0.0, 1)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, gpus: Sequence[str] = ()) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
    for name in ("CUDA_VISIBLE_DEVICES", "TFJOB_SPEEDUP_ACCEPT_NOISE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that it is put back
    return main(lambda: gpus)


def test_a_machine_without_a_gpu_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 2
    told = capsys.readouterr()
    assert told.err == "error: this machine has no NVIDIA GPU that may be used. --on-cpu tries the program.\n"
    assert told.out == ""


def test_each_goal_is_that_of_a_ratio_that_is_measured() -> None:
    rates = {(name, case): [1.0] for name in ("ours", "fit", "pytorch") for case in CASES}
    assert GOALS.keys() <= compute_ratios(rates, name_case).keys()


def test_what_a_record_tells_of_its_gpus_is_printed_for_each_replica() -> None:
    record = make_record(gpus=1, steps_per_call=64, precision="float32", jit_compile=True, deterministic=False)
    record = replace(record, replicas=[replace(own, gpu=CARD) for own in record.replicas])
    told = json.loads(describe_trial(record))
    assert (told["gpus"], told["steps_per_call"], told["jit_compile"], told["deterministic"]) == (1, 64, True, False)
    assert told["replicas"] == {own.name: vars(CARD) for own in record.replicas}


def test_a_gpu_of_which_nothing_is_told_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    monkeypatch.setenv("PATH", "")
    assert describe_gpu() == "CUDA_VISIBLE_DEVICES=GPU-1: nvidia-smi tells nothing of it"


def test_the_versions_of_what_computes_are_told() -> None:
    assert "tensorflow 2." in describe_software(None)


@pytest.mark.slow
def test_the_contestants_are_tried_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--on-cpu", "--no-run") == 0  # a whole run has tests of its own
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("ratio ")] == [
        "gpu-stride-2-batch-16-fit",
        "gpu-stride-2-batch-16-fit-32",
    ]
