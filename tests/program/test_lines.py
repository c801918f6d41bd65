import math

import pytest

from program.lines import list_redraws, parse_number


@pytest.mark.parametrize(
    ("text", "redraws"),
    [
        ("plain", ["plain"]),
        ("", []),
        ("  \t", []),
        ("one\rtwo\b\b\b\rthree", ["one", "three"]),
        ("one\r\x1b[K", ["one"]),
        ("\x1b[K\r \rone\rone", ["one"]),
        ("of Windows\r", ["of Windows"]),
        ("\x1b[1m\x1b[32mgreen\x1b[0m", ["green"]),
        ("\x1b]0;title\x07text", ["text"]),
        (r"b'10\t7.5'", ["b'10\t7.5'"]),
        (r"a path C:\temp", [r"a path C:\temp"]),
    ],
)
def test_a_line_is_what_a_person_sees(text: str, redraws: list[str]) -> None:
    assert list_redraws(text) == redraws


def test_of_a_line_without_end_beginning_and_end_are_read() -> None:
    redraws = list_redraws("begin " + "x" * 10**6 + " end")
    assert redraws[0].startswith("begin")
    assert redraws[-1].endswith("end")
    assert sum(map(len, redraws)) < 10_000


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("1,234.5", 1234.5), ("97.5%", 0.975), ("97.5 %", 0.975), (".5e-1", 0.05), ("-inf", -math.inf)],
)
def test_numbers_are_read_as_programs_print_them(text: str, number: float) -> None:
    assert parse_number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "9" * 5000, "0x10"])
def test_what_is_no_number_is_nan(text: str) -> None:
    assert math.isnan(parse_number(text))
