"""The counts and the table of docs/reliability.md."""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.trying import Tried

BEGIN, END = "<!-- make test-faults: begin -->", "<!-- make test-faults: end -->"
BAD = ("hung", "lost", "other result", "not hit")


def is_good(tried: Sequence[Tried]) -> bool:
    """Returns whether every cell finished or was reported in time, and nothing was left running."""
    return not any(one.outcome in BAD or one.num_left for one in tried)


def describe(tried: Sequence[Tried]) -> str:
    """Returns the counts and recovery times of cells in a few lines."""
    counts: Counter[str] = Counter(one.outcome for one in tried)
    names = ("finished", "reported", *BAD)
    told = ", ".join(f"{name} {counts[name]}" for name in names)
    lines = [f"{len(tried)} cells: {told}; left running {sum(one.num_left for one in tried)}."]
    if seconds := [one.recovery_seconds for one in tried if one.recovery_seconds]:
        lines.append(
            f"From the fault until another attempt began, or the failure was told: median "
            f"{statistics.median(seconds):.0f} s, most {max(seconds):.0f} s ({len(seconds)} cells)."
        )
    return "\n".join(lines)


def render(tried: Sequence[Tried]) -> str:
    """Returns the table in Markdown: a row for each strategy, target and fault."""
    lines = [
        "| strategy | hit | moment | fault | outcome | attempts | until then, s | left running |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.cell.strategy} | {one.cell.target} | {one.cell.moment} | {one.cell.fault} | {one.outcome} "
        f"| {one.attempts or '–'} | {one.recovery_seconds:.0f} | {one.num_left} |"
        for one in tried
    ]
    return "\n".join(lines)


def write_into(page: Path, content: str, begin: str = BEGIN, end: str = END) -> None:
    """Writes what was found out between the page's two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    page.write_text("\n\n".join([f"{before}{begin}", content, f"{end}{after}"]), encoding="utf-8")
