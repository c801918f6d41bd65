"""What a job on a cluster is waited for, how long, and what is told meanwhile."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tfjob.backend import Warned
from tfjob.cluster.advice import advise
from tfjob.cluster.failure import describe_end
from tfjob.cluster.replica import HOLD_PATIENCE_SECONDS, ReplicaRun
from tfjob.cluster.sidecar import describe_hold
from tfjob.errors import JobNotStarted
from tfjob.job import Job
from tfjob.job_run import is_success

# A pod is refused for what it is: waiting does not help, as it does where a quota is used up. By Pod Security, a
# LimitRange, a quota that wants every amount named, and for its priority class.
# Source: kubernetes plugin/pkg/admission/limitranger, resourcequota and priority
_HOPELESS_CREATION = re.compile(
    "violates PodSecurity|(usage|ratio) per (Container|Pod) is|must specify|no PriorityClass with name"
)
FIRST_REMINDER_SECONDS, _REMINDER_SECONDS = 60.0, 300.0
# How many of many replicas are named: on a large cluster the scheduler says a paragraph of each.
_NAMED_REPLICAS = 3
# A sidecar of the manifest may have a last word, but the end of the training's container is the replica's end.
_OWN_SIDECAR_SECONDS = 5.0


@dataclass(kw_only=True)
class Waiting:
    """The limits to waiting for replicas: for their start, and for the end of pods whose training has ended.

    Args:
        job: The job.
        replicas: Its replicas, by name.
        pending_seconds: How long a replica may wait for its node, its image or its volumes.
        warn: Told of what a person may want to change.
        namespace: Where the job runs.
        remind_at: When to tell next of what is waited for, on the backend's clock.
        done_at: When the containers that decide had all succeeded, on the backend's clock; None before.
    """

    job: Job
    replicas: Mapping[str, ReplicaRun]
    pending_seconds: float
    warn: Callable[[Warned], None]
    namespace: str
    remind_at: float
    done_at: float | None = None
    _is_hold_told: bool = field(default=False, init=False)

    def check_start(self, now: float, job_trouble: str) -> None:
        """Makes sure that every replica has started, or still may.

        Args:
            now: The backend's clock.
            job_trouble: What the operator says of pods that it could not make, or empty.

        Raises:
            JobNotStarted: One cannot start, or has not for too long.
        """
        for run in self.replicas.values():
            is_hopeless = run.is_hopeless or _HOPELESS_CREATION.search(job_trouble)
            if run.is_waiting and (is_hopeless or now >= run.waits_until(self.pending_seconds)):
                raise JobNotStarted(self.job.name, now - run.waiting_since, [self._explain(job_trouble)])

    @property
    def hold_seconds(self) -> float:
        """How long a pod may run on after the training's container: not long where the manifest itself lets it."""
        return _OWN_SIDECAR_SECONDS if self.job.sidecars else HOLD_PATIENCE_SECONDS

    def check_all_ran(self, total_seconds: float) -> None:
        """Makes sure that a person's program has not succeeded without one of its replicas: another configuration.

        By the operator's rule a job without a Chief is done with its first worker, whether the others ever ran or not.

        Raises:
            JobNotStarted: A replica never ran.
        """
        idle = [run for run in self.replicas.values() if not run.has_started]
        if self.job.is_foreign and idle:
            reasons = ["It ended without a replica that never ran", *_describe(idle)]
            raise JobNotStarted(self.job.name, total_seconds, reasons)

    def begin(self, now: float) -> None:
        """Begins to wait for the start of replicas: of a job that was admitted, or of one that was restarted."""
        self.remind_at = now + FIRST_REMINDER_SECONDS

    def remind(self, now: float, job_trouble: str, *, is_suspended: bool) -> None:
        """Tells what is waited for once it has taken a minute, and now and then after that."""
        if now < self.remind_at:
            return
        self.remind_at = now + _REMINDER_SECONDS
        waiting = [run for run in self.replicas.values() if run.is_waiting]
        if is_suspended:
            look = f"kubectl --namespace {self.namespace} describe workloads"
            self.warn(Warned(f"job {self.job.name} still waits for its queue to admit it; what it waits for: {look}"))
        elif waiting:
            since = now - min(run.waiting_since for run in waiting)
            number = f"{len(waiting)} of {len(self.replicas)} replicas of job {self.job.name}"
            have = "has" if len(waiting) == 1 else "have"
            limit = f"The job is given up after {self.pending_seconds:.0f} s"
            reasons = self._explain(job_trouble)
            self.warn(Warned(f"{number} {have} not started after {since:.0f} s: {reasons}. {limit}"))

    def _explain(self, job_trouble: str) -> str:
        """Returns why replicas do not start, in the words of operator, scheduler and kubelet, and what may help.

        Of many, those come first that have the least time left.
        """
        runs = [run for run in self.replicas.values() if run.is_waiting]
        runs.sort(key=lambda run: (not run.is_hopeless, run.waits_until(self.pending_seconds)))
        reasons = " | ".join([*filter(None, [job_trouble]), *_describe(runs)])
        return f"{reasons.rstrip('.')}. What may help: {advise(reasons, self.namespace, self.job.name)}"

    def next_moments(self, now: float, *, is_suspended: bool) -> list[float]:
        """Returns when one of the limits is reached."""
        runs = self.replicas.values()
        ends = [self.done_at, *(run.held_since for run in runs)]
        holds = [end + self.hold_seconds for end in ends if end is not None]
        starts = [run.waits_until(self.pending_seconds) for run in runs if run.is_waiting and not is_suspended]
        reminders = [self.remind_at] if starts or is_suspended else []
        return [*starts, *reminders, *(moment for moment in holds if moment > now)]

    def note_done(self, now: float) -> None:
        """Takes down when the containers that decide have all succeeded, whatever else runs in their pods."""
        done = [name for name, run in self.replicas.items() if run.pod is not None and run.pod.has_succeeded]
        self.done_at = (self.done_at or now) if is_success(self.job, done) else None

    def note_holds(self, now: float) -> None:
        """Lets logs end with their containers where pods run on, and tells of the first such pod.

        The operator looks at the phase of pods, which stays Running: it would see neither success nor failure.
        """
        held = [
            (run.replica.name, run.pod)
            for run in self.replicas.values()
            if run.pod and run.is_held(now, self.hold_seconds)
        ]
        for name, _ in held:
            self.replicas[name].has_ended.set()
        if held and not self._is_hold_told:
            self._is_hold_told = True
            name, pod = held[0]
            self.warn(
                Warned(f"{name} has ended ({describe_end(pod)}), but {describe_hold(pod.held_by, self.job.sidecars)}")
            )

    def is_failed_but_held(self, now: float) -> bool:
        """Returns whether a replica has failed whose pod runs on."""
        return any(
            run.pod.has_failed for run in self.replicas.values() if run.pod and run.is_held(now, self.hold_seconds)
        )

    def is_done_but_held(self, now: float) -> bool:
        """Returns whether the job is done as far as its own containers go, and pods of it run on."""
        is_any_held = any(run.held_since is not None for run in self.replicas.values())
        return is_any_held and self.done_at is not None and now >= self.done_at + self.hold_seconds


def _describe(runs: Sequence[ReplicaRun]) -> list[str]:
    """Returns why the first few of some replicas do not run, or never ran, and how many more there are."""
    more = len(runs) - _NAMED_REPLICAS
    return [run.describe_waiting() for run in runs[:_NAMED_REPLICAS]] + ([f"… {more} more"] if more > 0 else [])
