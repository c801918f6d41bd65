"""From trial records to the answer: the verdict, the table, the report and the files that keep them."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comparison.audit.marks import explain_marks, mark_configurations
from comparison.audit.rules import audit_fairness, audit_plan
from comparison.forecast.scaling import forecast_scaling
from comparison.forecast.text import state_outlook
from comparison.records import TRIALS_FILE, RunInfo, TrialRecord, format_records, write_text
from comparison.report.html import render_markdown, render_report, title_outlook, translate_headers
from comparison.report.verdict import collect_warnings, state_verdict
from comparison.summary import add_confusion_matrices, group_trials, list_rows, read_speedup, summarize, to_csv
from comparison.table import format_table, to_text
from comparison.texts import ENGLISH, add_language, say_count, speak

_TERMINAL_COLUMNS = 100


@dataclass(frozen=True)
class Comparison:
    """The answer to whether distributing pays off, in the forms that a pipeline and a terminal show.

    Attributes:
        verdict: The answer in one sentence.
        outlook: From how many workers on it pays off, as forecast, in another; empty where nothing is.
        caution: How many warnings the report has; empty where it has none.
        table: What `summarize` returned, one row a configuration.
        metrics: A few figures by name, such as `speedup_all_reduce_2w` and `test_accuracy_single`.
        confusion_matrices: Of each strategy, summed over its trials; rows are true classes.
        markdown: Verdict, forecast, table and warnings.
        html: The self-contained report.
    """

    verdict: str
    outlook: str
    caution: str
    table: pd.DataFrame
    metrics: dict[str, float]
    confusion_matrices: dict[str, list[list[int]]]
    markdown: str
    html: str
    _text: str

    def terminal_table(self) -> str:
        """Returns the table's most important columns for a terminal of 100 characters, its marks explained."""
        return self._text

    def answer(self) -> str:
        """Returns what a terminal says below the table: verdict, outlook and caution, a line each."""
        return "\n".join(filter(None, [self.verdict, self.outlook, self.caution]))


def compare(records: Iterable[TrialRecord], run_info: RunInfo, output_dir: Path, language: str = ENGLISH) -> Comparison:
    """Returns the comparison of the recorded trials, and writes it.

    `output_dir` receives report.html, comparison.csv, comparison.md and trials.jsonl, each of them at once. In another
    language than English, page and Markdown have files of their own, such as report.zh.html.

    Raises:
        RecordError: The records do not make a comparison.
    """
    with speak(language):
        return _compare(records, run_info, output_dir)


def _compare(records: Iterable[TrialRecord], run_info: RunInfo, output_dir: Path) -> Comparison:
    groups = group_trials(records)
    trials = [trial for group in groups.values() for trial in group]
    table = summarize(trials)
    findings, forecasts = [*audit_fairness(groups), *audit_plan(groups, run_info)], forecast_scaling(groups)
    marks = mark_configurations(groups, findings)
    rows = to_text(translate_headers(format_table(table, marks.signs)), _TERMINAL_COLUMNS)
    explanations = [textwrap.fill(mark, _TERMINAL_COLUMNS) for mark in explain_marks(marks)]
    comparison = Comparison(
        verdict=state_verdict(table, groups, findings),
        outlook=title_outlook(state_outlook(table, forecasts, marks)),
        caution=_count_warnings(collect_warnings(groups, findings)),
        table=table,
        metrics=_collect_metrics(table),
        confusion_matrices={
            strategy: add_confusion_matrices([trial for trial in trials if trial.strategy == strategy])
            for strategy in dict.fromkeys(trial.strategy for trial in trials)
        },
        markdown=render_markdown(table, groups, findings, forecasts),
        html=render_report(table, groups, run_info, findings, forecasts),
        _text="\n".join([rows, *explanations]),
    )
    files = {
        add_language("report.html"): comparison.html,
        "comparison.csv": to_csv(table),
        add_language("comparison.md"): comparison.markdown,
        TRIALS_FILE: format_records(trials),
    }
    for name, text in files.items():
        write_text(output_dir / name, text)
    return comparison


def _count_warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    return say_count(
        len(warnings),
        "Read with care: the report has {number} warning.",
        "Read with care: the report has {number} warnings.",
    )


def _collect_metrics(table: pd.DataFrame) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for index, row in enumerate(list_rows(table)):
        name = row["configuration"].replace("-", "_")
        speedup = read_speedup(row)
        if speedup and index > 0:  # the first row is the baseline, 1 by definition
            metrics[f"speedup_{name}"] = speedup.value
        metrics[f"test_accuracy_{name}"] = row["test_accuracy"]
    return metrics
