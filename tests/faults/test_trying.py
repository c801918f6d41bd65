from pathlib import Path

import pytest

from model.prepare import prepare
from tests.faults.cells import Cell, list_cuts
from tests.faults.data import make_data
from tests.faults.trying import Site, train_undisturbed, try_cell

pytestmark = pytest.mark.slow

FROZEN = [
    Cell("all_reduce", "worker-0", "before rendezvous", "SIGSTOP"),
    Cell("parameter_server", "worker-0", "mid-epoch", "SIGSTOP"),
]
CUTS = [cell for cell in list_cuts() if cell.strategy == "parameter_server" and cell.fault == "cut for ever"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("faults")
    make_data(folder / "patterns.npz")
    prepare(str(folder / "patterns.npz"), folder / "data")
    return Site(folder, Path(folder, "data"), folder / "patterns.npz", {})


@pytest.mark.parametrize("cell", [*FROZEN, *CUTS], ids=str)
def test_a_training_that_was_hit_is_trained_anew_in_a_minute_and_nothing_is_left(site: Site, cell: Cell) -> None:
    if cell.strategy not in site.expected:
        site.expected[cell.strategy] = train_undisturbed(site, cell.strategy)
    tried = try_cell(site, 1 + len(list(site.folder.iterdir())), cell)
    # In a network that stays cut, the second attempt stands still as well: that is reported.
    assert tried.outcome in ("finished", "reported")[: 1 + (cell in CUTS)], tried
    assert (tried.attempts, tried.num_left) == (2, 0), tried
    assert tried.recovery_seconds < 75
    if cell in FROZEN:
        assert f"{cell.target} ended (exit code 137, killed by SIGKILL; it gave no sign of life for " in tried.words
    else:
        assert "no replica has moved or computed for " in tried.words
