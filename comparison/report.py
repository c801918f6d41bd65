"""The report: one HTML file that needs nothing else, and its short form in Markdown."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from comparison.audit import audit_fairness
from comparison.breakdown import PHASES, TOTAL, TRAINING, break_down, compute_overhead_share
from comparison.forecast import Forecast, forecast_scaling
from comparison.forecast_plot import plot_forecast
from comparison.forecast_text import (
    describe_forecast,
    describe_networks,
    list_caveats,
    state_check,
    state_forecast,
    tabulate_networks,
    tabulate_workers,
)
from comparison.page import render_page
from comparison.plots import plot_accuracy, plot_breakdown, plot_speedup, plot_throughput
from comparison.records import RunInfo, TrialRecord, format_records
from comparison.summary import Groups, add_confusion_matrices
from comparison.table import CONTENDED_MARK, UNFAIR_MARK, UNKNOWN, format_table, to_markdown
from comparison.verdict import (
    collect_warnings,
    describe_statistics,
    find_winner,
    list_contended,
    list_unfair,
    state_verdict,
)

_CONTENDED_NOTE = f"{CONTENDED_MARK} contended: the replicas asked for more cores than there are"
_UNFAIR_NOTE = f"{UNFAIR_MARK} breaks a rule of the fairness audit"
_SHORT_SHA = 12


@dataclass(frozen=True)
class HeatCell:
    """A cell of a confusion matrix, with how deep it is coloured: from 0 to 1."""

    count: int
    is_correct: bool
    depth: float


def render_report(table: pd.DataFrame, groups: Groups, run_info: RunInfo) -> str:
    """Returns the report as one self-contained HTML page.

    Args:
        table: What `summarize` returned.
        groups: The trials of each configuration.
        run_info: What was planned.
    """
    trials = [trial for group in groups.values() for trial in group]
    contended, unfair = list_contended(groups), list_unfair(groups)
    phases = break_down(groups)
    forecasts = forecast_scaling(groups)
    return render_page(
        "report.html.j2",
        run_id=run_info.run_id,
        verdict=state_verdict(table, groups),
        warnings=collect_warnings(groups, run_info),
        cells=format_table(table, contended, unfair).to_dict("split"),
        winner=list(groups).index(winner) if (winner := find_winner(table)) else None,
        marks=explain_marks(contended, unfair),
        statistics=describe_statistics(groups),
        findings=audit_fairness(groups),
        # The plots are the program's own markup; every text in them is escaped where they are drawn.
        plots={
            "Speedup": Markup(plot_speedup(table)),  # noqa: S704
            "Accuracy against training time": Markup(plot_accuracy(groups)),  # noqa: S704
            "Throughput": Markup(plot_throughput(table)),  # noqa: S704
        },
        breakdown_plot=Markup(plot_breakdown(phases)),  # noqa: S704
        phase_columns=[*PHASES, TOTAL],
        phases=phases.map("{:.2f}".format).to_dict("split"),
        forecasts=[_describe_forecast(forecast) for forecast in forecasts],
        forecast_caveats=list_caveats(forecasts),
        forecast_plot=Markup(plot_forecast(forecasts)) if forecasts else None,  # noqa: S704
        forecast_contended=any(point.is_contended for forecast in forecasts for point in forecast.points),
        networks=describe_networks(),
        scaling=trials[0].scaling,
        clocks=[*PHASES, TRAINING, TOTAL],
        overhead_share=compute_overhead_share(trials, run_info),
        confusion_matrices={name: shade_confusion_matrix(add_confusion_matrices(own)) for name, own in groups.items()},
        environment=describe_environment(trials),
        parameters={name: _format_value(value) for name, value in run_info.parameters.items()},
        records=format_records(trials),
    )


def render_markdown(table: pd.DataFrame, groups: Groups, run_info: RunInfo) -> str:
    """Returns verdict, table and warnings as Markdown that reads well as raw text, too."""
    contended, unfair = list_contended(groups), list_unfair(groups)
    paragraphs = [
        f"# {state_verdict(table, groups)}",
        to_markdown(format_table(table, contended, unfair)).rstrip(),
        f"Means over trials; ± and brackets: 95 % intervals. {describe_statistics(groups)}",
        *(f"{mark}." for mark in explain_marks(contended, unfair)),
        *(f"- Warning: {warning}" for warning in collect_warnings(groups, run_info)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def explain_marks(contended: Sequence[str], unfair: Sequence[str]) -> list[str]:
    """Returns what the marks in the table mean, for those that are there."""
    return [note for note, marked in ((_CONTENDED_NOTE, contended), (_UNFAIR_NOTE, unfair)) if marked]


def describe_environment(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """Returns where the trials ran, by name; what differed between them is listed."""
    facts: dict[str, list[str]] = {}
    for trial in trials:
        own = {
            **{name.replace("_", " "): value for name, value in trial.host.items() if name != "memory_bytes"},
            "memory": _format_memory(trial.host.get("memory_bytes")),
            "backend": trial.backend,
            "image": trial.image or "none: processes on the host",
            **{name.replace("_", "-"): value for name, value in trial.versions.items()},
            "model": f"{trial.model}, {trial.num_parameters:,} parameters",
            "data": f"{trial.dataset}, SHA-256 {trial.dataset_sha256[:_SHORT_SHA]}…",
        }
        for name, value in own.items():
            facts.setdefault(name, []).append(_format_value(value))
    return {name: "; ".join(dict.fromkeys(values)) for name, values in facts.items()}


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


def _describe_forecast(forecast: Forecast) -> dict[str, Any]:
    """Returns what the report says of a forecast."""
    return {
        "name": describe_forecast(forecast),
        "statement": state_forecast(forecast),
        "checks": [state_check(check) for check in forecast.checks],
        "networks": tabulate_networks(forecast),
        "workers": tabulate_workers(forecast),
        "step": f"{1000 * forecast.models[0].single_step_seconds:.1f}",
        "is_local": forecast.is_local,
    }


def _format_memory(size_bytes: float | None) -> str:
    return UNKNOWN if size_bytes is None else f"{size_bytes / 2**30:.1f} GiB"


def _format_value(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return UNKNOWN if value is None else str(value)
