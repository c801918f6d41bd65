"""The forecast as a plot: speedup against workers, what was measured and what is predicted."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from comparison.forecast import MAX_WORKERS, Forecast, list_worker_counts, tabulate_scales
from comparison.forecast_text import describe_forecast
from comparison.plots import DASHES, INK, MARKERS, PALETTE, pick_style, render_svg
from comparison.table import format_ratio

_TICKS = tuple(4**exponent for exponent in range(6))
_LOWEST_SPEEDUP = 1 / 8
_MAX_DOUBLINGS = 8
# Apart, so that the bars of equally many workers do not hide each other.
_SHIFT = 0.08


def plot_forecast(forecasts: Sequence[Forecast]) -> str:
    """Returns the speedup against the number of workers, a colour for each way of distributing.

    Lines with bands are forecast, markers with bars measured, and hollow where replicas shared too few cores.

    Args:
        forecasts: At least one.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = [_draw_forecast(axes, forecast, index) for index, forecast in enumerate(forecasts)]
        axes.plot([1, MAX_WORKERS], [1, MAX_WORKERS], color=INK, linewidth=0.8, linestyle=":", label="ideal")
        axes.axhline(1, color=INK, linewidth=0.8, alpha=0.5)
        _scale_axes(axes, max(4.0, 2 * max(ends)))
        axes.set_xlabel("workers")
        axes.set_ylabel("speedup over a single node")
        axes.grid(color=INK, alpha=0.15, linewidth=0.6)
        figure.legend(loc="outside lower left", ncols=1)

    points = [
        f"{describe_forecast(forecast)} measured with {point.num_workers} workers {format_ratio(point.speedup)}"
        for forecast in forecasts
        for point in forecast.points
    ]
    height = 3.3 + 0.2 * len(forecasts)
    return render_svg("forecast", f"Speedup against workers, forecast and measured: {', '.join(points)}", height, draw)


def _draw_forecast(axes: Axes, forecast: Forecast, index: int) -> float:
    """Draws one way of distributing and returns the highest speedup that is to be seen."""
    colour, marker = pick_style(PALETTE, index), pick_style(MARKERS, index)
    scales = tabulate_scales(forecast, list_worker_counts(forecast.job).tolist())
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
        linestyle=pick_style(DASHES, index),
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
    return max([*(scale.speedup.value for scale in scales), *(point.speedup.value for point in forecast.points)])


def _scale_axes(axes: Axes, highest: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(0.9, MAX_WORKERS * 1.1)
    axes.set_ylim(_LOWEST_SPEEDUP, highest)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    lowest, uppermost = (math.floor(math.log2(speedup)) for speedup in (_LOWEST_SPEEDUP, highest))
    step = 1 if uppermost - lowest <= _MAX_DOUBLINGS else 2
    exponents = [exponent for exponent in range(lowest, uppermost + 1) if exponent % step == 0]
    axes.yaxis.set_major_locator(FixedLocator([2.0**exponent for exponent in exponents]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
