from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tfjob.signs import Life, SignWatch, Suspicion, read_lives

NAMES = ("worker-0", "worker-1")


@dataclass
class Job:
    """Two replicas that a launcher looks at every five seconds."""

    folder: Path
    sees_itself: bool = False
    now: float = 100.0
    count: int = 0
    cpu: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    silent: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    held_up: set[str] = field(default_factory=set)
    waited: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    absent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.watch = SignWatch(self.folder, NAMES, sees_itself=self.sees_itself)
        self.counts = dict.fromkeys(NAMES, 0)

    def say(self, place: str, names: Iterable[str] = NAMES) -> None:
        for name in names:
            (self.folder / f"{name}.place").write_text(f"{place}\n")

    def look(self, after: float = 5.0) -> Suspicion | None:
        self.now += after
        for name in NAMES:
            self.counts[name] += name not in self.silent
            self.cpu[name] += 0.0 if name in self.idle | self.silent | self.stopped else after
            self.waited[name] += 0.9 * after if name in self.held_up else 0.1 * after
        lives = {
            name: Life(self.counts[name], name in self.stopped, self.cpu[name], self.waited[name])
            for name in NAMES
            if name not in self.absent
        }
        return self.watch.look(lives, self.now)

    def look_until_suspicion(self, most_seconds: float = 600.0) -> tuple[float, Suspicion | None]:
        began = self.now
        while self.now - began < most_seconds:
            if suspicion := self.look():
                return self.now - began, suspicion
        return self.now - began, None


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job(tmp_path)
    job.look()
    return job


def test_a_replica_that_falls_silent_beside_another_is_suspected_by_name_in_half_a_minute(job: Job) -> None:
    job.silent = {"worker-1"}
    assert job.look_until_suspicion() == (30.0, Suspicion(("worker-1",), "no sign of life for 30 s"))


def test_a_stopped_replica_is_suspected_though_who_tells_of_it_lives(job: Job) -> None:
    job.stopped = {"worker-0"}
    seconds, suspicion = job.look_until_suspicion()
    assert (seconds, suspicion) == (
        30.0,
        Suspicion(("worker-0",), "no sign of life for 30 s (stopped, as by SIGSTOP)"),
    )


def test_replicas_that_are_all_stopped_are_all_named(job: Job) -> None:
    job.stopped = {*NAMES}
    _, suspicion = job.look_until_suspicion()
    assert suspicion is not None
    assert suspicion.replicas == NAMES


def test_where_all_fall_silent_the_volume_may_be_slow_and_they_get_a_minute(job: Job) -> None:
    job.silent = {*NAMES}
    seconds, suspicion = job.look_until_suspicion()
    assert seconds == 60.0
    assert suspicion is not None
    assert suspicion.replicas == NAMES


def test_a_pause_of_eight_seconds_is_no_suspicion(job: Job) -> None:
    for _ in range(20):
        job.stopped = {"worker-1"}
        assert job.look(after=8.0) is None
        job.stopped = set()
        assert job.look() is None


def test_a_launcher_that_was_held_up_itself_blames_nobody(job: Job) -> None:
    job.say("training, step 1")
    job.silent, job.idle = {"worker-1"}, {*NAMES}
    for _ in range(5):
        assert job.look() is None
    assert job.look(after=3600.0) is None
    job.silent, job.idle = set(), set()
    assert job.look_until_suspicion() == (600.0, None)


def test_a_job_that_moves_or_computes_is_never_suspected(job: Job) -> None:
    job.say("compiling")
    assert job.look_until_suspicion() == (600.0, None)
    job.idle = {*NAMES}
    for step in range(100):
        job.say(f"training, step {step}", ["worker-0"])
        assert job.look() is None


def test_one_that_computes_lets_the_others_wait(job: Job) -> None:
    job.say("evaluating after step 9")
    job.idle = {"worker-0"}
    assert job.look_until_suspicion() == (600.0, None)


def test_one_that_is_ready_and_gets_no_core_is_held_up_by_the_machine_and_not_suspected(job: Job) -> None:
    job.say("compiling")
    job.idle, job.held_up = {*NAMES}, {"worker-0"}
    assert job.look_until_suspicion() == (600.0, None)
    job.held_up = set()
    assert job.look_until_suspicion()[0] == 45.0


def test_replicas_that_live_and_do_not_move_have_lost_each_other(job: Job) -> None:
    job.say("training, step 3")
    job.look()
    job.idle = {*NAMES}
    seconds, suspicion = job.look_until_suspicion()
    assert seconds == 45.0
    assert suspicion == Suspicion(
        (),
        "no replica has moved or computed for 45 s, though all live "
        "(worker-0: training, step 3; worker-1: training, step 3)",
    )


@pytest.mark.parametrize("place", ["building", "saving after step 9", "ending"])
def test_a_replica_may_wait_for_a_download_or_a_slow_volume(job: Job, place: str) -> None:
    job.say("training, step 3")
    job.say(place, ["worker-0"])
    job.idle = {*NAMES}
    assert job.look_until_suspicion() == (600.0, None)


def test_a_volume_that_takes_no_signs_of_life_either_is_waited_for_a_minute_even_by_who_saves(job: Job) -> None:
    job.say("saving after step 9")
    job.silent = {*NAMES}
    seconds, suspicion = job.look_until_suspicion()
    assert seconds == 60.0
    assert suspicion == Suspicion(NAMES, "no sign of life for 60 s")


def test_a_replica_that_waits_for_one_that_has_not_told_its_place_waits_as_long_as_that_takes(job: Job) -> None:
    job.say("meeting the others", ["worker-0"])
    job.idle = {*NAMES}
    assert job.look_until_suspicion() == (600.0, None)


def test_a_replica_waits_as_long_as_it_takes_for_one_whose_node_or_image_is_still_to_come(tmp_path: Path) -> None:
    job = Job(tmp_path, absent={"worker-1"}, idle={*NAMES})
    job.say("meeting the others", ["worker-0"])
    assert job.look_until_suspicion() == (600.0, None)
    job.absent = set()
    job.say("meeting the others")
    assert job.look_until_suspicion()[0] == 50.0


def test_a_replica_that_has_ended_is_not_waited_for(job: Job) -> None:
    job.say("training, step 3")
    job.look()
    job.absent, job.idle = {"worker-1"}, {*NAMES}
    assert job.look_until_suspicion()[0] == 45.0


def test_a_replica_that_was_started_again_begins_anew(job: Job) -> None:
    job.silent = {"worker-1"}
    for _ in range(5):
        job.look()
    job.watch.forget("worker-1")
    assert job.look_until_suspicion()[0] == 35.0


def test_what_was_seen_last_is_told_of_each_replica(job: Job) -> None:
    job.say("training, step 3", ["worker-0"])
    job.stopped = {"worker-1"}
    job.look()
    for _ in range(8):
        job.look()
    assert job.watch.describe("worker-0", job.now) == "training, step 3, for 0 s"
    assert job.watch.describe("worker-1", job.now) == "no sign of life for 45 s, its process is stopped"
    assert job.watch.describe("worker-2", job.now) == ""


def test_who_is_stopped_or_silent_as_another_one_ends_may_be_what_that_one_lost(job: Job) -> None:
    assert job.watch.describe_quiet("worker-0", job.now) == ""
    job.stopped = {"worker-1"}
    job.look(after=1.0)
    stopped = "worker-1 gave no sign of life for 1 s, its process is stopped"
    assert job.watch.describe_quiet("worker-0", job.now) == stopped
    assert job.watch.describe_quiet("worker-1", job.now) == ""
    job.stopped, job.silent = set(), {"worker-1"}
    assert job.look() is None
    assert job.watch.describe_quiet("worker-0", job.now) == ""
    job.look(after=4.0)
    assert job.watch.describe_quiet("worker-0", job.now) == "worker-1 gave no sign of life for 10 s"


def test_lives_are_read_as_the_schema_has_them_and_what_is_torn_is_no_sign(tmp_path: Path) -> None:
    (tmp_path / "worker-0.life").write_text("7 running 12.50 0.75\n")
    (tmp_path / "worker-1.life").write_text("8 stopped 0.25\n")
    (tmp_path / "worker-2.life").write_text("8 stop")
    (tmp_path / "worker-3.life").write_bytes(b"\xff\xfe 1 2")
    assert read_lives(tmp_path, [f"worker-{index}" for index in range(5)]) == {
        "worker-0": Life(7, is_stopped=False, cpu_seconds=12.5, waited_seconds=0.75),
        "worker-1": Life(8, is_stopped=True, cpu_seconds=0.25),
    }
