"""Plots as inline SVG that take their ink from the page, so that they follow its light or dark colours."""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from markupsafe import escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from matplotlib.typing import RcKeyType

from comparison.records import CurvePoint
from comparison.report.breakdown import PHASES
from comparison.statistics import Ratio, compute_mean
from comparison.summary import SINGLE, Groups, Trials, list_rows, read_speedup
from comparison.table import format_measurement, format_number, format_ratio
from comparison.texts import list_items, say

# At least 3:1 against white and against the report's dark background; distinguishable without colour vision, and
# never alone: bars carry their names, lines their dashes and markers.
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#b565a7", "#8a6d00", "#7b6ee0", "#c2506b", "#4f8a8b"),
    *("#2e8fb3", "#b8860b", "#4e9a48", "#7f7f7f"),
)
DASHES = ("-", "--", "-.", ":")
MARKERS = "os^Dv<>Pp"

# Matplotlib draws this; the page's text colour replaces it.
INK = "#010203"
_WIDTH_INCHES = 4.0
_BAR_INCHES = 0.52
_CURVES_INCHES = 3.0
# Of a legend.
_LINE_INCHES = 0.2
_STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "xtick.color": INK,
    "ytick.color": INK,
}


def plot_accuracy(groups: Groups) -> str:
    """Returns validation accuracy against training time, the mean of each configuration's trials and their range."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, trials) in enumerate(groups.items()):
            _draw_curve(axes, index, name, trials, read_x=_read_train_seconds, read_y=_read_accuracy)
        targets = {trial.target_accuracy for trials in groups.values() for trial in trials} - {None}
        for target in sorted(filter(None, targets)):
            label = say("target {percent} %", percent=f"{100 * target:g}")
            axes.axhline(100 * target, color=INK, linewidth=0.8, linestyle=":", label=label)
        axes.set_xlabel(say("training time, s"))
        axes.set_ylabel(say("validation accuracy, %"))
        axes.set_xlim(left=0)
        group_thousands(axes.xaxis)
        axes.set_ylim(*_find_accuracy_limits(groups))
        _add_grid_and_legend(figure, axes)

    description = say("Validation accuracy against training time of {names}", names=_list_ends(groups))
    return render_svg("accuracy", description, _CURVES_INCHES + _LINE_INCHES * len(groups), draw)


def plot_loss(groups: Groups) -> str:
    """Returns training loss against epochs, the mean of each configuration's trials and their range."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, trials) in enumerate(groups.items()):
            _draw_curve(axes, index, name, trials, read_x=_read_epoch, read_y=_read_loss)
        axes.set_xlabel(say("epochs"))
        axes.set_ylabel(say("training loss"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        group_thousands(axes.xaxis)
        axes.set_ylim(bottom=0)
        _add_grid_and_legend(figure, axes)

    description = say("Training loss against epochs of {names}", names=list_items([*groups]))
    return render_svg("loss", description, _CURVES_INCHES + _LINE_INCHES * len(groups), draw)


def _read_train_seconds(point: CurvePoint) -> float:
    return point.train_seconds


def _read_accuracy(point: CurvePoint) -> float:
    return 100 * point.validation_accuracy


def _read_epoch(point: CurvePoint) -> float:
    return point.epoch


def _read_loss(point: CurvePoint) -> float:
    return point.train_loss


def _draw_curve(
    axes: Axes,
    index: int,
    name: str,
    trials: Trials,
    *,
    read_x: Callable[[CurvePoint], float],
    read_y: Callable[[CurvePoint], float],
) -> None:
    """Draws the mean of the trials' curves, epoch by epoch, a band from lowest to highest, and whiskers likewise."""
    epochs = _group_epochs(trials)
    x = [[read_x(point) for point in points] for points in epochs]
    y = [[read_y(point) for point in points] for points in epochs]
    centres, colour = list(map(compute_mean, x)), pick_style(PALETTE, index)
    axes.fill_between(centres, list(map(min, y)), list(map(max, y)), color=colour, alpha=0.18, linewidth=0)
    for own, centre in zip(x, map(compute_mean, y), strict=True):
        if min(own) < max(own):
            axes.plot([min(own), max(own)], [centre, centre], color=colour, linewidth=0.8)
    axes.plot(
        centres,
        list(map(compute_mean, y)),
        color=colour,
        linestyle=pick_style(DASHES, index),
        marker=pick_style(MARKERS, index),
        label=name,
    )


def _group_epochs(trials: Trials) -> list[list[CurvePoint]]:
    """Returns what the trials' curves say after each epoch."""
    epochs: dict[int, list[CurvePoint]] = {}
    for trial in trials:
        for point in trial.curve:
            epochs.setdefault(point.epoch, []).append(point)
    return [epochs[epoch] for epoch in sorted(epochs)]


def _add_grid_and_legend(figure: Figure, axes: Axes) -> None:
    axes.grid(color=INK, alpha=0.15, linewidth=0.6)
    figure.legend(loc="outside lower left")


def _list_ends(groups: Groups) -> str:
    """Returns where each configuration's mean curve ends, for a reader who cannot see it."""
    ends = []
    for name, trials in groups.items():
        if epochs := _group_epochs(trials):
            accuracy = compute_mean([_read_accuracy(point) for point in epochs[-1]])
            seconds = compute_mean([_read_train_seconds(point) for point in epochs[-1]])
            values = {"accuracy": f"{accuracy:.2f}", "seconds": format_number(seconds)}
            ends.append(say("{name}: {accuracy} % after {seconds} s", name=name, **values))
    return list_items(ends)


def plot_throughput(table: pd.DataFrame) -> str:
    """Returns the images per second of each configuration with 95 % intervals."""
    rows = list_rows(table)
    values = [row["images_per_second"] for row in rows]
    half_widths = [row["images_per_second_ci95"] for row in rows]
    labels = [format_measurement(value, half) for value, half in zip(values, half_widths, strict=True)]
    bounds = [(value - half, value + half) for value, half in zip(values, half_widths, strict=True)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_bars(axes, [row["configuration"] for row in rows], values, bounds, labels)
        axes.set_xlim(0, 1.25 * max(values))
        axes.set_xlabel(say("images per second"))
        group_thousands(axes.xaxis)

    description = say("Images per second: {values}", values=_list_labels(rows, labels))
    return render_svg("throughput", description, _measure_height(len(rows)), draw)


def plot_speedup(table: pd.DataFrame, name: str = "speedup") -> str:
    """Returns the speedup of each configuration with 95 % intervals, beside the ideal, one per worker.

    Args:
        table: What `summarize` returned.
        name: As `render_svg` takes it.
    """
    rows = [row for row in list_rows(table) if read_speedup(row)]
    ratios = [ratio for row in rows if (ratio := read_speedup(row))]
    values = [ratio.value for ratio in ratios]
    ideals = [math.nan if row["strategy"] == SINGLE else float(row["num_workers"]) for row in rows]
    bounds = [(ratio.low or ratio.value, ratio.high or ratio.value) for ratio in ratios]
    labels = [format_ratio(ratio) for ratio in ratios]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_bars(axes, [row["configuration"] for row in rows], values, bounds, labels)
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
        axes.plot(
            ideals,
            range(len(rows)),
            linestyle="none",
            marker="|",
            markersize=13,
            markeredgewidth=2,
            color=INK,
            label=say("ideal: the number of workers"),
        )
        axes.set_xlim(0, 1.25 * max([1, *values, *(ideal for ideal in ideals if not math.isnan(ideal))]))
        axes.set_xlabel(say("speedup over a single node"))
        if not all(map(math.isnan, ideals)):
            figure.legend(loc="outside lower left")

    height = _measure_height(len(rows)) + 0.25
    description = say("Speedup over a single node: {values}", values=_list_labels(rows, labels))
    return render_svg(name, description, height, draw)


def plot_ratios(ratios: Mapping[str, Ratio], axis: str) -> str:
    """Returns ratios by name with 95 % intervals, beside 1.

    Args:
        ratios: At least one.
        axis: What they are ratios of.
    """
    labels = [format_ratio(ratio) for ratio in ratios.values()]
    bounds = [(ratio.low or ratio.value, ratio.high or ratio.value) for ratio in ratios.values()]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_bars(axes, list(ratios), [ratio.value for ratio in ratios.values()], bounds, labels)
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel(axis)

    values = list_items([f"{name} {label}" for name, label in zip(ratios, labels, strict=True)])
    return render_svg("ratios", f"{axis}: {values}", _measure_height(len(ratios)), draw)


def plot_breakdown(phases: pd.DataFrame) -> str:
    """Returns where each configuration's time went, as stacked bars.

    Args:
        phases: What `break_down` returned.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        positions = range(len(phases))
        ends = [0.0] * len(phases)
        for index, phase in enumerate(PHASES):
            seconds = phases[phase.column].tolist()
            # What is below zero is drawn to the left of it, not hidden.
            starts = [end if value >= 0 else 0.0 for end, value in zip(ends, seconds, strict=True)]
            colour, label = pick_style(PALETTE, index), say(phase.label)
            axes.barh(positions, seconds, left=starts, height=0.42, color=colour, label=label)
            ends = [end + max(value, 0.0) for end, value in zip(ends, seconds, strict=True)]
        _label_bars(axes, [str(name) for name in phases.index])
        axes.set_xlabel(say("seconds"))
        group_thousands(axes.xaxis)
        figure.legend(loc="outside lower left", ncols=3, handlelength=1, columnspacing=1)

    totals = [
        say("{name} {seconds} s", name=name, seconds=format_number(total))
        for name, total in phases["total_seconds"].items()
    ]
    description = say("Where the time went: {values}", values=list_items(totals))
    return render_svg("breakdown", description, _measure_height(len(phases)) + 0.65, draw)


def _draw_bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    bounds: Sequence[tuple[float, float]],
    labels: Sequence[str],
) -> None:
    """Draws horizontal bars with their names and values above them and their intervals upon them."""
    for position, (value, (low, high), label) in enumerate(zip(values, bounds, labels, strict=True)):
        axes.barh(position, value, height=0.42, color=pick_style(PALETTE, position))
        if low < high:
            axes.plot([max(low, 0), high], [position, position], color=INK, linewidth=1.2, marker="|", markersize=6)
        axes.annotate(
            label, (1, position), (0, 12), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right"
        )
    _label_bars(axes, names)


def _label_bars(axes: Axes, names: Sequence[str]) -> None:
    """Writes the names above the bars, where they leave these the whole width, and puts the first bar on top."""
    for position, name in enumerate(names):
        axes.annotate(
            name, (0, position), (0, 12), xycoords=("axes fraction", "data"), textcoords="offset points", weight="bold"
        )
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.65, -0.8)


def _find_accuracy_limits(groups: Groups) -> tuple[float, float]:
    """Returns limits in per cent that spread out the end of the curves: three times the worst final error."""
    curves = [trial.curve for trials in groups.values() for trial in trials if trial.curve]
    final_error = max((1 - curve[-1].validation_accuracy for curve in curves), default=1.0)
    highest_error = max((1 - point.validation_accuracy for curve in curves for point in curve), default=1.0)
    error = min(1.0, max(0.005, min(3 * final_error, 1.1 * highest_error)))
    return 100 * (1 - error), 100 + 4 * error


def _measure_height(num_bars: int) -> float:
    return 0.6 + _BAR_INCHES * num_bars


def _list_labels(rows: Sequence[Mapping[str, object]], labels: Sequence[str]) -> str:
    return list_items([f"{row['configuration']} {label}" for row, label in zip(rows, labels, strict=True)])


def pick_style(choices: Sequence[str], index: int) -> str:
    """Returns the dash, marker or colour of a series, over again when there are more series than choices."""
    return choices[index % len(choices)]


def group_thousands(axis: Axis) -> None:
    """Makes the numbers along an axis look like those of the tables."""
    axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def render_svg(name: str, description: str, height_inches: float, draw: Callable[[Figure], None]) -> str:
    """Returns a figure as an SVG element that can stand in a page, the same for the same input.

    Args:
        name: Makes the ids inside unlike those of the page's other plots.
        description: What a reader who cannot see the plot is told.
        height_inches: The figure's height; its width is that of all plots.
        draw: Draws the figure.
    """
    with rc_context(_STYLE), rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained")
        draw(figure)
        file = io.StringIO()
        # Matplotlib's own fonts have no Chinese; it only measures with them, the browser draws the text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _embed(file.getvalue(), description)


def _embed(document: str, description: str) -> str:
    """Returns the SVG element of a document that Matplotlib wrote, without what has no place in a page."""
    view_box = re.search(r'viewBox="([^"]+)"', document)
    if view_box is None:
        raise ValueError(f"An SVG document must have a viewBox. Received: {document[:200]!r}.")
    body = document[document.index(">", document.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = body.replace(INK, "currentColor")
    title = escape(description)
    return f'<svg viewBox="{view_box[1]}" role="img" aria-label="{title}"><title>{title}</title>{body.strip()}'
