"""`python -m comparison RUN_DIR` rebuilds a run's report from its records; with two runs, it compares them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from comparison.compare import compare
from comparison.programs import ProgramAnalysis, compare_programs, is_of_programs, read_program_trials
from comparison.records import RUN_FILE, TRIALS_FILE, RecordError, read_records, read_run_info, write_text
from comparison.report import Analysis, read_run, render_run_html, render_run_markdown
from comparison.streams import make_printable, replace_unencodable
from comparison.texts import ENGLISH, LANGUAGES, add_language, speak


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m comparison") -> int:
    """Returns the exit status: 0, or 2 where a directory holds no run's records or two runs cannot be compared."""
    replace_unencodable()
    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"Rebuild a run's report.html, comparison.csv, comparison.md and recommendation.json from its "
        f"{TRIALS_FILE} and {RUN_FILE}. With two runs: print what changed from the first to the second.",
    )
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help="such as runs/latest; two to compare")
    parser.add_argument(
        "--lang", choices=LANGUAGES, default=ENGLISH, help="language of the report (default: %(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="with two runs: write the comparison there, .html or .md"
    )
    options = parser.parse_args(arguments)
    if len(options.run_dirs) > 2:  # noqa: PLR2004 - before and after
        parser.error(f"one run to rebuild or two to compare are expected. Received: {len(options.run_dirs)}.")
    if options.output and len(options.run_dirs) == 1:
        parser.error("--output is for two runs; the files of one run go into its own directory.")
    if options.output and options.output.suffix not in _RENDERERS:
        parser.error(f"--output must end with {' or '.join(_RENDERERS)}. Received: {options.output}.")
    try:
        if len(options.run_dirs) == 1:
            _rebuild(options.run_dirs[0], options.lang)
        else:
            _compare_runs(options.run_dirs, options.lang, options.output)
    except (RecordError, OSError) as error:
        print(make_printable(f"error: {error}"), file=sys.stderr)
        return 2
    return 0


_RENDERERS = {".html": render_run_html, ".md": render_run_markdown}


def _rebuild(run_dir: Path, language: str) -> None:
    """Writes a run's report and tables, and prints its answer."""
    path = run_dir / TRIALS_FILE
    analysis: Analysis | ProgramAnalysis
    with speak(language):
        if is_of_programs(path):
            programs, run_info = read_program_trials(path), read_run_info(run_dir / RUN_FILE)
            analysis = compare_programs(programs, run_info, run_dir)
        else:
            records, run_info = read_records(path), read_run_info(run_dir / RUN_FILE)
            analysis = compare(records, run_info, run_dir)
        told = f"{analysis.terminal_table()}\n{analysis.answer()}\n\n{run_dir / add_language('report.html')}"
        print(make_printable(told))


def _compare_runs(run_dirs: Sequence[Path], language: str, output: Path | None) -> None:
    """Prints what changed from the first run to the second, and writes it where that is asked for."""
    for run_dir in run_dirs:
        if is_of_programs(run_dir / TRIALS_FILE):
            raise RecordError(
                f"{run_dir} is a run of a person's own program. What changed between two runs is compared for this "
                f"project's own training loop only. Rebuild each report with `python -m comparison {run_dir}` instead."
            )
    before, after = map(read_run, run_dirs)
    with speak(language):
        print(make_printable(render_run_markdown(before, after)), end="")
        if output:
            write_text(output, _RENDERERS[output.suffix](before, after))
            print(f"\n{output}")


if __name__ == "__main__":
    sys.exit(main())
