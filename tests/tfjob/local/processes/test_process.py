import os
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

import pytest

from tfjob.backend import LogLine
from tfjob.launcher import Signalled
from tfjob.local.processes import Exited, Keeper, LogBroken, Message, ReplicaProcess

# More than a pipe holds: a replica whose output nobody took would stand still.
LINES = 5_000


def read_replica(log_path: Path) -> Sequence[Message | Signalled]:
    inbox: SimpleQueue[Message | Signalled] = SimpleQueue()
    command = ("/bin/sh", "-c", f"yes {'y' * 99} | head -n {LINES}")
    with Keeper() as guard:
        ReplicaProcess("worker-0", command, env=os.environ, cores=(), log_path=log_path, inbox=inbox, guard=guard)
        messages = []
        while not isinstance(message := inbox.get(timeout=120), Exited):
            messages.append(message)
    assert message.exit_code == 0
    return messages


@pytest.mark.parametrize(
    ("log_path", "reason"), [("/dev/full", "No space left on device"), ("/dev/null/log", "Not a directory")]
)
def test_a_log_that_cannot_be_kept_is_said_once_and_no_line_of_it_is_lost(log_path: str, reason: str) -> None:
    broken, *lines = read_replica(Path(log_path))
    assert broken == LogBroken("worker-0", f"{log_path}: {reason}")
    assert lines == [LogLine("worker-0", "y" * 99)] * LINES


def test_a_log_that_can_be_kept_is_kept(tmp_path: Path) -> None:
    assert len(read_replica(tmp_path / "log")) == LINES
    assert (tmp_path / "log").read_text() == f"{'y' * 99}\n" * LINES
