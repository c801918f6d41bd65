"""What the trials of a run say, made once: table, page, Markdown and terminal show it, each in its way."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from comparison.audit import Finding, Marks, audit_fairness, audit_plan, explain_marks, mark_configurations
from comparison.forecast import Forecast, forecast_scaling, state_outlook
from comparison.groups import Groups, Trials, group_trials, select_timed
from comparison.records import RunInfo, TrialRecord
from comparison.report.cautions import collect_warnings
from comparison.report.intervals import describe_statistics
from comparison.report.verdict import state_verdict
from comparison.summary import Row, split_rows, summarize
from comparison.table import TERMINAL_WIDTH, format_table, to_text
from comparison.texts import say, say_count

SCALINGS = {"strong": "Strong scaling: one global batch for all", "weak": "Weak scaling: one batch size a worker"}


@dataclass(frozen=True)
class Analysis:
    """The analysis of a run, its sentences in the reader's language.

    Attributes:
        run_info: What was planned.
        groups: The trials of each configuration.
        rows: The table.
        findings: What came of every rule of a fair comparison.
        marks: The configurations of which a reader must be warned.
        forecasts: What each way of distributing does with the workers measured and with more.
        verdict: Whether distributing pays off.
        outlook: How many workers are recommended; empty where nothing is forecast.
        statistics: What the intervals of the speedups rest on.
        warnings: What a reader must know before trusting the figures.
    """

    run_info: RunInfo
    groups: Groups
    rows: Sequence[Row]
    findings: Sequence[Finding]
    marks: Marks
    forecasts: Sequence[Forecast]
    verdict: str
    outlook: str
    statistics: str
    warnings: Sequence[str]

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The table of each kind of scaling."""
        return split_rows(self.rows)

    @property
    def trials(self) -> Trials:
        """All trials, in the order of the table."""
        return [trial for trials in self.groups.values() for trial in trials]

    @property
    def titled_outlook(self) -> str:
        """The outlook, named for what it is; empty where there is none."""
        return f"{say('Forecast')}{say(': ')}{self.outlook}" if self.outlook else ""

    @property
    def metrics(self) -> dict[str, float]:
        """A few figures by name, such as `speedup_all_reduce_2w` and `test_accuracy_single`."""
        metrics: dict[str, float] = {}
        for index, row in enumerate(self.rows):
            name = row.configuration.replace("-", "_")
            if row.speedup and index > 0:  # the first row is the baseline, 1 by definition
                metrics[f"speedup_{name}"] = row.speedup
            metrics[f"test_accuracy_{name}"] = row.test_accuracy
        return metrics

    def terminal_table(self) -> str:
        """Returns the table's most important columns for a terminal of 100 characters, its marks explained."""
        explanations = [textwrap.fill(mark, TERMINAL_WIDTH) for mark in explain_marks(self.marks)]
        return "\n".join([to_text(format_table(self.rows, self.marks.signs)), *explanations])

    def answer(self) -> str:
        """Returns what a terminal says below the table: verdict, outlook and how many warnings, a line each."""
        one = "Read with care: the report has {number} warning."
        many = "Read with care: the report has {number} warnings."
        caution = say_count(len(self.warnings), one, many) if self.warnings else ""
        return "\n".join(filter(None, [self.verdict, self.titled_outlook, caution]))


def analyze(records: Iterable[TrialRecord], run_info: RunInfo) -> Analysis:
    """Returns what the trials of a run say.

    Raises:
        RecordError: The records do not make a comparison.
    """
    groups = group_trials(records)
    findings = [*audit_fairness(groups), *audit_plan(groups, run_info)]
    marks = mark_configurations(groups, findings)
    rows, forecasts = summarize(groups), forecast_scaling(select_timed(groups), marks)
    return Analysis(
        run_info=run_info,
        groups=groups,
        rows=rows,
        findings=findings,
        marks=marks,
        forecasts=forecasts,
        verdict=state_verdict(rows, groups, findings, marks),
        outlook=state_outlook(rows, forecasts, marks),
        statistics=describe_statistics(groups),
        warnings=collect_warnings(groups, findings),
    )
