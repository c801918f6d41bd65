"""The Kubernetes backend: a job's replicas as pods, made by the training operator.

The operator decides over restarts, success and failure. This backend adds what it lacks: a deadline that fires, an end
to waiting for what will never start, the log of every replica, and that nothing stays behind.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tfjob.backend import ANYWHERE, Event, JobResult, LogLine, Placement, Status, StatusChanged, Warned
from tfjob.cluster.api import Cluster, Json
from tfjob.cluster.events import PullBegan, PullEnded, Trouble, read_event
from tfjob.cluster.failure import (
    describe_end,
    describe_end_before,
    describe_loss,
    failed_job,
    find_culprit,
    is_aftermath,
    out_of_memory,
    suspected,
)
from tfjob.cluster.pods import Pod, read_conditions, read_pod
from tfjob.cluster.replica import ReplicaRun, measure_waits
from tfjob.cluster.submission import Submission
from tfjob.cluster.waiting import FIRST_REMINDER_SECONDS, Waiting
from tfjob.cluster.watching import REFUSAL_PATIENCE_SECONDS, Gone, LogEnded, Message, Seen, Watching
from tfjob.errors import ClusterRefused, JobCancelled
from tfjob.job import Manifest
from tfjob.job_run import JobRun
from tfjob.launcher import Signalled, read_boot_id
from tfjob.signs import Life, read_lives

_LAST_WORDS_SECONDS = 5.0


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

    def run(
        self,
        manifest: Manifest,
        *,
        log_dir: Path,
        on_event: Callable[[Event], None],
        placement: Placement = ANYWHERE,  # noqa: ARG002 - scheduler and kubelet choose nodes and cores
        is_measured: Callable[[], bool] | None = None,
    ) -> JobResult:
        """Returns when the job has succeeded; see `Backend`.

        Raises:
            SpecError: The operator's webhook rejected the job.
            JobExists: There is another job of that name.
            ClusterRefused: This process lacks a right, or the cluster has no training operator.
            JobNotStarted: A replica could not start within `pending_seconds`.
        """
        job_run = _JobRun(
            backend=self,
            manifest=manifest,
            log_dir=log_dir,
            on_event=on_event,
            clock=self.clock,
            is_measured=is_measured,
        )
        return job_run.see_through()


@dataclass(kw_only=True)
class _JobRun(JobRun[Message]):
    sees_itself: ClassVar[bool] = False
    backend: KubernetesBackend
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_suspended: bool = False
    is_running: bool = False
    has_succeeded: bool = False
    is_cancelled: bool = False
    job_trouble: str = ""
    told: StatusChanged | None = None
    open_logs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        backend = self.backend
        self.submission = Submission(
            backend.cluster,
            self.manifest,
            backend.owner_reference,
            clock=backend.clock,
            pause=self._wait_for_signal,
            sleep=backend.sleep,
        )
        self.active_since = self.submitted
        self.replicas = {
            replica.name: ReplicaRun(replica, self.log_dir / f"{replica.name}.log", self.submitted)
            for replica in self.job.replicas
        }
        self.waiting = Waiting(
            job=self.job,
            replicas=self.replicas,
            pending_seconds=backend.pending_seconds,
            warn=self.on_event,
            namespace=self.submission.namespace,
            remind_at=self.submitted + FIRST_REMINDER_SECONDS,
        )
        self.watching = Watching(
            backend.cluster,
            self.job.name,
            self.inbox.put,
            refusal_patience_seconds=backend.refusal_patience_seconds,
        )

    def run_until_success(self) -> None:
        for run in self.replicas.values():
            run.log_path.unlink(missing_ok=True)
        self.watching.start(self._submit())
        while not (self.look_whether_measured() or self._is_over()):
            self._check_limits()
            self._handle(self.receive(self._seconds_to_next_moment()))
        if not self.was_ended:
            self.total_seconds = self._count_total_seconds()
            self._hear_last_words(self._has_heard_all)
        self.waiting.check_all_ran(self.total_seconds)
        self.has_succeeded = True
        self._tell("Succeeded", self.describe_success())

    def stop(self) -> None:
        """Leaves nothing behind, but what was asked to be kept."""
        try:
            if self.backend.keep_failed and self.submission.uid and not (self.has_succeeded or self.is_cancelled):
                self._keep()
            elif not self.submission.delete():
                self.on_event(
                    Warned(f"job {self.job.name} could not be deleted: it goes with this step's pod, or by its TTL")
                )
        finally:
            self.watching.stop()

    def result(self) -> JobResult:
        runs = self.replicas.values()
        waits = measure_waits(runs, self.submitted_at, self.total_seconds)
        digests = sorted({run.pod.image_digest for run in runs if run.pod and run.pod.image_digest})
        return JobResult(
            job_name=self.job.name,
            backend="kubernetes",
            queue_seconds=waits.queue_seconds,
            schedule_seconds=waits.schedule_seconds,
            pull_seconds=waits.pull_seconds,
            total_seconds=self.total_seconds,
            contended=False,  # the scheduler places no more requests on a node than it has cores
            warnings=[f"the replicas ran different images: {', '.join(digests)}"] if digests[1:] else [],
            replicas=[run.result(stopped_at=self.submitted_at + self.total_seconds) for run in runs],
            started_at=self.submitted_at,
            ended_at=self.submitted_at + self.total_seconds,
            boot_id=read_boot_id(),
            started_monotonic=self.submitted,
            ended_monotonic=self.submitted + self.total_seconds,
            image_digest=", ".join(digests) or None,
            was_ended=self.was_ended,
            gpus_held=sum(replica.gpus for replica in self.job.replicas),
        )

    def _submit(self) -> str:
        """Returns the job's uid."""
        names = ", ".join(self.replicas)
        if self.submission.submit():
            self._tell("Created", f"job {self.job.name} exists from an earlier try of this step; taken over: {names}")
        else:
            self._tell("Created", f"job {self.job.name} in namespace {self.submission.namespace}: {names}")
        return str(self.submission.uid)

    def _keep(self) -> None:
        if not self._is_true("Failed") and not self.submission.end_replicas():
            self.on_event(Warned(f"the replicas of job {self.job.name} could not be ended, and may still run"))
        seconds = self.manifest["spec"]["runPolicy"]["ttlSecondsAfterFinished"]
        command = f"kubectl --namespace {self.submission.namespace} describe tfjob {self.job.name}"
        self.on_event(Warned(f"job {self.job.name} is kept for {seconds} s; look at it with: {command}"))

    def _wait_for_signal(self, seconds: float) -> None:
        self._handle(self.receive(seconds))

    def _check_limits(self) -> None:
        if self._is_true("Failed"):
            self._hear_last_words(self._has_heard_a_failure)
            condition = self.conditions["Failed"].get("message", "").strip()
            raise failed_job(self.job.name, self.replicas.values(), condition)
        now = self.clock()
        if self.waiting.is_failed_but_held(now):
            self._hear_last_words(self._has_heard_a_failure)
            raise failed_job(self.job.name, self.replicas.values(), "")
        if now >= self._deadline:
            running = {
                name: run.last_lines
                for name, run in self.replicas.items()
                if run.pod is not None and not run.pod.has_ended
            }
            raise self.deadline_exceeded(running)
        if not self.is_suspended:
            self.waiting.check_start(now, self.job_trouble)
            self._check_signs()
        self.waiting.remind(now, self.job_trouble, is_suspended=self.is_suspended)

    def _check_signs(self) -> None:
        if suspicion := self.take_look():
            raise suspected(self.job.name, self.replicas, suspicion)

    def read_lives(self) -> Mapping[str, Life]:
        running = [name for name, run in self.replicas.items() if run.pod is not None and run.pod.is_running]
        return {} if self.signs_folder is None else read_lives(self.signs_folder, running)

    def _is_over(self) -> bool:
        self.waiting.note_holds(self.clock())
        return self._is_true("Succeeded") or self.waiting.is_done_but_held(self.clock())

    def _count_total_seconds(self) -> float:
        """Returns how long the job took, without the patience with a pod that runs on after its training."""
        if self._is_true("Succeeded") or self.waiting.done_at is None:
            return self.clock() - self.submitted
        return self.waiting.done_at - self.submitted

    @property
    def _deadline(self) -> float:
        return float("inf") if self.is_suspended else self.active_since + self.job.active_deadline_seconds

    def _seconds_to_next_moment(self) -> float:
        now = self.clock()
        looks = self.moments_to_look(has_signs=self.signs_folder is not None and not self.is_suspended)
        waits = self.waiting.next_moments(now, is_suspended=self.is_suspended)
        return max(0.0, min([self._deadline, *looks, *waits]) - now)

    def _handle(self, message: Message | Signalled | None) -> None:
        match message:
            case LogLine(replica, text):
                self.replicas[replica].last_lines.append(text)
                self.on_event(message)
            case Seen("tfjobs", job):
                self._note_job(job)
            case Seen("pods", pod):
                self._note_pod(read_pod(pod))
            case Seen("events", event):
                self._note_event(event)
            case Gone("pods", uid):
                self._note_pod_gone(uid)
            case Gone("tfjobs", uid) if uid == self.submission.uid:
                self.is_cancelled = True
                raise JobCancelled(f"Job {self.job.name} was deleted by somebody else.")
            case LogEnded(uid):
                self.open_logs.discard(uid)
            case ClusterRefused():
                raise message
            case Signalled():
                self.is_cancelled = True
                message.raise_as_error(self.job.name)

    def _note_job(self, job: Json) -> None:
        if job["metadata"]["uid"] != self.submission.uid:
            return
        self.conditions = read_conditions(job)
        is_suspended = job["spec"].get("runPolicy", {}).get("suspend") is True
        if is_suspended:
            self._tell("Queued", f"job {self.job.name} is suspended until its queue admits it")
        elif self.is_suspended:
            self.active_since = self.clock()
            self.waiting.begin(self.active_since)
            for run in self.replicas.values():
                run.waiting_since = self.active_since
        self.is_suspended = is_suspended

    def _note_pod(self, pod: Pod) -> None:
        run = self.replicas.get(pod.replica)
        if run is None or pod.job_uid != self.submission.uid:  # left of an earlier job of the same name
            return
        before = run.pod
        if before is not None and before.uid != pod.uid:
            if pod.created_at < before.created_at:
                return  # an old acquaintance, from a list
            run.has_ended.set()
            self.watching.leave_log(before.uid)
            self._note_restart(run, describe_loss(before) if run.is_lost else describe_end(before))
            run.has_ended, run.is_gone = threading.Event(), False
        elif before is not None and pod.restarts > before.restarts:
            self._note_restart(run, describe_end_before(run, pod))
        self._take_pod(run, pod)
        run.note_waiting(pod, self.clock())
        self.waiting.note_done(self.clock())
        if pod.is_out_of_memory:
            # The operator would restart it, to the same end.
            self._hear_last_words(lambda: pod.uid not in self.open_logs)
            raise out_of_memory(self.job.name, run, pod)
        self._tell_progress()

    def _take_pod(self, run: ReplicaRun, pod: Pod) -> None:
        run.is_aftermath = is_aftermath(run, pod, self.replicas.values())
        if run.take_pod(pod, self.submitted_at + self.clock() - self.submitted):
            self.open_logs.add(pod.uid)
            self.watching.follow_log(pod, run.has_ended, run.log_path)
        if pod.has_ended:
            run.has_ended.set()

    def _note_restart(self, run: ReplicaRun, end: str) -> None:
        run.restarts += 1
        run.waiting_since = self.clock()
        self.waiting.begin(run.waiting_since)
        run.doubt_since = None
        self.signs.forget(run.replica.name)
        # Told anew each time: the launcher counts them.
        self.told = None
        quiet = self.name_quiet_peers(run.replica.name)
        self._tell("Restarting", f"{run.replica.name} ended ({end}{quiet}); restart {run.restarts}")

    def _note_pod_gone(self, uid: str) -> None:
        for run in self.replicas.values():
            if run.pod is not None and run.pod.uid == uid:
                run.has_ended.set()
                # The operator gives pods time to end: whose deletion was not seen to begin was taken by force.
                run.is_gone = not run.pod.has_ended and run.pod.deleted_at is None

    def _note_event(self, event: Json) -> None:
        told = read_event(event, self.job.name)
        run = None if told is None else self.replicas.get(told.replica)
        match told:
            case Trouble(replica="", message=message):
                self.job_trouble = message
            case PullBegan(replica, message) if run is not None:
                self._tell("Pulling", f"{replica}: {message}")
            case PullEnded(seconds=seconds) if run is not None:
                run.pull_seconds = seconds or run.pull_seconds
            case Trouble(message=message) if run is not None:
                run.trouble = message

    def _tell_progress(self) -> None:
        waiting = [run for run in self.replicas.values() if not run.has_started]
        if not waiting and not self.is_running:
            self.is_running = True
            self._tell("Running", f"{len(self.replicas)}/{len(self.replicas)} replicas of job {self.job.name} run")
        unplaced = [run for run in waiting if run.pod is not None and run.pod.waiting_reason == "Unschedulable"]
        if unplaced:
            self._tell("Queued", unplaced[0].describe_waiting())

    def _tell(self, status: Status, message: str) -> None:
        if (event := StatusChanged(status, message)) != self.told:
            self.told = event
            self.on_event(event)

    def _is_true(self, condition: str) -> bool:
        return bool(self.conditions.get(condition, {}).get("status") == "True")

    def _hear_last_words(self, is_enough: Callable[[], bool]) -> None:
        """Takes what is still on its way: the ends of logs, and of pods whose last state was not seen yet."""
        limit = self.clock() + _LAST_WORDS_SECONDS
        while not is_enough() and (left := limit - self.clock()) > 0:
            match message := self.receive(left):
                case Seen("pods", pod):
                    self._note_end(read_pod(pod))
                case Signalled():
                    self.late_signal = message
                case LogLine() | LogEnded() | Gone("pods", _):
                    self._handle(message)

    def _has_heard_all(self) -> bool:
        return not self.open_logs and all(run.has_ended.is_set() for run in self.replicas.values())

    def _has_heard_a_failure(self) -> bool:
        """Returns whether a replica has failed and said why; what the others say as they are ended is no matter."""
        culprit = find_culprit(self.replicas.values())
        if culprit is None or culprit.pod is None or (culprit.is_survivor and not culprit.is_lost):
            return False
        return culprit.pod.uid not in self.open_logs

    def _note_end(self, pod: Pod) -> None:
        run = self.replicas.get(pod.replica)
        if run is None or pod.job_uid != self.submission.uid:
            return
        # It may be news: the job's state can come before that of its pods.
        if run.pod is None or run.pod.uid == pod.uid:
            self._take_pod(run, pod)
