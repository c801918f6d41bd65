"""How a page of the report looks: templates, plots as inline SVG, bars."""

from comparison.page.bars import ABOVE, draw_stacks, label_bars, measure_height, spread_points
from comparison.page.rendering import render_page
from comparison.page.svg import DASHES, INK, MARKERS, PALETTE, draw_grid, group_thousands, pick_style, render_svg

__all__ = [
    "ABOVE",
    "DASHES",
    "INK",
    "MARKERS",
    "PALETTE",
    "draw_grid",
    "draw_stacks",
    "group_thousands",
    "label_bars",
    "measure_height",
    "pick_style",
    "render_page",
    "render_svg",
    "spread_points",
]
