import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from comparison.records import read_records
from tests.faults.data import make_data
from tests.faults.injection import find_processes
from tests.load.fake_trainings import prepare_fakes

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "--strategies=all_reduce",
    "--no-bigger-nodes",
    "--global-batch-size=64",
    '--model-arguments={"width": 4, "stem_stride": 4}',
    "--epochs=1",
)
KILL_AT, NUM_TRIALS = (7, 18, 31), 40
PATIENCE_SECONDS = 1800.0


def start(folder: Path, runs_dir: Path, *options: str) -> "subprocess.Popen[bytes]":
    paths = os.pathsep.join([str(folder / "fakes"), str(ROOT)])
    env = os.environ | {"PYTHONPATH": paths, "TFJOB_SPEEDUP_ACCEPT_NOISE": "1"}
    command = [sys.executable, "-m", "pipeline.run", f"--runs-dir={runs_dir}", *options]
    with (folder / "log").open("a") as log:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)


def wait(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    assert process.wait(PATIENCE_SECONDS) == 0, (folder / "log").read_text()[-3000:]


def list_finished(run_dir: Path) -> set[str]:
    """Returns the trials that a run has finished, by the names of their folders."""
    moved = {f"{path.parent.name}-t{path.name.removeprefix('trial-')}" for path in run_dir.glob("models/*/trial-*")}
    return moved | {path.name for path in run_dir.glob("workspace/finished/*")}


def test_a_sweep_of_40_trials_with_three_kills_and_resumes_repeats_none(tmp_path: Path) -> None:
    (tmp_path / "fakes").mkdir()
    make_data(tmp_path / "patterns.npz")
    data = f"--dataset={tmp_path / 'patterns.npz'}"
    wait(start(tmp_path, tmp_path / "real", *SETTINGS, data, "--trials=1"), tmp_path)
    ledger = prepare_fakes(tmp_path / "real" / "latest" / "models", tmp_path / "fakes")

    runs_dir = tmp_path / "runs"
    process = start(tmp_path, runs_dir, *SETTINGS, data, f"--trials={NUM_TRIALS // 2}")
    generator = np.random.default_rng(0)
    before: list[tuple[set[str], int]] = []
    for number in KILL_AT:
        limit = time.monotonic() + PATIENCE_SECONDS
        while len(ledger.read_text().splitlines()) < number:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            assert time.monotonic() < limit
            time.sleep(0.05)
        time.sleep(generator.uniform(0.0, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        while find_processes(runs_dir):
            assert time.monotonic() < limit
            time.sleep(0.1)
        (run_dir,) = (path for path in runs_dir.iterdir() if not path.is_symlink())
        before.append((list_finished(run_dir), len(ledger.read_text().splitlines())))
        process = start(tmp_path, runs_dir, f"--resume={run_dir.name}")
    wait(process, tmp_path)

    trained = ledger.read_text().splitlines()
    assert all(finished for finished, _ in before)
    for finished, num_trained in before:
        assert finished.isdisjoint(trained[num_trained:])
    assert len(trained) <= NUM_TRIALS + len(KILL_AT)  # what was under way as it was killed is trained anew
    records = read_records(runs_dir / "latest" / "trials.jsonl")
    assert Counter(record.configuration for record in records) == {"single": 20, "all-reduce-2w": 20}
