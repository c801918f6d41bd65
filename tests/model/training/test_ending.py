from collections.abc import Callable
from pathlib import Path

import pytest

from model.errors import PeerLost, TrainingOver
from model.training import record
from model.training.ending import meet_ending, note_complete
from model.training.record import finish
from model.training.role import Role

CHIEF, WORKER = (Role("all_reduce", "worker", index, num_workers=2, num_ps=0) for index in range(2))
PS_CHIEF = Role("parameter_server", "chief", 0, num_workers=1, num_ps=1, has_chief=True)
PS_WORKER = Role("parameter_server", "worker", 0, num_workers=1, num_ps=1, has_chief=True)
SINGLE = Role("single", "worker", 0, num_workers=1, num_ps=0)


class Clock:
    """Seconds that pass when somebody sleeps, with what happens meanwhile."""

    def __init__(self, event: Callable[[], object] = int, at: float = 10.0) -> None:
        self.now, self.event, self.at = 0.0, event, at

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.at:
            self.event()


def write_records(folder: Path, *names: str) -> None:
    (folder / "replicas").mkdir(exist_ok=True)
    for name in names:
        (folder / "replicas" / f"{name}.json").write_text("{}")


def meet(folder: Path, role: Role, clock: Clock | None = None) -> bool:
    clock = clock or Clock()
    return meet_ending(folder, role, "a", patience_seconds=45.0, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize("role", [CHIEF, WORKER, PS_CHIEF, PS_WORKER, SINGLE])
def test_at_the_beginning_of_a_training_nothing_is_waited_for(tmp_path: Path, role: Role) -> None:
    clock = Clock()
    assert not meet(tmp_path, role, clock)
    assert clock.now == 0


@pytest.mark.parametrize("role", [CHIEF, WORKER, PS_CHIEF, SINGLE])
def test_who_starts_again_when_all_is_done_has_nothing_to_do(tmp_path: Path, role: Role) -> None:
    note_complete(tmp_path, "a")
    assert meet(tmp_path, role)


@pytest.mark.parametrize("role", [CHIEF, SINGLE])
def test_a_training_of_other_settings_in_the_same_folder_is_another(tmp_path: Path, role: Role) -> None:
    note_complete(tmp_path, "b")
    assert not meet(tmp_path, role)
    assert not (tmp_path / "complete").exists()


def test_a_worker_that_was_lost_while_the_chief_ends_waits_for_its_last_word(tmp_path: Path) -> None:
    write_records(tmp_path, "worker-0")
    clock = Clock(lambda: note_complete(tmp_path, "a"))
    assert meet(tmp_path, WORKER, clock)
    assert clock.now == 10.0


def test_a_worker_goes_to_meet_a_chief_that_was_lost_too_and_begins_anew(tmp_path: Path) -> None:
    write_records(tmp_path, "worker-0", "worker-1")
    clock = Clock((tmp_path / "replicas" / "worker-0.json").unlink)
    assert not meet(tmp_path, WORKER, clock)
    assert clock.now == 10.0


def test_a_worker_waits_no_longer_than_the_chiefs_patience(tmp_path: Path) -> None:
    write_records(tmp_path, "worker-0")
    clock = Clock()
    assert not meet(tmp_path, WORKER, clock)
    assert clock.now == 45.0


@pytest.mark.parametrize(
    ("chief", "names"), [(CHIEF, ("worker-0", "worker-1")), (PS_CHIEF, ("chief-0", "worker-0", "ps-0"))]
)
def test_a_chief_that_was_lost_when_the_others_had_ended_says_so_and_the_next_start_goes_on(
    tmp_path: Path, chief: Role, names: tuple[str, ...]
) -> None:
    write_records(tmp_path, *names[:-1])
    clock = Clock(lambda: write_records(tmp_path, names[-1]))  # who is about to end
    with pytest.raises(TrainingOver, match="start the job anew"):
        meet(tmp_path, chief, clock)
    assert clock.now == 10.0
    assert not meet(tmp_path, chief)


def test_a_single_process_that_was_lost_before_its_record_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    write_records(tmp_path, "worker-0")
    clock = Clock()
    assert not meet(tmp_path, SINGLE, clock)
    assert clock.now == 0


def test_a_worker_does_not_end_well_where_another_has_not_come_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "RECORDS_PATIENCE_SECONDS", 0.0)
    write_records(tmp_path, "worker-1")
    with pytest.raises(PeerLost, match="only 1 of 2 replicas wrote their record"):
        finish(tmp_path, WORKER)
    finish(tmp_path, CHIEF)  # the training is there, whatever became of the other
    assert "only 1 of 2 replicas" in capsys.readouterr().out
