"""Horizontal bars and rows of points with their names above them, which leaves them the whole width of a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from comparison.page.svg import group_thousands
from comparison.texts import say

_BAR_INCHES = 0.52
# Where a text stands above a bar.
ABOVE: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}


def label_bars(axes: Axes, names: Sequence[str]) -> None:
    """Writes the names above the bars, where they leave these the whole width, and puts the first bar on top."""
    for position, name in enumerate(names):
        axes.annotate(name, (0, position), (0, 12), weight="bold", **ABOVE)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.65, -0.8)


def spread_points(position: int, number: int) -> list[float]:
    """Returns where the trials of a configuration stand, one below the other, below its name."""
    return [position + 0.1 + 0.44 * ((own + 0.5) / number - 0.5) for own in range(number)]


def measure_height(num_bars: int) -> float:
    """Returns how many inches high a plot of so many bars is."""
    return 0.6 + _BAR_INCHES * num_bars


def draw_stacks(
    figure: Figure, seconds: Mapping[str, Mapping[str, float]], styles: Mapping[str, tuple[str, str]]
) -> None:
    """Draws stacked bars of seconds.

    Args:
        figure: Where to.
        seconds: Of each configuration, by part.
        styles: The label and the colour of each part, in their order.
    """
    axes = figure.subplots()
    positions = range(len(seconds))
    ends = [0.0] * len(seconds)
    for part, (label, colour) in styles.items():
        own = [parts[part] for parts in seconds.values()]
        # What is below zero is drawn to the left of it, not hidden.
        starts = [end if value >= 0 else 0.0 for end, value in zip(ends, own, strict=True)]
        axes.barh(positions, own, left=starts, height=0.42, color=colour, label=label)
        ends = [end + max(value, 0.0) for end, value in zip(ends, own, strict=True)]
    label_bars(axes, list(seconds))
    axes.set_xlabel(say("seconds"))
    group_thousands(axes.xaxis)
    figure.legend(loc="outside lower left", ncols=3, handlelength=1, columnspacing=1)
