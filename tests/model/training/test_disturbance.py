import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from model.training.disturbance import (
    BUSY,
    MAX_READINGS,
    OWN,
    PRESSURE,
    RAN,
    STEAL,
    WAITED,
    Counters,
    Disturbance,
    Machine,
    ServerWatch,
    add_others,
    describe,
    measure_others,
    subtract,
)

TICKS = os.sysconf("SC_CLK_TCK")
SECOND = 10**9


class FakeMachine:
    """A root folder as Linux shows it, whose figures are set."""

    def __init__(self, root: Path, **groups: str) -> None:
        self.root = root
        (root / "proc/self/task").mkdir(parents=True)
        self.write("proc/sys/kernel/random/boot_id", "boot-1\n")
        self.write("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
        self.write("proc/self/cgroup", "0::/\n")
        for name, text in groups.items():
            self.write(name, text)
        self.set_cores([0, 0])

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def set_threads(self, threads: Mapping[int, tuple[int, int]]) -> None:
        for folder in (self.root / "proc/self/task").iterdir():
            (folder / "schedstat").unlink()
            folder.rmdir()
        for thread, (ran, waited) in threads.items():
            self.write(f"proc/self/task/{thread}/schedstat", f"{ran * SECOND} {waited * SECOND} 7\n")

    def set_cores(self, busy: list[int], steal: int = 0) -> None:
        """Sets the seconds that each core was busy, in equal parts as user, nice and system."""
        rows = [
            f"cpu{core} {seconds * TICKS} 0 0 99 99 9999 9999 {steal * TICKS} 0 0" for core, seconds in enumerate(busy)
        ]
        self.write("proc/stat", "\n".join(["cpu 1 1 1 1 1 1 1 1 0 0", *rows, "intr 5 0 0", "ctxt 1", ""]))

    def set_pressure(self, seconds: int, file: str = "proc/pressure/cpu") -> None:
        some = f"some avg10=1.00 avg60=0.50 avg300=0.10 total={seconds * 10**6}"
        self.write(file, f"{some}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n")


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def read_figures(before: Counters, machine: Machine) -> dict[str, Any]:
    return describe(subtract(machine.read(), before), machine)


def test_the_waiting_is_that_of_the_thread_that_ran_most_and_of_all_together(fake: FakeMachine) -> None:
    fake.set_threads({1: (100, 50), 2: (10, 1)})
    machine = Machine(fake.root, cores=[0])
    before = machine.read()
    fake.set_threads({1: (101, 53), 2: (20, 5)})
    figures = read_figures(before, machine)
    assert figures["waited_seconds"] == pytest.approx(4)
    assert figures["waited_all_seconds"] == pytest.approx(7)


def test_threads_that_are_new_count_from_their_start_and_those_that_are_gone_no_longer(fake: FakeMachine) -> None:
    fake.set_threads({1: (100, 50), 2: (10, 1)})
    machine = Machine(fake.root, cores=[0])
    before = machine.read()
    fake.set_threads({1: (101, 50), 3: (4, 2)})
    figures = read_figures(before, machine)
    assert (figures["waited_seconds"], figures["waited_all_seconds"]) == pytest.approx((2, 2))
    fake.set_threads({1: (2, 1), 3: (4, 2)})  # another thread has got the number
    assert subtract(machine.read(), before)[RAN, 1] == pytest.approx(2)


def test_only_the_own_cores_count_and_no_interrupts(fake: FakeMachine) -> None:
    machine = Machine(fake.root, cores=[1])
    before = machine.read()
    fake.set_cores([50, 7], steal=2)
    figures = read_figures(before, machine)
    assert figures["load"]["busy_seconds"] == pytest.approx(7)
    assert figures["steal_seconds"] == pytest.approx(2)
    assert figures["load"]["cores"] == [1]
    assert figures["load"]["machine"] == "boot-1"


def test_what_was_stolen_never_falls(fake: FakeMachine) -> None:
    fake.set_cores([50, 7], steal=2)
    machine = Machine(fake.root, cores=[1])
    before = machine.read()
    fake.set_cores([50, 7], steal=1)
    assert read_figures(before, machine)["steal_seconds"] == 0


@pytest.mark.parametrize(
    ("membership", "file"),
    [
        ("0::/\n", "proc/pressure/cpu"),
        ("0::/\n", "sys/fs/cgroup/cpu.pressure"),
        ("0::/user/job\n", "sys/fs/cgroup/user/job/cpu.pressure"),
        ("4:cpu,cpuacct:/\n0::/job\n", "sys/fs/cgroup/unified/job/cpu.pressure"),
    ],
)
def test_pressure_is_that_of_the_own_control_group_or_else_of_the_machine(
    fake: FakeMachine, membership: str, file: str
) -> None:
    fake.write("proc/self/cgroup", membership)
    fake.set_pressure(3, file)
    machine = Machine(fake.root, cores=[0])
    before = machine.read()
    fake.set_pressure(5, file)
    assert read_figures(before, machine)["pressure_seconds"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("groups", "is_own"),
    [
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, True),
        ({"sys/fs/cgroup/cpu.max": "200000 100000\n"}, True),
        ({"sys/fs/cgroup/cpu.max": "100000 100000\n"}, False),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, True),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, False),
    ],
)
def test_what_others_do_on_the_cores_of_a_node_is_none_of_a_container_that_has_a_share_of_them(
    tmp_path: Path, groups: dict[str, str], is_own: bool
) -> None:
    fake = FakeMachine(tmp_path, **groups)
    machine = Machine(fake.root, cores=[0, 1])
    figures = read_figures(machine.read(), machine)
    assert (figures["steal_seconds"] is not None) is is_own
    assert (figures["load"]["busy_seconds"] is not None) is is_own


def test_a_machine_that_tells_nothing_gives_null(tmp_path: Path) -> None:
    disturbance = Disturbance(Machine(tmp_path, cores=[0]))
    with disturbance.measure():
        pass
    figures = disturbance.to_json()
    load = figures.pop("load")
    assert set(figures.values()) == {None}
    assert (load["machine"], load["busy_seconds"]) == (None, None)
    assert measure_others(load, []) is None


def test_a_kernel_that_does_not_count_is_no_machine_without_waiting(fake: FakeMachine) -> None:
    fake.set_threads({1: (0, 0), 2: (0, 0)})
    machine = Machine(fake.root, cores=[0])
    assert read_figures(machine.read(), machine)["waited_seconds"] is None


def test_a_core_that_is_not_told_is_no_idle_one(fake: FakeMachine) -> None:
    machine = Machine(fake.root, cores=[0, 5])
    assert read_figures(machine.read(), machine)["steal_seconds"] is None


def test_only_what_happens_while_the_clock_runs_is_added_up(fake: FakeMachine) -> None:
    times = map(float, itertools.count(1))
    disturbance = Disturbance(Machine(fake.root, cores=[0]), lambda: next(times))
    for busy in (10, 30):
        fake.set_cores([busy])
        with disturbance.measure():
            fake.set_cores([busy + 1])
    assert disturbance.to_json()["load"]["busy_seconds"] == pytest.approx(2)
    assert disturbance.spans == [(1, 2), (3, 4)]


def test_what_a_training_that_fails_went_through_is_measured_too(fake: FakeMachine) -> None:
    disturbance = Disturbance(Machine(fake.root, cores=[0]))

    def diverge() -> None:
        fake.set_cores([3])
        raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"), disturbance.measure():
        diverge()
    assert disturbance.to_json()["load"]["busy_seconds"] == pytest.approx(3)


def serve(fake: FakeMachine, seconds: int, spans: list[tuple[float, float]]) -> dict[str, Any]:
    """Serves for so long on a core that is busy in every even second."""
    clock: Iterator[float] = itertools.count(0.0, 0.25)
    now = [0.0]
    watch = ServerWatch(fake.root / "finished", Machine(fake.root, cores=[0]), lambda: now[0])
    for now[0] in itertools.takewhile(lambda moment: moment < seconds, clock):
        fake.set_cores([int(now[0] + 1) // 2])
        assert not watch.is_finished()
    (fake.root / "finished").write_text(json.dumps(spans))
    assert watch.is_finished()
    return watch.to_json()


@pytest.mark.parametrize(
    ("spans", "busy"),
    [([], None), ([(2.0, 6.0)], 2.0), ([(0.0, 4.0), (6.0, 10.0)], 4.0), ([(1.5, 2.5)], 0.5), ([(-9.0, 99.0)], 5.0)],
)
def test_a_server_says_what_happened_while_the_chief_trained(
    fake: FakeMachine, spans: list[tuple[float, float]], busy: float | None
) -> None:
    figures = serve(fake, 11, spans)
    assert figures["load"]["busy_seconds"] == (busy if busy is None else pytest.approx(busy))


def test_a_server_keeps_a_bounded_number_of_readings_of_any_training(fake: FakeMachine) -> None:
    now = [0.0]
    watch = ServerWatch(fake.root / "finished", Machine(fake.root, cores=[0]), lambda: now[0])
    for second in range(4 * MAX_READINGS):
        now[0] = float(second)
        watch.is_finished()
        assert len(watch._times) <= MAX_READINGS
    assert watch._times[0] == 0
    assert watch._times[-1] >= 4 * MAX_READINGS - 8


def make_load(
    busy: float | None, own: float | None, cores: list[int] | None, machine: str = "boot-1"
) -> dict[str, Any]:
    return {"machine": machine, "cores": cores, "busy_seconds": busy, "own_seconds": own}


@pytest.mark.parametrize(
    ("peers", "others"),
    [
        ([], 6.0),
        ([make_load(9.0, 9.0, [1])], 6.0),  # on a core of its own
        ([make_load(10.0, 5.0, [0])], 1.0),
        ([make_load(10.0, 3.0, [0]), make_load(10.0, 4.0, [0])], 0.0),  # ticks are coarse
        ([make_load(20.0, 5.0, [0, 1])], None),  # on which of its cores?
        ([make_load(None, 5.0, None)], None),
        ([make_load(10.0, 5.0, [0], "boot-2")], 6.0),  # a core of the same number on another machine
    ],
)
def test_peers_on_the_same_cores_are_no_others(peers: list[dict[str, Any]], others: float | None) -> None:
    assert measure_others(make_load(10.0, 4.0, [0]), peers) == others


def test_who_has_all_cores_knows_what_its_peers_computed_on_some() -> None:
    assert measure_others(make_load(20.0, 4.0, [0, 1]), [make_load(9.0, 5.0, [0]), make_load(9.0, 6.0, [1])]) == 5.0


def test_the_load_is_not_on_record() -> None:
    replicas: list[dict[str, Any]] = [{"load": make_load(10.0, 4.0, [0])}, {"load": make_load(10.0, 5.0, [0])}]
    add_others(replicas)
    assert replicas == [{"others_cpu_seconds": 1.0}] * 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux tells")
def test_the_real_machine_is_read_in_little_time() -> None:
    machine = Machine()
    took = []
    for _ in range(20):
        began = time.thread_time()  # what other threads of this process compute is none of it
        counters = machine.read()
        took.append(time.thread_time() - began)
    assert min(took) < 0.02  # a process of tests has many more threads than one that trains
    assert counters[OWN, 0] > 0
    assert {kind for kind, _ in counters} <= {RAN, WAITED, PRESSURE, STEAL, BUSY, OWN}
    assert len([key for key in counters if key[0] == RAN]) >= 1
