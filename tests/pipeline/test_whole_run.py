import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from comparison.records import TrialRecord, read_records

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# A network of 5,142 parameters on 2,200 images: an epoch takes a fraction of a second.
OPTIONS = (
    "--max-train-images=2400",
    "--trials=1",
    "--global-batch-size=64",
    '--model-arguments={"width": 4, "stem_stride": 4}',
    "--same-batch-norm",
    "--no-bigger-nodes",
)
CONFIGURATIONS = ("single", "all-reduce-2w", "parameter-server-2w-1ps")
PATIENCE_SECONDS = 1800.0
NOTHING_LEFT_SECONDS = 120.0


@contextmanager
def start(runs_dir: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pipeline.run", f"--runs-dir={runs_dir}", *OPTIONS, *options]
    with (
        # Another run of this user on this machine, a test's or not, would be told of.
        tempfile.TemporaryDirectory(prefix="tfjob-speedup-test-", ignore_cleanup_errors=True) as temporary,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": temporary},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            for left in list_processes(runs_dir):
                with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                    left.kill()


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    shown = []
    for line in process.stdout:
        shown.append(line)
        if text in line:
            return
    pytest.fail(f"The run ended without {text!r}: {''.join(shown)}")


def list_processes(runs_dir: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if str(runs_dir) in " ".join(process.info["cmdline"] or [])
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and process.pid != os.getpid()
    ]


def wait_until_nothing_is_left(runs_dir: Path) -> list[psutil.Process]:
    patience_ends = time.monotonic() + NOTHING_LEFT_SECONDS
    while (left := list_processes(runs_dir)) and time.monotonic() < patience_ends:
        time.sleep(0.1)
    return left


def find_run_dir(runs_dir: Path) -> Path:
    (run_dir,) = (path for path in runs_dir.iterdir() if not path.is_symlink())
    return run_dir


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "runs"
    with start(folder, "--epochs=1") as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output + errors
    assert output.splitlines()[-1].startswith(f"Report: {find_run_dir(folder)}/report.html (after ")
    assert errors == ""
    return folder


@pytest.fixture(scope="module")
def records(runs_dir: Path) -> dict[str, TrialRecord]:
    """The first trials; the single node's second one ends the round."""
    records = read_records(runs_dir / "latest" / "trials.jsonl")
    assert sorted((record.configuration, record.trial) for record in records if record.trial > 1) == [("single", 2)]
    return {record.configuration: record for record in records if record.trial == 1}


def test_a_run_leaves_every_file_that_it_promises_and_nothing_else(runs_dir: Path) -> None:
    run_dir = find_run_dir(runs_dir)
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "comparison.csv",
        "comparison.md",
        "logs",
        "models",
        "recommendation.json",
        "report.html",
        "run.json",
        "trials.jsonl",
    ]
    for name in CONFIGURATIONS:
        assert (run_dir / "models" / name / "trial-1" / "model.keras").stat().st_size > 0
    assert sorted(str(path.relative_to(run_dir / "logs")) for path in run_dir.rglob("*.log")) == [
        "all-reduce-2w/trial-1/worker-0.log",
        "all-reduce-2w/trial-1/worker-1.log",
        "parameter-server-2w-1ps/trial-1/chief-0.log",
        "parameter-server-2w-1ps/trial-1/ps-0.log",
        "parameter-server-2w-1ps/trial-1/worker-0.log",
        "parameter-server-2w-1ps/trial-1/worker-1.log",
        "pipeline.log",
        "single/trial-1/worker-0.log",
        "single/trial-2/worker-0.log",
    ]


def test_latest_is_the_run(runs_dir: Path) -> None:
    assert (runs_dir / "latest").resolve() == find_run_dir(runs_dir)


def test_there_is_a_record_for_each_trial(runs_dir: Path, records: dict[str, TrialRecord]) -> None:
    assert tuple(records) == CONFIGURATIONS
    assert {record.run_id for record in records.values()} == {find_run_dir(runs_dir).name}
    assert {record.restarts for record in records.values()} == {0}
    assert len({record.initial_weights_sha256 for record in records.values()}) == 1


def test_the_single_node_begins_and_ends_a_round_with_one_seed(runs_dir: Path) -> None:
    records = sorted(read_records(runs_dir / "latest" / "trials.jsonl"), key=lambda record: record.started_at)
    assert [record.place for record in records] == [1, 2, 3, 4]
    assert [record.configuration for record in (records[0], records[-1])] == ["single"] * 2
    assert {record.round for record in records} == {1}
    assert records[0].weights_sha256 == records[-1].weights_sha256


def test_all_reduce_learns_what_a_single_node_learns(records: dict[str, TrialRecord]) -> None:
    single, distributed = records["single"], records["all-reduce-2w"]
    assert distributed.curve[-1].train_loss == pytest.approx(single.curve[-1].train_loss, rel=1e-3)
    assert distributed.quality.value == pytest.approx(single.quality.value, abs=0.01)


def test_the_table_can_be_rebuilt_from_the_records(runs_dir: Path) -> None:
    run_dir = find_run_dir(runs_dir)
    names = ("comparison.csv", "comparison.md", "report.html")
    before = [(run_dir / name).read_text() for name in names]
    subprocess.run([sys.executable, "-m", "comparison", str(runs_dir / "latest")], cwd=ROOT, check=True, timeout=600)
    assert [(run_dir / name).read_text() for name in names] == before


def interrupt_as_a_terminal_does(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def interrupt_as_kill_does(process: subprocess.Popen[str]) -> None:
    process.terminate()


@pytest.mark.parametrize(
    ("line", "interrupt"),
    [("epoch 1/10 done", interrupt_as_a_terminal_does), ("Running: 2 replica(s)", interrupt_as_kill_does)],
)
def test_an_interrupted_run_stops_everything_and_keeps_what_is_finished(
    tmp_path: Path, line: str, interrupt: Callable[[subprocess.Popen[str]], None]
) -> None:
    with start(tmp_path, "--epochs=10", "--strategies=all_reduce") as process:
        wait_for_line(process, "▶ 4/9 train-distributed")
        wait_for_line(process, line)
        interrupt(process)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        left = wait_until_nothing_is_left(tmp_path)
    run_dir = find_run_dir(tmp_path)
    assert (process.returncode, left) == (130, [])
    assert errors.splitlines() == [
        "",
        "Interrupted: stopping train-distributed …",
        f"1 finished trial(s): single/trial-1, in {run_dir}/models.",
        f"The steps' logs: {run_dir}/logs/pipeline.log; what was unfinished: {run_dir}/artifacts",
        f'Train what is left: make run ARGS="--runs-dir {tmp_path} --resume {run_dir.name}"',
    ]
    assert "Traceback" not in output
    assert (run_dir / "models" / "single" / "trial-1" / "model.keras").exists()
    assert not (run_dir / "workspace").exists()


def test_a_run_that_is_killed_leaves_no_process_and_is_resumed_without_repeating_a_trial(tmp_path: Path) -> None:
    with start(tmp_path, "--epochs=1", "--strategies=all_reduce") as process:
        wait_for_line(process, "Running: 2 replica(s)")
        assert len(list_processes(tmp_path)) >= 4  # the run, the step and two replicas
        process.kill()
        assert wait_until_nothing_is_left(tmp_path) == []
    run_dir = find_run_dir(tmp_path)
    with start(tmp_path, f"--resume={run_dir.name}") as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, ""), output
    assert [output.count(f"Created: job {name}") for name in ("", "all-reduce-2w-t1-", "single-t2-")] == [2, 1, 1]
    records = sorted(read_records(run_dir / "trials.jsonl"), key=lambda record: record.started_at)
    assert [record.resumed for record in records] == [False, True, False]
    assert [(record.configuration, record.place) for record in records] == [
        ("single", 1),
        ("all-reduce-2w", 2),
        ("single", 3),
    ]
    assert "was interrupted for " in (run_dir / "report.html").read_text()
    assert sorted(path.name for path in run_dir.iterdir() if path.is_dir()) == ["logs", "models"]


def test_a_step_that_fails_ends_the_run_before_the_trials_that_are_left(tmp_path: Path) -> None:
    with start(tmp_path, "--model=json:dumps", "--trials=2") as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert output.splitlines()[-1] == "✗ train-single-node failed"
    assert output.count("▶") == 3
    assert "error: Model 'json:dumps' could not be built" in output
    assert errors.startswith("No trial was finished.\n")
