from pathlib import Path

import pytest

from tests.faults.cells import FAULTS, LAUNCHER, MOMENTS, REPLICAS, RUN, Cell, choose_cells, list_cells
from tests.faults.table import BEGIN, END, describe, is_good, render, write_into
from tests.faults.trying import Outcome, Tried, judge

CELL = Cell("all_reduce", "worker-1", "mid-epoch", "SIGKILL")


def make_tried(outcome: Outcome = "finished", seconds: float = 4.0, num_left: int = 0) -> Tried:
    return Tried(CELL, outcome, 2, seconds, num_left, "given up")


def test_the_matrix_hits_each_replica_launcher_and_run_at_each_moment_by_each_fault() -> None:
    cells = list(list_cells())
    targets = [(strategy, target) for strategy, names in REPLICAS.items() for target in (*names, LAUNCHER, RUN)]
    assert len(set(cells)) == len(cells) == len(targets) * len(MOMENTS) * len(FAULTS) == 144


def test_the_chosen_part_is_of_the_matrix_and_has_every_fault_moment_and_target_in_it() -> None:
    cells = choose_cells()
    assert set(cells) <= set(list_cells())
    assert len(set(cells)) == len(cells)
    assert {cell.fault for cell in cells} == set(FAULTS)
    assert {cell.moment for cell in cells} == set(MOMENTS)
    frozen = {(cell.strategy, cell.target) for cell in cells if (cell.moment, cell.fault) == ("mid-epoch", "SIGSTOP")}
    assert frozen == {(strategy, name) for strategy, names in REPLICAS.items() for name in names}
    assert {LAUNCHER, RUN} <= {cell.target for cell in cells}


@pytest.mark.parametrize(
    ("outcome", "good"), [("finished", True), ("reported", True), ("hung", False), ("lost", False)]
)
def test_what_hangs_or_is_lost_is_not_good(outcome: Outcome, good: bool) -> None:
    assert is_good([make_tried(), make_tried(outcome)]) is good


def test_a_training_that_ended_with_other_weights_than_an_undisturbed_one_is_not_good() -> None:
    assert is_good([make_tried(judge("a", expected="a"))])
    assert not is_good([make_tried(judge("b", expected="a"))])


def test_what_is_left_running_is_not_good() -> None:
    assert not is_good([make_tried(num_left=1)])


def test_counts_and_times_are_told() -> None:
    told = describe([make_tried(seconds=0.0), make_tried(seconds=3.0), make_tried(seconds=30.0), make_tried("hung")])
    assert told == (
        "4 cells: finished 3, reported 0, hung 1, lost 0, other result 0, not hit 0; left running 0.\n"
        "From the fault until another attempt began, or the failure was told: median 4 s, most 30 s (3 cells)."
    )


def test_the_table_replaces_what_was_between_its_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{BEGIN}\nobsolete\n{END}\n\nMore.\n")
    for _ in range(2):
        write_into(page, f"On a machine.\n\n{describe([make_tried()])}\n\n{render([make_tried()])}")
    text = page.read_text()
    assert text.startswith(f"# Page\n\n{BEGIN}\n\nOn a machine.\n\n1 cells: finished 1")
    assert "| all_reduce | worker-1 | mid-epoch | SIGKILL | finished | 2 | 4 | 0 |" in text
    assert text.endswith(f"\n\n{END}\n\nMore.\n")
    assert "obsolete" not in text
