import json
import subprocess
import sys
from pathlib import Path

import pytest

from comparison.programs import read_program_trials
from tests.components.planning.programs.test_persons import write_job

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PERSONS = ROOT / "tests" / "components" / "persons"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.run", "--trials=1", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)


def test_from_a_manifest_to_the_report(tmp_path: Path) -> None:
    batch = "{per_replica_batch_size}"
    manifest = write_job(sys.executable, str(PERSONS / "telling.py"), batch, env={"TOKEN": "a-planted-secret"})
    (tmp_path / "job.yaml").write_text(manifest.replace("cpu: '2'", "cpu: '1'"))

    ended = run(f"--runs-dir={tmp_path / 'runs'}", "--tfjob", str(tmp_path / "job.yaml"))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    run_dir = tmp_path / "runs" / "latest"
    records = read_program_trials(run_dir / "trials.jsonl")
    assert [(r.configuration, r.trial, r.level) for r in records] == [
        ("single", 1, 2),
        ("single", 2, 2),
        ("workers-2", 1, 2),
    ]
    assert json.loads((run_dir / "recommendation.json").read_text())
    assert "workers-2" in (run_dir / "report.html").read_text()
    for step in ("Nothing is prepared", "Nothing is judged", "Warning: image registry.example/mine:1"):
        assert ended.stdout.count(step) == 1
    kept = [path for path in run_dir.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"a-planted-secret" in path.read_bytes()]
    assert sorted(path.name for path in (run_dir / "models" / "workers-2" / "trial-1").iterdir()) == [
        "launch.json",
        "trial.json",
    ]
    assert (run_dir / "logs" / "workers-2" / "trial-1" / "worker-1.log").exists()
    rebuilt = subprocess.run([sys.executable, "-m", "comparison", str(run_dir)], cwd=ROOT, check=False, timeout=600)
    assert rebuilt.returncode == 0


def test_a_program_runs_with_the_interpreter_that_its_person_names(tmp_path: Path) -> None:
    own = tmp_path / "python3"
    own.write_text("#!/bin/sh\necho started by $0 >&2\nexit 3\n")
    own.chmod(0o755)
    ended = run(f"--runs-dir={tmp_path / 'runs'}", "--command", f"{own} train.py")
    assert ended.returncode == 1
    assert f"started by {own}" in ended.stdout


def test_a_command_that_cannot_start_ends_the_run_after_one_try(tmp_path: Path) -> None:
    ended = run(f"--runs-dir={tmp_path / 'runs'}", "--command", f"{sys.executable} {tmp_path / 'missing.py'}")
    assert ended.returncode == 1
    assert ended.stdout.count("Created: job") == 1
    assert "can't open file" in ended.stdout
    assert "No trial was finished." in ended.stderr
