"""`python -m comparison RUN_DIR` rebuilds a run's report and tables from its records."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from comparison.compare import compare
from comparison.records import RUN_FILE, TRIALS_FILE, RecordError, read_records, read_run_info


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 where the directory does not hold a run's records."""
    parser = argparse.ArgumentParser(
        prog="python -m comparison",
        description=f"Rebuild report.html, comparison.csv and comparison.md from {TRIALS_FILE} and {RUN_FILE}.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="such as runs/latest")
    run_dir = parser.parse_args(arguments).run_dir
    try:
        comparison = compare(read_records(run_dir / TRIALS_FILE), read_run_info(run_dir / RUN_FILE), run_dir)
    except RecordError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(comparison.terminal_table())
    print(comparison.verdict)
    print(f"\n{run_dir / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
