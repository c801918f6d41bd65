"""The report on a person's program: one HTML file that needs nothing else, and the same in short as Markdown."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from comparison.audit import list_violations
from comparison.environment import format_value
from comparison.page import PALETTE, pick_style, render_page
from comparison.programs.analysis import ProgramAnalysis, describe_statistics
from comparison.programs.audit import find_nodes, name_level
from comparison.programs.cautions import list_notes
from comparison.programs.plots import PARTS, break_down, plot_metric, plot_parts, plot_speedups, plot_trials
from comparison.programs.reading import format_program_trials
from comparison.programs.rows import describe_configuration
from comparison.programs.tables import format_brief_table, format_table, format_trials, name_unit
from comparison.records import OF_MANIFEST, OF_OWN_LOOP, TRIALS_FILE
from comparison.table import UNKNOWN, Cells, escape_markdown, format_number, split_interval, to_markdown
from comparison.texts import list_items, say

# What keeps a page below 400 kB, so that it opens at once.
_MAX_EMBEDDED_LENGTH = 100_000
_MAX_LISTED_TRIALS = 200
_MAX_VALUE_LETTERS = 2_000
FACTS = (
    *("backend", "image", "image digest", "CPUs of a replica", "memory of a replica", "nodes of the replicas"),
    "what the program tells",
)


def render_program_report(analysis: ProgramAnalysis) -> str:
    """Returns the report as one self-contained HTML page, in the reader's language."""
    groups, measure, metric = analysis.groups, analysis.case.measure, analysis.metric
    parts = break_down(groups)
    fastest = analysis.given.fastest
    brief = format_brief_table(analysis.rows, measure, metric, analysis.marks.signs)
    baseline = analysis.case.baseline
    return render_page(
        "programs/program.html.j2",
        run_id=analysis.run_info.run_id,
        verdict=analysis.verdict,
        cautions=analysis.warnings,
        declared=analysis.declared,
        columns=brief.columns,
        rows=[
            {
                "name": cells[0],
                "cells": [split_interval(cell) for cell in cells[1:]],
                "colour": pick_style(PALETTE, index),
                "is_winner": row.configuration in fastest,
                "is_baseline": row.configuration == analysis.case.baseline_name,
            }
            for index, (row, cells) in enumerate(zip(analysis.rows, brief.rows, strict=True))
        ],
        baseline=describe_configuration(baseline[0]) if baseline else "",
        star=say("fastest") if len(fastest) == 1 else say("may be fastest"),
        marks=analysis.explanations,
        first_plots=_list_first_plots(analysis),
        whole=format_table(analysis.rows, measure, metric, analysis.signs),
        statistics=describe_statistics(analysis),
        metric=metric.name if metric else "",
        metric_plot=plot_metric(groups, metric) if metric else None,
        parts_plot=plot_parts(parts) if parts else "",
        parts=Cells(
            [say("configuration"), *map(say, PARTS)],
            [[name, *(format_number(own[part]) for part in PARTS)] for name, own in parts.items()],
        ),
        clocks={say(name): say(definition) for name, definition in PARTS.items()},
        trials_plot=plot_trials(groups, measure),
        trials=_limit(format_trials(groups, analysis.case.measure, metric, name_unit(analysis.rows))),
        notes=list_notes(analysis.case),
        findings=analysis.findings,
        num_broken=len(list_violations(analysis.findings)),
        environment=_describe_environment(analysis),
        parameters=_describe_parameters(analysis.run_info.parameters),
        records=_embed_records(analysis),
        num_trials=len(analysis.trials),
        trials_file=TRIALS_FILE,
    )


def render_program_markdown(analysis: ProgramAnalysis) -> str:
    """Returns answer, table and warnings as Markdown that reads well as raw text, too."""
    cells = format_brief_table(analysis.rows, analysis.case.measure, analysis.metric, analysis.signs)
    paragraphs = [
        f"# {escape_markdown(analysis.verdict)}",
        to_markdown(cells).rstrip(),
        say("Means over trials; ± and brackets are 95 % intervals."),
        *map(escape_markdown, analysis.explanations),
        "\n".join(f"- {escape_markdown(warning)}" for warning in (*analysis.warnings, analysis.declared)),
    ]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _list_first_plots(analysis: ProgramAnalysis) -> list[dict[str, Any]]:
    """Returns what is seen before anything is unfolded: the speedups, or where there are none, the trials."""
    if sum(row.ratio is not None for row in analysis.rows) > 1:
        has_intervals = any(row.ratio is not None and row.ratio.low is not None for row in analysis.rows)
        without = say("Markers are measured. A single round has no intervals.")
        note = say("Markers are measured, with 95 % intervals.") if has_intervals else without
        return [{"title": say("Speedup against workers"), "svg": plot_speedups(analysis.rows), "note": note}]
    return []


def _describe_environment(analysis: ProgramAnalysis) -> dict[str, str]:
    facts: dict[str, dict[str, None]] = {}
    for trial in analysis.trials:
        nodes = find_nodes(trial)
        own = (
            say(trial.backend),
            trial.image or say("none: processes on the host"),
            trial.image_digest or UNKNOWN,
            UNKNOWN if trial.cpus_per_replica is None else f"{trial.cpus_per_replica:g}",
            trial.memory_per_replica or UNKNOWN,
            list_items(sorted(nodes)) if nodes else UNKNOWN,
            name_level(trial),
        )
        for name, value in zip(FACTS, own, strict=True):
            facts.setdefault(say(name), {})[value] = None
    return {name: "; ".join(values)[:_MAX_VALUE_LETTERS] for name, values in facts.items()}


def _describe_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Returns what was asked for, but for what the program was never told: it has neither our data nor our epochs."""
    untold = {*OF_OWN_LOOP, *(OF_MANIFEST if parameters.get("tfjob") else ())}
    text = f"{parameters.get('tfjob', '')} {parameters.get('command', '')}"
    if "batch_size}" not in text:  # of {global_batch_size} and {per_replica_batch_size}
        untold.add("global_batch_size")
    return {name: _format_value(value) for name, value in parameters.items() if name not in untold}


def _format_value(value: Any) -> str:
    return format_value(value)[:_MAX_VALUE_LETTERS]


def _limit(cells: Cells) -> Cells:
    return Cells(cells.columns, cells.rows[:_MAX_LISTED_TRIALS])


def _embed_records(analysis: ProgramAnalysis) -> Markup | None:
    """Returns the records as they are in the file, None where they are too long for a page."""
    records = Markup()
    for trial in analysis.trials:
        records += escape(format_program_trials([trial]))
        if len(records) > _MAX_EMBEDDED_LENGTH:
            return None
    return records
