"""`make bench`: what docs/performance.md reports, as Markdown. Run it on a machine that does nothing else.

The figures of the comparison itself are read from the newest run; `make run` makes one.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.programs import run_program
from comparison.clocks import compute_overhead_share
from comparison.groups import group_trials
from comparison.records import RUN_FILE, TRIALS_FILE, read_records, read_run_info

REPEATS = 5
LATEST = Path("runs/latest")


def main() -> int:
    """Prints the figures and returns the exit code: 1 where a figure is worse than it may be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=__doc__)
    parser.parse_args()
    memory = psutil.virtual_memory().total / 2**30
    print(f"{platform.platform()}, {os.cpu_count()} cores, {memory:.1f} GiB, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder:
        programs = {
            "make compile": ["pipeline.compile", "--output", f"{folder}/pipeline.yaml"],
            "prepare-data, MNIST cached": ["model.prepare", "--output-dir", f"{folder}/mnist"],
        }
        if (LATEST / TRIALS_FILE).exists():
            programs["report from the newest run's records"] = ["comparison", str(LATEST)]
        print(f"| program, {REPEATS} runs | wall, s, median | min | max | peak RSS, MiB |\n|---|---|---|---|---|")
        for name, arguments in programs.items():
            runs = [run_program(arguments) for _ in range(REPEATS)]
            seconds, memories = zip(*runs, strict=True)
            print(
                f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} "
                f"| {max(memories) / 2**20:,.0f} |"
            )
    print(flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.gradient"], check=True)
    if (LATEST / TRIALS_FILE).exists():
        print(describe_run(LATEST))
    judged = (["benchmarks.peers", "--rounds", "5"], ["benchmarks.report_size"], ["benchmarks.progress_cost"])
    codes = []
    for arguments in judged:
        print(flush=True)
        codes.append(subprocess.run([sys.executable, "-m", *arguments], check=False).returncode)
    return max(codes)


def describe_run(run_dir: Path) -> str:
    """Returns a run's figures by configuration, and its share of time outside training."""
    records, run = read_records(run_dir / TRIALS_FILE), read_run_info(run_dir / RUN_FILE)
    groups = group_trials(records)
    lines = [
        f"\nRun {run.run_id}, parameters: {json.dumps(run.parameters)}\n",
        "| configuration | trials | whole job, s | training, s | test accuracy, lowest | peak RSS of a replica, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for name, trials in groups.items():
        total, train = (statistics.fmean(getattr(t, key) for t in trials) for key in ("total_seconds", "train_seconds"))
        memory = max(trial.peak_rss_bytes for trial in trials) / 2**20
        accuracy = min(trial.quality.value for trial in trials)
        lines.append(f"| {name} | {len(trials)} | {total:.1f} | {train:.1f} | {accuracy:.2%} | {memory:,.0f} |")
    share = compute_overhead_share(records, run)
    told = "not known, for the run was interrupted and resumed" if share is None else f"{share:.1%}"
    lines.append(f"\nShare of the run's wall time outside training and evaluation: {told}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
