import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline.test_whole_run import start, wait_for_line, wait_until_nothing_is_left

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="only root can make a disk so small"),
]
PATIENCE_SECONDS = 1800.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,nr_inodes=2000", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@contextmanager
def without_room(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (2**20, 1):
                while file.write(b"x" * size) == size:
                    pass
    except OSError:
        pass
    yield
    filler.unlink()


@contextmanager
def without_inodes(disk: Path) -> Iterator[None]:
    (disk / "filler").mkdir()
    try:
        for number in range(10_000):
            (disk / "filler" / str(number)).touch()
    except OSError:
        pass
    yield
    subprocess.run(["rm", "-r", disk / "filler"], check=True)


@contextmanager
def without_leave_to_write(disk: Path) -> Iterator[None]:
    # Made read-only elsewhere, where nobody writes, and laid over the disk as it is: once in its place, a file that is
    # just being written keeps a mount from becoming read-only.
    read_only = disk.with_name(f"{disk.name}-read-only")
    read_only.mkdir()
    subprocess.run(["mount", "--bind", disk, read_only], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", read_only], check=True)
        subprocess.run(["mount", "--bind", read_only, disk], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
    finally:
        subprocess.run(["umount", read_only], check=True)


FULL, READ_ONLY = "No space left on device", "Read-only file system"


# Met one after another by one run: each while it goes on after the one before.
FAULTS = [
    (without_room, "== all-reduce-2w, trial 1", FULL),
    (without_leave_to_write, "== all-reduce-2w, trial 1", READ_ONLY),
    (without_inodes, "▶ 5/9", FULL),
]


def test_a_disk_that_takes_no_more_is_told_without_a_traceback_and_the_run_goes_on_where_it_stopped(disk: Path) -> None:
    options: tuple[str, ...] = ("--strategies=all_reduce", "--epochs=1")
    for fault, moment, cause in FAULTS:
        with start(disk / "runs", *options) as process:
            wait_for_line(process, moment)
            with fault(disk):
                output, errors = process.communicate(timeout=PATIENCE_SECONDS)
                (run_dir,) = (disk / "runs").iterdir()
                assert process.returncode == 1
                assert "Traceback" not in output + errors
                assert any("error: " in line and cause in line for line in output.splitlines()), output
                assert cause not in errors  # it is said once
                assert "finished trial(s)" in errors
                assert f"--resume {run_dir.name}" in errors
                if cause == FULL:  # elsewhere it cannot even be moved to its place
                    assert (run_dir / "models" / "single" / "trial-1" / "model.keras").exists()
                assert wait_until_nothing_is_left(disk / "runs") == []
        options = (f"--resume={run_dir.name}",)

    with start(disk / "runs", *options) as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output + errors
    assert "Finished before the interruption: its results are taken" in output
    assert (run_dir / "models" / "single" / "trial-1" / "model.keras").exists()
    assert (run_dir / "report.html").exists()


@pytest.mark.parametrize(("moment", "kept"), [("▶ 1/9 plan-comparison", []), ("▶ 8/9 compare", ["run.json"])])
def test_of_results_that_find_no_room_none_is_left_half_written(disk: Path, moment: str, kept: list[str]) -> None:
    command = [sys.executable, "-m", "pipeline.run", f"--runs-dir={disk / 'runs'}"]
    asked, folder = ["--command=sleep 0.2", "--trials=1"], disk / "own"
    folder.mkdir()  # each replica gets a view of it, for which the disk has room
    with subprocess.Popen(
        [*command, *asked], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        wait_for_line(run, moment)
        with without_room(disk):
            output, errors = run.communicate(timeout=PATIENCE_SECONDS)
            (run_dir,) = (disk / "runs").iterdir()
            assert run.returncode == 1
            assert "Traceback" not in output + errors
            assert [FULL in line for line in output.splitlines() if "error: " in line] == [True]
            assert [path.name for path in run_dir.iterdir() if path.is_file()] == kept
            assert ("--resume" in errors) == bool(kept)

    resumed = subprocess.run(
        [*command, "--resume", run_dir.name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    if not kept:
        assert "ended before it was planned: there is nothing to resume" in resumed.stderr
        return
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "Created: job" not in resumed.stdout
    assert (run_dir / "report.html").exists()
