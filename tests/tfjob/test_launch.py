import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tfjob.backend import Event, JobResult, LogLine, StatusChanged, Warned
from tfjob.job import Manifest
from tfjob.launch import choose_backend, run_job
from tfjob.local import LocalBackend
from tfjob.manifest import build_manifest
from tfjob.spec import TFJobSpec

MakeSpec = Callable[..., TFJobSpec]
RESULT = JobResult(
    job_name="mnist",
    backend="scripted",
    queue_seconds=0.0,
    total_seconds=1.0,
    contended=False,
    warnings=[],
    replicas=[],
    started_at=0.0,
    ended_at=1.0,
)


@dataclass
class ScriptedBackend:
    events: list[Event]
    manifests: list[Manifest] = field(default_factory=list)

    def run(self, manifest: Manifest, *, log_dir: Path, on_event: Callable[[Event], None]) -> JobResult:
        self.manifests.append(manifest)
        for event in self.events:
            on_event(event)
        return RESULT


def test_a_backend_gets_the_specs_manifest_and_its_events_become_lines(make_spec: MakeSpec, tmp_path: Path) -> None:
    backend = ScriptedBackend([StatusChanged("Created", "job mnist"), Warned("slow"), LogLine("worker-0", "step 1")])
    lines: list[str] = []
    spec = make_spec("pass")
    assert run_job(spec, log_dir=tmp_path, backend=backend, report=lines.append) is RESULT
    assert backend.manifests == [build_manifest(spec)]
    assert lines == ["Created: job mnist", "Warning: slow", "[worker-0] step 1"]


def test_without_a_backend_the_job_runs_here(
    make_spec: MakeSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(make_spec("print('hello')"), log_dir=tmp_path).backend == "local"
    assert "[worker-0] hello" in capsys.readouterr().out.splitlines()


def test_the_owner_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFJOB_OWNER_PID", "1")
    backend = choose_backend()
    assert isinstance(backend, LocalBackend)
    assert backend.owner is not None


def test_importing_the_launcher_loads_neither_the_cluster_libraries_nor_tensorflow() -> None:
    code = "import sys, tfjob.launch; print(sorted({'kubeflow', 'kubernetes', 'tensorflow', 'kfp'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
