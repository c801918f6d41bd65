"""The report of a run, and two runs beside each other: what the trials say, as page, Markdown and sentences."""

from comparison.report.analysis import Analysis, analyze
from comparison.report.candidate import Candidate
from comparison.report.cautions import describe_outlier
from comparison.report.html import render_report
from comparison.report.markdown import render_markdown
from comparison.report.recommendation import (
    COMMAND,
    DEFAULT_TRIALS,
    MOST_TRIALS,
    RECOMMENDATION_FILE,
    describe_ratio,
)
from comparison.report.recorded import translate_recorded
from comparison.report.run_comparison import read_run, render_run_html, render_run_markdown
from comparison.report.verdict import Answer, Kind

__all__ = [
    "COMMAND",
    "DEFAULT_TRIALS",
    "MOST_TRIALS",
    "RECOMMENDATION_FILE",
    "Analysis",
    "Answer",
    "Candidate",
    "Kind",
    "analyze",
    "describe_outlier",
    "describe_ratio",
    "read_run",
    "render_markdown",
    "render_report",
    "render_run_html",
    "render_run_markdown",
    "translate_recorded",
]
