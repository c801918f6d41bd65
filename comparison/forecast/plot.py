"""The forecast as a plot: speedup against workers, what was measured, what is forecast, and where nothing is known."""

import math
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from comparison.forecast.scaling import Forecast, Scale
from comparison.forecast.text import describe_forecast
from comparison.page import INK, MARKERS, PALETTE, draw_grid, pick_style, render_svg
from comparison.table import format_range
from comparison.texts import list_items, say

_LOWEST_SPEEDUP = 1 / 64
_MAX_DOUBLINGS = 8
# Apart, so that the bars of equally many workers do not hide each other.
_SHIFT = 0.06


def plot_forecast(forecasts: Sequence[Forecast], name: str = "forecast") -> Markup:
    """Returns the speedup against the number of workers, a colour for each way of distributing.

    Markers with bars are measured, hollow where replicas shared too few cores; what widens from the last of them is
    forecast. What lies beyond is not known, and is hatched.

    Args:
        forecasts: At least one.
        name: As `render_svg` takes it.
    """
    largest = max(scale.num_workers for forecast in forecasts for scale in forecast.scales)
    ends = [end for forecast in forecasts for scale in forecast.scales for end in scale.speedup]
    lowest, highest = max(_LOWEST_SPEEDUP, min(0.8, *ends) / 1.2), 1.3 * max(largest, *ends)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([1, largest], [1, largest], color=INK, linewidth=0.8, linestyle=":", label=say("ideal"))
        axes.axhline(1, color=INK, linewidth=0.8, alpha=0.5)
        for index, forecast in enumerate(forecasts):
            _draw_forecast(axes, forecast, index)
        axes.axvspan(1.15 * largest, 2 * largest, facecolor="none", edgecolor=INK, alpha=0.25, hatch="//", linewidth=0)
        middle = math.sqrt(1.15 * 2) * largest
        axes.text(middle, math.sqrt(lowest * highest), say("not known"), rotation=90, ha="center", va="center")
        _scale_axes(axes, 2 * largest, lowest, highest)
        axes.set_xlabel(say("workers"))
        axes.set_ylabel(say("speedup over a single node"))
        draw_grid(axes)
        figure.legend(loc="outside lower left", ncols=1)

    points = [_describe_point(forecast, scale) for forecast in forecasts for scale in forecast.scales]
    description = say("Speedup against workers, measured and forecast: {points}", points=list_items(points))
    return render_svg(name, description, 3.3 + 0.2 * len(forecasts), draw)


def _describe_point(forecast: Forecast, scale: Scale) -> str:
    return say(
        "{name} with {number} workers {speedup} ({source})",
        name=describe_forecast(forecast),
        number=f"{scale.num_workers:,}",
        speedup=format_range(*scale.speedup),
        source=say("measured") if scale.measured else say("forecast"),
    )


def _draw_forecast(axes: Axes, forecast: Forecast, index: int) -> None:
    # The plots of configurations give the first colour to the baseline.
    colour, marker = pick_style(PALETTE, index + 1), pick_style(MARKERS, index + 1)
    shift = (1 + _SHIFT) ** index
    if forecast.ahead:
        base = max((scale for scale in forecast.known if scale.measured), key=lambda scale: scale.num_workers)
        lows, highs = zip(base.speedup, forecast.ahead.speedup, strict=True)
        counts = [base.num_workers * shift, forecast.ahead.num_workers * shift]
        axes.fill_between(counts, lows, highs, color=colour, alpha=0.18, linewidth=0)
    for scale in forecast.scales:
        position = scale.num_workers * shift
        style = "-" if scale.measured else "--"
        axes.plot([position] * 2, scale.speedup, color=colour, linewidth=1.2, linestyle=style, marker="_")
    measured = [(scale.num_workers * shift, scale.measured, scale.is_contended) for scale in forecast.measured]
    for is_contended in (False, True):
        points = [(count, value) for count, value, own in measured if value and own is is_contended]
        axes.plot(
            [count for count, _ in points],
            [value for _, value in points],
            color=colour,
            linestyle="none",
            marker=marker,
            markersize=6,
            markeredgecolor=colour if is_contended else INK,
            markerfacecolor="none" if is_contended else colour,
            zorder=3,
            label=None if is_contended else describe_forecast(forecast),
        )


def _scale_axes(axes: Axes, max_workers: int, lowest: float, highest: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(0.9, max_workers)
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
