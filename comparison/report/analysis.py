"""What the trials of a run say, made once: table, page, Markdown and terminal show it, each in its way."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from comparison.audit import (
    Finding,
    Marks,
    audit_fairness,
    audit_plan,
    explain_fastest,
    explain_marks,
    mark_configurations,
)
from comparison.forecast import Forecast, forecast_scaling, state_outlook
from comparison.groups import Groups, Trials, find_baseline, group_trials, list_trials, select_timed, speak_of_trials
from comparison.records import RunInfo, TrialRecord
from comparison.report.a_a import answer_a_a, is_a_a
from comparison.report.cautions import collect_notes, collect_warnings
from comparison.report.intervals import describe_statistics
from comparison.report.recommendation import format_recommendation
from comparison.report.verdict import Answer, answer_question
from comparison.summary import Row, split_rows, summarize
from comparison.table import FASTEST_MARK, TERMINAL_WIDTH, explain_direction, format_table, to_text
from comparison.texts import count_warnings, join_scalings, say

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
        answers: Whether distributing pays off, by kind of scaling.
        outlook: How many workers are recommended; empty where nothing is forecast.
        statistics: What the intervals of the speedups rest on.
        warnings: What a reader must know before trusting the figures.
        notes: What a reader must know of how the run was set up.
    """

    run_info: RunInfo
    groups: Groups
    rows: Sequence[Row]
    findings: Sequence[Finding]
    marks: Marks
    forecasts: Sequence[Forecast]
    answers: Mapping[str, Answer]
    outlook: str
    statistics: str
    warnings: Sequence[str]
    notes: Sequence[str]

    @property
    def verdict(self) -> str:
        """The answer in words, two sentences at most on each kind of scaling."""
        return join_scalings({scaling: answer.text for scaling, answer in self.answers.items()})

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The table of each kind of scaling."""
        return split_rows(self.rows)

    @property
    def trials(self) -> Trials:
        """All trials, in the order of the table."""
        return list_trials(self.groups)

    @property
    def signs(self) -> dict[str, Sequence[str]]:
        """The configurations that each sign in the table stands for, the star for what may be the fastest first."""
        return {FASTEST_MARK: [name for answer in self.answers.values() for name in answer.fastest]} | self.marks.signs

    @property
    def explanations(self) -> list[str]:
        """What the signs in the table mean, for those that are there."""
        stars = [explain_fastest(answer.fastest) for answer in self.answers.values() if answer.fastest]
        with self.speak():
            return [*dict.fromkeys(stars), *explain_marks(self.marks), *explain_direction(self.rows)]

    @property
    def titled_outlook(self) -> str:
        """The outlook, named for what it is; empty where there is none."""
        return f"{say('Forecast')}{say(': ')}{self.outlook}" if self.outlook else ""

    @property
    def metrics(self) -> dict[str, float]:
        """A few figures by name, such as `speedup_all_reduce_2w` and `test_accuracy_single`, or the metric's name."""
        metrics: dict[str, float] = {}
        for index, row in enumerate(self.rows):
            name = row.configuration.replace("-", "_")
            if row.speedup and index > 0:  # the first row is the baseline, 1 by definition
                metrics[f"speedup_{name}"] = row.speedup
            metric = "accuracy" if row.test_accuracy is not None else row.metric_name
            metrics[f"test_{metric}_{name}"] = row.metric_value
        return metrics

    def speak(self) -> AbstractContextManager[None]:
        """Makes `say` speak of what the trials were judged by and trained on, for as long as the context lasts."""
        return speak_of_trials(self.trials)

    def terminal_table(self) -> str:
        """Returns the table's most important columns for a terminal of 100 characters, its marks explained."""
        explanations = [textwrap.fill(mark, TERMINAL_WIDTH) for mark in self.explanations]
        with self.speak():
            return "\n".join([to_text(format_table(self.rows, self.signs)), *explanations])

    def recommendation(self) -> str:
        """Returns the answer for programs, as JSON; of two kinds of scaling that on strong scaling."""
        first = next(iter(self.answers.values()))
        return format_recommendation(first, [*self.warnings, *self.notes], self.groups, self.marks)

    def answer(self) -> str:
        """Returns what a terminal says below the table: verdict, outlook and how many warnings, a line each."""
        return "\n".join(filter(None, [self.verdict, self.titled_outlook, count_warnings(self.warnings)]))


def analyze(records: Iterable[TrialRecord], run_info: RunInfo) -> Analysis:
    """Returns what the trials of a run say.

    Raises:
        RecordError: The records do not make a comparison.
    """
    groups = group_trials(records)
    with speak_of_trials(next(iter(groups.values()))):
        return _analyze(groups, run_info)


def _analyze(groups: Groups, run_info: RunInfo) -> Analysis:
    rows = summarize(groups)
    findings = [*audit_fairness(groups), *audit_plan(groups, run_info)]
    marks = mark_configurations(groups, findings)
    forecasts = forecast_scaling(_select_proven(select_timed(groups), marks), marks)
    if is_a_a(groups):
        answers = {rows[0].scaling: answer_a_a(rows, groups, findings, marks)}
    else:
        answers = answer_question(rows, groups, findings, marks, run_info)
    return Analysis(
        run_info=run_info,
        groups=groups,
        rows=rows,
        findings=findings,
        marks=marks,
        forecasts=forecasts,
        answers=answers,
        outlook=state_outlook(rows, forecasts, marks),
        statistics=describe_statistics(groups),
        warnings=collect_warnings(groups, findings, run_info.failed_trials or ()),
        notes=collect_notes(groups),
    )


def _select_proven(groups: Groups, marks: Marks) -> Groups:
    """Returns the trials of which something can be forecast: those of a baseline that proves nothing are left out."""
    baselines = {name: find_baseline(groups, name) for name in groups}
    broken = {name for name, own in baselines.items() if own and own[0].configuration in marks.unproven}
    return {name: trials for name, trials in groups.items() if name not in broken}
