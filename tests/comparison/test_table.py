import csv
import io
import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.groups import group_trials
from comparison.statistics import Ratio
from comparison.summary import COLUMNS, METRIC_COLUMNS, Row, compute_whole_job_speedups, summarize
from comparison.table import (
    Cells,
    format_accuracy,
    format_brief_table,
    format_measurement,
    format_number,
    format_ratio,
    format_table,
    to_csv,
    to_markdown,
    to_text,
)
from tests.comparison.record_factory import make_record, make_run

GOLDEN = Path(__file__).parent / "golden"


def test_markdown_is_the_golden_one() -> None:
    cells = format_table(summarize(group_trials(make_run())), {"†": ["parameter-server-2w-1ps"]})

    assert to_markdown(cells) == (GOLDEN / "table.md").read_text()


def test_an_interval_without_an_upper_end_is_open_to_infinity() -> None:
    assert format_ratio(Ratio(1.5, 0.0, math.inf)) == "1.50 (0.00–∞)"


def test_where_there_is_little_room_the_table_has_five_columns() -> None:
    groups = group_trials(make_run())

    cells = format_brief_table(summarize(groups), compute_whole_job_speedups(groups), {"†": ["single"]})

    assert cells.columns == ["configuration", "speedup", "whole-job speedup", "accuracy, %", "training, s"]
    assert cells.rows[0] == ["single †", "1.00", "1.00", "99.07 ± 0.85", "61.0 ± 12.7"]
    ratio = compute_whole_job_speedups(groups)["all-reduce-2w"]
    assert cells.rows[1][:3] == ["all-reduce-2w", "1.67 (1.56–1.79)", format_ratio(ratio)]
    assert ratio.value == pytest.approx(76 / 51.5)


def test_what_breaks_a_rule_is_marked() -> None:
    signs = {"†": ["all-reduce-2w", "parameter-server-2w-1ps"], "‡": ["single", "all-reduce-2w"]}

    cells = format_table(summarize(group_trials(make_run())), signs)

    assert [row[0] for row in cells.rows] == ["single ‡", "all-reduce-2w †‡", "parameter-server-2w-1ps †"]


def test_nothing_in_a_markdown_table_is_html_or_ends_a_cell() -> None:
    cells = Cells(["name", "value"], [["<img src=x onerror=alert(1)>", "a|b\nc"]])
    assert to_markdown(cells).splitlines()[2] == r"| \<img src=x onerror=alert(1)> | a\|b c |"


def test_markdown_lines_up_as_raw_text() -> None:
    lines = to_markdown(format_table(summarize(group_trials(make_run())))).splitlines()

    assert len({tuple(i for i, character in enumerate(line) if character == "|") for line in lines}) == 1


def test_the_terminal_shows_the_columns_that_fit() -> None:
    cells = format_table(summarize(group_trials(make_run())))

    for width in (40, 60, 80, 100, 200):
        assert max(map(len, to_text(cells, width).splitlines())) <= width
    assert to_text(cells, 80).splitlines()[0].split() == [
        "configuration",
        "speedup",
        "training,",
        "s",
        "whole",
        "job,",
        "s",
    ]
    assert "trials" in to_text(cells, 200)
    assert to_text(cells, 1).splitlines()[1] == "single"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0712, "0.0712"),
        (6.0, "6.00"),
        (60.23, "60.2"),
        (1824.4, "1,824"),
        (77754, "77,754"),
        (-2.5, "-2.50"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_numbers_have_three_significant_digits_and_no_exponent(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "half_width", "text"),
    [
        (60.23, 1.27, "60.2 ± 1.3"),
        (60.23, 0.012, "60.23 ± 0.01"),
        (1824.4, 35.1, "1,824 ± 35"),
        (4831.2, 1022.4, "4,831 ± 1,022"),
        (60.0, 0.0, "60.0 ± 0.0"),
        (60.0, None, "60.0"),
    ],
)
def test_half_widths_keep_a_significant_digit(value: float, half_width: float | None, text: str) -> None:
    assert format_measurement(value, half_width) == text


def test_accuracy_is_in_per_cent() -> None:
    assert format_accuracy(0.99213) == "99.21"
    assert format_accuracy(0.99213, 0.001) == "99.21 ± 0.10"


def test_ratios_show_their_interval_where_they_have_one() -> None:
    assert format_ratio(Ratio(1.616, 1.5, 1.749)) == "1.62 (1.50\N{EN DASH}1.75)"
    assert format_ratio(Ratio(1.616)) == "1.62"
    assert format_ratio(None) == "\N{EN DASH}"


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_formatting_loses_less_than_a_percent(value: float) -> None:
    assert float(format_number(value).replace(",", "")) == pytest.approx(value, rel=0.01)


def test_unknown_cells_are_dashes() -> None:
    cells = format_table(summarize(group_trials([make_record("all-reduce-2w", seconds_to_target=None)])))

    assert [row.count("\N{EN DASH}") for row in cells.rows] == [3]


def test_the_columns_are_those_of_the_contract() -> None:
    header = (GOLDEN / "comparison.csv").read_text().splitlines()[0]

    assert ",".join(COLUMNS) == header
    assert [field.name for field in fields(Row)] == [*COLUMNS, *METRIC_COLUMNS]


def test_csv_is_the_golden_one() -> None:
    assert to_csv(summarize(group_trials(make_run()))) == (GOLDEN / "comparison.csv").read_text()


def test_csv_can_be_read_back() -> None:
    table = summarize(group_trials(make_run()))
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))

    for row, line in zip(table, lines, strict=True):
        for name, value in asdict(row).items():
            if name in METRIC_COLUMNS:
                continue
            if isinstance(value, str | None):
                assert line[name] == (value or "")
            else:
                assert float(line[name]) == pytest.approx(value, rel=1e-5)
