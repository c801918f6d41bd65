"""Replicas that are forked from one process that has imported TensorFlow, which would take each of them five seconds.

Beside that each is a process like any other: it has an environment, arguments, output and an age of its own.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path

# What the launcher sets for a replica of one CPU. So a process has no other thread before TensorFlow makes a device.
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}


class Forked:
    """A process that looks to who started it as a `subprocess.Popen` does."""

    def __init__(self, program: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        _start_server()
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=run, args=([*program], dict(env), cwd, log), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"process {self.pid} has not ended in {timeout} s"
        return code

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def _start_server() -> None:
    kept = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(THREADS)
    try:
        multiprocessing.set_forkserver_preload(["tests.model.preloaded"])
        forkserver.ensure_running()
    finally:
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def run(program: list[str], env: dict[str, str], cwd: Path, log: Path) -> None:
    """Becomes `python *program`, where that is `-m MODULE …` or `-c CODE …`."""
    with log.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    flag, what, *arguments = program
    sys.argv = [flag, *arguments]
    if flag == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
