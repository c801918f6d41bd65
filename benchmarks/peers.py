"""The baseline beside others' training of the same network, on one core: images a second, and their ratios.

The contestants take turns of some seconds, each round in another order. A ratio is the median over the rounds of the
baseline's speed in a round divided by the other's; each is on a line `ratio NAME VALUE`.
"""

import argparse
import contextlib
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.programs import run_program
from benchmarks.turns import Contestant, Turn, start

OURS, HALF = "ours", "ours-bfloat16"
STRIDES = (2, 1)
BATCH_SIZE = 128

# Of each contestant with each stem stride, in the order of the rounds.
Turns = Mapping[tuple[str, int], Sequence[Turn]]
Rates = Mapping[tuple[str, int], Sequence[float]]


def main() -> int:
    """Prints the table and the ratios, and returns the exit code: 1 where the baseline is slower than Keras' fit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--pytorch", type=Path, help="the Python of an environment with PyTorch; without: Keras alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count the seconds of the core alone: for a machine that is not quiet"
    )
    options = parser.parse_args()
    print(f"{describe_machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run_program(["model.prepare", "--output-dir", folder])
        shared = ["--data-dir", folder, "--batch-size", str(BATCH_SIZE), "--strides", *map(str, STRIDES)]
        programs = {
            name: [sys.executable, "-m", "benchmarks.contestant", name, *shared] for name in (OURS, HALF, "fit")
        }
        if options.pytorch:
            programs["pytorch"] = [str(options.pytorch), "-m", "benchmarks.contestant_pytorch", *shared]
        turns = measure(programs, options.rounds, options.seconds)
    rates = {key: [turn.rate(of_core=options.cpu_time) for turn in own] for key, own in turns.items()}
    shares = {key: min(turn.cpu_seconds / turn.seconds for turn in own) for key, own in turns.items()}
    ratios = compute_ratios(rates)
    print(report(rates, shares, ratios))
    return judge(ratios)


def describe_machine() -> str:
    """Returns the machine's name, and what its processor offers that such a training depends on."""
    flags: set[str] = set()
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):  # no Linux
        fields = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()]
        known = {key.strip(): value.strip() for key, _, value in fields}
        flags, model = set(known.get("flags", "").split()), known.get("model name", model)
    told = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in flags]
    return f"{model}, {os.cpu_count()} cores, {', '.join(told) or 'no AVX2'}, Python {platform.python_version()}"


def measure(programs: Mapping[str, Sequence[str]], rounds: int, seconds: float) -> Turns:
    """Returns what the programs did in so many rounds of turns of so many seconds."""
    turns: dict[tuple[str, int], list[Turn]] = {(name, stride): [] for stride in STRIDES for name in programs}
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Contestant] = {}
        for name, arguments in programs.items():  # one after another: none is warmed up beside another
            contestants[name] = stack.enter_context(start(arguments))
        for number in range(rounds):
            for stride in STRIDES:
                for name in rotate([*programs], number):
                    turns[name, stride].append(contestants[name].train(stride, seconds))
    return turns


def rotate(names: Sequence[str], number: int) -> list[str]:
    """Returns the names in the order of a round: each is at each place equally often, and before and after each."""
    first = number % len(names)
    rotated = [*names[first:], *names[:first]]
    return rotated[::-1] if number // len(names) % 2 else rotated


def compute_ratios(rates: Rates) -> dict[str, float]:
    """Returns by name how many times as fast as each other contestant the baseline is, the median over the rounds."""
    ratios = {}
    for (name, stride), theirs in rates.items():
        if name != OURS:
            by_round = [own / other for own, other in zip(rates[OURS, stride], theirs, strict=True)]
            ratios[f"one-core-stride-{stride}-{name}"] = statistics.median(by_round)
    return ratios


def report(rates: Rates, shares: Mapping[tuple[str, int], float], ratios: Mapping[str, float]) -> str:
    """Returns a Markdown table and the lines of ratios.

    Args:
        rates: Images a second.
        shares: The least share of a turn in which a contestant had its core: well below 1 something else ran on it.
        ratios: What `compute_ratios` returned.
    """
    lines = [
        f"| resnet8, batch {BATCH_SIZE} | stem stride | images/s, median | min | max | least share of its core |",
        "|---|---|---|---|---|---|",
    ]
    for (name, stride), own in rates.items():
        spread = f"{statistics.median(own):,.0f} | {min(own):,.0f} | {max(own):,.0f}"
        lines.append(f"| {name} | {stride} | {spread} | {shares[name, stride]:.2f} |")
    return "\n".join([*lines, "", *(f"ratio {name} {value:.3f}" for name, value in ratios.items())])


def judge(ratios: Mapping[str, float]) -> int:
    """Says NO and returns 1 where the baseline is slower than Keras' own fit, else 0."""
    slower = [name for name, value in ratios.items() if name.endswith("fit") and value < 1]
    if slower:
        print(f"NO: the baseline is slower than Keras' own fit: {', '.join(slower)}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
