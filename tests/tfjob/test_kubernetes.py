import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from tests.tfjob.fake_cluster import (
    JOB,
    FakeClock,
    FakeCluster,
    end_json,
    ended,
    evicted,
    job_event,
    job_json,
    log_line,
    pod_event,
    pod_json,
    refusal,
    running,
    unschedulable,
    waiting,
)
from tfjob.backend import Event, JobResult, LogLine, StatusChanged, Warned
from tfjob.errors import (
    ClusterRefused,
    JobCancelled,
    JobDeadlineExceeded,
    JobFailed,
    JobNotStarted,
    JobRestartedTooOften,
    SpecError,
)
from tfjob.kubernetes import KubernetesBackend
from tfjob.manifest import build_manifest
from tfjob.spec import ReplicaSpec, TFJobSpec
from tfjob.submission import own_manifest

MakeSpec = Callable[..., TFJobSpec]
PATIENCE_SECONDS = 5
AWAY = ProtocolError("connection refused")
PULLED = 'Successfully pulled image "x:1" in 12.5s (12.5s including waiting). Image size: 5 bytes.'


@dataclass
class ClusterRun:
    """Runs a job on the fake cluster, and acts when something is told."""

    log_dir: Path
    spec: TFJobSpec
    cluster: FakeCluster = field(default_factory=FakeCluster)
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Event] = field(default_factory=list)
    actions: dict[str, Callable[[], object]] = field(default_factory=dict)

    def __call__(self, **changes: Any) -> JobResult:
        backend = KubernetesBackend(cluster=self.cluster, clock=self.clock, sleep=self.clock.sleep, **changes)
        return backend.run(build_manifest(self.spec), log_dir=self.log_dir, on_event=self._take)

    def on(self, text: str, action: Callable[[], object]) -> None:
        """Lets a log line, or a status, be followed by an action in the launcher's own thread."""
        self.actions[text] = action

    def pass_seconds(self, text: str, seconds: float) -> None:
        """Lets time pass once something is told."""
        self.on(text, lambda: self.clock.sleep(seconds))

    def say(self, *pods: dict[str, Any]) -> None:
        """Adds states of pods to the script."""
        for pod in pods:
            self.cluster.say("pods", pod)

    def log(self, replica: str, text: str, second: float = 3) -> None:
        """Adds a line of a log to the script."""
        self.cluster.say(f"{JOB}-{replica}", log_line(second, text))

    def succeed(self) -> None:
        """Adds the end of a job that succeeds to the script."""
        self.say(ended("worker-0"), ended("worker-1"))
        self.cluster.say_job("Succeeded")

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, StatusChanged)]

    def messages(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, StatusChanged | Warned)]

    def _take(self, event: Event) -> None:
        self.events.append(event)
        told = event.text if isinstance(event, LogLine) else getattr(event, "status", "")
        self.actions.get(told, int)()


def fail_test(*_: object) -> None:
    pytest.fail(f"The job has not ended in {PATIENCE_SECONDS} s")


@pytest.fixture
def run(make_spec: MakeSpec, tmp_path: Path) -> Iterator[ClusterRun]:
    replicas = {"Worker": ReplicaSpec(count=2, memory="1Gi")}
    # A job that waits for what the script does not tell would wait for ever.
    signal.signal(signal.SIGALRM, fail_test)
    signal.alarm(PATIENCE_SECONDS)
    run = ClusterRun(
        tmp_path / "logs",
        make_spec("pass", replicas=replicas, active_deadline_seconds=900, success_policy="AllWorkers"),
    )
    yield run
    signal.alarm(0)
    run.cluster.close()


@pytest.fixture
def single(run: ClusterRun) -> ClusterRun:
    run.spec = TFJobSpec(**{**vars(run.spec), "replicas": {"Worker": ReplicaSpec(memory="1Gi")}})
    return run


@pytest.fixture
def interruptible() -> Iterator[None]:
    # A process that was started in the background ignores Ctrl-C.
    original = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in original.items():
        signal.signal(number, handler)


def test_a_job_that_succeeds_tells_each_step_and_leaves_nothing(run: ClusterRun) -> None:
    run.pass_seconds("Pulling", 30)
    run.cluster.say_job("Created")
    run.say(unschedulable("worker-0"), waiting("worker-1", "ContainerCreating"))
    run.say(waiting("worker-0", "ContainerCreating"))
    run.cluster.say("events", pod_event("worker-1", "Pulling", 'Pulling image "x:1"'))
    run.cluster.say("events", pod_event("worker-1", "Pulled", PULLED))
    run.say(running("worker-1"), running("worker-0"))
    run.log("worker-0", "hello")
    run.log("worker-1", "there")
    run.succeed()
    result = run()
    assert run.messages() == [
        "job mnist in namespace default: worker-0, worker-1",
        "worker-0: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
        'worker-1: Pulling image "x:1"',
        "2/2 replicas of job mnist run",
        "job mnist succeeded in 30.0 s",
    ]
    assert run.statuses() == ["Created", "Queued", "Pulling", "Running", "Succeeded"]
    assert (run.log_dir / "worker-0.log").read_text() == "hello\n"
    assert (result.backend, result.pull_seconds, result.total_seconds) == ("kubernetes", 12.5, 30.0)
    assert [(replica.name, replica.exit_code, replica.restarts) for replica in result.replicas] == [
        ("worker-0", 0, 0),
        ("worker-1", 0, 0),
    ]
    assert result.replicas[0].ended_at - result.replicas[0].started_at == 8.0
    assert run.cluster.jobs == {}


def test_logs_of_an_earlier_try_are_replaced(single: ClusterRun) -> None:
    single.log_dir.mkdir()
    (single.log_dir / "worker-0.log").write_text("old\n")
    single.say(running("worker-0"))
    single.log("worker-0", "new")
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert (single.log_dir / "worker-0.log").read_text() == "new\n"


def test_an_earlier_trys_job_is_taken_over(run: ClusterRun) -> None:
    annotations = own_manifest(build_manifest(run.spec), None)["metadata"]["annotations"]
    run.cluster.jobs[JOB] = job_json("Running", uid="job-0", annotations=annotations)
    for name in ("worker-0", "worker-1"):
        run.cluster.pods[f"pod-{name}"] = running(name, job_uid="job-0")
    run.log("worker-0", "hello")
    run.say(ended("worker-0", job_uid="job-0"), ended("worker-1", job_uid="job-0"))
    run.cluster.say_job("Succeeded", uid="job-0")
    run()
    assert run.messages()[0] == "job mnist exists from an earlier try of this step; taken over: worker-0, worker-1"
    assert run.statuses() == ["Created", "Running", "Succeeded"]
    assert run.cluster.called("delete_job") == [[JOB, "job-0"]]


def test_a_rejected_job_fails_at_once(run: ClusterRun) -> None:
    run.cluster.fail("create_job", refusal(400, "spec is invalid"))
    with pytest.raises(SpecError):
        run()
    assert run.messages() == ["The cluster rejected job mnist: spec is invalid"]
    assert run.statuses() == ["Failed"]


def test_pods_of_an_earlier_job_of_that_name_are_ignored(run: ClusterRun) -> None:
    run.cluster.pods["old"] = ended("worker-0", 137, reason="OOMKilled", uid="old", job_uid="job-0")
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "hello")
    run.succeed()
    assert [replica.restarts for replica in run().replicas] == [0, 0]
    assert [arguments[0] for arguments in run.cluster.called("follow_log")].count("mnist-worker-0") <= 2


def test_a_pod_of_a_replica_that_the_job_does_not_have_is_ignored(single: ClusterRun) -> None:
    single.say(running("worker-7"), running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert [replica.name for replica in single().replicas] == ["worker-0"]


def test_an_image_that_is_missing_ends_the_job_after_a_minute_of_doubt(single: ClusterRun) -> None:
    pull_errors = [
        waiting("worker-0", reason, f"x:1: not found ({reason})") for reason in ("ErrImagePull", "ImagePullBackOff")
    ]
    single.say(pull_errors[0])
    single.pass_seconds("Pulling", 31)
    for attempt in range(2):
        single.cluster.say("events", pod_event("worker-0", "Pulling", f"attempt {attempt}"))
        single.say(pull_errors[1])
    with pytest.raises(JobNotStarted, match=r"within 62 s. worker-0: ImagePullBackOff: x:1: not found"):
        single()
    assert single.statuses() == ["Created", "Pulling", "Pulling", "Failed"]
    assert single.cluster.jobs == {}


def test_an_image_that_comes_within_a_minute_is_no_failure(single: ClusterRun) -> None:
    single.pass_seconds("Pulling", 59)
    single.pass_seconds("hello", 120)
    single.say(waiting("worker-0", "ErrImagePull", "connection reset"))
    single.cluster.say("events", pod_event("worker-0", "Pulling", "again"))
    single.say(running("worker-0"))
    single.log("worker-0", "hello")
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().total_seconds == 179.0


def test_an_image_whose_name_is_invalid_ends_the_job_at_once(single: ClusterRun) -> None:
    single.say(waiting("worker-0", "InvalidImageName", "couldn't parse image name"))
    with pytest.raises(JobNotStarted, match=r"within 0 s. worker-0: InvalidImageName: couldn't parse image name"):
        single()


def test_pods_that_pod_security_refuses_end_the_job_at_once(single: ClusterRun) -> None:
    single.cluster.say(
        "events", job_event("FailedCreatePod", 'pods "x" is forbidden: violates PodSecurity "restricted"')
    )
    with pytest.raises(JobNotStarted, match=r'violates PodSecurity "restricted" \| worker-0 has no pod yet'):
        single()


def test_a_quota_that_is_used_up_is_waited_for(single: ClusterRun) -> None:
    single.cluster.say("events", job_event("FailedCreatePod", "exceeded quota: team"))
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().job_name == JOB


def test_a_pod_that_finds_no_node_is_waited_for_as_long_as_was_said(run: ClusterRun) -> None:
    run.pass_seconds("Queued", 120)
    run.say(unschedulable("worker-1"))
    with pytest.raises(JobNotStarted) as caught:
        run(pending_seconds=120.0)
    assert str(caught.value) == (
        "Job mnist did not start within 120 s. worker-0 has no pod yet | "
        "worker-1: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."
    )


def test_what_events_say_of_a_pod_that_is_being_created_is_told(single: ClusterRun) -> None:
    single.pass_seconds("Pulling", 600)
    single.say(waiting("worker-0", "ContainerCreating"))
    single.cluster.say("events", pod_event("worker-0", "FailedMount", 'secret "x" not found', "Warning"))
    single.cluster.say("events", pod_event("worker-0", "Pulling", "x"))
    with pytest.raises(JobNotStarted, match='worker-0: ContainerCreating: secret "x" not found'):
        single()


def test_events_about_others_are_ignored(single: ClusterRun) -> None:
    other = pod_event("worker-0", "Pulling", "x")
    other["involvedObject"] = {"kind": "Pod", "name": "other-worker-0"}
    bare = pod_event("worker-0", "Odd", "an event without a type")
    del bare["type"]
    for event in (other, bare, {**other, "involvedObject": {}}):
        single.cluster.say("events", event)
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert single.statuses() == ["Created", "Running", "Succeeded"]


def test_a_suspended_job_waits_without_limit_and_its_deadline_begins_with_its_admission(single: ClusterRun) -> None:
    single.pass_seconds("Queued", 1_000_000)
    single.pass_seconds("early", 899)
    single.pass_seconds("late", 1)
    single.cluster.say_job("Created", suspend=True)
    single.cluster.say_job("Created", "Suspended", suspend=True)
    single.cluster.say_job("Created", suspend=False)
    single.say(running("worker-0"))
    single.log("worker-0", "early", 1)
    single.log("worker-0", "still running", 2)
    single.log("worker-0", "late", 3)
    with pytest.raises(JobDeadlineExceeded) as caught:
        single()
    assert str(caught.value) == (
        "Job mnist ran longer than its deadline of 900 s.\nLast lines of worker-0:\n  early\n  still running\n  late"
    )
    assert single.statuses() == ["Created", "Queued", "Running", "Failed"]
    assert single.cluster.jobs == {}


def test_the_time_to_wait_for_a_node_begins_with_the_admission(single: ClusterRun) -> None:
    single.pass_seconds("Queued", 700)
    single.cluster.say_job(suspend=True)
    single.cluster.say_job(suspend=False)
    single.say(pod_json("worker-0"), running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().total_seconds == 700.0


def test_a_replica_that_is_out_of_memory_ends_the_job_with_its_limit(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-1", "allocating")
    run.say(ended("worker-1", 137, reason="OOMKilled"))
    run.log("worker-1", "last words", 4)
    with pytest.raises(JobFailed) as caught:
        run()
    assert str(caught.value) == (
        "Job mnist failed: worker-1: OOMKilled: it needed more than its memory limit 1Gi; give it more.\n"
        "Last lines of worker-1:\n  allocating\n  last words"
    )
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", 137)
    assert run.cluster.jobs == {}


def test_a_replica_that_is_restarted_in_place_for_its_memory_ends_the_job_too(run: ClusterRun) -> None:
    run.pass_seconds("allocating anew", 5)
    last_state = {"terminated": end_json(137, reason="OOMKilled")}
    run.say(running("worker-0"), running("worker-1"))
    run.say(waiting("worker-1", "CrashLoopBackOff", phase="Running", restarts=1, last_state=last_state))
    run.log("worker-1", "allocating anew")
    with pytest.raises(JobFailed, match="worker-1: OOMKilled: it needed more than its memory limit 1Gi"):
        run()


def test_the_replica_that_failed_first_is_told_with_its_last_lines(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-1", "Traceback")
    run.log("worker-1", "ValueError: wrong", 4)
    run.say(ended("worker-1", 2, at=10), ended("worker-0", 1, at=11))
    run.cluster.say_job("Failed", message="TFJob mnist has failed")
    with pytest.raises(JobFailed) as caught:
        run()
    assert str(caught.value) == (
        "Job mnist failed: worker-1: exit code 2, restart policy OnFailure.\n"
        "Last lines of worker-1:\n  Traceback\n  ValueError: wrong"
    )
    assert run.statuses() == ["Created", "Running", "Failed"]


def test_a_replica_that_only_lost_its_peer_is_not_blamed(run: ClusterRun) -> None:
    run.spec = TFJobSpec(**{**vars(run.spec), "restart_policy": "ExitCode"})
    run.say(running("worker-0"), running("worker-1"))
    run.say(ended("worker-0", 138, at=10), ended("worker-1", 3, at=10))
    run.cluster.say_job("Failed")
    with pytest.raises(JobFailed, match="worker-1: exit code 3, restart policy ExitCode"):
        run()


def test_a_failure_of_which_no_pod_is_left_is_told_in_the_operators_words(run: ClusterRun) -> None:
    run.pass_seconds("last", 1)
    run.say(running("worker-0"))
    run.log("worker-0", "first")
    run.cluster.say_job("Failed", message="TFJob mnist has failed because it has reached the backoff limit ")
    for second in range(4, 9):
        run.log("worker-0", "last", second)
    with pytest.raises(JobFailed, match=r"the job: TFJob mnist has failed because it has reached the backoff limit\."):
        run()


def test_what_is_heard_of_a_job_before_its_pods_is_no_less_told(single: ClusterRun) -> None:
    single.cluster.say_job("Failed")
    single.say(ended("worker-0", 2))
    single.log("worker-0", "Traceback")
    with pytest.raises(JobFailed, match=r"worker-0: exit code 2(.|\n)*Traceback"):
        single()


def test_an_evicted_replica_is_left_to_the_operator(run: ClusterRun) -> None:
    run.spec = TFJobSpec(**{**vars(run.spec), "restart_policy": "ExitCode"})
    run.pass_seconds("hello", 700)  # longer than a pod may be pending
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "hello")
    run.say(evicted("worker-0"), running("worker-0", uid="second", second=20))
    run.say(ended("worker-0", uid="second", second=20, at=30), ended("worker-1"))
    run.cluster.say_job("Succeeded")
    assert [replica.restarts for replica in run().replicas] == [1, 0]
    assert "worker-0 ended (Evicted The node was low on resource: memory.); restart 1" in run.messages()


def test_a_replica_that_was_evicted_for_good_says_why(single: ClusterRun) -> None:
    single.say(evicted("worker-0"))
    single.cluster.say_job("Failed")
    with pytest.raises(JobFailed, match=r"worker-0: Evicted The node was low on resource: memory\., restart policy"):
        single()


def test_a_restart_counts_once_its_new_pod_has_come(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "first")
    run.say(ended("worker-0", 138))
    run.cluster.say("pods", ended("worker-0", 138), "DELETED")
    run.say(pod_json("worker-0", uid="second", second=20), running("worker-0", uid="second", second=20))
    run.log("worker-0", "second", 25)
    run.cluster.say("mnist-worker-0", None)
    run.say(ended("worker-0", uid="second", second=20, at=30), ended("worker-1"))
    run.log("worker-0", "last words", 26)
    run.cluster.say_job("Succeeded")
    result = run()
    assert [replica.restarts for replica in result.replicas] == [1, 0]
    assert run.statuses() == ["Created", "Running", "Restarting", "Succeeded"]
    assert "worker-0 ended (exit code 138); restart 1" in run.messages()
    assert (run.log_dir / "worker-0.log").read_text() == "first\nsecond\nlast words\n"


def test_each_restart_in_place_is_told(single: ClusterRun) -> None:
    single.say(running("worker-0"))
    for restarts, code in ((1, 1), (2, 9)):
        single.say(running("worker-0", restarts=restarts, last_state={"terminated": end_json(code)}))
    single.say(ended("worker-0", restarts=2))
    single.cluster.say_job("Succeeded")
    assert single().replicas[0].restarts == 2
    assert single.messages()[2:4] == [
        "worker-0 ended (exit code 1); restart 1",
        "worker-0 ended (exit code 9); restart 2",
    ]


def test_a_restart_that_is_too_many_deletes_the_job(single: ClusterRun) -> None:
    def give_up() -> None:
        raise JobRestartedTooOften(JOB, 0, "worker-0 ended")

    single.on("Restarting", give_up)
    single.say(running("worker-0"), running("worker-0", uid="second", second=20))
    with pytest.raises(JobRestartedTooOften):
        single()
    assert single.cluster.jobs == {}


def test_a_failed_job_is_kept_on_request_and_what_still_runs_is_ended(run: ClusterRun) -> None:
    run.say(waiting("worker-0", "InvalidImageName"))
    with pytest.raises(JobNotStarted):
        run(keep_failed=True)
    assert run.cluster.called("patch_job") == [[JOB, {"spec": {"runPolicy": {"activeDeadlineSeconds": 1}}}]]
    assert run.cluster.called("delete_job") == []
    assert run.messages()[-1] == (
        "job mnist is kept for 86400 s; look at it with: kubectl --namespace default describe tfjob mnist"
    )


def test_a_job_that_the_operator_has_failed_is_kept_as_it_is(single: ClusterRun) -> None:
    single.say(running("worker-0"), ended("worker-0", 2))
    single.cluster.say_job("Failed")
    with pytest.raises(JobFailed):
        single(keep_failed=True)
    assert single.cluster.called("patch_job") == []
    assert JOB in single.cluster.jobs


def test_replicas_of_a_kept_job_that_could_not_be_ended_are_told(run: ClusterRun) -> None:
    run.cluster.fail("patch_job", AWAY, times=1000)
    run.say(waiting("worker-0", "InvalidImageName"))
    with pytest.raises(JobNotStarted):
        run(keep_failed=True)
    assert "the replicas of job mnist could not be ended, and may still run" in run.messages()


def test_a_job_that_succeeded_is_not_kept(single: ClusterRun) -> None:
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single(keep_failed=True)
    assert single.cluster.jobs == {}


@pytest.mark.parametrize("keep_failed", [False, True])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, JobCancelled), (signal.SIGINT, KeyboardInterrupt)])
def test_a_cancelled_job_is_deleted_even_where_failed_ones_are_kept(
    number: signal.Signals, error: type[BaseException], keep_failed: bool, run: ClusterRun, interruptible: None
) -> None:
    run.on("hello", lambda: os.kill(os.getpid(), number))
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "hello")
    with pytest.raises(error):
        run(keep_failed=keep_failed)
    assert run.cluster.jobs == {}
    assert run.cluster.called("delete_job") == [[JOB, "job-1"]]


def test_a_signal_while_a_succeeded_job_is_deleted_is_heeded_after(single: ClusterRun, interruptible: None) -> None:
    single.on("Succeeded", lambda: os.kill(os.getpid(), signal.SIGTERM))
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    with pytest.raises(JobCancelled, match="Job mnist was cancelled: this process received SIGTERM"):
        single()
    assert single.cluster.jobs == {}


def test_a_signal_while_the_api_server_is_away_ends_the_submission(run: ClusterRun, interruptible: None) -> None:
    def ask_to_end(_manifest: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AWAY

    run.cluster.create_job = ask_to_end  # type: ignore[assignment, method-assign]
    with pytest.raises(JobCancelled):
        run()
    assert run.cluster.called("delete_job") == []


@pytest.mark.parametrize("keep_failed", [False, True])
def test_a_job_that_somebody_else_deleted_is_cancelled(keep_failed: bool, single: ClusterRun) -> None:
    single.cluster.jobs["old"] = job_json(uid="job-0")
    single.say(running("worker-0"))
    single.cluster.say("jobs", job_json(uid="job-0"), "DELETED")
    single.log("worker-0", "still here")
    single.cluster.say("jobs", single.cluster.jobs.clear)
    single.cluster.say("jobs", job_json("Running"), "DELETED")
    with pytest.raises(JobCancelled, match="Job mnist was deleted by somebody else"):
        single(keep_failed=keep_failed)
    assert LogLine("worker-0", "still here") in single.events
    assert not [event for event in single.events if isinstance(event, Warned)]


def test_a_state_of_an_earlier_job_of_that_name_is_ignored(single: ClusterRun) -> None:
    single.cluster.say_job("Failed", uid="job-0")
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().job_name == JOB


def test_a_job_that_cannot_be_deleted_is_told(single: ClusterRun) -> None:
    single.cluster.fail("delete_job", AWAY, times=1000)
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert single.messages()[-1] == "job mnist could not be deleted: it goes with this step's pod, or by its TTL"


def test_an_api_server_that_is_away_meanwhile_is_no_matter(single: ClusterRun) -> None:
    single.cluster.fail("list_jobs", AWAY)
    single.cluster.fail("delete_job", AWAY, refusal(503, "starting"))
    single.say(running("worker-0"))
    for stream in ("pods", "jobs", "events"):
        single.cluster.say(stream, AWAY)
    single.log("worker-0", "hello")
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert LogLine("worker-0", "hello") in single.events
    assert single.cluster.jobs == {}


def test_a_right_that_is_missing_names_the_manifests(single: ClusterRun) -> None:
    single.cluster.fail("current_event_version", refusal(403, "cannot list resource events"), times=1000)
    with pytest.raises(ClusterRefused, match=r"watch events: cannot list resource events.*manifests/"):
        single(refusal_patience_seconds=0.0)
    assert single.cluster.jobs == {}
