import os
import signal
from pathlib import Path

import pytest

from model.data.dataset import PreparedDataset
from model.errors import ExitCode
from tests.model.replicas import SETTINGS, Job, make_cluster

pytestmark = pytest.mark.slow

LONG = (*SETTINGS, "--checkpoint-steps=10", "--epochs=100")


def test_a_chief_that_pauses_is_a_lost_peer_and_both_ask_for_another_try(
    mnist: PreparedDataset, tmp_path: Path
) -> None:
    job = Job(mnist.directory, tmp_path / "job", LONG, make_cluster(worker=2))
    with job.start() as (chief, worker):
        job.wait_for_checkpoint()
        os.kill(chief.process.pid, signal.SIGSTOP)
        assert worker.wait() == ExitCode.PEER_LOST, worker.log.read_text()[-3000:]
        os.kill(chief.process.pid, signal.SIGCONT)
        assert chief.wait() == ExitCode.PEER_LOST, chief.log.read_text()[-3000:]
