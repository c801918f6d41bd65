"""The report in short, as Markdown."""

from comparison.report.analysis import SCALINGS, Analysis
from comparison.summary import compute_whole_job_speedups
from comparison.table import escape_markdown, format_brief_table, to_markdown
from comparison.texts import say


def render_markdown(analysis: Analysis) -> str:
    """Returns verdict, forecast, tables and warnings as Markdown that reads well as raw text, too.

    It is read in a narrow pane of KFP's page: the tables have few columns. The page and `comparison.csv` have all.
    """
    with analysis.speak():
        return _render(analysis)


def _render(analysis: Analysis) -> str:
    whole_jobs = compute_whole_job_speedups(analysis.groups)
    paragraphs = [f"# {escape_markdown(analysis.verdict)}", escape_markdown(analysis.titled_outlook)]
    for scaling, rows in analysis.tables.items():
        paragraphs += [f"## {say(SCALINGS[scaling])}"] if len(analysis.tables) > 1 else []
        paragraphs.append(to_markdown(format_brief_table(rows, whole_jobs, analysis.signs)).rstrip())
    paragraphs += [
        say("Means over trials; ± and brackets are 95 % intervals."),
        *map(escape_markdown, analysis.explanations),
        "\n".join(f"- {escape_markdown(warning)}" for warning in (*analysis.warnings, *analysis.notes)),
    ]
    return "\n\n".join(filter(None, paragraphs)) + "\n"
