"""The plots of a comparison of programs: speedup against workers, the metric, every trial, and where the time went."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from comparison.page import (
    DASHES,
    INK,
    MARKERS,
    PALETTE,
    draw_grid,
    draw_stacks,
    group_thousands,
    label_bars,
    measure_height,
    pick_style,
    render_svg,
    spread_points,
)
from comparison.programs.measure import Basis, Measure, ProgramGroups, select_timed
from comparison.programs.metrics import Metric
from comparison.programs.record import ProgramPoint, ProgramTrial
from comparison.programs.rows import ProgramRow
from comparison.statistics import compute_mean
from comparison.table import format_number, format_ratio
from comparison.texts import list_items, say

_INCHES = 3.0
_LINE_INCHES = 0.2
# Apart, so that the bars of equally many workers do not hide each other.
_SHIFT = 0.06
# Of a curve: more are not told apart, and make a page large.
_MOST_POINTS = 40
# Of a description: more than a listener follows are in the table.
_MOST_TOLD = 10
# What the time of a job went to, as `break_down` names it, and what each part spans.
PARTS = {
    "waiting for a node": "until the last replica was bound to a node",
    "image pull": "the longest pull of an image",
    "queue, starting": "the rest of the time until the last replica's process began",
    "start and end": "of the job, what the program tells nothing of: imports, data, saving, ending",
    "warm-up": "steps that were told and left out, because they are slower than those that follow",
    "training": "from the first step that was told after the warm-up to the last one",
}


def plot_speedups(rows: Sequence[ProgramRow]) -> Markup:
    """Returns the speedup of each row against its number of workers, with 95 % intervals, beside the ideal one.

    Args:
        rows: The table; one at least has a ratio.
    """
    known = [(row, ratio) for row in rows if (ratio := row.ratio)]
    least = min(row.num_workers for row, _ in known)
    most = max(row.num_workers for row, _ in known)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([least, most], [1, most / least], color=INK, linewidth=0.8, linestyle=":", label=say("ideal"))
        axes.axhline(1, color=INK, linewidth=0.8, alpha=0.5)
        taken: dict[int, int] = {}
        for index, (row, ratio) in enumerate(known):
            place = row.num_workers + _SHIFT * taken.get(row.num_workers, 0)
            taken[row.num_workers] = taken.get(row.num_workers, 0) + 1
            colour = pick_style(PALETTE, index)
            if ratio.low is not None and ratio.high is not None:
                ends = [ratio.low, min(ratio.high, 4 * ratio.value)]
                axes.plot([place, place], ends, color=colour, linewidth=1.2, marker="_")
            style: dict[str, Any] = {"color": colour, "linestyle": "none", "marker": pick_style(MARKERS, index)}
            axes.plot([place], [ratio.value], markersize=6, label=row.configuration, **style)
        axes.set_xlabel(say("workers"))
        axes.set_ylabel(say("speedup over the baseline"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=0)
        draw_grid(axes)
        figure.legend(loc="outside lower left")

    points = list_items([f"{row.configuration} {format_ratio(ratio)}" for row, ratio in known])
    description = say("Speedup against workers: {points}", points=points)
    return render_svg("speedups", description, _INCHES + _LINE_INCHES * len(known), draw)


def plot_trials(groups: ProgramGroups, measure: Measure) -> Markup:
    """Returns every trial as a point by what is compared, the first on top; hollow where cores were shared."""
    timed = select_timed(groups)
    label = {
        Basis.WHOLE_JOB: say("job, s"),
        Basis.TRAINING: say("training time, s"),
        Basis.THROUGHPUT: say("{unit}/s", unit=say(measure.unit)),
    }[measure.basis]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, name in enumerate(groups):
            colour, own = pick_style(PALETTE, position), timed.get(name, ())
            for place, trial in zip(spread_points(position, len(own)), own, strict=True):
                face = "none" if trial.contended else colour
                axes.plot(measure.read(trial), place, "o", color=colour, markerfacecolor=face, markersize=5)
            if own:
                mean = compute_mean([measure.read(trial) for trial in own])
                axes.plot([mean, mean], [position - 0.14, position + 0.34], color=INK, linewidth=1.2)
        label_bars(axes, [*groups])
        axes.set_xlim(left=0)
        axes.set_xlabel(label)
        group_thousands(axes.xaxis)

    values = "; ".join(
        f"{name} {list_items([format_number(measure.read(trial)) for trial in trials[:_MOST_TOLD]])}"
        for name, trials in timed.items()
    )
    description = say("Every trial, {label}: {values}", label=label, values=values)
    return render_svg("trials", description, measure_height(len(groups)), draw)


def plot_metric(groups: ProgramGroups, metric: Metric) -> Markup | None:
    """Returns the metric on its way against the training time, a line a trial; None where no trial tells it."""
    curves = {
        name: [own for trial in trials if len(own := _read_curve(trial.curve, metric.name)) > 1]
        for name, trials in groups.items()
    }
    if not any(curves.values()):
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, own) in enumerate(curves.items()):
            style: dict[str, Any] = {"color": pick_style(PALETTE, index), "linestyle": pick_style(DASHES, index)}
            for place, points in enumerate(own):
                label = None if place else name
                axes.plot(*zip(*points, strict=True), linewidth=1.2, label=label, **style)
        axes.set_xlabel(say("training time, s"))
        axes.set_ylabel(metric.name)
        axes.set_xlim(left=0)
        group_thousands(axes.xaxis)
        draw_grid(axes)
        figure.legend(loc="outside lower left")

    ends = [
        say(
            "{name}: {value} after {seconds} s",
            name=name,
            value=format_number(own[0][-1][1]),
            seconds=format_number(own[0][-1][0]),
        )
        for name, own in curves.items()
        if own
    ]
    description = say("{metric} against training time: {values}", metric=metric.name, values=list_items(ends))
    return render_svg("metric", description, _INCHES + _LINE_INCHES * len(curves), draw)


def break_down(groups: ProgramGroups) -> dict[str, dict[str, float]]:
    """Returns the mean seconds of each configuration's timed trials by `PARTS`."""
    return {
        name: {part: compute_mean([_split(trial)[part] for trial in trials]) for part in PARTS}
        for name, trials in select_timed(groups).items()
    }


def plot_parts(parts: Mapping[str, Mapping[str, float]]) -> Markup:
    """Returns where each configuration's time went, as stacked bars.

    Args:
        parts: What `break_down` returned.
    """

    def draw(figure: Figure) -> None:
        draw_stacks(figure, parts, {part: (say(part), pick_style(PALETTE, index)) for index, part in enumerate(PARTS)})

    totals = [
        say("{name} {seconds} s", name=name, seconds=format_number(sum(own.values()))) for name, own in parts.items()
    ]
    description = say("Where the time went: {values}", values=list_items(totals))
    return render_svg("parts", description, measure_height(len(parts)) + 0.65, draw)


def _read_curve(curve: Sequence[ProgramPoint], name: str) -> list[tuple[float, float]]:
    """Returns the points of a metric's curve in the order of their time, a few of many: the last one is among them."""
    points = sorted((point.train_seconds, point.value) for point in curve if point.name == name)
    stride = max(1, -(-len(points) // _MOST_POINTS))
    return points[::-stride][::-1]


def _split(trial: ProgramTrial) -> dict[str, float]:
    """Returns where the seconds of a trial went, by `PARTS`; what is not told of a job is one part."""
    warmup, train = trial.warmup_seconds or 0.0, trial.train_seconds or 0.0
    waiting = trial.queue_seconds - trial.schedule_seconds - trial.pull_seconds
    seconds = (trial.schedule_seconds, trial.pull_seconds, waiting, trial.job_seconds - warmup - train, warmup, train)
    return dict(zip(PARTS, seconds, strict=True))
