"""What running as a TFJob adds to a training, from the records of a run on a cluster and one on processes.

`python -m benchmarks.tfjob_overhead CLUSTER_RUN LOCAL_RUN` prints for each configuration the seconds from submitting
the job to the first training step. Both runs should be of the same parameters on the same machine, the image present.
"""

import math
import sys
from pathlib import Path
from statistics import median

from comparison.records import TrialRecord, read_records

_PARTS = ("queue_seconds", "startup_seconds", "rendezvous_seconds", "compile_seconds")


def describe_overhead(on_cluster: list[TrialRecord], on_processes: list[TrialRecord]) -> str:
    """Returns a Markdown table: medians over trials, and what pods add, for configurations that are in both."""
    lines = [
        "| configuration | queue, pods, s | create → first step, pods, s | processes, s | the TFJob path adds, s |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(record.configuration for record in on_cluster):
        here = [record for record in on_processes if record.configuration == name]
        there = [record for record in on_cluster if record.configuration == name]
        if here:
            queue = median(record.queue_seconds for record in there)
            pods, processes = (median(map(count_seconds_to_first_step, records)) for records in (there, here))
            lines.append(f"| {name} | {queue:.1f} | {pods:.1f} | {processes:.1f} | {pods - processes:.1f} |")
    return "\n".join(lines)


def count_seconds_to_first_step(record: TrialRecord) -> float:
    """Returns the seconds from submitting a trial's job to its first training step."""
    return math.fsum(getattr(record, part) for part in _PARTS)


def main() -> int:
    """Runs the program and returns its exit code."""
    on_cluster, on_processes = (read_records(Path(folder, "trials.jsonl")) for folder in sys.argv[1:3])
    print(describe_overhead(on_cluster, on_processes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
