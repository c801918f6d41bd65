import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline.test_whole_run import ROOT, start, wait_for_line, wait_until_nothing_is_left

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="only root can make a disk so small"),
]
PATIENCE_SECONDS = 600.0
SMALL = ("--strategies=all_reduce", "--epochs=1")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,nr_inodes=2000", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def take_all_room(disk: Path) -> None:
    try:
        with (disk / "filler").open("wb", buffering=0) as filler:
            for size in (2**20, 1):
                while filler.write(b"x" * size) == size:
                    pass
    except OSError:
        return


def take_all_inodes(disk: Path) -> None:
    (disk / "filler").mkdir()
    try:
        for number in range(10_000):
            (disk / "filler" / str(number)).touch()
    except OSError:
        return


@pytest.mark.parametrize(
    ("take_all", "moment"), [(take_all_room, "== all-reduce-2w, trial 1"), (take_all_inodes, "▶ 5/9")]
)
def test_a_disk_that_is_full_is_told_without_a_traceback_and_the_run_goes_on_where_it_stopped(
    disk: Path, take_all: Callable[[Path], None], moment: str
) -> None:
    with start(disk / "runs", *SMALL) as process:
        wait_for_line(process, moment)
        take_all(disk)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    (run_dir,) = (disk / "runs").iterdir()
    assert process.returncode == 1
    assert "Traceback" not in output + errors
    assert any("error: " in line and "No space left on device" in line for line in output.splitlines()), output
    assert "finished trial(s): " in errors
    assert f"--resume {run_dir.name}" in errors
    assert (run_dir / "models" / "single" / "trial-1" / "model.keras").exists()
    assert wait_until_nothing_is_left(disk / "runs") == []

    subprocess.run(["rm", "-r", disk / "filler"], check=True)
    command = [sys.executable, "-m", "pipeline.run", f"--runs-dir={disk / 'runs'}", "--resume", run_dir.name]
    resumed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "Finished before the interruption: its results are taken" in resumed.stdout
    assert (run_dir / "report.html").exists()
