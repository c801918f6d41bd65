import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tfjob.local.machine import available_cores
from tfjob.local.machine.load import OTHER_WORK, Load, look

# What a process's `stat` has between its name and the ticks in user and system mode, between these and the CPU.
BEFORE, BETWEEN = "S 1 7 7 0 -1 4194304 100 0 0 0", "0 0 20 0 1 0 1375649 3133440 379 18446744073709551615 " + "0 " * 12


class Machine:
    """The files of /proc that a look reads, of a machine with four CPUs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ticks = {cpu: [1000, 0, 500, 90000, 100, 0, 10, 0, 0, 0] for cpu in range(4)}
        self.processes: dict[int, tuple[str, int, int]] = {}
        self.write()

    def run(self, process: int, name: str, ticks: int, cpu: int, environment: str = "") -> None:
        """Lets a program have run for some ticks on a CPU."""
        self.processes[process] = (name, self.processes.get(process, ("", 0, 0))[1] + ticks, cpu)
        folder = self.root / f"proc/{process}"
        (folder / "task" / str(process)).mkdir(parents=True, exist_ok=True)
        (folder / "environ").write_text(environment)
        self.write()

    def pass_ticks(self, count: int, busy: dict[int, int]) -> None:
        """Lets time pass in which CPUs were busy for some of the ticks."""
        for cpu, states in self.ticks.items():
            states[0] += busy.get(cpu, 0)
            states[3] += count - busy.get(cpu, 0)
        self.write()

    def write(self) -> None:
        (self.root / "proc").mkdir(exist_ok=True)
        lines = [
            "cpu 1 2 3",
            *(f"cpu{cpu} {' '.join(map(str, states))}" for cpu, states in self.ticks.items()),
            "ctxt 5",
        ]
        (self.root / "proc/stat").write_text("\n".join(lines))
        for process, (name, ticks, cpu) in self.processes.items():
            text = f"{process} ({name}) {BEFORE} {ticks} 0 {BETWEEN}17 {cpu} 0 0 0"
            for path in (f"proc/{process}/stat", f"proc/{process}/task/{process}/stat"):
                (self.root / path).write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def look_at(machine: Machine, *cpus: int, meanwhile: Callable[[], object], owner: int | None = None) -> Load:
    load = look(cpus, 1.0, lambda _: meanwhile(), owner=owner, is_named=True, root=machine.root)
    assert load is not None
    return load


def test_a_cpus_busy_share_is_what_it_did_between_two_readings(machine: Machine) -> None:
    load = look_at(machine, 1, 3, meanwhile=lambda: machine.pass_ticks(100, {0: 100, 1: 25}))
    assert load.busy == {1: 0.25, 3: 0.0}


def test_who_takes_the_cpus_is_named_most_first_and_who_runs_elsewhere_is_not(machine: Machine) -> None:
    for process, name in ((20, "cc1plus"), (21, "chrome"), (22, "mine"), (23, "idle")):
        machine.run(process, name, 5000, 1)

    def work() -> None:
        machine.pass_ticks(100, {0: 90, 1: 80})
        machine.run(20, "cc1plus", 20, 1)
        machine.run(21, "chrome", 60, 1)
        machine.run(22, "mine", 90, 0)

    load = look_at(machine, 1, meanwhile=work)
    assert load.takers == {"chrome": pytest.approx(0.6), "cc1plus": pytest.approx(0.2)}


def test_what_ran_while_threads_were_read_does_not_make_more_than_there_is(machine: Machine) -> None:
    def work() -> None:
        machine.pass_ticks(100, {0: 80})
        machine.run(20, "cc1plus", 40, 0)
        machine.run(21, "chrome", 120, 0)

    assert look_at(machine, 0, meanwhile=work).takers == {"chrome": pytest.approx(0.6), "cc1plus": pytest.approx(0.2)}


def test_what_began_meanwhile_counts_whole(machine: Machine) -> None:
    def work() -> None:
        machine.pass_ticks(100, {2: 50})
        machine.run(30, "cc1", 50, 2)

    assert look_at(machine, 2, meanwhile=work).takers == {"cc1": pytest.approx(0.5)}


def test_what_belongs_to_a_run_is_told_apart_from_strangers(machine: Machine) -> None:
    def work() -> None:
        machine.pass_ticks(100, {0: 90})
        machine.run(40, "python", 30, 0, "PATH=/bin\0TFJOB_OWNER_PID=7\0")
        machine.run(41, "python", 20, 0, "TFJOB_OWNER_PID=8\0")
        machine.run(42, "python", 25, 0, "PATH=/bin\0")
        machine.run(7, "make run", 15, 0)  # the owner itself began without the mark

    assert look_at(machine, 0, meanwhile=work, owner=7).takers == {
        "python of this run": pytest.approx(0.3),
        "python": pytest.approx(0.25),
        "python of another run": pytest.approx(0.2),
        "make run of this run": pytest.approx(0.15),
    }


def test_work_that_cannot_be_seen_from_here_is_named_as_such(machine: Machine) -> None:
    load = look_at(machine, 0, meanwhile=lambda: machine.pass_ticks(100, {0: 70}))
    assert load.takers == {OTHER_WORK: pytest.approx(0.7)}


def test_the_reading_itself_is_not_blamed(machine: Machine) -> None:
    def work() -> None:
        machine.pass_ticks(100, {0: 2})
        machine.run(os.getpid(), "python", 40, 0)

    assert look_at(machine, 0, meanwhile=work).takers == {}


def test_a_programs_name_may_hold_brackets_and_nothing_that_a_terminal_obeys(machine: Machine) -> None:
    def work() -> None:
        machine.pass_ticks(100, {0: 50})
        machine.run(50, "a) R 1 (\x1b[2J", 50, 0)

    assert look_at(machine, 0, meanwhile=work).takers == {"a) R 1 (?[2J": pytest.approx(0.5)}


def test_a_process_that_ends_while_it_is_read_is_passed_over(machine: Machine) -> None:
    (machine.root / "proc/60").mkdir()
    assert look_at(machine, 0, meanwhile=lambda: machine.pass_ticks(100, {})).takers == {}


@pytest.mark.parametrize("text", [None, "", "cpu0 some words"])
def test_where_nothing_can_be_read_there_is_no_load(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/stat").write_text(text)
    assert look([0], 1.0, lambda _: None, root=tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_real_program_on_a_core_of_this_machine_is_found(tmp_path: Path) -> None:
    core, seen = available_cores()[-1], set()
    (tmp_path / "neighbour").symlink_to("/bin/sh")
    with subprocess.Popen([tmp_path / "neighbour", "-c", "while :; do :; done"]) as neighbour:
        os.sched_setaffinity(neighbour.pid, {core})
        for _ in range(60):  # on a busy machine it may get too little in one look
            load = look([core], 0.5, time.sleep, is_named=True)
            assert load is not None
            seen |= {name for name in load.takers if load.busy[core] > 0.5}
            if "neighbour" in seen:
                break
        neighbour.kill()
    assert "neighbour" in seen
