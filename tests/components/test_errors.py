from pathlib import Path

import pytest

from comparison.records import RecordError
from components.errors import told_plainly
from model.errors import ConfigError
from tfjob.errors import JobDeadlineExceeded, NoBackend


@pytest.mark.parametrize("error", [ConfigError("epochs must be 1"), RecordError("no data"), NoBackend("in a pod")])
def test_what_a_reader_can_mend_is_one_message_without_a_traceback(error: Exception) -> None:
    with pytest.raises(SystemExit) as ended, told_plainly():
        raise error
    assert ended.value.code == f"error: {error}"


def test_an_error_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(KeyError), told_plainly():
        raise KeyError("trial")
    with pytest.raises(ValueError, match="not ours"), told_plainly():
        raise ValueError("not ours")


def test_a_failed_job_says_what_it_ran_into() -> None:
    with pytest.raises(SystemExit, match="longer than its deadline"), told_plainly():
        raise JobDeadlineExceeded("Job a ran longer than its deadline of 60 s.")


def test_a_full_disk_is_one_message_and_any_other_error_of_the_system_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: a file cannot be written or read: the disk is full"), told_plainly():
        Path("/dev/full").write_text("weights")
    with pytest.raises(FileNotFoundError), told_plainly():
        (tmp_path / "missing").read_text()
