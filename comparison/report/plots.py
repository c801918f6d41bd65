"""The plots of the report: curves, bars with intervals, and where the time went."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from comparison.clocks import PHASES, TOTAL, select_phases
from comparison.groups import Groups, Trials, average_rounds, list_timed, list_trials
from comparison.page import (
    ABOVE,
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
from comparison.quality import CurvePoint
from comparison.records import TrialRecord
from comparison.statistics import Ratio, compute_mean
from comparison.table import format_metric, format_number, format_ratio
from comparison.texts import list_items, say

_CURVES_INCHES = 3.0
# Of a legend.
_LINE_INCHES = 0.2
_RIGHT: dict[str, Any] = {"ha": "right", **ABOVE}
# Of a description: more trials than a listener follows are in the records.
_MAX_TOLD = 10
_PERCENT = 100.0


class Axis(NamedTuple):
    """What is read of each point of a learning curve, and what it is called."""

    label: str
    read: Callable[[CurvePoint], float]


class Bar(NamedTuple):
    """A bar with the ends of its interval, and what is written above it."""

    name: str
    value: float
    low: float
    high: float
    label: str


def plot_trials(groups: Groups) -> Markup:
    """Returns every trial as a point: its training time, first trial on top, and the mean of each configuration.

    Trials of replicas that shared too few cores are hollow. Attempts that the machine disturbed, and that were
    repeated, are crosses; in no mean.
    """
    timed = {name: list_timed(trials) for name, trials in groups.items()}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, (name, trials) in enumerate(groups.items()):
            colour = pick_style(PALETTE, position)
            places = spread_points(position, len(trials))
            for place, trial in zip(places, trials, strict=True):
                if trial in timed[name]:
                    face = "none" if trial.contended else colour
                    axes.plot(trial.train_seconds, place, "o", color=colour, markerfacecolor=face, markersize=5)
                for seconds in _list_repeated(trial):
                    axes.plot(seconds, place, "x", color=colour, markersize=5)
            if timed[name]:
                mean = compute_mean([*average_rounds(timed[name], lambda trial: trial.train_seconds).values()])
                axes.plot([mean, mean], [position - 0.14, position + 0.34], color=INK, linewidth=1.2)
                axes.annotate(say("mean {seconds} s", seconds=format_number(mean)), (1, position), (0, 12), **_RIGHT)
        label_bars(axes, [*groups])
        axes.set_xlim(left=0)
        axes.set_xlabel(say("training time, s"))
        group_thousands(axes.xaxis)

    described = [
        f"{name} {list_items([format_number(trial.train_seconds) for trial in trials[:_MAX_TOLD]])}"
        for name, trials in timed.items()
    ]
    description = say("Training time of every trial in seconds: {values}", values="; ".join(described))
    return render_svg("trials", description, measure_height(len(groups)), draw)


def plot_accuracy(groups: Groups) -> Markup:
    """Returns validation accuracy against training time, the mean of each configuration's trials and their range.

    Of models that are judged otherwise it is their metric, in its own unit and over its whole range.

    Accuracy is known at the ends of epochs, so it is drawn in steps: where they cross the target is when a trial was
    told to have reached it. Where trials of a configuration all did, their mean seconds, as in the table, are marked.
    """
    x = Axis(say("training time, s"), lambda point: point.train_seconds)
    is_accuracy = all(trial.is_accuracy for trial in list_trials(groups))
    scale = _PERCENT if is_accuracy else 1.0
    y = Axis(say("validation accuracy, %"), lambda point: scale * point.value)

    def finish(axes: Axes) -> None:
        targets = {trial.target for trial in list_trials(groups)}
        for target in sorted(own for own in targets if own is not None):
            label = say("target {percent} %", percent=f"{scale * target:g}")
            axes.axhline(scale * target, color=INK, linewidth=0.8, linestyle=":", label=label)
        for index, trials in enumerate(groups.values()):
            if (reached := find_crossing(trials)) is not None:
                colour = pick_style(PALETTE, index)
                axes.plot(*reached, marker="X", markersize=8, color=colour, markeredgecolor=INK, linestyle="none")
        axes.set_xlim(left=0)
        if is_accuracy:
            axes.set_ylim(*_find_accuracy_limits(groups))

    ends = []
    for name, trials in groups.items():
        for last in _read_curves(trials, (x, y))[-1:]:
            seconds, accuracy = map(compute_mean, last)
            last_value = f"{accuracy:.2f}" if is_accuracy else format_metric(accuracy, is_accuracy=False)
            values = {"accuracy": last_value, "seconds": format_number(seconds)}
            ends.append(say("{name}: {accuracy} % after {seconds} s", name=name, **values))
    description = say("Validation accuracy against training time of {names}", names=list_items(ends))
    return _plot_curves("accuracy", description, groups, (x, y), finish, drawstyle="steps-post")


def find_crossing(trials: Trials) -> tuple[float, float] | None:
    """Returns the mean seconds to the target, and the target as it is drawn; None where a timed trial never reached it.

    An accuracy is drawn in per cent.
    """
    timed = list_timed(trials)
    seconds = [trial.seconds_to_target for trial in timed if trial.seconds_to_target is not None]
    if not timed or len(seconds) < len(timed) or (target := timed[0].target) is None:
        return None
    return compute_mean(seconds), (_PERCENT if timed[0].is_accuracy else 1.0) * target


def plot_loss(groups: Groups) -> Markup:
    """Returns training loss against epochs, the mean of each configuration's trials and their range."""

    def finish(axes: Axes) -> None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=0)

    x, y = Axis(say("epochs"), lambda point: point.epoch), Axis(say("training loss"), lambda point: point.train_loss)
    description = say("Training loss against epochs of {names}", names=list_items(groups))
    return _plot_curves("loss", description, groups, (x, y), finish)


def plot_ratios(ratios: Mapping[str, Ratio], axis: str) -> Markup:
    """Returns ratios by name with 95 % intervals, beside 1.

    Args:
        ratios: At least one.
        axis: What they are ratios of.
    """
    bars = [_make_bar(name, ratio) for name, ratio in ratios.items()]

    def finish(axes: Axes) -> None:
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel(axis)

    return _plot_bars(f"{axis}: {_list_bars(bars)}", bars, finish)


def plot_breakdown(phases: Mapping[str, Mapping[str, float]]) -> Markup:
    """Returns where each configuration's time went, as stacked bars.

    Args:
        phases: What `break_down` returned.
    """

    def draw(figure: Figure) -> None:
        series = {phase.column: phase for phase in select_phases(phases.values())}
        styles = {
            column: (say(phase.label), pick_style(PALETTE, PHASES.index(phase))) for column, phase in series.items()
        }
        draw_stacks(figure, phases, styles)

    totals = [
        say("{name} {seconds} s", name=name, seconds=format_number(own[TOTAL.column])) for name, own in phases.items()
    ]
    description = say("Where the time went: {values}", values=list_items(totals))
    return render_svg("breakdown", description, measure_height(len(phases)) + 0.65, draw)


def _plot_curves(
    name: str,
    description: str,
    groups: Groups,
    plane: tuple[Axis, Axis],
    finish: Callable[[Axes], None],
    *,
    drawstyle: Literal["default", "steps-post"] = "default",
) -> Markup:
    """Returns the mean of the trials' curves, epoch by epoch, a band from lowest to highest, and whiskers likewise."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (configuration, trials) in enumerate(groups.items()):
            colour, curves = pick_style(PALETTE, index), _read_curves(trials, plane)
            centres, means = ([compute_mean(own[axis]) for own in curves] for axis in (0, 1))
            lows, highs = ([choose(own[1]) for own in curves] for choose in (min, max))
            step: Literal["post"] | None = "post" if drawstyle == "steps-post" else None
            axes.fill_between(centres, lows, highs, color=colour, alpha=0.18, linewidth=0, step=step)
            for (own, _), mean in zip(curves, means, strict=True):
                if min(own) < max(own):
                    axes.plot([min(own), max(own)], [mean, mean], color=colour, linewidth=0.8)
            line, marker = pick_style(DASHES, index), pick_style(MARKERS, index)
            style: dict[str, Any] = {"color": colour, "linestyle": line, "marker": marker, "drawstyle": drawstyle}
            axes.plot(centres, means, label=configuration, **style)
        finish(axes)
        axes.set_xlabel(plane[0].label)
        axes.set_ylabel(plane[1].label)
        group_thousands(axes.xaxis)
        draw_grid(axes)
        figure.legend(loc="outside lower left")

    return render_svg(name, description, _CURVES_INCHES + _LINE_INCHES * len(groups), draw)


def _read_curves(trials: Trials, plane: tuple[Axis, Axis]) -> list[tuple[list[float], list[float]]]:
    """Returns what the trials' curves say after each epoch, along both axes."""
    epochs: dict[int, tuple[list[float], list[float]]] = {}
    for point in (point for trial in trials for point in trial.curve):
        for own, axis in zip(epochs.setdefault(point.epoch, ([], [])), plane, strict=True):
            own.append(axis.read(point))
    return [epochs[epoch] for epoch in sorted(epochs)]


def _list_repeated(trial: TrialRecord) -> list[float]:
    """Returns the training seconds of a trial's attempts that were disturbed, and repeated."""
    attempts = trial.earlier_attempts or []
    return [float(own["train_seconds"]) for own in attempts if own.get("train_seconds") is not None]


def _plot_bars(description: str, bars: Sequence[Bar], finish: Callable[[Axes], None]) -> Markup:
    """Returns horizontal bars with their names and values above them and their intervals upon them."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, bar in enumerate(bars):
            axes.barh(position, bar.value, height=0.42, color=pick_style(PALETTE, position))
            if bar.low < bar.high:
                ends = [max(bar.low, 0), bar.high]
                axes.plot(ends, [position, position], color=INK, linewidth=1.2, marker="|", markersize=6)
            axes.annotate(bar.label, (1, position), (0, 12), ha="right", **ABOVE)
        label_bars(axes, [bar.name for bar in bars])
        finish(axes)

    return render_svg("ratios", description, measure_height(len(bars)), draw)


def _make_bar(name: str, ratio: Ratio) -> Bar:
    return Bar(name, ratio.value, ratio.low or ratio.value, ratio.high or ratio.value, format_ratio(ratio))


def _list_bars(bars: Sequence[Bar]) -> str:
    return list_items([f"{bar.name} {bar.label}" for bar in bars])


def _find_accuracy_limits(groups: Groups) -> tuple[float, float]:
    """Returns limits in per cent that spread out the end of the curves: three times the worst final error."""
    curves = [trial.curve for trial in list_trials(groups) if trial.curve]
    final_error = max((1 - curve[-1].value for curve in curves), default=1.0)
    highest_error = max((1 - point.value for curve in curves for point in curve), default=1.0)
    error = min(1.0, max(0.005, min(3 * final_error, 1.1 * highest_error)))
    return 100 * (1 - error), 100 + 4 * error
