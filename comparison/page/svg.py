"""Plots as inline SVG that take their ink from the page, so that they follow its light or dark colours."""

import io
import re
import warnings
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from matplotlib.typing import RcKeyType

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


def pick_style(choices: Sequence[str], index: int) -> str:
    """Returns the dash, marker or colour of a series, over again when there are more series than choices."""
    return choices[index % len(choices)]


def group_thousands(axis: Axis) -> None:
    """Makes the numbers along an axis look like those of the tables."""
    axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def draw_grid(axes: Axes) -> None:
    """Draws a grid that is paler than the axes."""
    axes.grid(color=INK, alpha=0.15, linewidth=0.6)


def render_svg(name: str, description: str, height_inches: float, draw: Callable[[Figure], None]) -> Markup:
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
    # Markup of the program's own; every text in it is escaped where it is drawn.
    return Markup(_embed(file.getvalue(), description))  # noqa: S704


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
