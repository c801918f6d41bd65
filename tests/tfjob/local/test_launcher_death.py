import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

LAUNCHER = """
import json, signal, sys
from pathlib import Path
from typing import Any
from tfjob.local.backend import LocalBackend
signal.signal(signal.SIGINT, signal.default_int_handler)
LocalBackend(grace_seconds=0.5).run(json.loads(sys.argv[1]), log_dir=Path(sys.argv[2]), on_event=lambda _: None)
"""
PATIENCE_SECONDS = 120.0
# A replica that has a child and ignores requests to end.
REPLICA = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"])
print("ready")
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < limit:
        time.sleep(0.02)


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_launcher(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path, signal_number: signal.Signals
) -> None:
    logs = [tmp_path / "logs" / f"worker-{index}.log" for index in range(2)]
    manifest = json.dumps(make_job(REPLICA, workers=2))
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, manifest, str(tmp_path / "logs")],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.DEVNULL,
    ) as launcher:
        wait_until(lambda: all(log.exists() and "ready" in log.read_text() for log in logs))
        children = psutil.Process(launcher.pid).children(recursive=True)
        launcher.send_signal(signal_number)
        launcher.wait(PATIENCE_SECONDS)
    assert len(children) == 1 + 2 * 2  # the keeper, two replicas and a child of each
    wait_until(lambda: not any(map(is_running, children)))
    assert [child for child in children if is_running(child)] == []
