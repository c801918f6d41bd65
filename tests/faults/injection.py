"""Finding who is to be hit, waiting for the moment, and hitting it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.cells import LAUNCHER, NETWORK, RUN, Cell, Moment

PAUSE_SECONDS, CUT_SECONDS = 8.0, 15.0
_DROP = ("INPUT", "-i", "lo", "-j", "DROP")
MOMENT_PATIENCE_SECONDS = 400.0


def find_processes(folder: Path) -> list[psutil.Process]:
    """Returns the processes whose command line names a folder, but for this one."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and process.pid != os.getpid() and str(folder) in " ".join(words):
            found.append(process)
    return found


def find_replica(folder: Path, strategy: str, name: str) -> psutil.Process | None:
    """Returns the process of a replica of the first attempt, None while there is none."""
    configuration = {"all_reduce": "all-reduce", "parameter_server": "parameter-server"}[strategy]
    for process in find_processes(folder):
        with suppress(psutil.Error, KeyError, ValueError):
            words = process.cmdline()
            output = Path(words[words.index("--output-dir") + 1]).name
            if not output.startswith(configuration) or output.count("-t1-") or "model.train" not in words:
                continue
            task = json.loads(process.environ()["TF_CONFIG"])["task"]
            if f"{task['type']}-{task['index']}" == name and words[0] != "/bin/sh":
                return process
    return None


def has_come(workspace: Path, strategy: str, moment: Moment) -> bool:
    """Returns whether a training has come to a moment."""
    if moment == "before rendezvous":
        return True
    kind = {"all_reduce": "all-reduce", "parameter_server": "parameter-server"}[strategy]
    chief = "worker-0" if strategy == "all_reduce" else "chief-0"
    for folder in workspace.glob(f"{kind}-*-t1"):
        place = ""
        with suppress(OSError):
            place = (folder / "signs" / f"{chief}.place").read_text()
        checkpoints = any((folder / "checkpoints").glob("*/*"))
        if moment == "mid-epoch" and checkpoints and place.startswith("training"):
            return True
        if moment == "checkpoint" and (checkpoints or place.startswith("saving")):
            return True
        if moment == "end" and place.startswith("ending"):
            return True
    return False


def find_target(cell: Cell, folder: Path, launcher: int) -> psutil.Process | None:
    """Returns who is to be hit: whoever of the run is the launcher, `make run` itself, or a replica."""
    if cell.target not in {LAUNCHER, RUN, NETWORK}:
        return find_replica(folder, cell.strategy, cell.target)
    any_replica = "worker-0" if cell.strategy == "all_reduce" else "chief-0"
    if cell.target == NETWORK:
        return find_replica(folder, cell.strategy, any_replica)
    return psutil.Process(launcher) if find_replica(folder, cell.strategy, any_replica) else None


def inject(cell: Cell, folder: Path, workspace: Path, launcher: int, is_over: Callable[[], bool]) -> float | None:
    """Hits at the cell's moment, and returns when it was; None where the moment never came.

    Args:
        cell: The cell.
        folder: Named by the command lines of all processes of it.
        workspace: Where the training's folders are.
        launcher: The process that was started for it.
        is_over: Whether that has ended.
    """
    limit = time.monotonic() + MOMENT_PATIENCE_SECONDS
    while not is_over() and time.monotonic() < limit:
        # Whose moment has not come is not looked for: that reads the command lines of all processes.
        has_moment = has_come(workspace, cell.strategy, cell.moment)
        if has_moment and (target := find_target(cell, folder, launcher)) is not None:
            if cell.moment == "mid-epoch":
                time.sleep(0.5)
            with suppress(psutil.NoSuchProcess):
                return _hit(cell, target)
        time.sleep(0.02)
    return None


def _hit(cell: Cell, target: psutil.Process) -> float:
    number = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM}.get(cell.fault, signal.SIGSTOP)
    at = time.time()
    if cell.target == NETWORK:
        _cut(target.pid, is_for_ever=cell.fault == "cut for ever")
        return at
    target.send_signal(number)
    if cell.fault == "SIGSTOP 8 s":
        time.sleep(PAUSE_SECONDS)
        with suppress(psutil.NoSuchProcess):
            target.send_signal(signal.SIGCONT)
    return at


def _cut(pid: int, *, is_for_ever: bool) -> None:
    """Lets no packet reach any process in the network of this one, which must not be the machine's own."""
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    with subprocess.Popen(["nsenter", "--target", str(pid), "--net", "sleep", "600"]) as holder:  # keeps the network
        subprocess.run(["nsenter", "--target", str(pid), "--net", "iptables", "--append", *_DROP], check=True)
        if not is_for_ever:
            time.sleep(CUT_SECONDS)
            subprocess.run(
                ["nsenter", "--target", str(holder.pid), "--net", "iptables", "--delete", *_DROP], check=True
            )
        holder.kill()
