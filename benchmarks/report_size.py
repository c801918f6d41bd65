"""How long a report takes, how much memory and how large it is, by the number of trials: simulated records."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from benchmarks.programs import run_program
from benchmarks.simulated_trials import describe_simulated_run, simulate_run
from comparison.records import RUN_FILE, TRIALS_FILE

# Trials, and the seconds and bytes of memory that a report from them may take.
LIMITS = {60: (5.0, None), 10_000: (60.0, 10**9)}


class Size(NamedTuple):
    """What a report from so many trials took."""

    num_trials: int
    seconds: float
    peak_rss_bytes: int
    records_bytes: int
    report_bytes: int

    @property
    def is_within_limits(self) -> bool:
        """Whether it kept to `LIMITS`."""
        seconds, peak_rss_bytes = LIMITS.get(self.num_trials, (None, None))
        return (seconds is None or self.seconds <= seconds) and (
            peak_rss_bytes is None or self.peak_rss_bytes <= peak_rss_bytes
        )


def main() -> int:
    """Prints a Markdown table and returns the exit code: 1 where a report took more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_size", description=__doc__)
    parser.add_argument("trials", type=int, nargs="*", default=[*LIMITS], help="numbers of trials (default: 60 10000)")
    print("| trials | wall, s | peak RSS, MiB | trials.jsonl, MiB | report.html, MiB | within limits |")
    print("|---:|---:|---:|---:|---:|---|")
    sizes = []
    for num_trials in parser.parse_args().trials:
        size = measure_report(num_trials)
        sizes.append(size)
        print(
            f"| {num_trials:,} | {size.seconds:.1f} | {size.peak_rss_bytes / 2**20:,.0f} "
            f"| {size.records_bytes / 2**20:.1f} | {size.report_bytes / 2**20:.1f} "
            f"| {'yes' if size.is_within_limits else 'NO'} |",
            flush=True,
        )
    return 0 if all(size.is_within_limits for size in sizes) else 1


def measure_report(num_trials: int) -> Size:
    """Returns what `python -m comparison` takes for so many simulated trials."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        write_run(run_dir, num_trials)
        seconds, peak_rss_bytes = run_program(["comparison", str(run_dir)])
        records, report = ((run_dir / name).stat().st_size for name in (TRIALS_FILE, "report.html"))
    return Size(num_trials, seconds, peak_rss_bytes, records, report)


def write_run(run_dir: Path, num_trials: int) -> None:
    """Writes the records of a simulated run, one at a time: this process's memory would count as the report's."""
    with (run_dir / TRIALS_FILE).open("w", encoding="utf-8") as file:
        for record in simulate_run(num_trials):
            file.write(json.dumps(asdict(record)) + "\n")
    (run_dir / RUN_FILE).write_text(json.dumps(asdict(describe_simulated_run())), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
