"""Injects faults into real trainings on this machine: `make test-faults`, `make test-faults FULL=1`.

Each cell trains with real processes, hits one of them, and waits for what becomes of it. The outcome must be the same
result, or a report of the cause within a minute; nothing may hang, be lost, or be left running.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from model.host import describe_host
from model.prepare import prepare
from tests.faults.cells import REPLICAS, Cell, choose_cells, list_cells, list_cuts
from tests.faults.data import make_data
from tests.faults.scatter import BEGIN as BEGIN_SCATTER
from tests.faults.scatter import END as END_SCATTER
from tests.faults.scatter import describe_scatter, measure
from tests.faults.table import describe, is_good, render, write_into
from tests.faults.trying import Site, Tried, train_undisturbed, try_cell

# Cells are tried in strides, so that those of every kind are among them when the time is up.
_STRIDE = 13


def main() -> int:
    """Runs the program and returns its exit code: 1 where a cell did not end well."""
    parser = argparse.ArgumentParser(prog="make test-faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole matrix, for hours")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only cells whose description, which a dot ends, contains one of these"
    )
    parser.add_argument("--page", type=Path, help="the page whose table is written anew")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no further cell after so many; 0: all")
    parser.add_argument(
        "--at-once", type=int, default=3, help="cells that are tried side by side: most of it is waiting"
    )
    parser.add_argument(
        "--scatter",
        type=int,
        metavar="N",
        help="try no cell: train undisturbed with one seed and with several, N times each, and tell how far apart they "
        "end",
    )
    options = parser.parse_args()
    if options.scatter is not None:
        if options.scatter < 2:
            parser.error("argument --scatter: must be at least 2")
        return measure_scatter(options.scatter, options.at_once, options.page)
    chosen = list_cells() if options.full else choose_cells()
    cells = [cell for cell in (*chosen, *list_cuts()) if any(part in f"{cell}." for part in options.only)]
    with tempfile.TemporaryDirectory(prefix="tfjob-speedup-faults-") as folder:
        tried = try_cells(Path(folder), cells, options.minutes, options.at_once)
    print(f"\n{describe(tried)}")
    if options.page:
        part = f"{len(tried)} of the {len(cells)} cells of {'the whole matrix' if options.full else 'the chosen part'}"
        conditions = describe_conditions(part, f"{options.at_once} cells at a time")
        write_into(options.page, f"{conditions}\n\n{describe(tried)}\n\n{render(tried)}")
    return 0 if is_good(tried) else 1


def describe_conditions(what: str, how: str) -> str:
    """Returns when, where and beside what something was tried."""
    host = describe_host()
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {what} on {host['cores']} cores ({host['cpu_model']}), {how}, "
        f"load {os.getloadavg()[0]:.1f} at the end."
    )


def measure_scatter(num: int, at_once: int, page: Path | None) -> int:
    """Tells how far undisturbed trainings end apart, and returns the exit code: 1 where none can be repeated."""
    with tempfile.TemporaryDirectory(prefix="tfjob-speedup-faults-") as folder:
        site = prepare_site(Path(folder))
        scatter = measure(partial(train_undisturbed, site, "parameter_server"), num, at_once)
    told = describe_scatter(scatter)
    print(f"\n{told}")
    if page:
        conditions = describe_conditions(f"{2 * num - 1} trainings with parameter servers", f"{at_once} at a time")
        write_into(page, f"{conditions} {told}", BEGIN_SCATTER, END_SCATTER)
    return 0 if scatter.can_be_repeated else 1


def prepare_site(folder: Path) -> Site:
    """Makes the data that all trainings learn."""
    archive = folder / "patterns.npz"
    make_data(archive)
    prepare(str(archive), folder / "data")
    return Site(folder, folder / "data", archive, {})


def try_cells(folder: Path, cells: list[Cell], minutes: float, at_once: int) -> list[Tried]:
    """Returns what became of each cell that was begun in time."""
    site = prepare_site(folder)
    for strategy in REPLICAS:
        if any(cell.strategy == strategy for cell in cells):
            began = time.monotonic()
            site.expected[strategy] = train_undisturbed(site, strategy)
            print(f"undisturbed, {strategy}: {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()

    def try_one(number: int) -> Tried | None:
        cell = cells[number]
        if minutes and time.monotonic() - began > 60 * minutes:
            print(f"{cell}: left out, the time is up", flush=True)
            return None
        one = try_cell(site, number, cell)
        left = f", LEFT RUNNING {one.num_left}" if one.num_left else ""
        told = f"{one.outcome} after {one.recovery_seconds:.0f} s{left}: {one.words}"
        print(f"{number + 1}/{len(cells)} {cell}: {told}", flush=True)
        return one

    numbers = [number for first in range(_STRIDE) for number in range(first, len(cells), _STRIDE)]
    with ThreadPoolExecutor(at_once) as pool:
        tried = dict(zip(numbers, pool.map(try_one, numbers), strict=True))
    return [one for _, one in sorted(tried.items()) if one is not None]


if __name__ == "__main__":
    sys.exit(main())
