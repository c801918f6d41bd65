"""The table as a person reads it: few columns, units in the headers, the same cells on every page."""

import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from comparison.groups import SINGLE
from comparison.statistics import Ratio
from comparison.summary import COLUMNS, METRIC_COLUMNS, Row
from comparison.texts import HIGHER, LOWER, say

CONTENDED_MARK = "†"
UNFAIR_MARK = "‡"
DISTURBED_MARK = "§"
WORSE_MARK = "¶"
FASTEST_MARK = "★"
EN_DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
UNKNOWN = EN_DASH
TERMINAL_WIDTH = 100
_GAP = "  "
# Models differ in the third and fourth digit.
_METRIC_DIGITS, _FINEST_DIGITS = 4, 8


class Cells(NamedTuple):
    """A table of text: its headers, and what stands below them in each row."""

    columns: list[str]
    rows: list[list[str]]


def format_number(value: float, digits: int = 3) -> str:
    """Returns a number with so many significant digits, never rounding away whole ones and never with an exponent."""
    if math.isinf(value):  # a bound beyond all numbers, as two trials give
        return "∞" if value > 0 else "-∞"
    return f"{value:,.{_count_decimals(value, digits)}f}"


def format_name(configuration: str, signs: Mapping[str, Collection[str]]) -> str:
    """Returns a configuration's name with the signs that mark it."""
    marks = "".join(sign for sign, marked in signs.items() if configuration in marked)
    return f"{configuration} {marks}".rstrip()


def format_known(value: float | None, half_width: float | None = None) -> str:
    """Returns a mean, with the half-width of its interval where that is known; a dash where there is none."""
    return UNKNOWN if value is None else format_measurement(value, half_width)


def format_measurement(value: float, half_width: float | None) -> str:
    """Returns a mean with the half-width of its interval, or alone where that is unknown."""
    if half_width is None:
        return format_number(value)
    decimals = max(_count_decimals(value, 3), _count_decimals(half_width, 1) if half_width else 0)
    return f"{value:,.{decimals}f} ± {half_width:,.{decimals}f}"


def format_accuracy(value: float, half_width: float | None = None) -> str:
    """Returns a share in per cent, with the half-width of its interval where that is known."""
    return f"{100 * value:.2f}" if half_width is None else f"{100 * value:.2f} ± {100 * half_width:.2f}"


def format_metric(value: float, half_width: float | None = None, *, is_accuracy: bool) -> str:
    """Returns a metric: an accuracy in per cent, any other in its own unit."""
    if is_accuracy:
        return format_accuracy(value, half_width)
    if half_width is None:
        return format_number(value, _METRIC_DIGITS)
    finest = _count_decimals(value or half_width, _FINEST_DIGITS)  # below it there is only rounding
    decimals = min(max(_count_decimals(value, _METRIC_DIGITS), _count_decimals(half_width, 1)), finest)
    return f"{value:,.{decimals}f} ± {half_width:,.{decimals}f}"


def format_ratio(ratio: Ratio | None) -> str:
    """Returns a ratio, with its interval where that is known."""
    if ratio is None:
        return UNKNOWN
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} ({format_range(ratio.low, ratio.high)})"


def split_interval(cell: str) -> tuple[str, str]:
    """Returns what a cell says and its interval, between which a line of a narrow table may end."""
    value, gap, interval = cell.partition(" ")
    return value, interval if gap else ""


def format_times(ratio: Ratio) -> str:
    """Returns a ratio as a factor, with its interval where that is known."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}×"
    return f"{ratio.value:.2f}× ({format_range(ratio.low, ratio.high)})"


def format_range(low: float, high: float) -> str:
    """Returns the two ends of a ratio's interval; one that has no upper end is open to infinity."""
    return f"{low:.2f}{EN_DASH}{'∞' if math.isinf(high) else f'{high:.2f}'}"


def format_table(rows: Iterable[Row], signs: Mapping[str, Collection[str]] = MappingProxyType({})) -> Cells:
    """Returns the table in the reader's language, most important column first.

    Args:
        rows: The table.
        signs: The configurations that each sign marks.
    """
    columns = [say("configuration"), *map(say, _READABLE)]
    cells = [[format_name(row.configuration, signs), *(cell(row) for cell in _READABLE.values())] for row in rows]
    return Cells(columns, cells)


def format_brief_table(
    rows: Iterable[Row], whole_jobs: Mapping[str, Ratio], signs: Mapping[str, Collection[str]] = MappingProxyType({})
) -> Cells:
    """Returns the columns that fit beside each other where there is little room: what a reader asks first.

    Args:
        rows: The table.
        whole_jobs: The speedups of whole jobs, as `compute_whole_job_speedups` returned them.
        signs: The configurations that each sign marks.
    """
    speedup, accuracy, time = "speedup", "accuracy, %", "training, s"
    columns = [say("configuration"), say(speedup), say("whole-job speedup"), say(accuracy), say(time)]
    cells = [
        [
            format_name(row.configuration, signs),
            _READABLE[speedup](row),
            format_ratio(whole_jobs.get(row.configuration)),
            _READABLE[accuracy](row),
            _READABLE[time](row),
        ]
        for row in rows
    ]
    return Cells(columns, cells)


def explain_direction(rows: Sequence[Row]) -> list[str]:
    """Returns what the arrow at the metric's name means; nothing of accuracy, which has none."""
    if rows[0].test_accuracy is not None:
        return []
    better = say("higher is better") if rows[0].metric_higher_is_better else say("lower is better")
    mark = HIGHER if rows[0].metric_higher_is_better else LOWER
    return [say("{mark} {better}.", mark=mark, better=better)]


def to_csv(rows: Iterable[Row]) -> str:
    """Returns the table as CSV, unknown cells empty; with the columns of a metric where that is not accuracy."""
    rows = list(rows)
    is_other = any(row.test_accuracy is None for row in rows)
    return write_csv(rows, [*COLUMNS, *(METRIC_COLUMNS if is_other else ())])


def write_csv(rows: Iterable[Any], columns: Sequence[str]) -> str:
    """Returns these columns of a table of dataclasses as CSV, unknown cells empty."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    return str(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def to_markdown(cells: Cells) -> str:
    """Returns formatted cells as a Markdown table that is aligned as raw text, too."""
    cells = Cells(_escape_cells(cells.columns), [_escape_cells(row) for row in cells.rows])
    widths = _measure_widths(cells)
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_align(cells.columns, widths), rule, *(_align(row, widths) for row in cells.rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escape_markdown(text: str) -> str:
    """Returns a text in which a name may stand so that no HTML, link, picture or block begins in it."""
    return re.sub(r"[\\<\[]", r"\\\g<0>", " ".join(text.splitlines()))


def to_text(cells: Cells, width: int = TERMINAL_WIDTH) -> str:
    """Returns as many of the formatted columns as fit side by side into a terminal of that many characters."""
    widths = _measure_widths(cells)
    fitting = [sum(widths[: count + 1]) + len(_GAP) * count <= width for count in range(len(widths))].count(True)
    shown = widths[: max(fitting, 1)]
    lines = [_align(row, shown) for row in (cells.columns, *cells.rows)]
    return "".join(_GAP.join(line).rstrip() + "\n" for line in lines)


def _format_target(row: Row) -> str:
    if row.seconds_to_target is None:
        return UNKNOWN
    reached, trials = f"{row.trials_reaching_target:,}", f"{row.trials:,}"
    seconds = format_number(row.seconds_to_target)
    return say("{seconds} ({reached} of {trials})", seconds=seconds, reached=reached, trials=trials)


def _format_efficiency(row: Row) -> str:
    if row.strategy == SINGLE or row.scaling_efficiency is None:
        return UNKNOWN
    return f"{100 * row.scaling_efficiency:.0f}"


_READABLE: Mapping[str, Callable[[Row], str]] = {
    "speedup": lambda row: format_ratio(row.ratio),
    "training, s": lambda row: format_known(row.train_seconds, row.train_seconds_ci95),
    "whole job, s": lambda row: format_known(row.total_seconds),
    "accuracy, %": lambda row: format_metric(
        row.metric_value, row.metric_ci95, is_accuracy=row.test_accuracy is not None
    ),
    "images/s": lambda row: format_known(row.images_per_second, row.images_per_second_ci95),
    "to target, s": _format_target,
    "efficiency, %": _format_efficiency,
    "CPU, s": lambda row: format_known(row.cpu_seconds),
    "memory, MiB": lambda row: format_number(row.peak_rss_bytes / 2**20),
    "trials": lambda row: f"{row.trials:,}",
}


def _count_decimals(value: float, digits: int) -> int:
    """Returns how many decimals so many significant digits take."""
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0


def _escape_cells(texts: Iterable[str]) -> list[str]:
    return [escape_markdown(text).replace("|", "\\|") for text in texts]


def _measure_widths(cells: Cells) -> list[int]:
    return [max(map(_measure_width, column)) for column in zip(cells.columns, *cells.rows, strict=True)]


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
