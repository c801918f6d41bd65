"""From the trial records of a person's program to the answer and the files that keep it."""

from collections.abc import Iterable
from pathlib import Path

from comparison.programs.analysis import ProgramAnalysis, analyze_programs
from comparison.programs.page import render_program_markdown, render_program_report
from comparison.programs.reading import format_program_trials
from comparison.programs.record import ProgramTrial
from comparison.programs.rows import to_csv
from comparison.records import TRIALS_FILE, RunInfo, write_text
from comparison.report import RECOMMENDATION_FILE
from comparison.texts import add_language


def compare_programs(records: Iterable[ProgramTrial], run_info: RunInfo, output_dir: Path) -> ProgramAnalysis:
    """Returns what the recorded trials say, and writes it.

    `output_dir` receives report.html, comparison.csv, comparison.md, recommendation.json and trials.jsonl, each of them
    at once. In another language than English what holds sentences has files of its own, such as report.zh.html.

    Raises:
        RecordError: The records do not make a comparison.
    """
    analysis = analyze_programs(records, run_info)
    files = {
        add_language("report.html"): render_program_report(analysis),
        "comparison.csv": to_csv(analysis.rows),
        add_language("comparison.md"): render_program_markdown(analysis),
        add_language(RECOMMENDATION_FILE): analysis.recommendation(),
        TRIALS_FILE: format_program_trials(analysis.trials),
    }
    for name, text in files.items():
        write_text(output_dir / name, text)
    return analysis
