"""The plots of the report: curves, bars with intervals, and where the time went."""

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from comparison.clocks import PHASES, TOTAL
from comparison.groups import SINGLE, Groups, Trials
from comparison.records import CurvePoint
from comparison.report.breakdown import break_down
from comparison.statistics import Ratio, compute_mean
from comparison.summary import Row
from comparison.svg import DASHES, INK, MARKERS, PALETTE, draw_grid, group_thousands, pick_style, render_svg
from comparison.table import format_measurement, format_number, format_ratio
from comparison.texts import list_items, say

_BAR_INCHES = 0.52
_CURVES_INCHES = 3.0
# Of a legend.
_LINE_INCHES = 0.2


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
    draw_grid(axes)
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


def plot_throughput(rows: Sequence[Row]) -> str:
    """Returns the images per second of each configuration with 95 % intervals."""
    values = [row.images_per_second for row in rows]
    half_widths = [row.images_per_second_ci95 for row in rows]
    labels = [format_measurement(value, half) for value, half in zip(values, half_widths, strict=True)]
    bounds = [(value - (half or 0), value + (half or 0)) for value, half in zip(values, half_widths, strict=True)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_bars(axes, [row.configuration for row in rows], values, bounds, labels)
        axes.set_xlim(0, 1.25 * max(values))
        axes.set_xlabel(say("images per second"))
        group_thousands(axes.xaxis)

    description = say("Images per second: {values}", values=_list_labels(rows, labels))
    return render_svg("throughput", description, _measure_height(len(rows)), draw)


def plot_speedup(rows: Sequence[Row], name: str = "speedup") -> str:
    """Returns the speedup of each configuration with 95 % intervals, beside the ideal, one per worker.

    Args:
        rows: The table, or that of one kind of scaling.
        name: As `render_svg` takes it.
    """
    rows = [row for row in rows if row.ratio]
    ratios = [row.ratio for row in rows if row.ratio]
    values = [ratio.value for ratio in ratios]
    ideals = [math.nan if row.strategy == SINGLE else float(row.num_workers) for row in rows]
    bounds = [(ratio.low or ratio.value, ratio.high or ratio.value) for ratio in ratios]
    labels = [format_ratio(ratio) for ratio in ratios]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_bars(axes, [row.configuration for row in rows], values, bounds, labels)
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


def plot_breakdown(groups: Groups) -> str:
    """Returns where each configuration's time went, as stacked bars."""
    phases = break_down(groups)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        positions = range(len(phases))
        ends = [0.0] * len(phases)
        for index, phase in enumerate(PHASES):
            seconds = [own[phase.column] for own in phases.values()]
            # What is below zero is drawn to the left of it, not hidden.
            starts = [end if value >= 0 else 0.0 for end, value in zip(ends, seconds, strict=True)]
            colour, label = pick_style(PALETTE, index), say(phase.label)
            axes.barh(positions, seconds, left=starts, height=0.42, color=colour, label=label)
            ends = [end + max(value, 0.0) for end, value in zip(ends, seconds, strict=True)]
        _label_bars(axes, list(phases))
        axes.set_xlabel(say("seconds"))
        group_thousands(axes.xaxis)
        figure.legend(loc="outside lower left", ncols=3, handlelength=1, columnspacing=1)

    totals = [
        say("{name} {seconds} s", name=name, seconds=format_number(own[TOTAL.column])) for name, own in phases.items()
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


def _list_labels(rows: Sequence[Row], labels: Sequence[str]) -> str:
    return list_items([f"{row.configuration} {label}" for row, label in zip(rows, labels, strict=True)])
