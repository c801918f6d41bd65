"""A replica on this machine: what it is started with, and how it is doing."""

import json
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfjob.backend import ReplicaResult
from tfjob.job import Job, Manifest, Replica
from tfjob.job_run import QUOTED_LINES
from tfjob.local.cores import CoreAssignment
from tfjob.local.gpus import visible_gpus
from tfjob.local.ports import find_free_addresses
from tfjob.local.process import ReplicaProcess
from tfjob.local.tf_config import tf_config
from tfjob.spec import ReplicaType


@dataclass
class ReplicaRun:
    """A replica and how it is doing; `suspicion` is what was wrong with it while it ran, as it follows its end."""

    replica: Replica
    env: Mapping[str, str]
    cores: tuple[int, ...]
    log_path: Path
    process: ReplicaProcess | None = None
    restarts: int = 0
    restart_at: float | None = None
    suspicion: str = ""
    exit_code: int | None = None
    is_done: bool = False
    started_at: float = 0.0
    ended_at: float = 0.0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=QUOTED_LINES))

    def result(self) -> ReplicaResult:
        """Returns how it went."""
        return ReplicaResult(
            name=self.replica.name,
            type=self.replica.type.lower(),
            index=self.replica.index,
            restarts=self.restarts,
            exit_code=self.exit_code,
            cpus=list(self.cores),
            started_at=self.started_at,
            ended_at=self.ended_at,
        )


def prepare_replicas(
    job: Job,
    manifest: Manifest,
    assignment: CoreAssignment,
    gpus: Mapping[str, Sequence[str]],
    log_dir: Path,
) -> dict[str, ReplicaRun]:
    """Returns a job's replicas by name, none of them started.

    Args:
        job: The job.
        manifest: What it was read from.
        assignment: The cores of each replica.
        gpus: The GPUs of each.
        log_dir: Where their logs are written.
    """
    addresses = _addresses(job.replicas)
    return {
        replica.name: ReplicaRun(
            replica,
            env=_environment(
                replica,
                tf_config(manifest, replica.type, replica.index, lambda *key: addresses[key]),
                os.environ | visible_gpus(gpus[replica.name]),
            ),
            cores=assignment.cores[replica.name],
            log_path=log_dir / f"{replica.name}.log",
        )
        for replica in job.replicas
    }


def _addresses(replicas: Sequence[Replica]) -> dict[tuple[ReplicaType, int], str]:
    keys = [(replica.type, replica.index) for replica in replicas]
    return dict(zip(keys, find_free_addresses(len(keys)), strict=True))


def _environment(replica: Replica, config: dict[str, Any] | None, parent: Mapping[str, str]) -> dict[str, str]:
    """Returns a replica's whole environment: this process's, the manifest's over it, the operator's over both.

    `python` is the one that runs this, since the directory of its programs comes first.
    """
    programs = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in parent.items() if name != "TF_CONFIG"}
    path = os.pathsep.join([programs, *_listed(parent.get("PATH"))])
    given = {} if config is None else {"TF_CONFIG": json.dumps(config)}
    return {**inherited, "PATH": path, **replica.env, **given}


def _listed(warning: str | None) -> list[str]:
    return [] if warning is None else [warning]
