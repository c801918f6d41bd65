"""The forecast as a plot: speedup against workers, what was measured and what is predicted."""

import math
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from comparison.forecast.scaling import MAX_WORKERS, Forecast, list_worker_counts, tabulate_scales
from comparison.forecast.text import describe_forecast
from comparison.svg import DASHES, INK, MARKERS, PALETTE, draw_grid, pick_style, render_svg
from comparison.table import format_ratio
from comparison.texts import list_items, say

_LOWEST_SPEEDUP = 1 / 8
_MAX_DOUBLINGS = 8
_FEWEST_WORKERS = 16
# Apart, so that the bars of equally many workers do not hide each other.
_SHIFT = 0.08


def plot_speedup_by_workers(forecasts: Sequence[Forecast], name: str = "by_workers") -> Markup:
    """Returns the speedup against the number of workers, as far as what was measured reaches and four times on.

    Args:
        forecasts: At least one.
        name: As `render_svg` takes it.
    """
    measured = max(point.num_workers for forecast in forecasts for point in forecast.points)
    return _plot(name, forecasts, min(MAX_WORKERS, max(_FEWEST_WORKERS, 4 * measured)))


def plot_forecast(forecasts: Sequence[Forecast], name: str = "forecast") -> Markup:
    """Returns the speedup against the number of workers, up to all that are looked at.

    Args:
        forecasts: At least one.
        name: As `render_svg` takes it.
    """
    return _plot(name, forecasts, MAX_WORKERS)


def _plot(name: str, forecasts: Sequence[Forecast], max_workers: int) -> Markup:
    """Returns the speedup against the number of workers, a colour for each way of distributing.

    Lines with bands are forecast, markers with bars measured, and hollow where replicas shared too few cores.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        spans = [_draw_forecast(axes, forecast, index, max_workers) for index, forecast in enumerate(forecasts)]
        axes.plot([1, max_workers], [1, max_workers], color=INK, linewidth=0.8, linestyle=":", label=say("ideal"))
        axes.axhline(1, color=INK, linewidth=0.8, alpha=0.5)
        lowest, highest = min(low for low, _ in spans), max(high for _, high in spans)
        _scale_axes(axes, max_workers, max(_LOWEST_SPEEDUP, min(0.5, lowest / 1.2)), max(4.0, 2 * highest))
        axes.set_xlabel(say("workers"))
        axes.set_ylabel(say("speedup over a single node"))
        draw_grid(axes)
        figure.legend(loc="outside lower left", ncols=1)

    points = [
        say(
            "{name} measured with {number} workers {speedup}",
            name=describe_forecast(forecast),
            number=f"{point.num_workers:,}",
            speedup=format_ratio(point.speedup),
        )
        for forecast in forecasts
        for point in forecast.points
    ]
    description = say("Speedup against workers, forecast and measured: {points}", points=list_items(points))
    return render_svg(name, description, 3.3 + 0.2 * len(forecasts), draw)


def _draw_forecast(axes: Axes, forecast: Forecast, index: int, max_workers: int) -> tuple[float, float]:
    """Draws one way of distributing and returns the lowest and the highest speedup that are to be seen."""
    # The plots of configurations give the first colour to the baseline.
    colour, marker = pick_style(PALETTE, index + 1), pick_style(MARKERS, index + 1)
    scales = tabulate_scales(
        forecast, [count for count in list_worker_counts(forecast.job).tolist() if count <= max_workers]
    )
    counts = [scale.num_workers for scale in scales]
    axes.fill_between(
        counts,
        [scale.speedup.low for scale in scales],
        [scale.speedup.high for scale in scales],
        color=colour,
        alpha=0.18,
        linewidth=0,
    )
    axes.plot(
        counts,
        [scale.speedup.value for scale in scales],
        color=colour,
        linestyle=pick_style(DASHES, index + 1),
        label=describe_forecast(forecast),
    )
    for point in forecast.points:
        value, low, high = point.speedup
        position = point.num_workers * (1 + _SHIFT * index)
        axes.plot([position, position], [low or value, high or value], color=colour, linewidth=1.2, marker="_")
        axes.plot(
            position,
            value,
            color=colour,
            marker=marker,
            markersize=6,
            markeredgecolor=colour if point.is_contended else INK,
            markerfacecolor="none" if point.is_contended else colour,
            zorder=3,
        )
    measured = [point.speedup for point in forecast.points]
    lows = [*(scale.speedup.low for scale in scales), *(own.low or own.value for own in measured)]
    highs = [*(scale.speedup.value for scale in scales), *(own.value for own in measured)]
    return min(lows), max(highs)


def _scale_axes(axes: Axes, max_workers: int, lowest: float, highest: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(0.9, max_workers * 1.1)
    axes.set_ylim(lowest, highest)
    for axis, (low, high) in ((axes.xaxis, (1.0, max_workers)), (axes.yaxis, (lowest, highest))):
        axis.set_major_locator(FixedLocator(_list_ticks(low, high)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))


def _list_ticks(lowest: float, highest: float) -> list[float]:
    """Returns the powers of two in a range, or where these are many, of four."""
    first, last = math.ceil(math.log2(lowest)), math.floor(math.log2(highest))
    step = 1 if last - first <= _MAX_DOUBLINGS else 2
    return [2.0**exponent for exponent in range(first, last + 1) if exponent % step == 0]
