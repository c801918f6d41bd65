"""Taking turns: KFP starts the iterations of a loop side by side, and their trials run one after another all the same.

The plan gives each trial its place, and the workspace says how far the run has come: a step waits until every trial
whose place is before its own is finished. A limit on the loop would do that, too; but where one is compiled in, KFP's
Retry waits for ever: Argo counts what is left of the first try as the one iteration that may run.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from components.planning import FINISHED_FOLDER, HEARTBEAT_FILE, Place
from tfjob.errors import LauncherStopped, TFJobError
from tfjob.launch import print_line
from tfjob.launcher import Signalled, signals_to

# In the workspace: a file for each step that failed.
FAILED_FOLDER = "failed"
# A file for each step that has started.
PRESENT_FOLDER = "present"
POLL_SECONDS = 2.0
TELL_SECONDS = 300.0
# The step before still stores what it trained when its last trial is finished: that is not to be beside a timed one.
SETTLE_SECONDS = 10.0
# A failed step of an earlier try may come back so late after the others; then it takes its mark away.
RETURN_SECONDS = 180.0
# A launcher that lives renews its heartbeat every few seconds. Without it, replicas that run end by themselves after
# 60 s, and a job that is suspended or waits for its node never does.
LEFT_SECONDS = 120.0


def name_step(place: Place) -> str:
    """Returns the name of the step that trains a trial, which no other step of the run has."""
    return f"{place.step}-{place.iteration}"


class NotTrainedError(TFJobError):
    """A trial's turn does not come."""


class Turns:
    """The turns of one step's trials.

    Args:
        places: All trials of the run, in their order.
        step: The step's name, which no other step of the run has.
        workspace: Folder that all steps see.
        patience_seconds: How long nothing may move before the step gives up.
        list_jobs: Returns the TFJobs of the run that have not ended, None without an answer.
        delete_jobs: Deletes the TFJobs of the run: called where one is left and has no launcher any more.
        gather_seconds: How long the run's first trial waits for the steps that start side by side with its own.
        report: Gets a line now and then while the step waits.
        poll_seconds: How often it looks.
        tell_seconds: How often it says that it waits.
        settle_seconds: How long after the step before.
        return_seconds: How long the mark of a failed step is bearable that was there before this step.
        left_seconds: How long no step has renewed its heartbeat when a TFJob counts as left.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        places: Sequence[Place],
        step: str,
        workspace: Path,
        *,
        patience_seconds: float,
        list_jobs: Callable[[], Sequence[str] | None],
        delete_jobs: Callable[[], None],
        gather_seconds: float = 0.0,
        report: Callable[[str], None] = print_line,
        poll_seconds: float = POLL_SECONDS,
        tell_seconds: float = TELL_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
        return_seconds: float = RETURN_SECONDS,
        left_seconds: float = LEFT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._step, self._workspace = places, step, workspace
        self._patience_seconds, self._return_seconds = patience_seconds, return_seconds
        self._list_jobs, self._delete_jobs, self._report = list_jobs, delete_jobs, report
        self._left_seconds = left_seconds
        self._clock, self._began, self._gather_seconds = clock, clock(), gather_seconds
        self._poll_seconds, self._tell_seconds, self._settle_seconds = poll_seconds, tell_seconds, settle_seconds
        present = workspace / PRESENT_FOLDER
        present.mkdir(parents=True, exist_ok=True)
        (present / step).touch()
        self._mark = workspace / FAILED_FOLDER / step
        self._mark.unlink(missing_ok=True)
        # From an earlier try, or the step failed before this one had started: its own next try tells which.
        self._old_marks = self._read_marks()

    @contextlib.contextmanager
    def take(self, place: Place) -> Iterator[None]:
        """Waits for a trial's turn and lets its block run; where that fails, the steps that wait are told.

        Raises:
            NotTrainedError: The turn does not come.
            LauncherStopped: The step was told to end while it waited.
        """
        self._wait(place)
        try:
            yield
        except LauncherStopped:  # no failure: KFP starts a step anew whose pod was deleted
            raise
        except Exception:
            self._leave_mark(place)
            raise

    def _wait(self, place: Place) -> None:
        began = heard = self._clock()
        last_sign, tell_at = self._read_sign(), began
        with _ears(place) as pause:
            while obstacle := self._find_obstacle(place, self._clock() - heard):
                now = self._clock()
                if (sign := self._read_sign()) != last_sign:
                    last_sign, heard = sign, now
                self._check_hope(place, obstacle, now - heard)
                if now >= tell_at:
                    self._report(f"{place}, waits for {obstacle}: {(now - began) / 60:.0f} min")
                    tell_at = now + self._tell_seconds
                pause(self._poll_seconds)
            if tell_at > began:
                pause(self._settle_seconds)

    def _find_obstacle(self, place: Place, silent_seconds: float) -> str:
        """Returns what a trial has to wait for; nothing when it is its turn.

        What an earlier try of this step has left is ended: its launcher was killed, and nobody else waits for it.
        """
        finished = _list_names(self._workspace / FINISHED_FOLDER)
        before = self._places[: self._places.index(place)]
        if missing := [other for other in before if other.name not in finished]:
            more = f" and {len(missing) - 1} more after it" if missing[1:] else ""
            return f"{missing[0]}{more}"
        if place.name in finished:
            return ""
        jobs = self._list_jobs()
        if jobs is None:
            return "the API server's answer"
        if jobs and silent_seconds >= self._left_seconds:
            self._delete_jobs()
        return f"the end of TFJob {jobs[0]}" if jobs else self._find_absence(before)

    def _find_absence(self, before: Sequence[Place]) -> str:
        """Returns which steps the first trial has to wait for: their start would be on its clock, and on no other's."""
        if before or self._clock() - self._began >= self._gather_seconds:
            return ""
        first = self._places[0].step
        expected = {name_step(place) for place in self._places if place.step == first}
        absent = expected - _list_names(self._workspace / PRESENT_FOLDER)
        return f"the start of {len(absent)} more steps" if absent else ""

    def _check_hope(self, place: Place, obstacle: str, silent_seconds: float) -> None:
        comes_back_late = silent_seconds >= self._return_seconds
        if marks := [mark for mark in self._read_marks() if comes_back_late or mark not in self._old_marks]:
            failed = marks[0].partition("\n")[0]
            raise NotTrainedError(f"{place}, is not trained: {failed}, failed before. The log of its step says why.")
        if silent_seconds >= self._patience_seconds:
            raise NotTrainedError(
                f"{place}, is not trained: its step waits for {obstacle}, and for {silent_seconds / 60:.0f} minutes "
                "nothing was finished and no step has renewed its heartbeat. See which step or TFJob of this run hangs."
            )

    def _read_sign(self) -> object:
        """Returns what is another value whenever the run has moved."""
        return _list_names(self._workspace / FINISHED_FOLDER), _read(self._workspace / HEARTBEAT_FILE)

    def _read_marks(self) -> list[str]:
        """Returns what failed steps say: each which trial it was, and a number that no other try of it has."""
        folder = self._workspace / FAILED_FOLDER
        return [text for name in sorted(_list_names(folder)) if (text := _read(folder / name))]

    def _leave_mark(self, place: Place) -> None:
        with contextlib.suppress(OSError):  # the others give up later, and what failed is told
            self._mark.parent.mkdir(exist_ok=True)
            self._mark.write_text(f"{place}\n{time.time()}\n", encoding="utf-8")


@contextlib.contextmanager
def _ears(place: Place) -> Iterator[Callable[[float], None]]:
    """Lends a function that waits so many seconds, and ends at once with an error when this process is told to end."""
    inbox: SimpleQueue[Signalled] = SimpleQueue()

    def pause(seconds: float) -> None:
        with contextlib.suppress(Empty):
            inbox.get(timeout=seconds).raise_as_error(place.name)

    with signals_to(inbox.put):
        yield pause


def _list_names(folder: Path) -> frozenset[str]:
    """Returns what is in a folder; nothing where there is none, or it is out of reach for a while."""
    with contextlib.suppress(OSError):
        return frozenset(path.name for path in folder.iterdir())
    return frozenset()


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
