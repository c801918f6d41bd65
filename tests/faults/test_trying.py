from pathlib import Path

import pytest

from model.prepare import prepare
from tests.faults.cells import Cell, choose_cells
from tests.faults.data import make_data
from tests.faults.trying import Site, train_undisturbed, try_cell

pytestmark = pytest.mark.slow

# All others, minutes each, are for `make test-faults`.
CELL = Cell("all_reduce", "worker-0", "before rendezvous", "SIGSTOP")


def test_a_training_that_was_hit_is_trained_anew_and_nothing_is_left(tmp_path: Path) -> None:
    assert CELL not in choose_cells()
    make_data(tmp_path / "patterns.npz")
    prepare(str(tmp_path / "patterns.npz"), tmp_path / "data")
    site = Site(tmp_path, tmp_path / "data", tmp_path / "patterns.npz", {})
    site.expected[CELL.strategy] = train_undisturbed(site, CELL.strategy)
    tried = try_cell(site, 1, CELL)
    assert (tried.outcome, tried.attempts, tried.num_left) == ("finished", 2, 0), tried
    assert tried.recovery_seconds < 120  # half a minute of silence, and what a busy machine takes
    assert "worker-0 ended (exit code 137, killed by SIGKILL; it gave no sign of life for " in tried.words
