import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.tfjob.local.local_run import is_running
from tfjob.backend import Event, JobResult, LogLine, StatusChanged
from tfjob.errors import JobFailed, SpecError
from tfjob.local.backend import LocalBackend
from tfjob.own import read_own_job

PATIENCE_SECONDS = 120.0


@dataclass
class Program:
    """A person's program, run as a job of this machine."""

    home: Path
    log_dir: Path
    events: list[Event] = field(default_factory=list)

    def __call__(
        self,
        code: str,
        *,
        command: list[str] | None = None,
        replicas: dict[str, int] | None = None,
        env: dict[str, str] | None = None,
        is_measured: Callable[[], bool] | None = None,
        workers: int = 1,
        num_ps: int = 0,
        cpus: str | None = "1",
        **changes: Any,
    ) -> JobResult:
        container: dict[str, Any] = {
            "name": "tensorflow",
            "image": "theirs:1",
            "command": command or [sys.executable, "-S", "-u", "-c", code],
            "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        }
        if cpus is not None:
            container["resources"] = {"limits": {"cpu": cpus}}
        if not container["command"]:
            del container["command"]
        template = {"spec": {"containers": [container]}}
        specs = {kind: {"replicas": n, "template": template} for kind, n in (replicas or {"Worker": 1}).items()}
        spec = {"tfReplicaSpecs": specs, **changes.pop("spec", {})}
        text = json.dumps({"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "spec": spec})
        lone = changes.pop("lone_tf_config", False)
        manifest = read_own_job(text).build(
            name="trial", namespace="runs", workers=workers, num_ps=num_ps, values={}, lone_tf_config=lone
        )
        backend = replace(LocalBackend(folder=self.home, grace_seconds=0.5), **changes)
        return backend.run(manifest, log_dir=self.log_dir, on_event=self.events.append, is_measured=is_measured)

    def log_lines(self, replica: str = "worker-0") -> list[LogLine]:
        return [event for event in self.events if isinstance(event, LogLine) and event.replica == replica]

    def lines(self, replica: str = "worker-0") -> list[str]:
        return [line.text for line in self.log_lines(replica)]

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, StatusChanged)]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    home = tmp_path / "home"
    home.mkdir()
    return Program(home, tmp_path / "trial" / "logs")


def test_relative_data_are_where_they_always_are(program: Program) -> None:
    (program.home / "data").mkdir()
    (program.home / "data" / "train.csv").write_text("1,2\n")
    program("print(open('data/train.csv').read().strip())")
    assert program.lines() == ["1,2"]


def test_a_script_of_ones_own_imports_what_lies_beside_it(program: Program) -> None:
    (program.home / "train.py").write_text("import layers; print(layers.NAME)\n")
    (program.home / "layers.py").write_text("NAME = 'mine'\n")
    program("", command=[sys.executable, "train.py"])
    assert program.lines() == ["mine"]


def test_a_trial_finds_nothing_of_the_one_before(program: Program) -> None:
    code = (
        "import os, tempfile; os.makedirs('logs/run'); open('logs/run/ckpt', 'w').write('x');"
        "os.makedirs(os.path.join(tempfile.gettempdir(), 'model')); print('fresh')"
    )
    program(code)
    program(code)
    assert program.lines() == ["fresh", "fresh"]
    assert list(program.home.iterdir()) == []


def test_two_replicas_do_not_meet_in_a_folder(program: Program) -> None:
    code = (
        "import os, tempfile; os.mkdir('logs'); os.mkdir(os.path.join(tempfile.gettempdir(), 'x')); print(os.getcwd())"
    )
    program(code, replicas={"Worker": 2}, workers=2, spec={"successPolicy": "AllWorkers"})
    folders = {*program.lines("worker-0"), *program.lines("worker-1")}
    assert len(folders) == 2
    assert not any(Path(folder).exists() for folder in folders)


def test_a_persons_files_stay_as_they_are(program: Program) -> None:
    (program.home / "config.json").write_text("{}")
    (program.home / "old").mkdir()
    (program.home / "old" / "metrics.csv").write_text("kept")
    program(
        "import os, shutil; open('config.json', 'w').write('other'); open('old/metrics.csv', 'a').write('more');"
        "shutil.rmtree('old')"
    )
    assert (program.home / "config.json").read_text() == "{}"
    assert (program.home / "old" / "metrics.csv").read_text() == "kept"


def test_no_variable_that_steers_this_project_reaches_the_program(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = str(Path(__file__).parents[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([project, "/theirs"]))
    for name in ("TFJOB_OWNER_PID", "TFJOB_SPEEDUP_SECRETS", "TF_CONFIG", "PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("THEIR_TOKEN", "t")
    program("import json, os; print(json.dumps(dict(os.environ)))")
    (line,) = program.lines()
    env = json.loads(line)
    assert (env["PYTHONPATH"], env["THEIR_TOKEN"]) == ("/theirs", "t")
    assert env["PATH"] == os.environ["PATH"]
    assert {name for name in env if name.startswith("TFJOB_")} == {"TFJOB_SPEEDUP_JOB"}
    assert env.keys().isdisjoint({"TF_CONFIG", "PYTHONIOENCODING", "PYTHONUTF8"})


def test_references_to_variables_are_expanded_as_the_kubelet_does(program: Program) -> None:
    command = ["sh", "-c", "echo $(NAME) '$$(NAME)' '$(UNKNOWN)' ${NAME}", "$(A)"]
    program("", command=command, env={"A": "a", "NAME": "$(A)-b", "LATE": "$(NAME)"})
    assert program.lines() == ["a-b $(NAME) $(UNKNOWN) a-b"]


def test_names_stand_in_tf_config(program: Program) -> None:
    code = (
        "import json, os; config = json.loads(os.environ['TF_CONFIG']);"
        "print(sorted(config['cluster']), config['task'], {a.split('.')[0].split(':')[0]"
        " for members in config['cluster'].values() for a in members})"
    )
    program(code, replicas={"Master": 1, "worker": 2, "PS": 1, "Evaluator": 1}, workers=2, num_ps=1)
    expected = "['evaluator', 'master', 'ps', 'worker'] {'type': 'master', 'index': 0} {'localhost'}"
    assert program.lines("master-0") == [expected]


def test_a_worker_that_may_come_and_go_sees_itself_and_the_servers(program: Program) -> None:
    code = "import json, os; print(json.dumps(json.loads(os.environ['TF_CONFIG'])['cluster']))"
    spec = {"enableDynamicWorker": True, "successPolicy": "AllWorkers"}
    program(code, replicas={"Worker": 2, "PS": 1}, workers=2, num_ps=1, spec=spec)
    (line,) = program.lines("worker-1")
    assert {kind: len(members) for kind, members in json.loads(line).items()} == {"worker": 1, "ps": 1}
    assert list(json.loads(line)["worker"]) == ["1"]


def test_a_single_node_gets_a_tf_config_where_it_is_asked_for(program: Program) -> None:
    code = "import os; print(os.environ.get('TF_CONFIG'))"
    program(code)
    program(code, lone_tf_config=True)
    without, with_one = program.lines()
    assert without == "None"
    assert json.loads(with_one)["cluster"]["worker"][0].startswith("localhost:")


def test_a_measured_job_is_ended_and_has_succeeded(program: Program) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL); print('step'); time.sleep(600)"
    result = program(code, is_measured=lambda: "step" in program.lines())
    assert (result.was_ended, [replica.exit_code for replica in result.replicas]) == (True, [None])
    assert program.statuses()[-1] == "Succeeded"
    assert result.total_seconds < PATIENCE_SECONDS


def test_a_measured_program_that_ignores_sigterm_is_killed_with_its_children(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfjob.local.backend.MEASURED_GRACE_SECONDS", 0.5)
    code = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid); print(os.getpid()); time.sleep(600)"
    )
    result = program(code, is_measured=lambda: len(program.lines()) > 1)
    assert result.was_ended
    assert not any(map(is_running, map(int, program.lines())))


def test_a_child_in_a_session_of_its_own_does_not_outlive_the_job(program: Program) -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); print(child.pid)"
    )
    program(code)
    (pid,) = map(int, program.lines())
    assert not is_running(pid)


def test_workers_that_never_end_are_ended_when_the_chief_is_done(program: Program, tmp_path: Path) -> None:
    code = (
        "import json, os, pathlib, time; kind = json.loads(os.environ['TF_CONFIG'])['task']['type']\n"
        "print(os.getpid()); told = pathlib.Path(os.environ['TOLD'])\n"
        "if kind == 'ps': told.touch()\n"
        "while kind != 'chief' or not told.exists(): time.sleep(0.01)"
    )
    replicas, told = {"Chief": 1, "Worker": 1, "PS": 1}, {"TOLD": str(tmp_path / "told")}
    result = program(code, replicas=replicas, workers=1, num_ps=1, env=told)
    assert not result.was_ended
    assert not is_running(int(program.lines("ps-0")[0]))


def test_a_replica_that_fails_ends_the_trial_at_once(program: Program) -> None:
    code = (
        "import json, os, sys, time; index = json.loads(os.environ['TF_CONFIG'])['task']['index'];"
        "sys.exit(138) if index else time.sleep(600)"
    )
    with pytest.raises(JobFailed, match="worker-1: exit code 138"):
        program(code, replicas={"Worker": 2}, workers=2)


def test_a_folder_of_a_job_that_failed_is_removed(program: Program, tmp_path: Path) -> None:
    with pytest.raises(JobFailed):
        program("import sys; sys.exit(1)")
    assert [path.name for path in (tmp_path / "trial").iterdir()] == ["logs"]


def test_without_a_limit_a_replica_may_use_every_core(program: Program) -> None:
    result = program("import os; print(len(os.sched_getaffinity(0)))", cpus=None)
    assert program.lines() == [str(len(os.sched_getaffinity(0)))]
    assert not result.contended


def test_an_image_whose_entry_point_is_unknown_is_refused_by_the_fields_path(program: Program) -> None:
    container = {"name": "tensorflow", "image": "theirs:1", "args": ["--epochs=1"]}
    template = {"spec": {"containers": [container]}}
    spec = {"tfReplicaSpecs": {"Worker": {"template": template}}}
    text = json.dumps({"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "spec": spec})
    manifest = read_own_job(text).build(name="trial", namespace="runs", workers=1, num_ps=0, values={})
    with pytest.raises(SpecError, match=r"Worker.template.spec.containers\[tensorflow\].command must name a program"):
        LocalBackend().run(manifest, log_dir=program.log_dir, on_event=program.events.append)


def test_lines_have_the_time_at_which_they_were_read(program: Program) -> None:
    before = time.time()
    heard: list[float] = []

    def is_measured() -> bool:
        heard.extend([time.time()] * bool(program.lines()))
        return bool(heard)

    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('b'), sys.exit()))"
    program(f"{code}; print('a'); time.sleep(600)", is_measured=is_measured)
    first, second = (line.at for line in program.log_lines())
    assert first is not None
    assert second is not None
    assert before < first < heard[0] < second < time.time()


def test_output_without_a_newline_comes_in_pieces_while_it_runs(program: Program) -> None:
    code = (
        "import sys, time\n"
        "for step in range(400): sys.stdout.write('\\r%d/400 ' % step + '=' * 100); sys.stdout.flush()\n"
        "time.sleep(600)"
    )
    result = program(code, is_measured=lambda: len(program.lines()) > 1)
    assert result.was_ended
    assert all(len(line) <= 16 * 1024 for line in program.lines())
    assert all(line.lstrip("\r").partition("/")[0].isdecimal() for line in program.lines())


@pytest.mark.slow
def test_a_thousand_lines_a_second_are_taken_by_a_small_part_of_a_core(tmp_path: Path) -> None:
    code = (
        "import time; start = time.time(); printed = 0\n"
        "while (now := time.time()) < start + 5:\n"
        "    while printed < (now - start) * 1000: print('step', printed, 'loss', 0.5, flush=True); printed += 1\n"
        "    time.sleep(0.0005)\n"
    )
    launcher = (
        "import json, resource, sys, pathlib; from tfjob.launch import run_job; from tfjob.own import read_own_job\n"
        "job = read_own_job('', sys.argv[1]); from tfjob.settings import of_containers\n"
        "manifest = job.build(name='trial', namespace='runs', workers=1, num_ps=0, values={},"
        " overlays=[of_containers(image='x')])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF)\n"
        "lines = []; run_job(manifest, log_dir=pathlib.Path(sys.argv[2]), report=lambda line: lines.append(line))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(json.dumps([len(lines), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]))"
    )
    (tmp_path / "flood.py").write_text(code)
    command = f"{sys.executable} -S {tmp_path / 'flood.py'}"
    arguments = [sys.executable, "-c", launcher, command, str(tmp_path / "trial" / "logs")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=tmp_path)
    count, cpu_seconds = json.loads(done.stdout.splitlines()[-1])
    assert count > 4000
    assert cpu_seconds / 5 < 0.5  # far above what it takes: no machine is quiet enough for more
