"""The plots of a depth study: losses by step, and gradient norms by layer."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from comparison.depth_study.record import Network, Study
from comparison.page import PALETTE, draw_grid, group_thousands, render_svg

# A step's loss is noisy: the line is the mean of this step and those before it, drawn over the steps themselves.
SMOOTHED_STEPS = 10
_HEIGHT_INCHES = 3.6
_FEW_DECADES = 2.5


def plot_losses(study: Study) -> Markup:
    """Returns the training loss of each network by step, smoothed, over the steps' own losses in pale."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for network in study.networks:
            style = _choose_style(study, network)
            axes.plot(network.train_losses, color=style["color"], alpha=0.25, linewidth=0.7)
            axes.plot(smooth(network.train_losses), label=network.model, **style)
        axes.set_xlabel("step")
        group_thousands(axes.xaxis)
        axes.set_ylabel("training loss")
        _scale_log(axes, [loss for network in study.networks for loss in smooth(network.train_losses)])
        figure.legend(loc="outside lower left", ncols=2)

    ends = [
        f"{n.model} {'diverged' if n.final_train_loss is None else f'{n.final_train_loss:.3g}'}" for n in study.networks
    ]
    return render_svg("losses", f"Training loss by step; at the end {', '.join(ends)}", _HEIGHT_INCHES, draw)


def plot_gradients(study: Study, *, has_batch_norm: bool) -> Markup:
    """Returns the norm of the gradient by each convolution's kernel before the training, from first to last."""
    initials = study.list_initials(has_batch_norm=has_batch_norm)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for network, initial in initials:
            positions = range(1, len(initial.norms) + 1)
            drawn = [norm if norm > 0 else math.nan for norm in initial.norms]
            axes.plot(positions, drawn, label=network.model, **_choose_style(study, network))
        axes.set_xlabel("convolution, from the input on")
        axes.set_ylabel("gradient norm before the training")
        _scale_log(axes, [norm for _, initial in initials for norm in initial.norms])
        figure.legend(loc="outside lower left", ncols=2)

    name = "with" if has_batch_norm else "without"
    ends = ", ".join(f"{n.model} {i.norms[0]:.3g} to {i.norms[-1]:.3g}" for n, i in initials)
    description = f"Norm of the gradient from the first convolution to the last, {name} BatchNorm: {ends}"
    return render_svg(f"gradients-{name}", description, _HEIGHT_INCHES, draw)


def smooth(losses: Sequence[float]) -> list[float]:
    """Returns the mean of each step's loss and those of the up to `SMOOTHED_STEPS` − 1 steps before it."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(ends - SMOOTHED_STEPS, 0)
    means: list[float] = ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
    return means


def _choose_style(study: Study, network: Network) -> dict[str, Any]:
    """Returns colour by family, dash by depth: the deepest solid."""
    dashes = ("-", "--", "-.", ":")
    rank = study.depths.index(network.depth)
    return {"color": PALETTE[0 if network.has_shortcuts else 1], "linestyle": dashes[rank % len(dashes)]}


def _scale_log(axes: Axes, values: Iterable[float]) -> None:
    """Makes the vertical axis logarithmic with round numbers written out, whatever its span."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    axes.set_yscale("log")
    if positive:
        low, high = min(positive) / 1.3, max(positive) * 1.3
        axes.set_ylim(low, high)
        subs = (1.0, 2.0, 5.0) if math.log10(high / low) < _FEW_DECADES else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    draw_grid(axes)
