"""Jobs whose replicas all run the same few lines of Python, as every replica of a training runs the same program."""

from pathlib import Path
from typing import Any

from tfjob.spec import ReplicaSpec, ReplicaType, TFJobSpec

PRELUDE = """
import json, os, pathlib, signal, subprocess, sys, time
config = json.loads(os.environ.get("TF_CONFIG", "null"))
role = "{type}-{index}".format(**config["task"]) if config else "worker-0"
def path(name): return pathlib.Path(os.environ["SHARED"], name)
def wait_for(name):
    while not path(name).exists(): time.sleep(0.01)
"""


def make_job(
    code: str, shared: Path, *, workers: int = 1, chief: bool = False, ps: int = 0, cpus: float = 1.0, **fields: Any
) -> TFJobSpec:
    """Returns a job that runs `code` after `PRELUDE`, its replicas sharing a folder."""
    counts: dict[ReplicaType, int] = {"Chief": int(chief), "Worker": workers, "PS": ps}
    return TFJobSpec(
        **{
            "name": "mnist",
            "image": "registry.example/speedup:1",
            "command": ("python", "-S", "-c", PRELUDE + code),
            "replicas": {name: ReplicaSpec(count=count, cpus=cpus) for name, count in counts.items() if count},
            "env": {"SHARED": str(shared)},
            **fields,
        }
    )
