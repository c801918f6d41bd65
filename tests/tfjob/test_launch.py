import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tfjob.backend import ANYWHERE, Event, JobResult, LogLine, Placement, StatusChanged, Warned
from tfjob.errors import JobFailed, JobRestartedTooOften, NoBackend
from tfjob.job import Manifest
from tfjob.launch import choose_backend, label_value, list_unfinished_jobs, run_job
from tfjob.local.backend import LocalBackend

MakeJob = Callable[..., dict[str, Any]]
RESULT = JobResult(
    job_name="mnist",
    backend="scripted",
    queue_seconds=0.0,
    schedule_seconds=0.0,
    pull_seconds=0.0,
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
    placements: list[Placement] = field(default_factory=list)

    def run(
        self,
        manifest: Manifest,
        *,
        log_dir: Path,
        on_event: Callable[[Event], None],
        placement: Placement = ANYWHERE,
        is_measured: Callable[[], bool] | None = None,
    ) -> JobResult:
        self.manifests.append(manifest)
        self.placements.append(placement)
        for event in self.events:
            on_event(event)
        return RESULT


def test_a_backend_gets_the_manifest_and_its_events_become_lines(make_job: MakeJob, tmp_path: Path) -> None:
    backend = ScriptedBackend([StatusChanged("Created", "job mnist"), Warned("slow"), LogLine("worker-0", "step 1")])
    lines: list[str] = []
    manifest = make_job("pass")
    placement = Placement(first_core=2)
    assert run_job(manifest, log_dir=tmp_path, backend=backend, report=lines.append, placement=placement) is RESULT
    assert (backend.manifests, backend.placements) == ([manifest], [placement])
    assert lines == ["Created: job mnist", "Warning: slow", "[worker-0] step 1"]


def test_without_a_backend_the_job_runs_here(
    make_job: MakeJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(make_job("print('hello')"), log_dir=tmp_path).backend == "local"
    assert "[worker-0] hello" in capsys.readouterr().out.splitlines()


def test_a_job_may_restart_as_often_as_it_was_granted(make_job: MakeJob, tmp_path: Path) -> None:
    backend = ScriptedBackend([StatusChanged("Restarting", "worker-0 ended")] * 3)
    manifest = make_job("pass")
    assert run_job(manifest, log_dir=tmp_path, backend=backend, report=print, max_restarts=3) is RESULT


def test_a_job_that_restarts_more_often_is_given_up_with_the_last_reason(make_job: MakeJob, tmp_path: Path) -> None:
    restarts = [StatusChanged("Restarting", f"worker-{index} ended") for index in range(3)]
    backend = ScriptedBackend([StatusChanged("Running", "2 replicas"), *restarts])
    message = "Job mnist was given up after 2 restarts. The last: worker-2 ended"
    lines: list[str] = []
    with pytest.raises(JobRestartedTooOften, match=message):
        run_job(make_job("pass"), log_dir=tmp_path, backend=backend, report=lines.append, max_restarts=2)
    assert lines[-1] == "Restarting: worker-2 ended"


def test_a_job_that_is_given_up_here_leaves_no_replica(make_job: MakeJob, tmp_path: Path) -> None:
    manifest = make_job(
        "print(os.getpid()); sys.exit(200) if role == 'worker-1' else time.sleep(600)",
        workers=2,
        restart_policy="ExitCode",
    )
    lines: list[str] = []
    with pytest.raises(JobRestartedTooOften):
        run_job(manifest, log_dir=tmp_path, report=lines.append, max_restarts=1)
    pids = [int(line.partition("] ")[2]) for line in lines if line.startswith("[worker-")]
    assert not any(map(psutil.pid_exists, pids))


def test_the_owner_comes_from_the_environment() -> None:
    backend = choose_backend({"TFJOB_OWNER_PID": "1"})
    assert isinstance(backend, LocalBackend)
    assert backend.owner is not None


def test_in_a_pod_without_a_service_account_there_is_no_backend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The client reads the variable KUBECONFIG once, when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(NoBackend, match="No cluster can be reached from here"):
        choose_backend({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})


@pytest.mark.parametrize(
    ("run_id", "label"), [("20261123-194505", "20261123-194505"), ("ä/b c", "b-c"), ("x" * 70, "x" * 63)]
)
def test_a_run_is_known_by_a_label_that_kubernetes_takes(run_id: str, label: str) -> None:
    assert label_value(run_id) == label


def test_importing_the_launcher_loads_neither_the_cluster_libraries_nor_tensorflow() -> None:
    code = "import sys, tfjob.launch; print(sorted({'kubeflow', 'kubernetes', 'tensorflow', 'kfp'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_processes_leave_no_unfinished_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert list_unfinished_jobs("run-1") == []


def test_a_failure_names_the_replica_that_was_in_trouble_first(make_job: MakeJob, tmp_path: Path) -> None:
    code = (
        "if role == 'worker-1': print('ValueError: the cause', flush=True); time.sleep(600)\n"
        "wait_for('worker-1.log')\n"
        "while 'the cause' not in path('worker-1.log').read_text(): time.sleep(0.01)\n"
        "raise ConnectionError('only lost its peer')"
    )
    with pytest.raises(JobFailed) as caught:
        run_job(make_job(code, workers=2, restart_policy="Never"), log_dir=tmp_path, report=lambda _: None)
    assert "worker-0: exit code 1" in str(caught.value)
    assert "The first in trouble was worker-1" in str(caught.value)
    assert str(caught.value).endswith("ValueError: the cause")


def test_log_lines_are_heard_with_their_time_and_a_measured_job_is_ended(make_job: MakeJob, tmp_path: Path) -> None:
    heard: list[LogLine] = []
    result = run_job(
        make_job(
            "signal.signal(signal.SIGTERM, lambda *_: (print('step 2', flush=True), sys.exit()))\n"
            "print('step 1', flush=True); time.sleep(600)"
        ),
        log_dir=tmp_path,
        report=lambda _: None,
        is_measured=lambda: bool(heard),
        listen=heard.append,
    )
    assert result.was_ended
    assert [(line.replica, line.text) for line in heard] == [("worker-0", "step 1")]
    assert heard[0].at == pytest.approx(result.started_at, abs=30)
