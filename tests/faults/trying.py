"""One cell, tried: what became of the training, how long that took, and whether anything was left running."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.faults.cells import LAUNCHER, NETWORK, RUN, Cell
from tests.faults.injection import find_processes, inject

ROOT = Path(__file__).parents[2]
Outcome = Literal["finished", "reported", "hung", "lost", "other result", "not hit"]
EPOCHS = 15
# Beyond that a training hangs: on a busy machine two trainings and a minute's suspicion take some.
HANG_SECONDS = 400.0
REPORT_SECONDS = 60.0
LEFT_SECONDS = 60.0
OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
# The updates of one worker come to its parameter servers in one order, so that their trainings, too, can be repeated.
WORKERS = {"all_reduce": 2, "parameter_server": 1}
OPTIONS = ("--trials=1", "--no-bigger-nodes", "--same-batch-norm", "--global-batch-size=64")


@dataclass(frozen=True)
class Tried:
    """What became of a cell.

    Args:
        cell: The cell.
        outcome: `finished` with the same result, `reported` with the cause in time, or what must not be.
        attempts: How many the training took.
        recovery_seconds: From the fault until the lost attempt had been given up, or the failure was reported; 0 where
            the training went on.
        num_left: Processes that were left running.
        words: What was told.
    """

    cell: Cell
    outcome: Outcome
    attempts: int
    recovery_seconds: float
    num_left: int
    words: str


@dataclass(frozen=True)
class Site:
    """What all cells share.

    Args:
        folder: For their files.
        data: The prepared data.
        archive: What they were prepared from.
        expected: What an undisturbed training ends with, by strategy.
    """

    folder: Path
    data: Path
    archive: Path
    expected: dict[str, dict[str, Any]]


def launch(
    site: Site, name: str, strategy: str, wrapper: Sequence[str] = (), seed: int = 0
) -> tuple["subprocess.Popen[str]", Path, Path]:
    """Starts the launcher of a trial; returns it, its folder and its log."""
    folder = site.folder / name
    (folder / "workspace").mkdir(parents=True, exist_ok=True)
    log = folder / "launcher.log"
    folders = [str(site.data), str(folder / "workspace"), str(folder / "out")]
    numbers = [str(WORKERS[strategy]), str(EPOCHS), str(seed)]
    program = [sys.executable, "-m", "tests.faults.launcher", *folders, strategy, *numbers]
    return start([*wrapper, *program], log), folder, log


def start(command: Sequence[str], log: Path) -> "subprocess.Popen[str]":
    """Starts a program whose output goes to a file."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "TFJOB_SPEEDUP_ACCEPT_NOISE": "1"}
    with log.open("a") as file:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file, text=True, start_new_session=True)


def train_undisturbed(site: Site, strategy: str, seed: int = 0, name: str = "undisturbed") -> dict[str, Any]:
    """Returns what a training ends with that nobody hits."""
    process, _, log = launch(site, f"{name}-{strategy}", strategy, seed=seed)
    assert process.wait(HANG_SECONDS) == 0, log.read_text()[-3000:]
    return read_told(log)


def read_told(log: Path) -> dict[str, Any]:
    """Returns what a launcher told in its last line."""
    told: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return told


def judge(weights: str, expected: str) -> Outcome:
    """Returns what became of a training that ended, by the digests of its weights and an undisturbed one's."""
    return "finished" if weights == expected else "other result"


def try_cell(site: Site, number: int, cell: Cell) -> Tried:
    """Returns what became of a cell."""
    name = f"cell-{number:04}"  # none is the beginning of another's: processes are found by their folders
    if cell.target == RUN:
        return _try_run(site, name, cell)
    process, folder, log = launch(site, name, cell.strategy, OWN_NETWORK if cell.target == NETWORK else ())
    try:
        hit_at = inject(cell, folder, folder / "workspace", process.pid, lambda: process.poll() is not None)
        if cell.target == LAUNCHER:
            code, process, seconds = _start_again(site, name, cell, process)
        else:
            code, seconds = _wait(process), 0.0
        ended_at = time.time()
        num_left = _count_left(folder)
        if hit_at is None:
            return Tried(cell, "not hit", 0, 0.0, num_left, "the moment never came")
        if code is None:
            return Tried(cell, "hung", 0, ended_at - hit_at, num_left, _last_line(log))
        ends = _read_ends(folder / "workspace")
        seconds = seconds or (max(0.0, ends[0] - hit_at) if ends else 0.0)
        if code != 0:
            outcome: Outcome = "reported" if ends and seconds <= REPORT_SECONDS else "lost"
            return Tried(cell, outcome, len(ends), seconds, num_left, _find_error(log))
        told = read_told(log)
        outcome = judge(told["weights"], site.expected[cell.strategy]["weights"])
        words = "; ".join(attempt["reason"] for attempt in told["earlier"]) or "went on"
        return Tried(cell, outcome, 1 + len(told["earlier"]), seconds, num_left, words)
    finally:
        _end(process, folder)


def _start_again(
    site: Site, name: str, cell: Cell, process: "subprocess.Popen[str]"
) -> "tuple[int | None, subprocess.Popen[str], float]":
    """Waits for the end of a launcher that was hit and, where it did not finish, starts it again as a person would."""
    began = time.monotonic()
    is_stopped = cell.fault == "SIGSTOP"
    if is_stopped:  # it cannot report: whoever stopped it continues it
        time.sleep(10.0)
        process.send_signal(signal.SIGCONT)
    if (code := _wait(process)) == 0 or code is None:
        return code, process, 0.0
    seconds = time.monotonic() - began
    again, _, _ = launch(site, name, cell.strategy)
    return _wait(again), again, seconds


def _try_run(site: Site, name: str, cell: Cell) -> Tried:
    """Hits a whole run, and resumes it where it did not finish."""
    folder = site.folder / name
    folder.mkdir()
    log, runs_dir = folder / "run.log", folder / "runs"
    settings = ['--model-arguments={"width": 4, "stem_stride": 4}', f"--epochs={EPOCHS}", f"--dataset={site.archive}"]
    program = [sys.executable, "-m", "pipeline.run", f"--runs-dir={runs_dir}"]
    settings += [f"--strategies={cell.strategy}", f"--workers={WORKERS[cell.strategy]}"]
    process = start([*program, *OPTIONS, *settings], log)
    try:
        while not (found := [*runs_dir.glob("*/workspace")]):
            if process.poll() is not None:
                return Tried(cell, "not hit", 0, 0.0, _count_left(folder), f"it ended early: {_last_line(log)}")
            time.sleep(0.1)
        workspace = found[0]
        hit_at = inject(cell, folder, workspace, process.pid, lambda: process.poll() is not None)
        if cell.fault == "SIGSTOP":
            time.sleep(10.0)
            process.send_signal(signal.SIGCONT)
        if hit_at is None:
            return Tried(cell, "not hit", 0, 0.0, _count_left(folder), "the moment never came")
        code, num_left = _wait(process), _count_left(folder)
        if code is None:
            return Tried(cell, "hung", 0, time.time() - hit_at, num_left, _last_line(log))
        seconds, attempts = 0.0, 1
        if code != 0:
            seconds, attempts = time.time() - hit_at, 2
            resumed = start([*program, f"--resume={workspace.parent.name}"], log)
            code = _wait(resumed)
            _end(resumed, folder)
            num_left += _count_left(folder)
        outcome: Outcome = "lost"
        if code == 0:
            outcome = judge(_read_weights(workspace.parent, cell), site.expected[cell.strategy]["weights"])
        return Tried(cell, outcome, attempts, seconds, num_left, "resumed" if attempts > 1 else "went on")
    finally:
        _end(process, folder)


def _read_ends(workspace: Path) -> list[float]:
    """Returns when the attempts ended that were given up, and told so."""
    notes = sorted(workspace.glob("attempts/*/*.json"))
    ends = [json.loads(note.read_text())["ended_at"] for note in notes]
    return [end for end in ends if end is not None]


def _read_weights(run_dir: Path, cell: Cell) -> str:
    name = cell.strategy.replace("_", "-")
    (path,) = run_dir.glob(f"models/{name}-*/trial-1/training.json")
    return str(json.loads(path.read_text())["weights_sha256"])


def _wait(process: "subprocess.Popen[str]") -> int | None:
    try:
        return process.wait(HANG_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _count_left(folder: Path) -> int:
    limit = time.monotonic() + LEFT_SECONDS
    while (left := find_processes(folder)) and time.monotonic() < limit:
        time.sleep(0.2)
    return len(left)


def _end(process: "subprocess.Popen[str]", folder: Path) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    for left in find_processes(folder):
        try:
            left.kill()
        except psutil.NoSuchProcess:
            continue


def _find_error(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else _last_line(log)


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").splitlines() or ["nothing was told"])[-1]
