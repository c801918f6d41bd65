"""The table as a person reads it: few columns, units in the headers, the same cells on every page."""

import math
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from comparison.statistics import Ratio
from comparison.summary import SINGLE, list_rows, read_speedup
from comparison.texts import say

CONTENDED_MARK = "†"
UNFAIR_MARK = "‡"
DISTURBED_MARK = "§"
WORSE_MARK = "¶"
EN_DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
UNKNOWN = EN_DASH
TERMINAL_WIDTH = 100
_GAP = "  "


def format_number(value: float, digits: int = 3) -> str:
    """Returns a number with so many significant digits, never rounding away whole ones and never with an exponent."""
    return f"{value:,.{_count_decimals(value, digits)}f}"


def format_measurement(value: float, half_width: float) -> str:
    """Returns a mean with the half-width of its interval, or alone where that is unknown (NaN)."""
    if math.isnan(value):
        return UNKNOWN
    if math.isnan(half_width):
        return format_number(value)
    decimals = max(_count_decimals(value, 3), _count_decimals(half_width, 1) if half_width else 0)
    return f"{value:,.{decimals}f} ± {half_width:,.{decimals}f}"


def format_accuracy(value: float, half_width: float = math.nan) -> str:
    """Returns a share in per cent, with the half-width of its interval where that is known."""
    return f"{100 * value:.2f}" if math.isnan(half_width) else f"{100 * value:.2f} ± {100 * half_width:.2f}"


def format_ratio(ratio: Ratio | None) -> str:
    """Returns a ratio, with its interval where that is known."""
    if ratio is None:
        return UNKNOWN
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} ({format_range(ratio.low, ratio.high)})"


def format_range(low: float, high: float) -> str:
    """Returns the two ends of a ratio's interval."""
    return f"{low:.2f}{EN_DASH}{high:.2f}"


def format_table(table: pd.DataFrame, signs: Mapping[str, Collection[str]] = MappingProxyType({})) -> pd.DataFrame:
    """Returns the cells a reader sees, most important column first.

    Args:
        table: What `summarize` returned.
        signs: The configurations that each sign marks.
    """
    rows = list_rows(table)
    cells = {header: [cell(row) for row in rows] for header, cell in _READABLE.items()}
    names = [row["configuration"] for row in rows]
    own = ["".join(sign for sign, marked in signs.items() if name in marked) for name in names]
    cells["configuration"] = [f"{name} {mark}".rstrip() for name, mark in zip(names, own, strict=True)]
    return pd.DataFrame(cells, columns=["configuration", *_READABLE])


def to_markdown(cells: pd.DataFrame) -> str:
    """Returns formatted cells as a Markdown table that is aligned as raw text, too."""
    widths = _measure_widths(cells)
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_align(cells.columns, widths), rule, *(_align(row, widths) for row in cells.to_numpy())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_text(cells: pd.DataFrame, width: int = TERMINAL_WIDTH) -> str:
    """Returns as many of the formatted columns as fit side by side into a terminal of that many characters."""
    widths = _measure_widths(cells)
    fitting = [sum(widths[: count + 1]) + len(_GAP) * count <= width for count in range(len(widths))].count(True)
    shown = cells.iloc[:, : max(fitting, 1)]
    lines = [_align(shown.columns, widths), *(_align(row, widths) for row in shown.to_numpy())]
    return "".join(_GAP.join(line).rstrip() + "\n" for line in lines)


def _format_target(row: Mapping[str, Any]) -> str:
    if not row["trials_reaching_target"]:
        return UNKNOWN
    reached, trials = row["trials_reaching_target"], row["trials"]
    seconds = format_number(row["seconds_to_target"])
    return say("{seconds} ({reached} of {trials})", seconds=seconds, reached=f"{reached:,}", trials=f"{trials:,}")


def _format_efficiency(row: Mapping[str, Any]) -> str:
    is_known = row["strategy"] != SINGLE and not math.isnan(row["scaling_efficiency"])
    return f"{100 * row['scaling_efficiency']:.0f}" if is_known else UNKNOWN


_READABLE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "speedup": lambda row: format_ratio(read_speedup(row)),
    "training, s": lambda row: format_measurement(row["train_seconds"], row["train_seconds_ci95"]),
    "whole job, s": lambda row: format_number(row["total_seconds"]),
    "accuracy, %": lambda row: format_accuracy(row["test_accuracy"], row["test_accuracy_ci95"]),
    "images/s": lambda row: format_measurement(row["images_per_second"], row["images_per_second_ci95"]),
    "to target, s": _format_target,
    "efficiency, %": _format_efficiency,
    "CPU, s": lambda row: format_number(row["cpu_seconds"]),
    "memory, MiB": lambda row: format_number(row["peak_rss_bytes"] / 2**20),
    "trials": lambda row: f"{row['trials']:,}",
}


def _count_decimals(value: float, digits: int) -> int:
    """Returns how many decimals so many significant digits take."""
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0


def _measure_widths(cells: pd.DataFrame) -> list[int]:
    return [max(_measure_width(str(header)), *map(_measure_width, cells[header])) for header in cells.columns]


def _measure_width(text: str) -> int:
    """Returns how many columns of a terminal a text takes: two for a Chinese character."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def _align(row: Iterable[str], widths: Sequence[int]) -> list[str]:
    """Returns the cells of a row, padded: the first to the left, numbers to the right."""
    return [
        padding + cell if index else cell + padding
        for index, (cell, width) in enumerate(zip(row, widths, strict=False))
        for padding in [" " * (width - _measure_width(cell))]
    ]
