"""What the trials of a person's program say, made once: table, page, Markdown and terminal show it, each in its way."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from comparison.audit import Finding, Marks, audit_planned_trials, explain_fastest, explain_marks
from comparison.groups import list_trials
from comparison.programs.audit import Case, audit_programs
from comparison.programs.cautions import collect_warnings, list_declared
from comparison.programs.evidence import Evidence, compare_qualities, find_wanted, mark_rows
from comparison.programs.measure import ProgramGroups, choose_measure, select_timed
from comparison.programs.metrics import Metric, Quality, choose_metric
from comparison.programs.recommendation import format_recommendation
from comparison.programs.record import ProgramTrial
from comparison.programs.rows import ProgramRow, find_baseline, group_program_trials, summarize
from comparison.programs.tables import format_table
from comparison.programs.verdict import ProgramAnswer, answer_programs
from comparison.records import RunInfo
from comparison.table import FASTEST_MARK, TERMINAL_WIDTH, WORSE_MARK, to_text
from comparison.texts import count_warnings, say, say_count


@dataclass(frozen=True)
class ProgramAnalysis:
    """The analysis of a run of a person's program, its sentences in the reader's language.

    Attributes:
        run_info: What was planned.
        case: The trials of each configuration, and what they are compared by.
        metric: The metric that was told; None where there is none.
        qualities: How each configuration's compares with the baseline's.
        rows: The table.
        findings: What came of every rule of a fair comparison.
        marks: The configurations of which a reader must be warned.
        given: The answer.
        warnings: What a reader must know before trusting the figures.
        declared: What is taken on the person's word, in a line.
    """

    run_info: RunInfo
    case: Case
    metric: Metric | None
    qualities: dict[str, Quality]
    rows: Sequence[ProgramRow]
    findings: Sequence[Finding]
    marks: Marks
    given: ProgramAnswer
    warnings: Sequence[str]
    declared: str

    @property
    def groups(self) -> ProgramGroups:
        """The trials of each configuration."""
        return self.case.groups

    @property
    def trials(self) -> list[ProgramTrial]:
        """All trials, in the order of the table."""
        return self.case.trials

    @property
    def verdict(self) -> str:
        """The answer in words, two sentences at most."""
        return self.given.text

    @property
    def signs(self) -> dict[str, Sequence[str]]:
        """The configurations that each sign in the table stands for, the star for what may be the fastest first."""
        return {FASTEST_MARK: self.given.fastest} | self.marks.signs

    @property
    def explanations(self) -> list[str]:
        """What the signs in the table mean, for those that are there."""
        stars = [explain_fastest(self.given.fastest)] if self.given.fastest else []
        less = "{mark} worse by its metric than the baseline, or perhaps so by too much: not the same result."
        worse = say(less, mark=WORSE_MARK)
        return [*stars, *explain_marks(self.marks, worse)]

    @property
    def metrics(self) -> dict[str, float]:
        """A few figures by name, such as `speedup_workers_2` and `accuracy_single`."""
        metrics: dict[str, float] = {}
        for row in self.rows:
            name = _to_name(row.configuration)
            if row.ratio and row.configuration != self.case.baseline_name:
                is_whole_job = row.speedup is None
                metrics[f"{'whole_job_speedup' if is_whole_job else 'speedup'}_{name}"] = row.ratio.value
            if self.metric and row.metric_value is not None:
                metrics[f"{_to_name(self.metric.name)}_{name}"] = row.metric_value
        return metrics

    def terminal_table(self) -> str:
        """Returns the table's most important columns for a terminal of 100 characters, its marks explained."""
        explanations = [textwrap.fill(mark, TERMINAL_WIDTH) for mark in self.explanations]
        return "\n".join([to_text(format_table(self.rows, self.case.measure, self.metric, self.signs)), *explanations])

    def recommendation(self) -> str:
        """Returns the answer for programs, as JSON."""
        quality = self.qualities.get(self.given.configuration)
        own = (self.metric, quality) if self.metric and quality else None
        return format_recommendation(self.given, self.case, [*self.warnings, self.declared], self.marks, own)

    def answer(self) -> str:
        """Returns what a terminal says below the table: verdict, what is declared, how many warnings."""
        return "\n".join(filter(None, [self.verdict, self.declared, count_warnings(self.warnings)]))


def analyze_programs(records: Iterable[ProgramTrial], run_info: RunInfo) -> ProgramAnalysis:
    """Returns what the trials of a run of a person's program say.

    Raises:
        RecordError: The records do not make a comparison.
    """
    groups = group_program_trials(records)
    measure = choose_measure(groups)
    metric = choose_metric(groups, find_wanted(run_info))
    base = find_baseline(groups)
    told = [own for trial in list_trials(groups) for own in trial.metrics]
    directed = {own.name for own in told if own.higher_is_better is not None}
    case = Case(groups, measure, frozenset(directed), base[0].configuration if base else None)
    findings = audit_programs(case)
    if case.baseline_name is not None:
        findings += audit_planned_trials(case.trials, run_info, case.baseline_name)
    qualities = compare_qualities(case, metric)
    rows = summarize(groups, measure, metric)
    marks = mark_rows(case, findings, qualities)
    evidence = Evidence(case, rows, findings, metric, qualities, marks, run_info)
    return ProgramAnalysis(
        run_info=run_info,
        case=case,
        metric=metric,
        qualities=qualities,
        rows=rows,
        findings=findings,
        marks=marks,
        given=answer_programs(evidence),
        warnings=collect_warnings(evidence),
        declared=list_declared(case.trials),
    )


def describe_statistics(analysis: ProgramAnalysis) -> str:
    """Returns what the intervals of the speedups rest on, in a few sentences."""
    num_compared = sum(row.ratio is not None and row.ratio.low is not None for row in analysis.rows) - 1
    timed = select_timed(analysis.groups)
    if num_compared < 0 or not timed or not any(own.ratio and own.ratio.low is not None for own in analysis.rows):
        return say("Without repeated trials a speedup has no interval, and nothing is decided.")
    one = "{number} comparison with a baseline: intervals of speedups are 95 % intervals."
    many = (
        "{number} comparisons with a baseline: intervals of speedups are 95 % intervals that hold for all of them "
        "together."
    )
    return say_count(num_compared, one, many)


def _to_name(text: str) -> str:
    """Returns a text as the name of a metric of KFP's: letters, digits and underscores."""
    return re.sub(r"\W+", "_", text)
