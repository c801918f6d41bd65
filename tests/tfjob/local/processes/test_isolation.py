import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tfjob.backend import JobResult, LogLine, StatusChanged
from tfjob.errors import SpecError
from tfjob.local import Isolation, LocalBackend, choose_isolation, find_obstacle

MakeJob = Callable[..., dict[str, Any]]
needs_namespaces = pytest.mark.skipif(bool(find_obstacle("auto")), reason="this machine allows no network namespace")
# Listens as TensorFlow's servers do: on all interfaces, for anybody.
SERVER = """
import socket
with socket.create_server(("0.0.0.0", 0)) as server:
    print("port", server.getsockname()[1])
    wait_for("tried")
"""
TELL_SURROUNDINGS = """
kept = ("SigIgn", "SigBlk", "Groups", "CapEff", "NoNewPrivs")
status = [line for line in open("/proc/self/status") if line.startswith(kept)]
new = path("file")
new.touch()
print(json.dumps([
    status, {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}, os.getresuid(), os.getresgid(),
    new.stat().st_uid, new.stat().st_gid, os.getcwd(), sorted(os.sched_getaffinity(0)), os.getpgid(0) == os.getpid(),
    os.getsid(0) == os.getpid(), sys.stdin.read(), sorted(os.listdir("/proc/self/fd")),
]))
"""
# Not as root: the rights over its namespaces are those of an ordinary user, to whom the files still belong.
AS_A_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
WITHOUT_NAMESPACES = ("unshare", "--user", "--map-root-user", "sh", "-c")
FORBID = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
LAUNCHER = """
import json, sys
from pathlib import Path
from tfjob.backend import LogLine
from tfjob.local import LocalBackend
def tell(event):
    print(event.text if isinstance(event, LogLine) else event.message)
backend = LocalBackend(isolation=sys.argv[3])
print(backend.run(json.loads(sys.argv[1]), log_dir=Path(sys.argv[2]), on_event=tell).isolated)
"""


def find_own_address() -> str:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as any_socket:
        try:
            any_socket.connect(("192.0.2.1", 9))  # sends nothing; says from where it would
        except OSError:
            return "127.0.0.2"
        return str(any_socket.getsockname()[0])


def can_connect(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 2.0):
            return True
    except OSError:
        return False


def run(manifest: dict[str, Any], folder: Path, isolation: Isolation = "auto") -> tuple[JobResult, list[str]]:
    lines: list[str] = []

    def take(event: object) -> None:
        if isinstance(event, LogLine):
            lines.append(event.text)
        if isinstance(event, StatusChanged) and event.status == "Created":
            lines.append(event.message)

    backend = LocalBackend(grace_seconds=0.5, restart_delay=lambda _policy, _restarts: 0.0, isolation=isolation)
    return backend.run(manifest, log_dir=folder / "logs", on_event=take), lines


def launch(prefix: tuple[str, ...], manifest: dict[str, Any], folder: Path, isolation: Isolation) -> tuple[int, str]:
    command = [*prefix, sys.executable, "-c", LAUNCHER, json.dumps(manifest), str(folder / "logs"), isolation]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


def can_be(prefix: tuple[str, ...]) -> bool:
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run([*prefix, *([FORBID, "sh"] if prefix[-1] == "-c" else []), "true"], check=False).returncode == 0
    )


needs_another_user = pytest.mark.skipif(not can_be(AS_A_USER), reason="this machine allows no user namespace")
needs_a_ban = pytest.mark.skipif(not can_be(WITHOUT_NAMESPACES), reason="this machine allows no user namespace")


def connect_to_replica(make_job: MakeJob, folder: Path, isolation: Isolation) -> bool:
    reached: list[bool] = []

    def take(event: object) -> None:
        if isinstance(event, LogLine) and event.text.startswith("port "):
            reached.append(can_connect(find_own_address(), int(event.text.split()[1])))
            (folder / "tried").touch()

    LocalBackend(isolation=isolation).run(make_job(SERVER), log_dir=folder / "logs", on_event=take)
    return reached == [True]


@needs_namespaces
def test_nobody_reaches_what_listens_in_a_replica_on_all_interfaces(make_job: MakeJob, tmp_path: Path) -> None:
    assert not connect_to_replica(make_job, tmp_path, "auto")


def test_anybody_reaches_it_where_replicas_are_not_isolated(make_job: MakeJob, tmp_path: Path) -> None:
    assert connect_to_replica(make_job, tmp_path, "never")


@needs_namespaces
def test_replicas_of_one_job_reach_each_other_also_after_a_restart(make_job: MakeJob, tmp_path: Path) -> None:
    code = """
import socket
host, port = config["cluster"]["worker"][0].split(":")
if role == "worker-0":
    with socket.create_server((host, int(port))) as server:
        path("listening").touch()
        connection, _ = server.accept()
        print("heard", connection.recv(5))
else:
    wait_for("listening")
    if not path("first").exists():
        path("first").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with socket.create_connection((host, int(port))) as connection:
        connection.send(b"again")
"""
    manifest = make_job(code, workers=2, restart_policy="ExitCode", success_policy="AllWorkers")
    result, lines = run(manifest, tmp_path)
    assert "heard b'again'" in lines
    assert [replica.restarts for replica in result.replicas] == [0, 1]
    assert result.isolated


@needs_namespaces
def test_nothing_else_of_a_replica_is_changed(make_job: MakeJob, tmp_path: Path) -> None:
    (_, isolated), (_, plain) = (
        run(make_job(TELL_SURROUNDINGS), tmp_path, isolation) for isolation in ("auto", "never")
    )
    assert json.loads(isolated[1]) == json.loads(plain[1])


@needs_namespaces
def test_a_job_says_whether_it_is_isolated(make_job: MakeJob, tmp_path: Path) -> None:
    results = [run(make_job(""), tmp_path, isolation) for isolation in ("auto", "always", "never")]
    assert [result.isolated for result, _ in results] == [True, True, False]
    assert [lines[0].partition(":")[0] for _, lines in results] == [
        "job mnist on this machine, in a network of their own",
        "job mnist on this machine, in a network of their own",
        "job mnist on this machine, open to this machine's network",
    ]


@needs_another_user
def test_an_ordinary_user_isolates_too_and_keeps_number_and_files(make_job: MakeJob, tmp_path: Path) -> None:
    tell = "print(os.getuid(), os.getgid(), path('file').stat().st_uid, open('/proc/net/dev').read())"
    code = f"path('file').touch(); {tell}"
    exit_code, told = launch(AS_A_USER, make_job(code), tmp_path, "always")
    assert exit_code == 0, told
    assert "1000 1000 1000" in told
    assert [line.split(":")[0].strip() for line in told.splitlines() if line.count(" 0 ") > 5] == ["lo"]
    assert told.endswith("True\n")
    assert (tmp_path / "file").stat().st_uid == os.getuid()
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


@needs_a_ban
def test_where_the_system_forbids_it_the_job_runs_open_and_says_so(make_job: MakeJob, tmp_path: Path) -> None:
    exit_code, told = launch((*WITHOUT_NAMESPACES, FORBID, "sh"), make_job("print('trained')"), tmp_path, "auto")
    assert exit_code == 0, told
    assert told.startswith("job mnist on this machine, open to this machine's network: worker-0\n")
    assert "trained\n" in told
    assert told.endswith("False\n")


@needs_a_ban
def test_where_the_system_forbids_it_always_is_refused_before_anything_starts(
    make_job: MakeJob, tmp_path: Path
) -> None:
    manifest = make_job("path('ran').touch()")
    exit_code, told = launch((*WITHOUT_NAMESPACES, FORBID, "sh"), manifest, tmp_path, "always")
    assert exit_code == 1
    assert f"{SpecError.__name__}: isolate_replicas is always, but this machine does not let a process have" in told
    assert "(unshare: No space left on device)" in told
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("asked", "needs_network", "done"),
    [
        ("auto", False, "auto"),
        ("auto", True, "never"),
        ("always", True, "always"),
        ("always", False, "always"),
        ("never", False, "never"),
        ("never", True, "never"),
    ],
)
def test_a_program_that_may_need_the_network_keeps_it_unless_it_is_taken(
    asked: Isolation, needs_network: bool, done: Isolation
) -> None:
    assert choose_isolation(asked, needs_network=needs_network) == done
