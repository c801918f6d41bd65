import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PLANTED = f"planted{os.getpid()}secret"
OPTIONS = (
    "--epochs=1",
    "--trials=1",
    "--global-batch-size=64",
    '--model-arguments={"width": 4, "stem_stride": 4}',
    "--strategies=all_reduce",
    "--no-bigger-nodes",
)


class Signed(http.server.SimpleHTTPRequestHandler):
    """Serves a folder to whoever has the signature."""

    def do_GET(self) -> None:
        if f"signature={PLANTED}-url" not in self.path:
            self.send_error(403)
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    random = np.random.default_rng(0)
    (tmp_path / "served").mkdir()
    np.savez(
        tmp_path / "served" / "own.npz",
        x_train=random.integers(0, 256, (700, 8, 8), np.uint8),
        y_train=np.arange(700) % 2,
        x_test=random.integers(0, 256, (100, 8, 8), np.uint8),
        y_test=np.arange(100) % 2,
    )
    handler = partial(Signed, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/own.npz?signature={PLANTED}-url&expires=1"
        server.shutdown()


def list_command_lines() -> set[str]:
    processes = psutil.process_iter(["cmdline"])
    return {" ".join(process.info["cmdline"] or []) for process in processes if process.pid != os.getpid()}


def test_a_run_leaves_no_secret_in_a_file_a_log_or_the_list_of_processes(tmp_path: Path, url: str) -> None:
    # One of them steers TensorFlow by its name, which is on record of every replica.
    variables = {"PLANTED_TOKEN": f"{PLANTED}-variable", "TF_PLANTED_SOURCE": f"{PLANTED}-steering"}
    settings = json.dumps({"env": variables})
    environment = {**os.environ, "TFJOB_SPEEDUP_DATASET_URL": url, "TFJOB_SPEEDUP_JOB_SETTINGS": settings}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "pipeline.run", f"--runs-dir={tmp_path / 'runs'}", *OPTIONS]
    seen: set[str] = set()
    variables_of_replicas: set[tuple[str, str]] = set()
    with (
        (tmp_path / "output").open("w") as output,
        subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment | {"TMPDIR": str(temporary)}
        ) as process,
    ):
        while process.poll() is None:
            seen |= list_command_lines()
            for child in psutil.Process(process.pid).children(recursive=True):
                try:
                    if "model.train" in child.cmdline():
                        variables_of_replicas |= set(child.environ().items())
                except psutil.Error:
                    continue
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    shown = (tmp_path / "output").read_text()
    assert process.returncode == 0, shown
    assert PLANTED not in shown
    assert any("executor_main" in line or "kfp" in line for line in seen)  # the steps were looked at
    assert [line for line in seen if PLANTED in line] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if PLANTED.encode() in path.read_bytes()] == []
    run_dir = (tmp_path / "runs" / "latest").resolve()
    assert "own.npz?(hidden)" in (run_dir / "report.html").read_text()
    assert (run_dir / "logs" / "pipeline.log").stat().st_mode & 0o777 == 0o600
    assert (run_dir / "logs").stat().st_mode & 0o777 == 0o700
    with_secret = {name for name, value in variables_of_replicas if PLANTED in value}
    assert with_secret == {*variables}  # which they must have, and nothing else
    assert [path for path in temporary.iterdir() if path.is_dir()] == []
