"""The local backend: a job's replicas as processes of this machine.

They get what the operator and the kubelet would give them: the manifest's command and environment, TF_CONFIG (with
loopback addresses in place of services), a network of their own where the system allows it, CPU affinity in place of
CPU limits, GPUs of their own by what CUDA lets them see, restarts, deadline and success rule.
Memory limits, images and volumes have no counterpart here. `cleanPodPolicy: None`, which leaves pods running in a
cluster, is treated as `Running`: a process that nobody watches is of no use to anyone.
"""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from tfjob.backend import (
    ANYWHERE,
    Event,
    JobResult,
    LogLine,
    Placement,
    QuietWait,
    StatusChanged,
    Warned,
)
from tfjob.errors import JobCancelled, JobFailed, JobStalled
from tfjob.job import Manifest
from tfjob.job_run import MEASURED_GRACE_SECONDS, JobRun, is_success
from tfjob.launcher import Owner, Signalled, read_boot_id
from tfjob.local.folders import FolderMaker
from tfjob.local.machine import (
    Load,
    are_shared,
    find_gpus,
    give_cores,
    list_gpus,
    list_siblings,
    look,
    wait_until_quiet,
)
from tfjob.local.processes import (
    Exited,
    Isolation,
    Keeper,
    LogBroken,
    Message,
    ReplicaProcess,
    kill_strays,
    make_mark,
    read_lives,
    start_keeper,
)
from tfjob.local.replica import ReplicaRun, prepare_replicas
from tfjob.policy import (
    RETRYABLE_EXIT_CODE,
    exceeds_backoff_limit,
    outcome_of_exit,
    restart_delay_seconds,
)
from tfjob.signs import SILENT_SECONDS, STALL_SECONDS, Life, SignWatch
from tfjob.spec import RestartPolicy

_OWNER_CHECK_SECONDS = 0.5
_KILL_SECONDS = 5.0
# Messages that are taken between two looks at limits.
_AT_ONCE = 1_000
_STOPPED_BY_US = frozenset({128 + signal.SIGTERM, 128 + signal.SIGKILL})


@dataclass(frozen=True, kw_only=True)
class LocalBackend:
    """Runs a TFJob on this machine.

    Args:
        owner: The process whose end cancels the job.
        grace_seconds: How long a replica may take to end when asked to, before it is killed.
        restart_delay: How long a replica waits for its restart, by restart policy and number of earlier restarts.
        clock: Monotonic seconds.
        gpus: Lists the GPUs that there are.
        look: Looks what takes this machine's CPUs.
        isolation: Whether the replicas of a job run in a network that only they are in.
        folder: Where a person's program is at home; None: where this process is.
        silent_seconds: How long a replica may be stopped before it is ended.
        stall_seconds: How long no replica may move.
    """

    owner: Owner | None = None
    grace_seconds: float = 5.0
    restart_delay: Callable[[RestartPolicy, int], float] = restart_delay_seconds
    clock: Callable[[], float] = time.monotonic
    gpus: Callable[[], Sequence[str]] = list_gpus
    look: Callable[..., Load | None] = look
    isolation: Isolation = "auto"
    folder: Path | None = None
    silent_seconds: float = SILENT_SECONDS
    stall_seconds: float = STALL_SECONDS

    def run(
        self,
        manifest: Manifest,
        *,
        log_dir: Path,
        on_event: Callable[[Event], None],
        placement: Placement = ANYWHERE,
        is_measured: Callable[[], bool] | None = None,
    ) -> JobResult:
        """Returns when the job has succeeded; see `Backend`."""
        with start_keeper(self.isolation) as guard:
            job_run = _JobRun(
                backend=self,
                guard=guard,
                placement=placement,
                manifest=manifest,
                log_dir=log_dir,
                on_event=on_event,
                clock=self.clock,
                is_measured=is_measured,
            )
            return job_run.see_through()


@dataclass(kw_only=True)
class _JobRun(JobRun[Message]):
    sees_itself: ClassVar[bool] = True
    backend: LocalBackend
    guard: Keeper
    placement: Placement
    quiet: QuietWait | None = None
    shares_gpus: bool = False
    gpus_held: int = 0
    queue_seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        cpus = {replica.name: replica.cpus for replica in self.job.replicas}
        self.assignment, self.warnings = give_cores(cpus, self.placement.first_core)
        asked = {replica.name: replica.gpus for replica in self.job.replicas}
        may_share, may_lack = self.placement.may_share_gpus, self.job.is_foreign
        gpus = find_gpus(asked, self.backend.gpus, may_share=may_share, may_lack=may_lack)
        if any(asked.values()) and not any(gpus.values()):
            self.warnings.append("the manifest asks for GPUs, and this machine has none: the training did without")
        self.shares_gpus, self.gpus_held = are_shared(gpus), len({gpu for own in gpus.values() for gpu in own})
        if self.shares_gpus:
            self.warnings.append("replicas share a GPU: timings are contended")
        self.replicas = prepare_replicas(self.job, self.manifest, self.assignment, gpus, self.log_dir)
        self.next_owner_check = self.submitted
        self.folders = FolderMaker(self.backend.folder or Path.cwd(), self.log_dir.with_name("work"))
        self.mark = make_mark()
        self.signs = SignWatch(
            self.signs_folder,
            [*self.replicas],
            sees_itself=True,
            silent_seconds=self.backend.silent_seconds,
            stall_seconds=self.backend.stall_seconds,
        )

    def run_until_success(self) -> None:
        self._report_created()
        if self.job.is_foreign:
            for run in self.replicas.values():
                run.settle(self.folders.make(run.replica.name), self.mark)
        self.quiet = self._wait_until_quiet()
        self.start_clock()
        for run in self.replicas.values():
            run.log_path.unlink(missing_ok=True)
            self._start(run)
        self.queue_seconds = self.clock() - self.submitted
        self.on_event(StatusChanged("Running", f"{len(self.replicas)} replica(s) of job {self.job.name} run"))
        while not (self.look_whether_measured() or self._has_succeeded()):
            self._check_limits()
            self._handle(self.receive(self._seconds_to_next_moment()))
            for _ in range(min(self.inbox.qsize(), _AT_ONCE)):
                self._handle(self.receive(0.0))
            self._restart_due()
        if not self.was_ended:
            self.total_seconds = self.clock() - self.submitted
        self.on_event(StatusChanged("Succeeded", self.describe_success()))

    def stop(self) -> None:
        """Ends what still runs: first asks, then kills."""
        try:
            for process in self._running():
                process.terminate()
            self._wait_for_ends(MEASURED_GRACE_SECONDS if self.was_ended else self.backend.grace_seconds)
        finally:
            for process in self._running():
                process.kill()
        self._wait_for_ends(_KILL_SECONDS)
        if self.job.is_foreign:
            kill_strays(self.mark)
            self.folders.remove()

    def result(self) -> JobResult:
        return JobResult(
            job_name=self.job.name,
            backend="local",
            queue_seconds=self.queue_seconds,
            schedule_seconds=0.0,
            pull_seconds=0.0,
            total_seconds=self.total_seconds,
            contended=self.assignment.is_contended or self.shares_gpus,
            warnings=self.warnings,
            replicas=[run.result() for run in self.replicas.values()],
            started_at=self.submitted_at,
            ended_at=self.submitted_at + self.total_seconds,
            boot_id=read_boot_id(),
            started_monotonic=self.submitted,
            ended_monotonic=self.submitted + self.total_seconds,
            quiet=self.quiet,
            isolated=self.guard.is_isolating,
            was_ended=self.was_ended,
            gpus_held=self.gpus_held,
        )

    def _report_created(self) -> None:
        names = ", ".join(self.replicas)
        network = "in a network of their own" if self.guard.is_isolating else "open to this machine's network"
        self.on_event(StatusChanged("Created", f"job {self.job.name} on this machine, {network}: {names}"))
        for warning in self.warnings:
            self.on_event(Warned(warning))

    def _wait_until_quiet(self) -> QuietWait | None:
        patience_seconds, owner = self.placement.patience_seconds, self.backend.owner
        cores = {core for own in self.assignment.cores.values() for core in own}
        if patience_seconds is None or not cores:
            return None
        return wait_until_quiet(
            list_siblings(cores),
            patience_seconds,
            look=partial(self.backend.look, pause=self._pause, owner=None if owner is None else owner.pid),
            clock=self.clock,
            tell=lambda message: self.on_event(StatusChanged("Queued", f"job {self.job.name} {message}")),
            warn=self._warn,
        )

    def _pause(self, seconds: float) -> None:
        """Waits, with an ear for signals and an eye on the owner."""
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            self._check_owner()
            self._handle(self.receive(min(left, _OWNER_CHECK_SECONDS)))

    def _warn(self, message: str) -> None:
        self.warnings = [*self.warnings, message]
        self.on_event(Warned(message))

    def _start(self, run: ReplicaRun) -> None:
        run.forget()
        self.signs.forget(run.replica.name)
        run.process = ReplicaProcess(
            run.replica.name,
            run.command,
            env=run.env,
            folder=run.folder,
            cores=run.cores,
            log_path=run.log_path,
            inbox=self.inbox,
            guard=self.guard,
        )
        run.started_at = run.started_at or time.time()

    def _restart_due(self) -> None:
        now = self.clock()
        for run in self.replicas.values():
            if run.restart_at is not None and run.restart_at <= now:
                self._start(run)

    def _has_succeeded(self) -> bool:
        return is_success(self.job, [name for name, run in self.replicas.items() if run.is_done])

    def _check_limits(self) -> None:
        if self.clock() >= self._deadline:
            running = {name: run.last_lines for name, run in self.replicas.items() if not run.is_done}
            raise self.deadline_exceeded(running)
        self._check_owner()
        self._check_signs()

    def _check_signs(self) -> None:
        """Ends replicas that are stopped: what follows is what follows the end of any replica.

        A job that tells no places is a person's own. Who stops a replica of it is told what is seen, and may go on.
        """
        if (suspicion := self.take_look()) is None:
            return
        if not suspicion.replicas:
            raise JobStalled(self.job.name, suspicion.reason)
        for run in map(self.replicas.__getitem__, suspicion.replicas):
            is_news = not run.suspicion
            run.suspicion = f"; it gave {suspicion.reason}"
            told = f"{run.replica.name} gives {suspicion.reason}"
            if self.signs_folder is not None and run.process is not None:
                self.on_event(Warned(f"{told}: it is ended"))
                run.process.kill()
            elif is_news:
                self.on_event(Warned(f"{told}: the job waits for who stopped it to continue it"))

    def read_lives(self) -> Mapping[str, Life]:
        groups = {name: run.process.group for name, run in self.replicas.items() if run.process is not None}
        return read_lives(groups, self.next_look)

    def _check_owner(self) -> None:
        owner = self.backend.owner
        if owner is not None and self.clock() >= self.next_owner_check:
            self.next_owner_check = self.clock() + _OWNER_CHECK_SECONDS
            if not owner.is_alive():
                raise JobCancelled(f"Job {self.job.name} was cancelled: process {owner.pid}, its owner, has ended.")

    @property
    def _deadline(self) -> float:
        return self.submitted + self.job.active_deadline_seconds

    def _seconds_to_next_moment(self) -> float:
        moments = [
            self._deadline,
            *self.moments_to_look(has_signs=True),
            *(run.restart_at for run in self.replicas.values() if run.restart_at is not None),
        ]
        if self.backend.owner is not None:
            moments.append(self.next_owner_check)
        return max(0.0, min(moments) - self.clock())

    def _handle(self, message: Message | Signalled | None) -> None:
        match message:
            case LogLine(replica, text):
                self.replicas[replica].last_lines.append(text)
                self.on_event(message)
            case LogBroken(replica, reason):
                self.on_event(Warned(f"no more of the log of {replica} is kept: {reason}"))
            case Exited(replica, exit_code):
                self._note_end(replica, exit_code)
                self._decide(self.replicas[replica], exit_code)
            case Signalled():
                message.raise_as_error(self.job.name)

    def hear_while_stopping(self, message: Message | Signalled) -> None:
        match message:
            case LogLine():
                self.on_event(message)
            case Exited(replica, exit_code):
                self._note_end(replica, None if exit_code in _STOPPED_BY_US else exit_code)
            case _:
                super().hear_while_stopping(message)

    def _note_end(self, replica: str, exit_code: int | None) -> None:
        run = self.replicas[replica]
        if run.process is not None:
            self.guard.release(run.process.group)
        run.process = None
        run.exit_code = exit_code
        run.ended_at = time.time()

    def _decide(self, run: ReplicaRun, exit_code: int) -> None:
        end = run.describe_end(exit_code)
        if exit_code == RETRYABLE_EXIT_CODE:
            end += self.name_quiet_peers(run.replica.name)
        match outcome_of_exit(run.replica.restart_policy, exit_code):
            case "succeeded":
                run.is_done = True
            case "failed":
                raise self._failure(run, f"{end}, restart policy {run.replica.restart_policy}")
            case "restart":
                self._schedule_restart(run, end)

    def _schedule_restart(self, run: ReplicaRun, end: str) -> None:
        delay = self.backend.restart_delay(run.replica.restart_policy, run.restarts)
        # The operator sees the count after the restart and deletes the pods; here the limit comes before it.
        restarts = [
            (other.replica.restart_policy, other.restarts + (other is run))
            for other in self.replicas.values()
            if not other.is_done
        ]
        if exceeds_backoff_limit(self.job.backoff_limit, restarts):
            limit = f"the job has reached its back-off limit of {self.job.backoff_limit}"
            raise self._failure(run, f"{end}, and {limit}")
        run.restarts += 1
        run.restart_at = self.clock() + delay
        ended = f"{run.replica.name} ended ({end})"
        self.on_event(StatusChanged("Restarting", f"{ended}; restart {run.restarts} in {delay:g} s"))

    def _failure(self, run: ReplicaRun, reason: str) -> JobFailed:
        return JobFailed(
            self.job.name,
            replica=run.replica.name,
            exit_code=run.exit_code,
            reason=reason,
            last_lines=run.last_lines,
        )

    def _running(self) -> list[ReplicaProcess]:
        return [run.process for run in self.replicas.values() if run.process is not None]

    def _wait_for_ends(self, seconds: float) -> None:
        limit = self.clock() + seconds
        while self._running() and (left := limit - self.clock()) > 0:
            message = self.receive(left)
            if message is not None:
                self.hear_while_stopping(message)
