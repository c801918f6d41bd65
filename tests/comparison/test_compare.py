from pathlib import Path

import pytest

from comparison.compare import compare
from comparison.groups import group_trials
from comparison.records import RecordError, read_records
from comparison.report.analysis import Analysis
from comparison.report.html import render_report
from comparison.summary import summarize
from tests.comparison.record_factory import make_record, make_run, make_run_info

GOLDEN = Path(__file__).parent / "golden"
FILES = ["comparison.csv", "comparison.md", "recommendation.json", "report.html", "trials.jsonl"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison") / "run"


@pytest.fixture(scope="module")
def comparison(run_dir: Path) -> Analysis:
    return compare(make_run(), make_run_info(), run_dir)


def test_a_comparison_writes_its_files(comparison: Analysis, run_dir: Path) -> None:
    assert sorted(path.name for path in run_dir.iterdir()) == FILES
    assert (run_dir / "report.html").read_text() == render_report(comparison)
    assert (run_dir / "comparison.csv").read_text() == (GOLDEN / "comparison.csv").read_text()


def test_markdown_is_the_golden_one(comparison: Analysis, run_dir: Path) -> None:
    assert comparison.verdict in (run_dir / "comparison.md").read_text()
    assert (run_dir / "comparison.md").read_text() == (GOLDEN / "comparison.md").read_text()


def test_a_comparison_can_be_rebuilt_from_the_records_it_wrote(
    comparison: Analysis, run_dir: Path, tmp_path: Path
) -> None:
    rebuilt = compare(read_records(run_dir / "trials.jsonl"), make_run_info(), tmp_path)

    assert rebuilt == comparison
    for name in FILES:
        assert (run_dir / name).read_bytes() == (tmp_path / name).read_bytes()


def test_metrics_are_a_few_figures_of_the_table(comparison: Analysis) -> None:
    assert comparison.metrics == pytest.approx(
        {
            "test_accuracy_single": 2972 / 3000,
            "speedup_all_reduce_2w": 61 / 36.5,
            "test_accuracy_all_reduce_2w": 2970 / 3000,
            "speedup_parameter_server_2w_1ps": 61 / 90.5,
            "test_accuracy_parameter_server_2w_1ps": 2967.5 / 3000,
        }
    )
    assert comparison.rows == summarize(group_trials(make_run()))


def test_the_terminal_table_is_at_most_a_hundred_characters_wide(comparison: Analysis) -> None:
    lines = comparison.terminal_table().splitlines()

    assert lines[0].startswith("configuration")
    assert max(map(len, lines)) <= 100


def test_nothing_is_written_where_the_records_make_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        compare([make_record(), make_record(trial=1, global_batch_size=1)], make_run_info(), tmp_path)

    assert not list(tmp_path.iterdir())
