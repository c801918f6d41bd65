"""The baseline beside others' training of the same network, on one GPU, and then a whole comparison on it.

As `benchmarks.peers` does it on a core: contestants take turns, each ratio is on a line `ratio NAME VALUE`. The whole
comparison has two workers that share the GPU, so its times say nothing; what its records tell of the GPU is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers import OURS, compute_ratios, describe_machine, judge, measure, report
from benchmarks.programs import run_program
from benchmarks.turns import Case
from comparison.records import TRIALS_FILE, TrialRecord, read_records
from tfjob.local import list_gpus

CASES = (Case(2, 128), Case(1, 2048))
# The others need not be faster than this. One row has no goal: no person calls `fit` so by default.
GOALS = {"gpu-stride-1-batch-2048-pytorch": 0.7}
_WITHOUT_GOAL = "-fit-32"
_RUN = ("--trials", "1", "--epochs", "1", "--workers", "2", "--strategies", "all_reduce", "--no-bigger-nodes")
_ON_GPU = ("--gpus-per-replica", "1", "--share-gpus")
# CUDA's libraries as the packages are called that bring them; of a GPU's speed they decide more than TensorFlow does.
_LIBRARIES = ("tensorflow", "keras", "numpy", "nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-nccl-cu12")
_TORCH = "import torch as t; print('torch', t.__version__, 'CUDA', t.version.cuda, 'cuDNN', t.backends.cudnn.version())"


class Extent(NamedTuple):
    """How much is measured: cases, rounds, seconds of a turn, and what a whole comparison is told beside."""

    cases: Sequence[Case]
    rounds: int
    seconds: float
    run: Sequence[str]


ON_GPU = Extent(CASES, 3, 2.0, _ON_GPU)
# Tries the program, and measures nothing.
ON_CPU = Extent([Case(2, 16)], 1, 0.05, ("--max-train-images", "600", "--global-batch-size", "64"))


def main(list_here: Callable[[], Sequence[str]] = list_gpus) -> int:
    """Prints the table, the ratios and what the records tell, and returns the exit code: 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--pytorch", type=Path, help="the Python of an environment with PyTorch; without: Keras alone")
    parser.add_argument("--rounds", type=int, help="of the contestants")
    parser.add_argument("--seconds", type=float, help="of a turn")
    parser.add_argument("--no-run", action="store_true", help="leave the whole comparison out")
    parser.add_argument("--on-cpu", action="store_true", help="try this program where there is no GPU")
    options = parser.parse_args()
    gpus = [] if options.on_cpu else list_here()
    if not gpus and not options.on_cpu:
        print("error: this machine has no NVIDIA GPU that may be used. --on-cpu tries the program.", file=sys.stderr)
        return 2
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus[0] if gpus else "-1"
    if options.on_cpu:  # a trial that others disturb is as good a try of the program
        os.environ["TFJOB_SPEEDUP_ACCEPT_NOISE"] = "1"
    extent = ON_CPU if options.on_cpu else ON_GPU
    extent = extent._replace(rounds=options.rounds or extent.rounds, seconds=options.seconds or extent.seconds)
    print(f"{describe_machine()}\n{describe_gpu()}\n{describe_software(options.pytorch)}\n", flush=True)
    code = compare_with_peers(extent, options.pytorch, is_on_gpu=bool(gpus))
    if not options.no_run:
        print(f"\n{run_whole(extent)}")
    return code


def compare_with_peers(extent: Extent, pytorch: Path | None, *, is_on_gpu: bool) -> int:
    """Prints how fast each contestant trains, and returns the exit code; nothing is judged without a GPU."""
    with tempfile.TemporaryDirectory() as folder:
        run_program(["model.prepare", "--output-dir", folder])
        shared = ["--data-dir", folder, "--cases", *map(str, extent.cases), *(["--gpu"] if is_on_gpu else [])]
        names = {OURS: "ours-on-gpu", "fit": "fit-auto", "fit-32": "fit-auto-32"}
        programs = {name: [sys.executable, "-m", "benchmarks.contestant", own, *shared] for name, own in names.items()}
        if pytorch:
            programs["pytorch"] = [str(pytorch), "-m", "benchmarks.contestant_pytorch", *shared]
        turns = measure(programs, extent.cases, extent.rounds, extent.seconds)
    rates = {key: [turn.rate() for turn in own] for key, own in turns.items()}
    ratios = compute_ratios(rates, name_case)
    print(report(rates, ratios), flush=True)
    if not is_on_gpu:
        return 0
    return judge({name: value for name, value in ratios.items() if not name.endswith(_WITHOUT_GOAL)}, GOALS)


def name_case(case: Case) -> str:
    """Returns how the names of a case's ratios begin."""
    return f"gpu-stride-{case.stride}-batch-{case.batch_size}"


def run_whole(extent: Extent) -> str:
    """Returns what the records of a whole comparison tell of the GPU, a line of JSON for each trial."""
    with tempfile.TemporaryDirectory() as folder:
        run_program(["pipeline.run", "--runs-dir", folder, *_RUN, *extent.run])
        return "\n".join(map(describe_trial, read_records(Path(folder, "latest", TRIALS_FILE))))


def describe_trial(record: TrialRecord) -> str:
    """Returns what a record tells of how and on which GPUs its training computed."""
    told: dict[str, Any] = {
        name: getattr(record, name)
        for name in ("configuration", "gpus", "steps_per_call", "precision", "jit_compile", "deterministic")
    }
    told |= {"images_per_second": record.images_per_second, "test_accuracy": record.quality.value}
    told |= {"contended": record.contended}
    told["replicas"] = {own.name: vars(own.gpu) if own.gpu else None for own in record.replicas}
    return json.dumps(told)


def describe_gpu() -> str:
    """Returns the card, its driver, memory and highest clock, as the driver's program tells them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
    chosen = os.environ["CUDA_VISIBLE_DEVICES"]
    try:
        asked = subprocess.run([*query, f"--id={chosen}"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return f"CUDA_VISIBLE_DEVICES={chosen}: nvidia-smi tells nothing of it"
    return asked.stdout.strip()


def describe_software(pytorch: Path | None) -> str:
    """Returns the versions of the libraries that the contestants compute by."""
    installed = {found.name: found.version for found in distributions()}
    told = [f"{name} {installed[name]}" for name in _LIBRARIES if name in installed]
    if pytorch:
        told.append(subprocess.run([pytorch, "-c", _TORCH], capture_output=True, text=True, check=True).stdout.strip())
    return ", ".join(told)


if __name__ == "__main__":
    sys.exit(main())
