from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfjob.spec import ReplicaSpec, ReplicaType, TFJobSpec

# Every replica of a test's job runs the same few lines of Python, as every replica of a training runs the same program.
PRELUDE = """
import json, os, pathlib, signal, subprocess, sys, time
config = json.loads(os.environ.get("TF_CONFIG", "null"))
role = "{type}-{index}".format(**config["task"]) if config else "worker-0"
def path(name): return pathlib.Path(os.environ["SHARED"], name)
def wait_for(name):
    while not path(name).exists(): time.sleep(0.01)
"""


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., TFJobSpec]:
    def make(code: str, *, workers: int = 1, chief: bool = False, ps: int = 0, **fields: Any) -> TFJobSpec:
        counts: dict[ReplicaType, int] = {"Chief": int(chief), "Worker": workers, "PS": ps}
        return TFJobSpec(
            **{
                "name": "mnist",
                "image": "registry.example/speedup:1",
                "command": ("python", "-S", "-c", PRELUDE + code),
                "replicas": {name: ReplicaSpec(count=count) for name, count in counts.items() if count},
                "env": {"SHARED": str(tmp_path)},
                **fields,
            }
        )

    return make
