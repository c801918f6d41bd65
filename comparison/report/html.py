"""The report: one HTML file that needs nothing else, and its short form in Markdown."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from markupsafe import Markup

from comparison.audit.findings import Finding
from comparison.audit.marks import Marks, explain_marks, find_winner, mark_configurations
from comparison.forecast.plot import plot_forecast, plot_speedup_by_workers
from comparison.forecast.scaling import Forecast
from comparison.forecast.text import (
    describe_forecast,
    describe_networks,
    list_caveats,
    state_check,
    state_forecast,
    state_outlook,
    tabulate_networks,
    tabulate_workers,
)
from comparison.page import render_page
from comparison.records import TRIALS_FILE, RunInfo, TrialRecord, format_records
from comparison.report.breakdown import (
    PHASES,
    TOTAL,
    TRAINING,
    break_down,
    compute_overhead_share,
    describe_times,
    format_seconds,
)
from comparison.report.misclassified import list_confusions
from comparison.report.plots import plot_accuracy, plot_breakdown, plot_loss, plot_speedup, plot_throughput
from comparison.report.time_to_accuracy import describe_targets, name_target
from comparison.report.verdict import collect_warnings, describe_statistics, state_verdict
from comparison.summary import Groups, add_confusion_matrices, split_table
from comparison.table import UNKNOWN, format_table, to_markdown
from comparison.texts import list_items, say

_SCALINGS = {"strong": "Strong scaling: one global batch for all", "weak": "Weak scaling: one batch size a worker"}
_SHORT_SHA = 12
# Trials whose records the page holds: each takes about 5 kB, and a page of a megabyte still opens at once.
MAX_EMBEDDED_TRIALS = 200


@dataclass(frozen=True)
class Plot:
    """A plot of the report, with what its reader must know."""

    title: str
    svg: Markup
    note: str = ""


@dataclass(frozen=True)
class HeatCell:
    """A cell of a confusion matrix, with how deep it is coloured: from 0 to 1."""

    count: int
    is_correct: bool
    depth: float


def render_report(
    table: pd.DataFrame,
    groups: Groups,
    run_info: RunInfo,
    findings: Sequence[Finding],
    forecasts: Sequence[Forecast],
) -> str:
    """Returns the report as one self-contained HTML page, in the reader's language.

    Args:
        table: What `summarize` returned.
        groups: The trials of each configuration.
        run_info: What was planned.
        findings: What `audit_fairness` returned for the groups, in the reader's language.
        forecasts: What `forecast_scaling` returned for the groups.
    """
    trials = [trial for group in groups.values() for trial in group]
    marks = mark_configurations(groups, findings)
    tables, phases = split_table(table), break_down(groups)
    return render_page(
        "report/report.html.j2",
        run_id=run_info.run_id,
        verdict=state_verdict(table, groups, findings),
        outlook=state_outlook(table, forecasts, marks),
        warnings=collect_warnings(groups, findings),
        tables=[_describe_table(scaling, own, marks, is_only=len(tables) == 1) for scaling, own in tables.items()],
        marks=explain_marks(marks),
        statistics=describe_statistics(groups),
        findings=findings,
        first_plots=[*_plot_by_workers(forecasts), _plot_accuracy(groups)],
        more_plots=_plot_more(tables, table, groups),
        breakdown_plot=_trust(plot_breakdown(phases)),
        phase_columns=[*PHASES, TOTAL],
        phases=phases.map(format_seconds).to_dict("split"),
        times=describe_times(groups),
        targets=describe_targets(groups),
        target=name_target(trials),
        forecasts=[_describe_forecast(forecast) for forecast in forecasts],
        forecast_caveats=list_caveats(forecasts),
        forecast_plots=_plot_forecasts(forecasts),
        forecast_contended=_is_any_contended(forecasts),
        networks=describe_networks(),
        has_strong_scaling=any(forecast.job.scaling == "strong" for forecast in forecasts),
        clocks=[*PHASES, TRAINING, TOTAL],
        overhead_share=compute_overhead_share(trials, run_info),
        models=[
            {
                "name": name,
                "confusions": list_confusions(own),
                "num_trials": len(own),
                "matrix": shade_confusion_matrix(add_confusion_matrices(own)),
            }
            for name, own in groups.items()
        ],
        environment={say(name): value for name, value in describe_environment(trials).items()},
        parameters={name: format_value(value) for name, value in run_info.parameters.items()},
        # The images are to be seen above; as letters they would be most of the page.
        records=format_records(replace(trial, misclassified=None) for trial in trials)
        if len(trials) <= MAX_EMBEDDED_TRIALS
        else None,
        num_trials=len(trials),
        trials_file=TRIALS_FILE,
    )


def render_markdown(
    table: pd.DataFrame, groups: Groups, findings: Sequence[Finding], forecasts: Sequence[Forecast]
) -> str:
    """Returns verdict, forecast, tables and warnings as Markdown that reads well as raw text, too.

    Args:
        table: What `summarize` returned.
        groups: The trials of each configuration.
        findings: What `audit_fairness` returned for the groups, in the reader's language.
        forecasts: What `forecast_scaling` returned for the groups.
    """
    marks = mark_configurations(groups, findings)
    tables, outlook = split_table(table), title_outlook(state_outlook(table, forecasts, marks))
    paragraphs = [f"# {state_verdict(table, groups, findings)}", *([outlook] if outlook else [])]
    for scaling, own in tables.items():
        paragraphs += [f"## {say(_SCALINGS[scaling])}"] if len(tables) > 1 else []
        paragraphs.append(to_markdown(translate_headers(format_table(own, marks.signs))).rstrip())
    paragraphs += [
        f"{say('Means over trials; ± and brackets are 95 % intervals.')} {describe_statistics(groups)}",
        *explain_marks(marks),
        *(say("- Warning: {warning}", warning=warning) for warning in collect_warnings(groups, findings)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def title_outlook(outlook: str) -> str:
    """Returns what `state_outlook` returned, named for what it is."""
    return f"{say('Forecast')}{say(': ')}{outlook}" if outlook else ""


def translate_headers(cells: pd.DataFrame) -> pd.DataFrame:
    """Returns a table's cells with its headers in the reader's language."""
    return cells.rename(columns={header: say(str(header)) for header in cells.columns})


def describe_environment(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """Returns where the trials ran, by name; what differed between them is listed."""
    facts: dict[str, list[str]] = {}
    for trial in trials:
        own = {
            **{name.replace("_", " "): value for name, value in trial.host.items() if name != "memory_bytes"},
            "memory": _format_memory(trial.host.get("memory_bytes")),
            "backend": say(trial.backend),
            "image": trial.image or say("none: processes on the host"),
            **{name.replace("_", "-"): value for name, value in trial.versions.items()},
            "model": say("{model}, {number} parameters", model=trial.model, number=f"{trial.num_parameters:,}"),
            "data": list_items([trial.dataset, f"SHA-256 {trial.dataset_sha256[:_SHORT_SHA]}…"]),
        }
        for name, value in own.items():
            facts.setdefault(name, []).append(format_value(value))
    return {name: "; ".join(dict.fromkeys(values)) for name, values in facts.items()}


def format_value(value: Any) -> str:
    """Returns a parameter or a fact as a reader sees it."""
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return UNKNOWN if value is None else str(value)


def shade_confusion_matrix(matrix: Sequence[Sequence[int]]) -> list[list[HeatCell]]:
    """Returns the matrix with depths that show the rare errors beside the many hits: square roots of shares."""
    most_errors = max((count for true, row in enumerate(matrix) for j, count in enumerate(row) if j != true), default=0)
    return [
        [
            HeatCell(count, j == true, math.sqrt(count / max(sum(row) if j == true else most_errors, 1)))
            for j, count in enumerate(row)
        ]
        for true, row in enumerate(matrix)
    ]


def _describe_table(scaling: str, table: pd.DataFrame, marks: Marks, *, is_only: bool) -> dict[str, Any]:
    """Returns the table of one kind of scaling; where there is one kind only, it needs no title."""
    winner = find_winner(table, marks)
    return {
        "title": None if is_only else say(_SCALINGS[scaling]),
        "cells": translate_headers(format_table(table, marks.signs)).to_dict("split"),
        "winner": None if winner is None else table["configuration"].tolist().index(winner),
    }


def _plot_by_workers(forecasts: Sequence[Forecast]) -> list[Plot]:
    """Returns the speedup against workers, a plot for each kind of scaling that was forecast."""
    title, halves = say("Speedup against workers"), _split_forecasts(forecasts)
    note = say("Markers are measured, with 95 % intervals; lines and bands are forecast. Both axes are logarithmic.")
    hollow = " " + say("Hollow markers: replicas shared too few cores.")
    return [
        Plot(
            _add_scaling(title, scaling, halves),
            _trust(plot_speedup_by_workers(own, _add_id("by_workers", scaling, halves))),
            note + (hollow if _is_any_contended(own) else ""),
        )
        for scaling, own in halves.items()
    ]


def _plot_accuracy(groups: Groups) -> Plot:
    note = say("Means over trials; bands and whiskers reach from the lowest trial to the highest.")
    return Plot(say("Accuracy against training time"), _trust(plot_accuracy(groups)), note)


def _plot_more(tables: Mapping[str, pd.DataFrame], table: pd.DataFrame, groups: Groups) -> list[Plot]:
    """Returns the speedups, a plot for each kind of scaling, the throughputs and the training loss."""
    speedups = [
        Plot(
            _add_scaling(say("Speedup"), scaling, tables),
            _trust(plot_speedup(own, _add_id("speedup", scaling, tables))),
        )
        for scaling, own in tables.items()
    ]
    throughput = Plot(say("Throughput"), _trust(plot_throughput(table)))
    return [*speedups, throughput, Plot(say("Training loss"), _trust(plot_loss(groups)))]


def _plot_forecasts(forecasts: Sequence[Forecast]) -> list[Plot]:
    """Returns the forecast, a plot for each kind of scaling; where there is one kind only, it needs no title."""
    halves = _split_forecasts(forecasts)
    return [
        Plot(
            say(_SCALINGS[scaling]) if len(halves) > 1 else "",
            _trust(plot_forecast(own, _add_id("forecast", scaling, halves))),
        )
        for scaling, own in halves.items()
    ]


def _split_forecasts(forecasts: Sequence[Forecast]) -> dict[str, list[Forecast]]:
    """Returns the forecasts of strong and of weak scaling, those that there are."""
    halves: dict[str, list[Forecast]] = {}
    for forecast in forecasts:
        halves.setdefault(forecast.job.scaling, []).append(forecast)
    return halves


def _add_scaling(title: str, scaling: str, halves: Sized) -> str:
    """Returns a plot's title, with the kind of scaling where there is more than one."""
    scalings = {"strong": say("strong scaling"), "weak": say("weak scaling")}
    return say("{title}, {scaling}", title=title, scaling=scalings[scaling]) if len(halves) > 1 else title


def _add_id(name: str, scaling: str, halves: Sized) -> str:
    """Returns a plot's name, another one for each kind of scaling where there is more than one."""
    return f"{name}_{scaling}" if len(halves) > 1 else name


def _is_any_contended(forecasts: Iterable[Forecast]) -> bool:
    return any(point.is_contended for forecast in forecasts for point in forecast.points)


def _trust(svg: str) -> Markup:
    """Returns a plot as markup: it is the program's own, every text in it is escaped where it is drawn."""
    return Markup(svg)  # noqa: S704


def _describe_forecast(forecast: Forecast) -> dict[str, Any]:
    """Returns what the report says of a forecast."""
    return {
        "name": describe_forecast(forecast),
        "statement": state_forecast(forecast),
        "checks": [state_check(check) for check in forecast.checks],
        "networks": tabulate_networks(forecast),
        "workers": tabulate_workers(forecast),
        "step": f"{1000 * forecast.models[0].single_step_seconds:,.1f}",
        "is_local": forecast.is_local,
    }


def _format_memory(size_bytes: float | None) -> str:
    return UNKNOWN if size_bytes is None else f"{size_bytes / 2**30:,.1f} GiB"
