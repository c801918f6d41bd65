import threading
import time
from pathlib import Path

import pytest

from tfjob.launcher import Heartbeat

PATIENCE_SECONDS = 30.0


def beats(heartbeat_path: Path) -> int:
    return int(heartbeat_path.read_text() or -1)  # it is empty for a moment while it is written


def test_the_first_beat_is_there_before_the_block_runs(tmp_path: Path) -> None:
    with Heartbeat(tmp_path / "beat", beat_seconds=60):
        assert (tmp_path / "beat").read_text() == "0\n"


def test_each_beat_differs_from_the_one_before(tmp_path: Path) -> None:
    with Heartbeat(tmp_path / "beat", beat_seconds=0.005):
        seen: set[int] = set()
        limit = time.monotonic() + PATIENCE_SECONDS
        while len(seen - {-1}) < 3:
            assert time.monotonic() < limit
            seen.add(beats(tmp_path / "beat"))


def test_no_beat_comes_after_the_block(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(KeyError), Heartbeat(tmp_path / "beat", beat_seconds=0.001):
        raise KeyError
    assert threading.active_count() == before


def test_the_end_does_not_wait_for_a_beat(tmp_path: Path) -> None:
    started = time.monotonic()
    with Heartbeat(tmp_path / "beat", beat_seconds=60):
        pass
    assert time.monotonic() - started < PATIENCE_SECONDS


def test_a_folder_that_is_out_of_reach_for_a_while_is_told_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, away = tmp_path / "shared", tmp_path / "away"
    folder.mkdir()
    with Heartbeat(folder / "beat", beat_seconds=0.005):
        folder.rename(away)
        told = ""
        limit = time.monotonic() + PATIENCE_SECONDS
        while "beat could not be renewed" not in told:
            assert time.monotonic() < limit
            time.sleep(0.001)
            told += capsys.readouterr().out
        last = beats(away / "beat")
        away.rename(folder)
        while beats(folder / "beat") <= last:
            assert time.monotonic() < limit
            time.sleep(0.001)
    assert told.startswith(f"Warning: the heartbeat {folder / 'beat'} could not be renewed: ")


def test_a_folder_that_is_out_of_reach_from_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Heartbeat(tmp_path / "none" / "beat"):
        pass
