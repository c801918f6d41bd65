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
from pathlib import Path

from model.host import describe_host
from model.prepare import prepare
from tests.faults.cells import REPLICAS, Cell, choose_cells, list_cells, list_cuts
from tests.faults.data import make_data
from tests.faults.table import describe, is_good, write_into
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
    options = parser.parse_args()
    chosen = list_cells() if options.full else choose_cells()
    cells = [cell for cell in (*chosen, *list_cuts()) if any(part in f"{cell}." for part in options.only)]
    with tempfile.TemporaryDirectory(prefix="tfjob-speedup-faults-") as folder:
        tried = try_cells(Path(folder), cells, options.minutes, options.at_once)
    print(f"\n{describe(tried)}")
    if options.page:
        host = describe_host()
        load = os.getloadavg()[0]
        part = f"{len(tried)} of the {len(cells)} cells of {'the whole matrix' if options.full else 'the chosen part'}"
        conditions = (
            f"{time.strftime('%Y-%m-%d', time.gmtime())}, {part} on {host['cores']} cores ({host['cpu_model']}), "
            f"{options.at_once} cells at a time, load {load:.1f} at the end."
        )
        write_into(options.page, tried, conditions)
    return 0 if is_good(tried) else 1


def try_cells(folder: Path, cells: list[Cell], minutes: float, at_once: int) -> list[Tried]:
    """Returns what became of each cell that was begun in time."""
    archive = folder / "patterns.npz"
    make_data(archive)
    prepare(str(archive), folder / "data")
    site = Site(folder, folder / "data", archive, {})
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
