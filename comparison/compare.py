"""From trial records to the answer: the verdict, the table, the report and the files that keep them."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from comparison.audit import explain_marks
from comparison.groups import add_confusion_matrices
from comparison.records import TRIALS_FILE, RunInfo, TrialRecord, format_records, write_text
from comparison.report import Analysis, analyze, render_markdown, render_report, title_outlook
from comparison.summary import to_csv
from comparison.table import TERMINAL_WIDTH, format_table, to_text
from comparison.texts import ENGLISH, add_language, say_count, speak


@dataclass(frozen=True)
class Comparison:
    """The answer to whether distributing pays off, in the forms that a pipeline and a terminal show.

    Attributes:
        analysis: What the report was made of.
        html: The self-contained report.
        markdown: Verdict, forecast, table and warnings.
    """

    analysis: Analysis
    html: str
    markdown: str
    _text: str
    _answer: str

    @property
    def metrics(self) -> dict[str, float]:
        """A few figures by name, such as `speedup_all_reduce_2w` and `test_accuracy_single`."""
        metrics: dict[str, float] = {}
        for index, row in enumerate(self.analysis.rows):
            name = row.configuration.replace("-", "_")
            if row.speedup and index > 0:  # the first row is the baseline, 1 by definition
                metrics[f"speedup_{name}"] = row.speedup
            metrics[f"test_accuracy_{name}"] = row.test_accuracy
        return metrics

    @property
    def confusion_matrices(self) -> dict[str, list[list[int]]]:
        """Of each strategy, summed over its trials; rows are true classes."""
        trials = self.analysis.trials
        return {
            strategy: add_confusion_matrices([trial for trial in trials if trial.strategy == strategy])
            for strategy in dict.fromkeys(trial.strategy for trial in trials)
        }

    def terminal_table(self) -> str:
        """Returns the table's most important columns for a terminal of 100 characters, its marks explained."""
        return self._text

    def answer(self) -> str:
        """Returns what a terminal says below the table: verdict, outlook and how many warnings, a line each."""
        return self._answer


def compare(records: Iterable[TrialRecord], run_info: RunInfo, output_dir: Path, language: str = ENGLISH) -> Comparison:
    """Returns the comparison of the recorded trials, and writes it.

    `output_dir` receives report.html, comparison.csv, comparison.md and trials.jsonl, each of them at once. In another
    language than English, page and Markdown have files of their own, such as report.zh.html.

    Raises:
        RecordError: The records do not make a comparison.
    """
    with speak(language):
        analysis = analyze(records, run_info)
        comparison = Comparison(
            analysis=analysis,
            html=render_report(analysis),
            markdown=render_markdown(analysis),
            _text=_render_table(analysis),
            _answer=_render_answer(analysis),
        )
        files = {
            add_language("report.html"): comparison.html,
            "comparison.csv": to_csv(analysis.rows),
            add_language("comparison.md"): comparison.markdown,
            TRIALS_FILE: format_records(analysis.trials),
        }
    for name, text in files.items():
        write_text(output_dir / name, text)
    return comparison


def _render_table(analysis: Analysis) -> str:
    explanations = [textwrap.fill(mark, TERMINAL_WIDTH) for mark in explain_marks(analysis.marks)]
    return "\n".join([to_text(format_table(analysis.rows, analysis.marks.signs)), *explanations])


def _render_answer(analysis: Analysis) -> str:
    return "\n".join(filter(None, [analysis.verdict, title_outlook(analysis), _count_warnings(analysis.warnings)]))


def _count_warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    return say_count(
        len(warnings),
        "Read with care: the report has {number} warning.",
        "Read with care: the report has {number} warnings.",
    )
