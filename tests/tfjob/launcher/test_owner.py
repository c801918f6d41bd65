import os
import subprocess

import pytest

from tfjob.launcher import Owner, find_owner


def test_without_the_variable_there_is_no_owner() -> None:
    assert find_owner({}) is None


def test_a_running_owner_is_alive() -> None:
    owner = find_owner({"TFJOB_OWNER_PID": str(os.getpid())})
    assert owner is not None
    assert owner.is_alive()


def test_an_owner_that_ended_is_not_alive_before_and_after_its_parent_collects_it() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = find_owner({"TFJOB_OWNER_PID": str(process.pid)})
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner is not None
        assert not owner.is_alive()
    assert not owner.is_alive()


def test_a_later_process_with_the_same_number_is_not_the_owner() -> None:
    assert not Owner(os.getpid(), started_at=1.0).is_alive()


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TFJOB_OWNER_PID must be the number of a process\. Received: 'make'"):
        find_owner({"TFJOB_OWNER_PID": "make"})
