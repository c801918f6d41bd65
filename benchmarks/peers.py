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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.programs import run_program
from benchmarks.turns import Case, Contestant, Turn, start

OURS, HALF = "ours", "ours-bfloat16"
STRIDES = (2, 1)
BATCH_SIZE = 128
_CASES = tuple(Case(stride, BATCH_SIZE) for stride in STRIDES)

# Of each contestant in each case, in the order of the rounds.
Turns = Mapping[tuple[str, Case], Sequence[Turn]]
Rates = Mapping[tuple[str, Case], Sequence[float]]


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
        shared = ["--data-dir", folder, "--cases", *map(str, _CASES)]
        programs = {
            name: [sys.executable, "-m", "benchmarks.contestant", name, *shared] for name in (OURS, HALF, "fit")
        }
        if options.pytorch:
            programs["pytorch"] = [str(options.pytorch), "-m", "benchmarks.contestant_pytorch", *shared]
        turns = measure(programs, _CASES, options.rounds, options.seconds)
    rates = {key: [turn.rate(of_core=options.cpu_time) for turn in own] for key, own in turns.items()}
    shares = {key: min(turn.cpu_seconds / turn.seconds for turn in own) for key, own in turns.items()}
    ratios = compute_ratios(rates, lambda case: f"one-core-stride-{case.stride}")
    print(report(rates, ratios, shares))
    return judge({name: value for name, value in ratios.items() if name.endswith("fit")}, {})


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


def measure(
    programs: Mapping[str, Sequence[str]], cases: Sequence[Case], rounds: int, seconds: float
) -> dict[tuple[str, Case], list[Turn]]:
    """Returns what the programs did in so many rounds of turns of so many seconds."""
    turns: dict[tuple[str, Case], list[Turn]] = {(name, case): [] for case in cases for name in programs}
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Contestant] = {}
        for name, arguments in programs.items():  # one after another: none is warmed up beside another
            contestants[name] = stack.enter_context(start(arguments))
        for number in range(rounds):
            for case in cases:
                for name in rotate([*programs], number):
                    turns[name, case].append(contestants[name].train(case, seconds))
    return turns


def rotate(names: Sequence[str], number: int) -> list[str]:
    """Returns the names in the order of a round: each is at each place equally often, and before and after each."""
    first = number % len(names)
    rotated = [*names[first:], *names[:first]]
    return rotated[::-1] if number // len(names) % 2 else rotated


def compute_ratios(rates: Rates, name_case: Callable[[Case], str]) -> dict[str, float]:
    """Returns by name how many times as fast as each other contestant the baseline is, the median over the rounds."""
    ratios = {}
    for (name, case), theirs in rates.items():
        if name != OURS:
            by_round = [own / other for own, other in zip(rates[OURS, case], theirs, strict=True)]
            ratios[f"{name_case(case)}-{name}"] = statistics.median(by_round)
    return ratios


def report(rates: Rates, ratios: Mapping[str, float], shares: Mapping[tuple[str, Case], float] | None = None) -> str:
    """Returns a Markdown table and the lines of ratios.

    Args:
        rates: Images a second.
        ratios: What `compute_ratios` returned.
        shares: The least share of a turn in which a contestant had its core: well below 1 something else ran on it.
    """
    last = ("| least share of its core |", "---|") if shares else ("|", "")
    lines = [
        f"| resnet8 | stem stride | batch | images/s, median | min | max {last[0]}",
        f"|---|---|---|---|---|---|{last[1]}",
    ]
    for (name, case), own in rates.items():
        spread = f"{statistics.median(own):,.0f} | {min(own):,.0f} | {max(own):,.0f}"
        share = f" {shares[name, case]:.2f} |" if shares else ""
        lines.append(f"| {name} | {case.stride} | {case.batch_size} | {spread} |{share}")
    return "\n".join([*lines, "", *(f"ratio {name} {value:.3f}" for name, value in ratios.items())])


def judge(ratios: Mapping[str, float], goals: Mapping[str, float]) -> int:
    """Says NO and returns 1 where a ratio is below its goal, else 0.

    Args:
        ratios: By name.
        goals: Of those whose goal is not 1.
    """
    below = {name: goals.get(name, 1.0) for name, value in ratios.items() if value < goals.get(name, 1.0)}
    if below:
        print(f"NO: the baseline is slower than it may be: {', '.join(f'{k} below {v:g}' for k, v in below.items())}")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
