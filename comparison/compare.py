"""From trial records to the answer and the files that keep it."""

from collections.abc import Iterable
from pathlib import Path

from comparison.records import TRIALS_FILE, RunInfo, TrialRecord, format_records, write_text
from comparison.report import RECOMMENDATION_FILE, Analysis, analyze, render_markdown, render_report
from comparison.table import to_csv
from comparison.texts import add_language


def compare(records: Iterable[TrialRecord], run_info: RunInfo, output_dir: Path) -> Analysis:
    """Returns what the recorded trials say, and writes it.

    `output_dir` receives report.html, comparison.csv, comparison.md, recommendation.json and trials.jsonl, each of them
    at once. In another language than English what holds sentences has files of its own, such as report.zh.html.

    Raises:
        RecordError: The records do not make a comparison.
    """
    analysis = analyze(records, run_info)
    files = {
        add_language("report.html"): render_report(analysis),
        "comparison.csv": to_csv(analysis.rows),
        add_language("comparison.md"): render_markdown(analysis),
        add_language(RECOMMENDATION_FILE): analysis.recommendation(),
        TRIALS_FILE: format_records(analysis.trials),
    }
    for name, text in files.items():
        write_text(output_dir / name, text)
    return analysis
