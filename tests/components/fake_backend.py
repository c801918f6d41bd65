import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.comparison.record_factory import make_parts
from tfjob.backend import ANYWHERE, Event, JobResult, LogLine, Placement, ReplicaResult
from tfjob.job import Manifest, read_job


def make_training(strategy: str = "single") -> dict[str, Any]:
    """Returns the content of a training.json."""
    names = {"single": "single", "all_reduce": "all-reduce-2w", "parameter_server": "parameter-server-2w-1ps"}
    return make_parts(names[strategy])[0]


def add_replicas(training: dict[str, Any], names: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """Returns a training.json with a record of each replica, by type and index."""
    first = training["replicas"][0]
    return training | {"replicas": [first | {"type": kind, "index": index} for kind, index in names]}


def read_option(command: Sequence[str], option: str) -> str:
    """Returns what an option of a replica's command is given."""
    return command[command.index(option) + 1]


@dataclass
class FakeBackend:
    """Trains nothing, but leaves what a training would."""

    lines: Sequence[str] = ()
    manifests: list[Manifest] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)

    def run(
        self,
        manifest: Manifest,
        *,
        log_dir: Path,
        on_event: Callable[[Event], None],
        placement: Placement = ANYWHERE,
        is_measured: Callable[[], bool] | None = None,
    ) -> JobResult:
        """Returns at once."""
        self.manifests.append(manifest)
        self.placements.append(placement)
        job = read_job(manifest)
        training_dir = Path(read_option(job.replicas[0].command, "--output-dir"))
        training_dir.mkdir(parents=True)
        training = add_replicas(make_training(), [(r.type.lower(), r.index) for r in job.replicas])
        (training_dir / "training.json").write_text(json.dumps(training))
        (training_dir / "model.keras").write_text("weights")
        log_dir.mkdir(parents=True)
        for replica in job.replicas:
            (log_dir / f"{replica.name}.log").write_text("trained\n")
        for line in self.lines:
            on_event(LogLine(job.replicas[0].name, line))
        return JobResult(
            job_name=job.name,
            backend="fake",
            queue_seconds=0.5,
            schedule_seconds=0.25,
            pull_seconds=0.0,
            total_seconds=60.0,
            contended=False,
            warnings=["slow"],
            replicas=[ReplicaResult(r.name, r.type.lower(), r.index, 0, 0, [], 1.0, 2.0) for r in job.replicas],
            started_at=1.0,
            ended_at=61.0,
        )
