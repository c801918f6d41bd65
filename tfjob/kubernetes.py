"""The Kubernetes backend: a job's replicas as pods, made by the training operator.

The operator decides over restarts, success and failure. This backend adds what it lacks: a deadline that fires, an end
to waiting for what will never start, the log of every replica, and that nothing stays behind.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tfjob.backend import Event, JobResult, LogLine, ReplicaResult, Status, StatusChanged, Warned
from tfjob.cluster import Cluster, Json
from tfjob.errors import (
    ClusterRefused,
    JobCancelled,
    JobDeadlineExceeded,
    JobFailed,
    JobNotStarted,
    TFJobError,
    quote_lines,
)
from tfjob.job import Manifest, Replica, read_container, read_job
from tfjob.pods import DOUBTFUL_REASONS, HOPELESS_REASONS, Pod, parse_pull_seconds, read_conditions, read_pod
from tfjob.policy import outcome_of_exit
from tfjob.signals import Signalled, signals_to
from tfjob.submission import Submission
from tfjob.watching import (
    REFUSAL_PATIENCE_SECONDS,
    EventSeen,
    JobGone,
    JobSeen,
    LogEnded,
    PodGone,
    PodSeen,
    Refused,
    Watching,
)
from tfjob.watching import Message as Watched

_QUOTED_LINES = 20
_DOUBT_PATIENCE_SECONDS = 60.0
_LAST_WORDS_SECONDS = 5.0
# What Pod Security refuses is refused for what it is: waiting does not help.
_HOPELESS_CREATION = "violates PodSecurity"

Message = Watched | Signalled


@dataclass(frozen=True, kw_only=True)
class KubernetesBackend:
    """Runs a TFJob on a cluster's training operator.

    Args:
        cluster: Where.
        owner_reference: What the job is deleted with; None for nothing.
        pending_seconds: How long a replica may wait for its node, its image or its volumes. Waiting for a queue's
            admission (`suspend`) is not limited.
        keep_failed: Whether a job that failed stays for inspection, until its time to live has passed.
        refusal_patience_seconds: How long watching is tried again where the API server refuses.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    cluster: Cluster
    owner_reference: Json | None = None
    pending_seconds: float = 600.0
    keep_failed: bool = False
    refusal_patience_seconds: float = REFUSAL_PATIENCE_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep

    def run(self, manifest: Manifest, *, log_dir: Path, on_event: Callable[[Event], None]) -> JobResult:
        """Returns when the job has succeeded; see `Backend`.

        Raises:
            SpecError: The operator's webhook rejected the job.
            JobExists: There is another job of that name.
            ClusterRefused: This process lacks a right, or the cluster has no training operator.
            JobNotStarted: A replica could not start within `pending_seconds`.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        inbox: SimpleQueue[Message] = SimpleQueue()
        with signals_to(inbox.put):
            job_run = _JobRun(self, manifest, log_dir=log_dir, on_event=on_event, inbox=inbox)
            try:
                job_run.run_until_success()
            except TFJobError as error:
                on_event(StatusChanged("Failed", str(error).partition("\n")[0]))
                raise
            finally:
                job_run.stop()
            job_run.heed_late_signal()
            return job_run.result()


@dataclass
class _ReplicaRun:
    """A replica and how it is doing."""

    replica: Replica
    log_path: Path
    waiting_since: float
    pod: Pod | None = None
    has_ended: threading.Event = field(default_factory=threading.Event)
    doubt_since: float | None = None
    trouble: str = ""
    restarts: int = 0
    started_at: float | None = None
    scheduled_at: float | None = None
    pull_seconds: float = 0.0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_QUOTED_LINES))

    @property
    def has_started(self) -> bool:
        return self.pod is not None and self.pod.has_started

    @property
    def is_waiting(self) -> bool:
        """Whether its container is still to start: one that was evicted before is the operator's to decide over."""
        return self.pod is None or not (self.pod.has_started or self.pod.has_ended)

    @property
    def is_restarted(self) -> bool:
        """Whether the operator answers this end with a new pod; it takes one without an exit code as killed."""
        code = self.pod.exit_code if self.pod else None
        is_killed = code is None or outcome_of_exit("ExitCode", code) == "restart"
        return self.replica.restart_policy == "ExitCode" and is_killed

    def describe_waiting(self) -> str:
        """Returns why it does not run yet."""
        if self.pod is None:
            return f"{self.replica.name} has no pod yet"
        reason = self.pod.waiting_reason or self.pod.phase
        detail = self.pod.waiting_message or self.trouble
        return f"{self.replica.name}: {reason}" + (f": {detail}" if detail else "")

    def result(self) -> ReplicaResult:
        pod = self.pod
        started_at = self.started_at or 0.0
        return ReplicaResult(
            name=self.replica.name,
            type=self.replica.type.lower(),
            index=self.replica.index,
            restarts=self.restarts,
            exit_code=pod.exit_code if pod else None,
            cpus=[],
            started_at=started_at,
            ended_at=(pod.ended_at if pod else None) or started_at,
        )


class _JobRun:
    """One run of one job. Everything happens in the calling thread, in the order of messages in the inbox."""

    def __init__(
        self,
        backend: KubernetesBackend,
        manifest: Manifest,
        *,
        log_dir: Path,
        on_event: Callable[[Event], None],
        inbox: SimpleQueue[Message],
    ) -> None:
        self._backend, self._clock = backend, backend.clock
        self._on_event, self._inbox = on_event, inbox
        self._manifest, self._job = manifest, read_job(manifest)
        self._submission = Submission(
            backend.cluster,
            manifest,
            backend.owner_reference,
            clock=backend.clock,
            pause=self._wait_for_signal,
            sleep=backend.sleep,
        )
        self._submitted_at = time.time()
        self._submitted = self._active_since = self._clock()
        self._replicas = {
            replica.name: _ReplicaRun(replica, log_dir / f"{replica.name}.log", self._submitted)
            for replica in self._job.replicas
        }
        self._watching = Watching(
            backend.cluster,
            self._job.name,
            inbox.put,
            refusal_patience_seconds=backend.refusal_patience_seconds,
        )
        self._conditions: Mapping[str, Mapping[str, Any]] = {}
        self._is_suspended = False
        self._has_succeeded = False
        self._is_cancelled = False
        self._job_trouble = ""
        self._told: Status | None = None
        self._told_message = ""
        self._open_logs: set[str] = set()
        self._late_signal: Signalled | None = None
        self._total_seconds = 0.0
        self._is_running = False

    def run_until_success(self) -> None:
        for run in self._replicas.values():
            run.log_path.unlink(missing_ok=True)
        self._submit()
        self._watching.start()
        while not self._is_true("Succeeded"):
            self._check_limits()
            self._handle(self._receive(self._seconds_to_next_moment()))
        self._total_seconds = self._clock() - self._submitted
        self._hear_last_words(self._has_heard_all)
        self._has_succeeded = True
        self._tell("Succeeded", f"job {self._job.name} succeeded in {self._total_seconds:.1f} s")

    def stop(self) -> None:
        """Leaves nothing behind, but what was asked to be kept."""
        try:
            if self._backend.keep_failed and self._submission.uid and not (self._has_succeeded or self._is_cancelled):
                self._keep()
            elif not self._submission.delete():
                self._on_event(
                    Warned(f"job {self._job.name} could not be deleted: it goes with this step's pod, or by its TTL")
                )
        finally:
            self._watching.stop()

    def heed_late_signal(self) -> None:
        """Raises what a signal asks for that came while the job was being deleted."""
        while (message := self._receive(0.0)) is not None:
            if isinstance(message, Signalled):
                self._late_signal = message
        if self._late_signal is not None:
            self._late_signal.raise_as_error(self._job.name)

    def result(self) -> JobResult:
        runs = self._replicas.values()
        # A pod's timestamps are whole seconds, so the first seconds may seem to come before the submission.
        queue_seconds = _latest(run.started_at for run in runs) - self._submitted_at
        schedule_seconds = _latest(run.scheduled_at for run in runs) - self._submitted_at
        return JobResult(
            job_name=self._job.name,
            backend="kubernetes",
            queue_seconds=min(max(0.0, queue_seconds), self._total_seconds),
            schedule_seconds=min(max(0.0, schedule_seconds), self._total_seconds),
            pull_seconds=max(run.pull_seconds for run in runs),
            total_seconds=self._total_seconds,
            contended=False,  # the scheduler places no more requests on a node than it has cores
            warnings=[],
            replicas=[run.result() for run in runs],
            started_at=self._submitted_at,
            ended_at=self._submitted_at + self._total_seconds,
        )

    def _submit(self) -> None:
        names = ", ".join(self._replicas)
        if self._submission.submit():
            self._tell("Created", f"job {self._job.name} exists from an earlier try of this step; taken over: {names}")
        else:
            self._tell("Created", f"job {self._job.name} in namespace {self._submission.namespace}: {names}")

    def _keep(self) -> None:
        if not self._is_true("Failed") and not self._submission.end_replicas():
            self._on_event(Warned(f"the replicas of job {self._job.name} could not be ended, and may still run"))
        seconds = self._manifest["spec"]["runPolicy"]["ttlSecondsAfterFinished"]
        command = f"kubectl --namespace {self._submission.namespace} describe tfjob {self._job.name}"
        self._on_event(Warned(f"job {self._job.name} is kept for {seconds} s; look at it with: {command}"))

    def _wait_for_signal(self, seconds: float) -> None:
        self._handle(self._receive(seconds))

    def _check_limits(self) -> None:
        if self._is_true("Failed"):
            self._hear_last_words(self._has_heard_a_failure)
            raise self._failure()
        now = self._clock()
        if now >= self._deadline:
            waiting = [run for run in self._replicas.values() if run.pod is not None and not run.pod.has_ended]
            raise JobDeadlineExceeded(
                f"Job {self._job.name} ran longer than its deadline of {self._job.active_deadline_seconds:g} s."
                + "".join(quote_lines(run.replica.name, run.last_lines) for run in waiting)
            )
        if not self._is_suspended:
            for run in self._replicas.values():
                self._check_start(run, now)

    def _check_start(self, run: _ReplicaRun, now: float) -> None:
        if not run.is_waiting:
            return
        reason = run.pod.waiting_reason if run.pod else ""
        is_hopeless = reason in HOPELESS_REASONS or _HOPELESS_CREATION in self._job_trouble
        is_doubtful = run.doubt_since is not None and now >= run.doubt_since + _DOUBT_PATIENCE_SECONDS
        if is_hopeless or is_doubtful or now >= run.waiting_since + self._backend.pending_seconds:
            waiting = [other for other in self._replicas.values() if other.is_waiting]
            reasons = dict.fromkeys(other.describe_waiting() for other in waiting)
            trouble = [self._job_trouble] if self._job_trouble else []
            raise JobNotStarted(self._job.name, now - run.waiting_since, [*trouble, *reasons])

    @property
    def _deadline(self) -> float:
        return float("inf") if self._is_suspended else self._active_since + self._job.active_deadline_seconds

    def _seconds_to_next_moment(self) -> float:
        moments = [self._deadline]
        for run in self._replicas.values():
            if run.is_waiting and not self._is_suspended:
                moments.append(run.waiting_since + self._backend.pending_seconds)
                if run.doubt_since is not None:
                    moments.append(run.doubt_since + _DOUBT_PATIENCE_SECONDS)
        # An hour at most: no timer of the system's takes infinity.
        return min(3600.0, max(0.0, min(moments) - self._clock()))

    def _receive(self, seconds: float) -> Message | None:
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def _handle(self, message: Message | None) -> None:
        match message:
            case LogLine(replica, text):
                self._replicas[replica].last_lines.append(text)
                self._on_event(message)
            case JobSeen(job):
                self._note_job(job)
            case PodSeen(pod):
                self._note_pod(read_pod(pod))
            case PodGone(uid):
                self._note_pod_gone(uid)
            case EventSeen(event):
                self._note_event(event)
            case LogEnded(uid):
                self._open_logs.discard(uid)
            case JobGone(uid) if uid == self._submission.uid:
                self._is_cancelled = True
                raise JobCancelled(f"Job {self._job.name} was deleted by somebody else.")
            case Refused(what, text):
                raise ClusterRefused(
                    f"The cluster does not let this step watch {what}: {text}. Give its service account the rights in "
                    "manifests/ (kubectl apply -k)."
                )
            case Signalled():
                self._is_cancelled = True
                message.raise_as_error(self._job.name)

    def _note_job(self, job: Json) -> None:
        if job["metadata"]["uid"] != self._submission.uid:
            return
        self._conditions = read_conditions(job)
        is_suspended = job["spec"].get("runPolicy", {}).get("suspend") is True
        if is_suspended:
            self._tell("Queued", f"job {self._job.name} is suspended until its queue admits it")
        elif self._is_suspended:
            self._active_since = self._clock()
            for run in self._replicas.values():
                run.waiting_since = self._active_since
        self._is_suspended = is_suspended

    def _note_pod(self, pod: Pod) -> None:
        run = self._replicas.get(pod.replica)
        if run is None or pod.job_uid != self._submission.uid:  # left of an earlier job of the same name
            return
        before = run.pod
        if before is not None and before.uid != pod.uid:
            if pod.created_at < before.created_at:
                return  # an old acquaintance, from a list
            run.has_ended.set()
            run.has_ended = threading.Event()
            self._watching.leave_log(before.uid)
            self._note_restart(run, _describe(before))
        elif before is not None and pod.restarts > before.restarts:
            self._note_restart(run, f"exit code {pod.exit_code_before}")
        self._take_pod(run, pod)
        run.doubt_since = (run.doubt_since or self._clock()) if pod.waiting_reason in DOUBTFUL_REASONS else None
        if pod.is_out_of_memory:
            # The operator would restart it, to the same end.
            self._hear_last_words(lambda: pod.uid not in self._open_logs)
            raise self._out_of_memory(run)
        self._tell_progress()

    def _take_pod(self, run: _ReplicaRun, pod: Pod) -> None:
        before, run.pod = run.pod, pod
        run.scheduled_at = run.scheduled_at or pod.scheduled_at
        if pod.has_started:
            run.started_at = run.started_at or pod.started_at
            if before is None or before.uid != pod.uid or not before.has_started:
                self._open_logs.add(pod.uid)
                self._watching.follow_log(pod, run.has_ended, run.log_path)
        if pod.has_ended:
            run.has_ended.set()

    def _note_restart(self, run: _ReplicaRun, end: str) -> None:
        run.restarts += 1
        run.waiting_since = self._clock()
        run.doubt_since = None
        # Told anew each time: the launcher counts them.
        self._on_event(StatusChanged("Restarting", f"{run.replica.name} ended ({end}); restart {run.restarts}"))
        self._told = "Restarting"

    def _note_pod_gone(self, uid: str) -> None:
        for run in self._replicas.values():
            if run.pod is not None and run.pod.uid == uid:
                run.has_ended.set()

    def _note_event(self, event: Json) -> None:
        about, reason, message = event["involvedObject"], event.get("reason", ""), event.get("message", "")
        if about.get("kind") == "TFJob" and about.get("name") == self._job.name:
            # The operator reports a replica's end as a warning, too; pods tell more of that.
            if event.get("type") == "Warning" and reason.startswith("FailedCreate"):
                self._job_trouble = message
            return
        prefix = f"{self._job.name}-"
        run = self._replicas.get(about.get("name", "").removeprefix(prefix))
        if run is None or about.get("kind") != "Pod" or not about["name"].startswith(prefix):
            return
        if reason == "Pulling":
            self._tell("Pulling", f"{run.replica.name}: {message}")
        elif reason == "Pulled":
            run.pull_seconds = parse_pull_seconds(message) or run.pull_seconds
        elif event.get("type") == "Warning" and reason != "FailedScheduling":
            run.trouble = message  # of a volume or a secret that is missing the pod itself says nothing

    def _tell_progress(self) -> None:
        waiting = [run for run in self._replicas.values() if not run.has_started]
        if not waiting and not self._is_running:
            self._is_running = True
            self._tell("Running", f"{len(self._replicas)}/{len(self._replicas)} replicas of job {self._job.name} run")
        unplaced = [run for run in waiting if run.pod is not None and run.pod.waiting_reason == "Unschedulable"]
        if unplaced:
            self._tell("Queued", unplaced[0].describe_waiting())

    def _tell(self, status: Status, message: str) -> None:
        if (status, message) != (self._told, self._told_message):
            self._told, self._told_message = status, message
            self._on_event(StatusChanged(status, message))

    def _is_true(self, condition: str) -> bool:
        return bool(self._conditions.get(condition, {}).get("status") == "True")

    def _hear_last_words(self, is_enough: Callable[[], bool]) -> None:
        """Takes what is still on its way: the ends of logs, and of pods whose last state was not seen yet."""
        limit = self._clock() + _LAST_WORDS_SECONDS
        while not is_enough() and (left := limit - self._clock()) > 0:
            match message := self._receive(left):
                case PodSeen(pod):
                    self._note_end(read_pod(pod))
                case Signalled():
                    self._late_signal = message
                case LogLine() | LogEnded() | PodGone():
                    self._handle(message)

    def _has_heard_all(self) -> bool:
        return not self._open_logs and all(run.has_ended.is_set() for run in self._replicas.values())

    def _has_heard_a_failure(self) -> bool:
        """Returns whether a replica has failed and said why; what the others say as they are ended is no matter."""
        culprit = self._find_culprit()
        if culprit is None or culprit.pod is None or culprit.is_restarted:
            return False
        return culprit.pod.uid not in self._open_logs

    def _note_end(self, pod: Pod) -> None:
        run = self._replicas.get(pod.replica)
        if run is None or pod.job_uid != self._submission.uid:
            return
        # It may be news: the job's state can come before that of its pods.
        if run.pod is None or run.pod.uid == pod.uid:
            self._take_pod(run, pod)

    def _failure(self) -> JobFailed:
        culprit = self._find_culprit()
        condition = self._conditions["Failed"].get("message", "").strip()
        if culprit is None or culprit.pod is None:
            return JobFailed(self._job.name, replica="the job", exit_code=None, reason=condition)
        return self._failure_of(culprit, f"{_describe(culprit.pod)}, restart policy {culprit.replica.restart_policy}")

    def _find_culprit(self) -> _ReplicaRun | None:
        failed = [run for run in self._replicas.values() if run.pod is not None and run.pod.phase == "Failed"]
        # One that would have been restarted, having lost its peer say, did not fail the job. Times are whole seconds.
        return min(
            failed, key=lambda run: (run.is_restarted, (run.pod and run.pod.ended_at) or float("inf")), default=None
        )

    def _out_of_memory(self, run: _ReplicaRun) -> JobFailed:
        container = read_container(self._manifest["spec"]["tfReplicaSpecs"][run.replica.type])
        limit = container["resources"]["limits"].get("memory", "of the node")
        return self._failure_of(run, f"OOMKilled: it needed more than its memory limit {limit}; give it more")

    def _failure_of(self, run: _ReplicaRun, reason: str) -> JobFailed:
        return JobFailed(
            self._job.name,
            replica=run.replica.name,
            exit_code=run.pod.exit_code if run.pod else None,
            reason=reason,
            last_lines=run.last_lines,
        )


def _latest(moments: Iterable[float | None]) -> float:
    return max((moment for moment in moments if moment is not None), default=0.0)


def _describe(pod: Pod) -> str:
    if pod.exit_code is None:
        return " ".join(filter(None, (pod.reason or pod.phase, pod.message)))
    reason = "" if pod.reason in ("", "Error", "Completed") else f" ({pod.reason})"
    return f"exit code {pod.exit_code}{reason}"
