"""The report as one HTML file that needs nothing else."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from markupsafe import Markup, escape

from comparison.audit import list_violations
from comparison.clocks import TOTAL, TRAINING, compute_overhead_share, select_phases
from comparison.environment import describe_environment, format_value
from comparison.forecast import (
    Forecast,
    describe_forecast,
    list_caveats,
    plot_forecast,
    state_check,
    state_forecast,
    tabulate_workers,
)
from comparison.groups import Groups, Trials, add_confusion_matrices, list_timed, select_timed, split_by_scaling
from comparison.page import PALETTE, pick_style, render_page
from comparison.quality import MAX_SHOWN_CLASSES, ConfusionMatrix
from comparison.records import TRIALS_FILE, format_records
from comparison.report.analysis import SCALINGS, Analysis
from comparison.report.breakdown import break_down, describe_times, format_phases, measure_waiting
from comparison.report.intervals import list_second_figures
from comparison.report.misclassified import list_confusions, shade_confusion_matrix
from comparison.report.plots import plot_accuracy, plot_breakdown, plot_loss, plot_trials
from comparison.report.time_to_accuracy import describe_targets, name_target
from comparison.summary import Row, compute_whole_job_speedups
from comparison.table import UNKNOWN, Cells, format_brief_table, format_ratio, format_table, split_interval
from comparison.texts import say

# What keeps a page below 2 MB, so that it opens at once: trials whose records it holds and how long these are (a trial
# takes 7 kB, more where there are many classes), and cells of confusion matrices, 60 bytes each.
MAX_EMBEDDED_TRIALS = 100
_MAX_EMBEDDED_LENGTH = 600_000
_MAX_CELLS = 12_000

_Half = TypeVar("_Half")


@dataclass(frozen=True)
class Plot:
    """A plot of the report, with what its reader must know."""

    title: str
    svg: Markup
    note: str = ""


def render_report(analysis: Analysis) -> str:
    """Returns the report as one self-contained HTML page, in the reader's language."""
    with analysis.speak():
        return _render(analysis)


def _render(analysis: Analysis) -> str:
    trials, groups = analysis.trials, analysis.groups
    timed = select_timed(groups)
    phases = break_down(timed)
    return render_page(
        "report/report.html.j2",
        run_id=analysis.run_info.run_id,
        verdict=analysis.verdict,
        outlook=analysis.outlook,
        cautions=[*analysis.warnings, *analysis.notes],
        tables=_describe_tables(analysis),
        marks=analysis.explanations,
        statistics=analysis.statistics,
        findings=analysis.findings,
        num_broken=len(list_violations(analysis.findings)),
        trials_plot=plot_trials(groups),
        first_plots=_plot_by_workers(analysis.forecasts),
        more_plots=[*([_plot_accuracy(groups)] if timed else []), Plot(say("Training loss"), plot_loss(groups))],
        is_timed=bool(timed),
        breakdown_plot=plot_breakdown(phases) if timed else "",
        clocks=[*select_phases(phases.values()), TRAINING, TOTAL],
        phases=format_phases(phases),
        times=describe_times(timed),
        overhead_share=compute_overhead_share(trials, analysis.run_info),
        targets=describe_targets(timed),
        target=name_target(trials),
        **_describe_forecasts(analysis.forecasts),
        models=_describe_models(groups),
        environment={say(name): value for name, value in describe_environment(trials).items()},
        parameters={name: format_value(value) for name, value in analysis.run_info.parameters.items()},
        records=_embed_records(trials),
        num_trials=len(trials),
        trials_file=TRIALS_FILE,
    )


def _describe_tables(analysis: Analysis) -> list[dict[str, Any]]:
    """Returns the tables of each kind of scaling, in brief and whole; where there is one kind only, without a title."""
    tables, described = analysis.tables, []
    colours = {name: pick_style(PALETTE, index) for index, name in enumerate(analysis.groups)}
    for scaling, rows in tables.items():
        groups = split_by_scaling(analysis.groups)[scaling]
        whole_jobs = compute_whole_job_speedups(groups)
        brief = format_brief_table(rows, whole_jobs, analysis.marks.signs)
        fastest = analysis.answers[scaling].fastest
        described.append(
            {
                "title": say(SCALINGS[scaling]) if len(tables) > 1 else None,
                "star": say("fastest") if len(fastest) == 1 else say("may be fastest"),
                "columns": brief.columns,
                "rows": [
                    {
                        "name": cells[0],
                        "cells": [split_interval(cell) for cell in cells[1:]],
                        "colour": colours[row.configuration],
                        "is_winner": row.configuration in fastest,
                    }
                    for row, cells in zip(rows, brief.rows, strict=True)
                ],
                "whole": _add_columns(format_table(rows, analysis.signs), rows, groups),
            }
        )
    return described


def _add_columns(cells: Cells, rows: Sequence[Row], groups: Groups) -> Cells:
    """Returns the whole table with what is not in each report.

    That is the second figures, where they disagree with the means, and the share of the training that was waited for a
    core, where records say it.
    """
    for column, figures in list_second_figures(groups).items():
        values = [format_ratio(figures.get(row.configuration)) for row in rows]
        cells = _add_column(cells, column, values)
    shares = [measure_waiting(list_timed(groups[row.configuration])) for row in rows]
    if all(share is None for share in shares):
        return cells
    waited = [UNKNOWN if share is None else f"{100 * share:.0f}" for share in shares]
    return _add_column(cells, say("waited for cores, %"), waited)


def _add_column(cells: Cells, column: str, values: Sequence[str]) -> Cells:
    return Cells([*cells.columns, column], [[*own, value] for own, value in zip(cells.rows, values, strict=True)])


def _plot_by_workers(forecasts: Sequence[Forecast]) -> list[Plot]:
    note = say("Markers are measured, with 95 % intervals; bands are forecast. Both axes are logarithmic.")
    hollow = " " + say("Hollow markers: replicas shared too few cores.")
    halves = _split_forecasts(forecasts)
    plots = _plot_halves("by_workers", say("Speedup against workers"), halves, plot_forecast)
    notes = [note + (hollow if _is_any_contended(own) else "") for own in halves.values()]
    return [replace(plot, note=own) for plot, own in zip(plots, notes, strict=True)]


def _plot_accuracy(groups: Groups) -> Plot:
    note = say(
        "Means over trials; bands and whiskers reach from the lowest trial to the highest. A cross on the target: the "
        "mean time to it."
    )
    return Plot(say("Accuracy against training time"), plot_accuracy(groups), note)


def _plot_halves(
    name: str, title: str, halves: Mapping[str, _Half], plot: Callable[[_Half, str], Markup]
) -> list[Plot]:
    """Returns a plot for each kind of scaling; where there is one kind only, neither name nor title says which."""
    if len(halves) == 1:
        return [Plot(title, plot(own, name)) for own in halves.values()]
    scalings = {"strong": say("strong scaling"), "weak": say("weak scaling")}
    return [
        Plot(say("{title}, {scaling}", title=title, scaling=scalings[key]), plot(own, f"{name}_{key}"))
        for key, own in halves.items()
    ]


def _describe_forecasts(forecasts: Sequence[Forecast]) -> dict[str, Any]:
    """Returns what the template shows of the forecasts."""
    return {
        "forecasts": [
            {
                "name": describe_forecast(forecast),
                "statement": state_forecast(forecast),
                "checks": [state_check(check) for check in forecast.checks],
                "workers": tabulate_workers(forecast),
            }
            for forecast in forecasts
        ],
        "forecast_caveats": list_caveats(forecasts),
    }


def _split_forecasts(forecasts: Sequence[Forecast]) -> dict[str, list[Forecast]]:
    """Returns the forecasts of strong and of weak scaling, those that there are."""
    halves: dict[str, list[Forecast]] = {}
    for forecast in forecasts:
        halves.setdefault(forecast.scaling, []).append(forecast)
    return halves


def _is_any_contended(forecasts: Iterable[Forecast]) -> bool:
    return any(scale.is_contended for forecast in forecasts for scale in forecast.measured)


def _describe_models(groups: Groups) -> list[dict[str, Any]]:
    """Returns what the template shows of each configuration's models; nothing where their answers are no classes."""
    max_classes = math.isqrt(_MAX_CELLS // len(groups))
    matrices = {name: add_confusion_matrices(trials) for name, trials in groups.items()}
    return [_describe_model(name, groups[name], own, max_classes) for name, own in matrices.items() if own]


def _describe_model(name: str, trials: Trials, matrix: ConfusionMatrix, max_classes: int) -> dict[str, Any]:
    classes = matrix.select_classes(min(MAX_SHOWN_CLASSES, max_classes))
    return {
        "name": name,
        "confusions": list_confusions(trials),
        "num_trials": len(trials),
        "classes": classes,
        "num_left_out": matrix.count_left_out(classes),
        "matrix": shade_confusion_matrix(matrix, classes),
    }


def _embed_records(trials: Trials) -> Markup | None:
    """Returns the records as they are in the file, None where they are too many or too long for a page.

    The images are to be seen elsewhere on it; as letters they would be most of the page.
    """
    if len(trials) > MAX_EMBEDDED_TRIALS:
        return None
    records = escape(format_records(replace(trial, misclassified=None) for trial in trials))
    return records if len(records) <= _MAX_EMBEDDED_LENGTH else None
