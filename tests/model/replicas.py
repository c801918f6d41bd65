import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.model.forked import THREADS, Forked
from tests.ports import find_ports

ROOT = Path(__file__).parents[2]
# A network of 5,142 parameters on 28 × 28 pixels: a step takes 5 ms.
MODEL = ("--model=resnet8", '--model-arguments={"width": 4, "stem_stride": 4}')
SAME_GROUPS = ("--same-batch-norm", "--batch-norm-group-size=16")
SETTINGS = (*MODEL, "--global-batch-size=32", *SAME_GROUPS, "--epochs=3", "--learning-rate=0.1")
USUAL = ("-m", "model.train")
# The same, but for a stop at the first checkpoint: a training of a second would be over before a busy test has acted.
HELD = (
    "-c",
    """
import sys, time
from model import train
from model.training import loop
def save(folder, state, save=loop.save_checkpoint):
    save(folder, state)
    while not (folder.parents[1] / "go-on").exists(): time.sleep(0.01)
loop.save_checkpoint = save
sys.exit(train.main())
""",
)
PATIENCE_SECONDS = 900.0  # of a machine whose two cores have a load of 40


@dataclass(frozen=True)
class Job:
    """A training.

    Args:
        data_dir: The prepared data.
        output_dir: For the results and logs.
        options: Of the program.
        cluster: Addresses by type of replica; None without a TF_CONFIG.
        is_fresh: Whether each replica is an interpreter of its own, as in use, or forked from one with TensorFlow.
    """

    data_dir: Path
    output_dir: Path
    options: Sequence[str] = SETTINGS
    cluster: dict[str, list[str]] | None = None
    is_fresh: bool = False

    @property
    def names(self) -> list[tuple[str, int]]:
        sizes = {task_type: len(addresses) for task_type, addresses in (self.cluster or {"worker": [""]}).items()}
        return [(task_type, index) for task_type, size in sizes.items() for index in range(size)]

    @property
    def training(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.output_dir / "training.json").read_text())
        return content

    @property
    def losses(self) -> list[float]:
        return [point["train_loss"] for point in self.training["curve"]]

    def checkpoints(self) -> list[int]:
        return sorted(int(path.stem[5:]) for path in (self.output_dir / "checkpoints").glob("*/step-*.npz"))

    def wait_for_checkpoint(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.checkpoints():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    @contextmanager
    def start(self, program: Sequence[str] = USUAL) -> "Iterator[list[Replica]]":
        with ExitStack() as stack:
            yield [stack.enter_context(self.start_replica(*name, program=program)) for name in self.names]

    @contextmanager
    def start_and_hold(self) -> "Iterator[list[Replica]]":
        """Starts all replicas; whoever writes checkpoints has written the first, and stands still until `go_on`."""
        with self.start(HELD) as replicas:
            self.wait_for_checkpoint()
            yield replicas

    def go_on(self) -> None:
        (self.output_dir / "go-on").touch()

    def run(self) -> "Job":
        with self.start() as replicas:
            codes = {replica.name: replica.wait() for replica in replicas}
            assert set(codes.values()) == {0}, [codes, *(replica.log.read_text()[-3000:] for replica in replicas)]
        return self

    @contextmanager
    def start_replica(self, task_type: str, index: int, program: Sequence[str] = USUAL) -> "Iterator[Replica]":
        env = {**os.environ, **THREADS}
        env.pop("TF_CONFIG", None)
        if self.cluster is not None:
            env["TF_CONFIG"] = json.dumps({"cluster": self.cluster, "task": {"type": task_type, "index": index}})
        folders = (f"--data-dir={self.data_dir}", f"--output-dir={self.output_dir}")
        self.output_dir.mkdir(parents=True, exist_ok=True)
        log = self.output_dir / f"{task_type}-{index}.log"
        arguments = [*program, *folders, *self.options]
        process: Forked | subprocess.Popen[bytes]
        if self.is_fresh:
            with log.open("a") as file:
                process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=env, stdout=file, stderr=file)
        else:
            process = Forked(arguments, env, ROOT, log)
        try:
            yield Replica(f"{task_type}-{index}", process, log)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Replica:
    name: str
    process: "Forked | subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait() == -9


def read_schema(file: str) -> str:
    page = (ROOT / "docs" / "schemas.md").read_text(encoding="utf-8")
    match = re.search(rf"`{re.escape(file)}`.*?```json\n(.*?)```", page, flags=re.DOTALL)
    assert match is not None
    return match[1]


def make_cluster(**sizes: int) -> dict[str, list[str]]:
    addresses = iter([f"127.0.0.1:{port}" for port in find_ports(sum(sizes.values()))])
    return {task_type: [next(addresses) for _ in range(size)] for task_type, size in sizes.items()}
