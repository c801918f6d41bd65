"""A replica on this machine: what it is started with, and how it is doing."""

import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfjob.backend import ReplicaResult
from tfjob.errors import SpecError
from tfjob.job import Job, Manifest, Replica
from tfjob.job_run import QUOTED_LINES
from tfjob.local.folders import Folders
from tfjob.local.kubelet import expand_all, expand_env
from tfjob.local.machine import CoreAssignment, are_shared, count_memory_kills, visible_gpus
from tfjob.local.ports import find_free_addresses
from tfjob.local.processes import MARK_VARIABLE, ReplicaProcess
from tfjob.local.tf_config import tf_config
from tfjob.policy import RETRYABLE_EXIT_CODE
from tfjob.spec import CONTAINER_NAME, ReplicaType

_STEERING = frozenset({"TF_CONFIG", "TMPDIR", "PYTHONUTF8", "PYTHONIOENCODING", "PWD"})
_PROJECT = Path(__file__).resolve().parents[2]

_KILLED = 128 + signal.SIGKILL


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
    command: tuple[str, ...] = ()
    folder: Path | None = None
    memory_kills: int = field(default_factory=count_memory_kills)

    def settle(self, folders: Folders, mark: str) -> None:
        """Lets it work in folders of its own, and be known by a mark in its environment."""
        self.folder = folders.work
        self.env = {"TMPDIR": str(folders.temporary), **self.env, "PWD": str(folders.work), MARK_VARIABLE: mark}

    def forget(self) -> None:
        """Forgets what was seen of its process before: it is started, perhaps once more."""
        self.restart_at, self.suspicion, self.memory_kills = None, "", count_memory_kills()

    def describe_end(self, exit_code: int, memory_kills: int | None = None) -> str:
        """Returns what its exit code means, and what was seen of it before.

        Args:
            exit_code: The code.
            memory_kills: How many processes the kernel has killed for want of memory by now; None: it is asked.
        """
        end = describe_exit(exit_code) + self.suspicion
        now = count_memory_kills() if memory_kills is None else memory_kills
        if exit_code == _KILLED and not self.suspicion and now > self.memory_kills:
            end += "; this machine ran out of memory, and the kernel killed a process for it"
        return end

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
    addresses = _addresses(job)
    return {
        replica.name: _prepare(
            replica,
            _inherit_as_foreign(os.environ) if job.is_foreign else _inherit(os.environ),
            visible_gpus(gpus[replica.name], is_shared=are_shared(gpus)),
            tf_config(manifest, replica.type, replica.index, lambda *key: addresses[key]),
            cores=assignment.cores[replica.name],
            log_path=log_dir / f"{replica.name}.log",
        )
        for replica in job.replicas
    }


def _prepare(
    replica: Replica,
    inherited: Mapping[str, str],
    gpus: Mapping[str, str],
    config: dict[str, Any] | None,
    *,
    cores: tuple[int, ...],
    log_path: Path,
) -> ReplicaRun:
    """Returns a replica whose environment is this process's, the manifest's over it, the operator's over both.

    Raises:
        SpecError: It has no command.
    """
    if not replica.command:
        path = f"spec.tfReplicaSpecs.{replica.type}.template.spec.containers[{CONTAINER_NAME}].command"
        raise SpecError(f"{path} must name a program: an image's own entry point is not known on this machine")
    given = {} if config is None else {"TF_CONFIG": json.dumps(config)}
    own = {**expand_env(replica.env), **given}
    return ReplicaRun(
        replica,
        env={**inherited, **gpus, **own},
        cores=cores,
        log_path=log_path,
        command=expand_all(replica.command, own),
    )


def _addresses(job: Job) -> dict[tuple[ReplicaType, int], str]:
    keys = [(replica.type, replica.index) for replica in job.replicas]
    # Programs of others take what stands before the first dot for a name.
    host = {"host": "localhost"} if job.is_foreign else {}
    return dict(zip(keys, find_free_addresses(len(keys), **host), strict=True))


def _inherit(parent: Mapping[str, str]) -> dict[str, str]:
    """Returns what a replica of this project inherits: `python` is the one that runs this."""
    inherited = {name: value for name, value in parent.items() if name != "TF_CONFIG"}
    return {**inherited, "PATH": os.pathsep.join([str(Path(sys.executable).parent), *_listed(parent.get("PATH"))])}


def _inherit_as_foreign(parent: Mapping[str, str]) -> dict[str, str]:
    """Returns what a person's program inherits: all that their shell has given, nothing that steers this project.

    Source: the variables are those that `pipeline.local` and `pipeline.streams` set for the steps.
    """
    inherited = {
        name: value for name, value in parent.items() if name not in _STEERING and not name.startswith("TFJOB_")
    }
    entries = [entry for entry in inherited.pop("PYTHONPATH", "").split(os.pathsep) if entry]
    foreign = [entry for entry in entries if Path(entry).resolve() != _PROJECT]
    return inherited | ({"PYTHONPATH": os.pathsep.join(foreign)} if foreign else {})


def _listed(warning: str | None) -> list[str]:
    return [] if warning is None else [warning]


def describe_exit(exit_code: int) -> str:
    """Returns what a replica's exit code means."""
    if exit_code == RETRYABLE_EXIT_CODE:
        return f"exit code {exit_code}, asking to be restarted"
    try:
        return f"exit code {exit_code}, killed by {signal.Signals(exit_code - 128).name}"
    except ValueError:
        return f"exit code {exit_code}"
