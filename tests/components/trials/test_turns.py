import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.planning.order import DISTRIBUTED, SINGLE_NODE, Place, list_places
from components.trials.turns import NotTrainedError, Turns, name_step
from tests.components.plan_factory import make_plan
from tfjob.errors import JobCancelled, JobFailed, LauncherStopped, TFJobError

PLACES = list_places(make_plan())
PATIENCE_SECONDS = 120.0
QUICK: dict[str, Any] = {
    "poll_seconds": 0.005,
    "settle_seconds": 0.0,
    "patience_seconds": PATIENCE_SECONDS,
    "return_seconds": PATIENCE_SECONDS / 2,
}
WAITING = """
import sys
from pathlib import Path
from components.trials.turns import Turns
from tests.components.trials.test_turns import PLACES
turns = Turns(
    PLACES,
    "train-single-node-2",
    Path(sys.argv[1]),
    patience_seconds=3600.0,
    list_jobs=list,
    delete_jobs=list,
    poll_seconds=3600.0,
)
with turns.take(PLACES[-1]):
    print("trained")
"""


def make_turns(workspace: Path, step: str = "a-step", **options: Any) -> Turns:
    return Turns(PLACES, step, workspace, **{"list_jobs": list, "delete_jobs": list, **QUICK, **options})


def finish(workspace: Path, *places: Place) -> None:
    for place in places:
        (workspace / "finished" / place.name).mkdir(parents=True)


def leave_mark(workspace: Path, step: str, place: Place) -> None:
    with pytest.raises(ZeroDivisionError), make_turns(workspace, step).take(place):
        raise ZeroDivisionError


def wait_until(is_so: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.002)


class Attempt(threading.Thread):
    """Takes a turn in a thread of its own."""

    def __init__(self, turns: Turns, place: Place, train: Callable[[], None] = lambda: None) -> None:
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self.has_trained = False
        self._turns, self._place, self._train = turns, place, train
        self.start()

    def run(self) -> None:
        try:
            with self._turns.take(self._place):
                self._train()
                self.has_trained = True
        except (TFJobError, OSError) as error:
            self.error = error


def test_the_first_trial_waits_for_nothing_and_says_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    with make_turns(tmp_path, report=lines.append, settle_seconds=60.0).take(PLACES[0]):
        pass
    assert lines == []


def test_a_trial_waits_for_all_that_come_before_it_and_says_so_at_once_and_now_and_then(tmp_path: Path) -> None:
    lines: list[str] = []
    finish(tmp_path, *PLACES[:2])
    attempt = Attempt(make_turns(tmp_path, report=lines.append, tell_seconds=0.05), PLACES[4])
    wait_until(lambda: len(lines) > 1)
    assert lines[:2] == [f"{PLACES[4]}, waits for {PLACES[2]} and 1 more after it: 0 min"] * 2
    finish(tmp_path, PLACES[2])
    wait_until(lambda: lines[-1] == f"{PLACES[4]}, waits for {PLACES[3]}: 0 min")
    assert not attempt.has_trained
    finish(tmp_path, PLACES[3])
    attempt.join(PATIENCE_SECONDS)
    assert attempt.has_trained


def test_a_trial_that_had_to_wait_lets_the_step_before_it_store_its_models(tmp_path: Path) -> None:
    began = time.monotonic()
    lines: list[str] = []
    attempt = Attempt(make_turns(tmp_path, report=lines.append, settle_seconds=0.3), PLACES[1])
    wait_until(lambda: bool(lines))
    finish(tmp_path, PLACES[0])
    attempt.join(PATIENCE_SECONDS)
    assert attempt.has_trained
    assert time.monotonic() - began >= 0.3


def test_a_failure_ends_the_steps_that_wait_at_once_with_a_plain_sentence(tmp_path: Path) -> None:
    waiting = [Attempt(make_turns(tmp_path, f"step-{i}"), PLACES[i]) for i in (1, 3, 5)]
    failing = Attempt(make_turns(tmp_path, "failing"), PLACES[0], lambda: fail("single-t1"))
    for attempt in (failing, *waiting):
        attempt.join(PATIENCE_SECONDS)
    assert isinstance(failing.error, JobFailed)
    assert [str(attempt.error) for attempt in waiting] == [
        f"{PLACES[i]}, is not trained: single, trial 1, failed before. The log of its step says why." for i in (1, 3, 5)
    ]


def fail(job: str) -> None:
    raise JobFailed(job, replica="worker-0", exit_code=3, reason="exit code 3")


def test_a_mark_of_an_earlier_try_is_taken_away_by_the_step_that_is_tried_again(tmp_path: Path) -> None:
    leave_mark(tmp_path, "failing", PLACES[0])
    lines: list[str] = []
    waiting = Attempt(make_turns(tmp_path, "waiting", report=lines.append), PLACES[1])
    wait_until(lambda: bool(lines))
    assert waiting.error is None
    with make_turns(tmp_path, "failing").take(PLACES[0]):
        assert [*(tmp_path / "failed").iterdir()] == []
        finish(tmp_path, PLACES[0])
    waiting.join(PATIENCE_SECONDS)
    assert waiting.has_trained


def test_a_second_failure_of_a_step_is_told_apart_from_its_first(tmp_path: Path) -> None:
    leave_mark(tmp_path, "failing", PLACES[0])
    waiting = Attempt(make_turns(tmp_path, "waiting"), PLACES[1])
    leave_mark(tmp_path, "failing", PLACES[0])
    waiting.join(PATIENCE_SECONDS)
    assert isinstance(waiting.error, NotTrainedError)


def test_a_step_that_starts_after_the_failure_ends_when_the_failed_one_does_not_come_back(tmp_path: Path) -> None:
    leave_mark(tmp_path, "failing", PLACES[0])
    late = Attempt(make_turns(tmp_path, "late", return_seconds=0.1), PLACES[1])
    late.join(PATIENCE_SECONDS)
    assert isinstance(late.error, NotTrainedError)


def test_a_step_that_is_told_to_end_has_not_failed(tmp_path: Path) -> None:
    with pytest.raises(LauncherStopped), make_turns(tmp_path, "deleted").take(PLACES[0]):
        raise LauncherStopped("stopped")
    assert not (tmp_path / "failed").exists()


def test_a_job_that_somebody_deleted_is_a_failure_that_those_who_wait_are_told(tmp_path: Path) -> None:
    waiting = Attempt(make_turns(tmp_path, "waiting"), PLACES[1])
    with pytest.raises(JobCancelled), make_turns(tmp_path, "deleted").take(PLACES[0]):
        raise JobCancelled("Job single was deleted by somebody else.")
    waiting.join(PATIENCE_SECONDS)
    assert isinstance(waiting.error, NotTrainedError)
    assert "failed before" in str(waiting.error)


def test_a_cluster_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    answers: list[list[str] | None] = [None]
    lines: list[str] = []
    attempt = Attempt(make_turns(tmp_path, report=lines.append, list_jobs=lambda: answers[-1]), PLACES[0])
    wait_until(lambda: bool(lines))
    assert not attempt.has_trained
    assert lines == ["single, trial 1, waits for the API server's answer: 0 min"]
    answers.append([])
    attempt.join(PATIENCE_SECONDS)
    assert attempt.has_trained


def test_the_first_trial_does_not_begin_while_the_steps_of_other_iterations_start(tmp_path: Path) -> None:
    lines: list[str] = []
    first = Attempt(
        make_turns(tmp_path, name_step(PLACES[0]), report=lines.append, gather_seconds=600.0, settle_seconds=0.0),
        PLACES[0],
    )
    wait_until(lambda: bool(lines))
    assert lines == ["single, trial 1, waits for the start of 1 more steps: 0 min"]
    make_turns(tmp_path, "train-single-node-2")
    first.join(PATIENCE_SECONDS)
    assert first.has_trained


def test_the_first_trial_does_not_wait_for_ever_for_steps_that_do_not_start(tmp_path: Path) -> None:
    first = Attempt(make_turns(tmp_path, name_step(PLACES[0]), gather_seconds=0.1), PLACES[0])
    first.join(PATIENCE_SECONDS)
    assert first.has_trained


def test_nobody_is_waited_for_who_gives_no_sign_of_life(tmp_path: Path) -> None:
    waiting = Attempt(make_turns(tmp_path, patience_seconds=0.2), PLACES[1])
    waiting.join(PATIENCE_SECONDS)
    assert isinstance(waiting.error, NotTrainedError)
    assert "for 0 minutes nothing was finished and no step has renewed its heartbeat" in str(waiting.error)


class Looks:
    """A run as a step that waits sees it: a second passes with each look, and whoever lives has renewed its heartbeat.

    Args:
        workspace: The run's.
        lives_until: How many seconds somebody lives.
        ends_at: When the one trial before is finished; None for never.
    """

    def __init__(self, workspace: Path, lives_until: int, ends_at: int | None = None) -> None:
        self.second = 0
        self._workspace, self._lives_until, self._ends_at = workspace, lives_until, ends_at

    def clock(self) -> float:
        return float(self.second)

    def look(self) -> None:
        self.second += 1
        if self.second <= self._lives_until:
            (self._workspace / "heartbeat").write_text(str(self.second))
        if self.second == self._ends_at:
            finish(self._workspace, PLACES[0])


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_step_that_lives_is_waited_for_however_long_its_job_queues(tmp_path: Path, is_alive: bool) -> None:
    looks = Looks(tmp_path, lives_until=200 if is_alive else 3, ends_at=200)
    turns = make_turns(
        tmp_path, patience_seconds=50, tell_seconds=1, report=lambda _: looks.look(), clock=looks.clock, poll_seconds=0
    )
    waiting = Attempt(turns, PLACES[1])
    waiting.join(PATIENCE_SECONDS)
    assert waiting.has_trained == is_alive
    assert isinstance(waiting.error, NotTrainedError) != is_alive
    assert looks.second == (200 if is_alive else 3 + 50)


def test_no_trial_begins_while_another_job_of_the_run_exists(tmp_path: Path) -> None:
    lines: list[str] = []
    jobs = ["left-job"]
    attempt = Attempt(make_turns(tmp_path, report=lines.append, list_jobs=lambda: jobs), PLACES[0])
    wait_until(lambda: bool(lines))
    assert not attempt.has_trained
    assert lines == ["single, trial 1, waits for the end of TFJob left-job: 0 min"]
    jobs.clear()
    attempt.join(PATIENCE_SECONDS)
    assert attempt.has_trained


def test_a_job_whose_launcher_was_killed_is_deleted_and_one_whose_launcher_lives_is_not(tmp_path: Path) -> None:
    looks = Looks(tmp_path, lives_until=100)
    jobs = {"suspended-job": looks.second}
    deleted_at: list[int] = []

    def list_jobs() -> list[str]:
        looks.look()
        return [*jobs]

    def delete_jobs() -> None:
        jobs.clear()
        deleted_at.append(looks.second)

    options: dict[str, Any] = {"patience_seconds": 900, "left_seconds": 50, "poll_seconds": 0, "clock": looks.clock}
    turns = make_turns(tmp_path, list_jobs=list_jobs, delete_jobs=delete_jobs, **options)
    attempt = Attempt(turns, PLACES[0])
    attempt.join(PATIENCE_SECONDS)
    assert attempt.has_trained
    assert [100 + 50 <= second <= 100 + 50 + 2 for second in deleted_at] == [True]


def test_a_signal_ends_a_step_that_waits_at_once(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", WAITING, tmp_path], cwd=root, stdout=-1, stderr=-1, text=True) as step:
        assert step.stdout is not None
        assert "waits for single, trial 1 and 4 more" in step.stdout.readline()
        step.send_signal(signal.SIGTERM)
        _, errors = step.communicate(timeout=600)  # it would look again in an hour
    assert f"Job {PLACES[-1].name} was cancelled: this process received SIGTERM." in errors


class ClockOfLooks:
    """A clock on which no more time passes between two readings than between two looks, however busy the machine."""

    def __init__(self) -> None:
        self._now, self._read_at = 0.0, time.monotonic()

    def __call__(self) -> float:
        before, self._read_at = self._read_at, time.monotonic()
        self._now += min(self._read_at - before, QUICK["poll_seconds"])
        return self._now


class Cluster:
    """Steps as KFP starts them: all iterations side by side, what has failed again after a Retry."""

    def __init__(self, workspace: Path, places: Sequence[Place], dice: random.Random) -> None:
        self.workspace, self.places, self.dice = workspace, places, dice
        self.log: list[str] = []
        self.failed: list[str] = []
        self.succeeded: set[tuple[int, str]] = set()

    def train(self, place: Place) -> None:
        # Nobody else is here: the file could not be made otherwise.
        os.close(os.open(self.workspace / "training", os.O_CREAT | os.O_EXCL))
        time.sleep(self.dice.random() * 0.004)
        (self.workspace / "training").unlink()
        if self.dice.random() < 0.15:
            self.failed.append(place.name)
            fail(place.name)
        self.log.append(place.name)
        finish(self.workspace, place)

    def run_iteration(self, iteration: int) -> None:
        for step in (SINGLE_NODE, DISTRIBUTED):
            if (iteration, step) in self.succeeded:
                continue
            time.sleep(self.dice.random() * 0.03)  # a pod starts when it does
            try:
                options = QUICK | {"return_seconds": 1.0, "clock": ClockOfLooks()}
                turns = Turns(
                    self.places,
                    f"{step}-{iteration}",
                    self.workspace,
                    list_jobs=list,
                    delete_jobs=lambda: None,
                    **options,
                )
                for place in self.places:
                    if (place.iteration, place.step) == (iteration, step):
                        with turns.take(place):
                            if not (self.workspace / "finished" / place.name).exists():
                                self.train(place)
            except TFJobError:
                return  # what comes after it in the iteration does not start
            self.succeeded.add((iteration, step))

    def run_until_all_have_ended(self) -> None:
        iterations = [*{place.iteration for place in self.places}]
        self.dice.shuffle(iterations)
        threads = [threading.Thread(target=self.run_iteration, args=(n,), daemon=True) for n in iterations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("cleans_up", "trials", "steps"), [(True, 6, 8), (False, 5, 8)])
def test_trials_never_overlap_and_keep_their_order_through_failures_and_retries(
    tmp_path: Path, seed: int, cleans_up: bool, trials: int, steps: int
) -> None:
    places = list_places(make_plan(trials=trials, seed=seed))
    cluster = Cluster(tmp_path, places, random.Random(seed))
    tries = 0
    while len(cluster.succeeded) < steps:
        tries += 1
        failures = len(cluster.failed)
        cluster.run_until_all_have_ended()
        assert len(cluster.failed) - failures <= 1  # one failure ends a try
        if cleans_up and (tmp_path / "failed").exists():
            for mark in (tmp_path / "failed").iterdir():
                mark.unlink()
    assert cluster.log == [place.name for place in places]
    assert tries == len(cluster.failed) + 1
