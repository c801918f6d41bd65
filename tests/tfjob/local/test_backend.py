import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tfjob.backend import ANYWHERE, Event, JobResult, LogLine, Placement, StatusChanged, Warned
from tfjob.environment import read_boot_id
from tfjob.errors import JobCancelled, JobDeadlineExceeded, JobFailed, JobStalled
from tfjob.local.backend import LocalBackend
from tfjob.local.cores import available_cores
from tfjob.local.load import Load
from tfjob.owner import find_owner
from tfjob.signs import SIGNS_VARIABLE
from tfjob.spec import ReplicaSpec

MakeJob = Callable[..., dict[str, Any]]
FAST = LocalBackend(grace_seconds=0.5, restart_delay=lambda _policy, _restarts: 0.0)
FOREVER = "print('pid', os.getpid()); time.sleep(60)"


@dataclass
class LocalRun:
    log_dir: Path
    events: list[Event] = field(default_factory=list)

    def __call__(
        self,
        manifest: dict[str, Any],
        on_line: Callable[[], object] | None = None,
        placement: Placement = ANYWHERE,
        **changes: Any,
    ) -> JobResult:
        def take(event: Event) -> None:
            self.events.append(event)
            if on_line is not None and isinstance(event, LogLine):
                on_line()

        backend = replace(FAST, **changes)
        return backend.run(manifest, log_dir=self.log_dir, on_event=take, placement=placement)

    def lines(self, replica: str) -> list[str]:
        return [event.text for event in self.events if isinstance(event, LogLine) and event.replica == replica]

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, StatusChanged)]

    def pids(self) -> list[int]:
        words = [event.text.split() for event in self.events if isinstance(event, LogLine)]
        return [int(pid) for word, *pids in words if word == "pid" for pid in pids]


@pytest.fixture
def run_local(tmp_path: Path) -> LocalRun:
    return LocalRun(tmp_path / "logs")


def is_running(pid: int) -> bool:
    for _ in range(20):  # what was killed is gone a moment later, on a busy machine a longer one
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.1)
    return True


def test_a_job_that_succeeds_says_so_and_returns_what_it_measured(make_job: MakeJob, run_local: LocalRun) -> None:
    before = time.time()
    result = run_local(make_job("print('hello')"))
    assert run_local.statuses() == ["Created", "Running", "Succeeded"]
    assert run_local.lines("worker-0") == ["hello"]
    assert (result.job_name, result.backend) == ("mnist", "local")
    assert 0 < result.queue_seconds <= result.total_seconds
    assert before <= result.started_at <= result.replicas[0].started_at <= result.replicas[0].ended_at <= time.time()


def test_a_result_has_two_readings_of_a_clock_that_all_processes_of_a_boot_share(
    make_job: MakeJob, run_local: LocalRun
) -> None:
    before = time.monotonic()
    result = run_local(make_job("print(time.monotonic())"))
    (seen,) = run_local.lines("worker-0")
    assert result.started_monotonic is not None
    assert result.ended_monotonic is not None
    assert before <= result.started_monotonic < float(seen) < result.ended_monotonic <= time.monotonic()
    assert result.ended_monotonic - result.started_monotonic == pytest.approx(
        result.ended_at - result.started_at, abs=0.05
    )
    assert result.boot_id == read_boot_id()
    assert (result.image_digest, result.replicas[0].node) == (None, None)


def test_the_result_is_plain_json(make_job: MakeJob, run_local: LocalRun) -> None:
    written = json.loads(json.dumps(run_local(make_job("")).to_json()))
    assert written["replicas"][0] | {"cpus": [], "started_at": 0, "ended_at": 0} == {
        "name": "worker-0",
        "type": "worker",
        "index": 0,
        "restarts": 0,
        "exit_code": 0,
        "cpus": [],
        "started_at": 0,
        "ended_at": 0,
        "node": None,
    }


def test_replicas_get_tf_config_with_loopback_addresses_whatever_the_spec_says(
    make_job: MakeJob, run_local: LocalRun, tmp_path: Path
) -> None:
    code = "print(json.dumps(config))"
    env = {"SHARED": str(tmp_path), "TF_CONFIG": "{}"}
    run_local(make_job(code, workers=2, ps=1, chief=True, env=env, success_policy="AllWorkers"))
    config = json.loads(run_local.lines("chief-0")[0])
    assert config["task"] == {"type": "chief", "index": 0}
    assert {name: len(members) for name, members in config["cluster"].items()} == {"chief": 1, "ps": 1, "worker": 2}
    addresses = [address for members in config["cluster"].values() for address in members]
    assert len(set(addresses)) == 4
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_single_replica_gets_no_tf_config_not_even_an_inherited_one(
    make_job: MakeJob, run_local: LocalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    run_local(make_job("print(config)"))
    assert run_local.lines("worker-0") == ["None"]


def test_python_is_the_one_that_runs_this(make_job: MakeJob, run_local: LocalRun) -> None:
    run_local(make_job("", command=("python", "-c", "import os, sys; print(sys.prefix, os.getcwd())")))
    assert run_local.lines("worker-0") == [f"{sys.prefix} {Path.cwd()}"]


def test_replicas_are_bound_to_their_cores(make_job: MakeJob, run_local: LocalRun) -> None:
    cores = available_cores()
    replicas = {"Worker": ReplicaSpec(count=len(cores) + 1)}
    code = "print(sorted(os.sched_getaffinity(0)))"
    result = run_local(make_job(code, replicas=replicas, success_policy="AllWorkers"))
    expected = [[core] for core in [*cores, cores[0]]]
    assert [replica.cpus for replica in result.replicas] == expected
    assert [run_local.lines(replica.name) for replica in result.replicas] == [[str(cpus)] for cpus in expected]


def test_the_first_core_is_the_one_that_the_placement_says(make_job: MakeJob, run_local: LocalRun) -> None:
    cores = available_cores()
    code = "print(sorted(os.sched_getaffinity(0)))"
    result = run_local(make_job(code), placement=Placement(first_core=len(cores) - 1))
    assert result.replicas[0].cpus == [cores[-1]]
    assert run_local.lines("worker-0") == [str([cores[-1]])]


QUIET, BUSY = Load({0: 0.0}), Load({0: 1.0}, {"stress-ng": 0.98})


def test_a_job_waits_for_a_quiet_machine_before_its_clock_starts(make_job: MakeJob, run_local: LocalRun) -> None:
    loads = [BUSY, BUSY, QUIET]

    def look(cpus: Any, seconds: float, pause: Any, *, is_named: bool, owner: Any) -> Load:
        assert set(cpus) >= {available_cores()[0]}
        pause(0.2)
        return loads.pop(0)

    before = time.monotonic()
    result = run_local(make_job("print('hello')"), placement=Placement(patience_seconds=10), look=look)
    assert run_local.statuses() == ["Created", "Queued", "Queued", "Running", "Succeeded"]
    assert result.quiet is not None
    assert result.quiet.taken_by == ["stress-ng, 98 % of a core"]
    assert result.started_monotonic is not None
    assert result.started_monotonic - before >= 0.6
    assert result.total_seconds <= time.monotonic() - before - 0.6
    assert result.warnings == []
    assert loads == []


def test_a_job_that_begins_on_a_busy_machine_warns_of_it(make_job: MakeJob, run_local: LocalRun) -> None:
    result = run_local(make_job(""), placement=Placement(patience_seconds=0), look=lambda *_, **__: BUSY)
    (warning,) = result.warnings
    assert warning.endswith("the job began on a busy machine: CPU 0 is taken by stress-ng (98 %)")
    assert Warned(warning) in run_local.events


def test_a_job_that_is_not_to_wait_does_not_look(make_job: MakeJob, run_local: LocalRun) -> None:
    def look(*_: Any, **__: Any) -> Load:
        raise AssertionError

    assert run_local(make_job(""), look=look).quiet is None


@pytest.mark.usefixtures("interruptible")
def test_a_signal_is_heard_while_a_job_waits_for_a_quiet_machine(make_job: MakeJob, run_local: LocalRun) -> None:
    def look(cpus: Any, seconds: float, pause: Any, **_: Any) -> Load:
        os.kill(os.getpid(), signal.SIGINT)
        pause(60)
        return QUIET

    with pytest.raises(KeyboardInterrupt):
        run_local(make_job(FOREVER), placement=Placement(patience_seconds=60), look=look)
    assert run_local.lines("worker-0") == []


def test_a_job_whose_owner_dies_while_it_waits_for_a_quiet_machine_does_not_begin(
    make_job: MakeJob, run_local: LocalRun
) -> None:
    def look(cpus: Any, seconds: float, pause: Any, **_: Any) -> Load:
        pause(60)
        return QUIET

    owner = find_owner({"TFJOB_OWNER_PID": str(2**22 + 1)})
    with pytest.raises(JobCancelled):
        run_local(make_job(FOREVER), placement=Placement(patience_seconds=60), look=look, owner=owner)
    assert run_local.statuses() == ["Created", "Failed"]


def test_contended_cores_are_warned_of(make_job: MakeJob, run_local: LocalRun) -> None:
    count = len(available_cores())
    result = run_local(make_job("", replicas={"Worker": ReplicaSpec(cpus=count + 1)}))
    expected = f"1 replica asks for {count + 1} cores, this machine has {count}: timings are contended"
    assert result.contended
    assert result.warnings == [expected]
    assert Warned(expected) in run_local.events


def test_with_a_chief_it_alone_decides_and_the_rest_is_stopped(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
print('pid', os.getpid())
if role == "worker-0": path("ready").touch()
if role == "chief-0": wait_for("ready")
else: time.sleep(60)
"""
    result = run_local(make_job(code, chief=True, ps=1))
    assert {replica.name: replica.exit_code for replica in result.replicas} == {
        "chief-0": 0,
        "worker-0": None,
        "ps-0": None,
    }
    assert not any(map(is_running, run_local.pids()))


def test_without_a_chief_worker_0_decides(make_job: MakeJob, run_local: LocalRun) -> None:
    result = run_local(make_job("if role != 'worker-0': time.sleep(60)", workers=2))
    assert [replica.exit_code for replica in result.replicas] == [0, None]


def test_all_workers_are_waited_for_where_the_policy_says_so(make_job: MakeJob, run_local: LocalRun) -> None:
    code = "if role != 'worker-0': time.sleep(0.3); print('done')"
    result = run_local(make_job(code, workers=2, success_policy="AllWorkers"))
    assert [replica.exit_code for replica in result.replicas] == [0, 0]
    assert run_local.lines("worker-1") == ["done"]


def test_nothing_is_left_even_where_pods_would_be(make_job: MakeJob, run_local: LocalRun) -> None:
    code = f"""
if role == "worker-0": wait_for("ready")
else: path("ready").touch(); {FOREVER}
"""
    run_local(make_job(code, workers=2, clean_pod_policy="None"))
    assert not any(map(is_running, run_local.pids()))


@pytest.mark.parametrize(("policy", "code", "reason"), [("Never", 3, "exit code 3"), ("ExitCode", 1, "exit code 1")])
def test_a_failed_replica_fails_the_job_and_is_named(
    make_job: MakeJob, run_local: LocalRun, policy: str, code: int, reason: str
) -> None:
    program = f"""
if role == "worker-1":
    for i in range(30): print("line", i)
    sys.exit({code})
{FOREVER}
"""
    with pytest.raises(JobFailed) as caught:
        run_local(make_job(program, workers=2, restart_policy=policy))
    assert str(caught.value).splitlines() == [
        f"Job mnist failed: worker-1: {reason}, restart policy {policy}.",
        "Last lines of worker-1:",
        *(f"  line {i}" for i in range(10, 30)),
    ]
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", code)
    assert run_local.statuses()[-1] == "Failed"
    assert not any(map(is_running, run_local.pids()))


def test_a_parameter_server_that_fails_fails_the_job(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match="ps-0: exit code 139, killed by SIGSEGV"):
        run_local(
            make_job(
                "if role == 'ps-0': os.kill(os.getpid(), signal.SIGSEGV)\ntime.sleep(60)", ps=1, restart_policy="Never"
            )
        )


def test_a_program_that_does_not_exist_fails_the_job(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match=r"worker-0: exit code 127[^$]*no-such-program"):
        run_local(make_job("", command=("no-such-program",), restart_policy="Never"))


def test_a_failing_replica_that_leaves_a_child_behind_is_seen_at_once(make_job: MakeJob, run_local: LocalRun) -> None:
    code = "print('pid', subprocess.Popen(['sleep', '60']).pid); print(time.time()); os._exit(1)"
    with pytest.raises(JobFailed):
        run_local(make_job(code, restart_policy="Never"))
    assert time.time() - float(run_local.lines("worker-0")[1]) < 1
    assert not any(map(is_running, run_local.pids()))


FAIL_ONCE = """
print("started")
if role == "worker-1" and not path("failed").exists():
    path("failed").touch()
    {failure}
"""


def test_on_failure_restarts_in_place_and_counts(make_job: MakeJob, run_local: LocalRun) -> None:
    code = FAIL_ONCE.format(failure="sys.exit(1)")
    result = run_local(make_job(code, workers=2, success_policy="AllWorkers"))
    assert [(replica.restarts, replica.exit_code) for replica in result.replicas] == [(0, 0), (1, 0)]
    assert run_local.statuses() == ["Created", "Running", "Restarting", "Succeeded"]
    assert (run_local.log_dir / "worker-1.log").read_text() == "started\nstarted\n"


def test_exit_code_137_is_restarted_under_exit_code(make_job: MakeJob, run_local: LocalRun) -> None:
    code = FAIL_ONCE.format(failure="os.kill(os.getpid(), signal.SIGKILL)")
    result = run_local(make_job(code, workers=2, success_policy="AllWorkers", restart_policy="ExitCode"))
    assert [(replica.restarts, replica.exit_code) for replica in result.replicas] == [(0, 0), (1, 0)]


def test_the_backoff_limit_ends_the_restarts(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match=r"worker-0: exit code 1, .* reached its back-off limit of 3"):
        run_local(make_job("print('try'); sys.exit(1)", backoff_limit=3))
    assert run_local.lines("worker-0") == ["try"] * 3


def test_always_restarts_even_what_succeeded(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobFailed, match="back-off limit"):
        run_local(make_job("print('try')", restart_policy="Always", backoff_limit=2))
    assert run_local.lines("worker-0") == ["try"] * 2


def test_a_restart_waits_as_long_as_the_backend_is_told(make_job: MakeJob, run_local: LocalRun) -> None:
    asked: list[tuple[str, int]] = []

    def delay(policy: str, restarts: int) -> float:
        asked.append((policy, restarts))
        return 0.3

    code = """
print(time.time())
tries = path("tries").read_text() if path("tries").exists() else ""
path("tries").write_text(tries + ".")
sys.exit(len(tries) < 1)
"""
    run_local(make_job(code), restart_delay=delay)
    first, second = map(float, run_local.lines("worker-0"))
    assert asked == [("OnFailure", 0)]
    assert second - first > 0.3


def test_the_deadline_ends_the_job_and_quotes_who_was_waited_for(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobDeadlineExceeded, match=r"deadline of 1 s[^$]*Last lines of worker-0:\n  pid"):
        run_local(make_job(FOREVER, active_deadline_seconds=1))
    assert not any(map(is_running, run_local.pids()))


def test_a_replica_that_ignores_sigterm_is_killed(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
if role == "worker-1":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("pid", os.getpid(), subprocess.Popen(["sleep", "60"]).pid)
    path("ready").touch()
    time.sleep(60)
wait_for("ready")
"""
    begin = time.monotonic()
    result = run_local(make_job(code, workers=2), grace_seconds=0.3)
    assert time.monotonic() - begin > 0.3
    assert result.replicas[1].exit_code is None
    assert len(run_local.pids()) == 2
    assert not any(map(is_running, run_local.pids()))


def test_what_a_replica_does_on_sigterm_is_logged(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
if role == "worker-1":
    signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(0)))
    path("ready").touch()
    time.sleep(60)
wait_for("ready")
"""
    result = run_local(make_job(code, workers=2))
    assert run_local.lines("worker-1") == ["saved"]
    assert [replica.exit_code for replica in result.replicas] == [0, 0]


def test_logs_are_complete_in_file_and_events(make_job: MakeJob, run_local: LocalRun) -> None:
    run_local(make_job("for i in range(5000): print(i, 'ä')\nprint('no newline', end='', file=sys.stderr)"))
    expected = [*(f"{i} ä" for i in range(5000)), "no newline"]
    assert run_local.lines("worker-0") == expected
    assert (run_local.log_dir / "worker-0.log").read_text() == "\n".join(expected)


def test_a_line_arrives_when_it_is_written(make_job: MakeJob, run_local: LocalRun) -> None:
    arrivals: list[float] = []
    run_local(make_job("print(time.time()); time.sleep(0.7)"), on_line=lambda: arrivals.append(time.time()))
    assert arrivals[0] - float(run_local.lines("worker-0")[0]) < 0.5


def test_a_second_run_begins_its_logs_anew(make_job: MakeJob, run_local: LocalRun) -> None:
    for text in ("first", "second"):
        run_local(make_job(f"print({text!r})"))
    assert (run_local.log_dir / "worker-0.log").read_text() == "second\n"


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("signal_number", "error", "message"),
    [
        (signal.SIGTERM, JobCancelled, "Job mnist was cancelled: this process received SIGTERM"),
        (signal.SIGINT, KeyboardInterrupt, None),
    ],
)
def test_a_signal_stops_the_job_and_its_handling_is_as_before_afterwards(
    make_job: MakeJob,
    run_local: LocalRun,
    signal_number: signal.Signals,
    error: type[BaseException],
    message: str | None,
) -> None:
    with pytest.raises(error, match=message):
        run_local(make_job(FOREVER), on_line=lambda: os.kill(os.getpid(), signal_number))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [signal.default_int_handler] * 2
    assert not any(map(is_running, run_local.pids()))


@pytest.mark.usefixtures("interruptible")
def test_a_signal_that_comes_while_the_rest_is_stopped_is_not_lost(make_job: MakeJob, run_local: LocalRun) -> None:
    code = """
signal.signal(signal.SIGTERM, lambda *_: (os.kill(os.getppid(), signal.SIGINT), sys.exit(0)))
path("ready").touch() if role == "worker-1" else wait_for("ready")
if role == "worker-1": time.sleep(60)
"""
    with pytest.raises(KeyboardInterrupt):
        run_local(make_job(code, workers=2))
    assert run_local.statuses()[-1] == "Succeeded"


def test_an_error_in_the_callers_callback_leaves_nothing_running(make_job: MakeJob, run_local: LocalRun) -> None:
    def fail() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_local(make_job(FOREVER), on_line=fail)
    assert not any(map(is_running, run_local.pids()))


def test_the_job_is_cancelled_when_its_owner_dies(make_job: MakeJob, run_local: LocalRun) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = find_owner({"TFJOB_OWNER_PID": str(process.pid)})
        with pytest.raises(JobCancelled, match=f"process {process.pid}, its owner, has ended"):
            run_local(make_job(FOREVER), on_line=process.kill, owner=owner)
    assert not any(map(is_running, run_local.pids()))


def test_a_job_of_an_owner_that_is_already_gone_ends_at_once(make_job: MakeJob, run_local: LocalRun) -> None:
    with pytest.raises(JobCancelled):
        run_local(make_job(FOREVER), owner=find_owner({"TFJOB_OWNER_PID": str(2**22 + 1)}))


STOP_ONE = """
if role == "worker-1" and not path("stopped").exists():
    path("stopped").touch()
    os.kill(os.getpid(), signal.SIGSTOP)
wait_for("stopped")
"""


@pytest.mark.slow
def test_a_replica_that_is_stopped_for_ever_is_ended_by_name_and_started_again(
    make_job: MakeJob, run_local: LocalRun, tmp_path: Path
) -> None:
    env = {"SHARED": str(tmp_path), SIGNS_VARIABLE: str(tmp_path / "signs")}
    job = make_job(STOP_ONE, workers=2, success_policy="AllWorkers", restart_policy="ExitCode", env=env)
    result = run_local(job, silent_seconds=3.0)
    assert [replica.restarts for replica in result.replicas] == [0, 1]
    assert [event.message for event in run_local.events if isinstance(event, Warned)][-1] == (
        "worker-1 gives no sign of life for 5 s (stopped, as by SIGSTOP): it is ended"
    )
    (restart,) = [
        event.message for event in run_local.events if isinstance(event, StatusChanged) and event.status == "Restarting"
    ]
    assert restart == (
        "worker-1 ended (exit code 137, killed by SIGKILL; it gave no sign of life for 5 s (stopped, as by SIGSTOP)); "
        "restart 1 in 0 s"
    )


def test_who_ends_for_a_peer_that_is_stopped_is_told_with_the_peers_name(
    make_job: MakeJob, run_local: LocalRun, tmp_path: Path
) -> None:
    code = f"{STOP_ONE}\ntime.sleep(0.3)\nsys.exit(138)"
    job = make_job(code, workers=2, restart_policy="Never", env={"SHARED": str(tmp_path)})
    stopped = r"worker-1 gave no sign of life for \d s, its process is stopped"
    with pytest.raises(JobFailed, match=rf"worker-0: exit code 138, asking to be restarted; {stopped}, restart policy"):
        run_local(job)


@pytest.mark.slow
def test_a_persons_own_program_that_is_stopped_is_told_of_and_left_alone(
    make_job: MakeJob, run_local: LocalRun
) -> None:
    code = "if os.fork(): os.kill(os.getpid(), signal.SIGSTOP)\nelse: time.sleep(13); os.kill(os.getppid(), 18)"
    run_local(make_job(code), silent_seconds=3.0)
    assert [event.message for event in run_local.events if isinstance(event, Warned)][-1] == (
        "worker-0 gives no sign of life for 5 s (stopped, as by SIGSTOP): the job waits for who stopped it to continue "
        "it"
    )


@pytest.mark.slow
def test_replicas_that_live_and_do_not_move_end_the_job(make_job: MakeJob, run_local: LocalRun, tmp_path: Path) -> None:
    code = """
path("signs").mkdir(exist_ok=True)
path("signs/" + role + ".place").write_text("training, step 7")
time.sleep(60)
"""
    env = {"SHARED": str(tmp_path), SIGNS_VARIABLE: str(tmp_path / "signs")}
    with pytest.raises(JobStalled, match=r"no replica has moved or computed for .* \(worker-0: training, step 7; "):
        run_local(make_job(code, workers=2, env=env), stall_seconds=6.0)


def test_the_deadline_says_where_each_replica_was(make_job: MakeJob, run_local: LocalRun, tmp_path: Path) -> None:
    (tmp_path / "signs").mkdir()
    (tmp_path / "signs" / "worker-0.place").write_text("training, step 7")
    env = {"SHARED": str(tmp_path), SIGNS_VARIABLE: str(tmp_path / "signs")}
    with pytest.raises(JobDeadlineExceeded, match=r"Seen last: worker-0: training, step 7, for \d+ s\.\nLast lines of"):
        run_local(make_job("print('busy', flush=True); time.sleep(60)", env=env, active_deadline_seconds=1))
