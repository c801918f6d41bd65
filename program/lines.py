"""A line of a log as a person sees it: without colours, with its redraws apart, and the numbers in it."""

import math
import re

# Of a longer line the beginning and the end are read: a progress bar's last redraw stands at its end.
MOST_CHARACTERS = 8192

# Bounded, as every repetition in this package is: no line may take longer to read than its length says.
NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3}){1,6}(?:\.\d{0,40})?|\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,4})?"
NUMBER_OR_NAN = rf"(?:{NUMBER}|[-+]?(?:nan|NaN|NAN|inf|Inf|INF|infinity|Infinity)\b)"
# Python refuses to convert integers of thousands of digits.
COUNT = r"\d{1,15}"
MOST_COUNT = 10**15

_COLOURS = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_REDRAWN = re.compile(r"[\r\b]+")


def list_redraws(text: str) -> list[str]:
    r"""Returns what stood in a line at first and in the end, or one text where that is the same; none: an empty line.

    A bar is drawn anew after `\r`, or after as many `\b` as it is long. What a person sees is the last; what stood
    between is of no use, and is not looked at.
    """
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS // 4] + "\r" + text[-MOST_CHARACTERS * 3 // 4 :]
    drawn = _REDRAWN.split(text) if "\r" in text or "\b" in text else [text]
    first = next(filter(None, map(_clean, drawn)), None)
    if first is None or len(drawn) == 1:
        return [] if first is None else [first]
    last = next(filter(None, map(_clean, reversed(drawn))))
    return [first] if first is last or first == last else [first, last]


def _clean(text: str) -> str | None:
    """Returns a text without colours, and with the tabs of bytes that were printed as such; None where it is blank."""
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    if "\\" in text and ("b'" in text or 'b"' in text):
        text = text.replace("\\t", "\t").replace("\\n", " ")
    return None if not text or text.isspace() else text


def parse_number(text: str) -> float:
    """Returns a number as programs print it, with thousands' commas or a per cent sign; nan where it is none."""
    if len(text) > 64:  # noqa: PLR2004 - no figure is as long
        return math.nan
    try:
        return float(text)  # nearly always
    except ValueError:
        pass
    plain = text.strip()
    try:
        value = float(plain.rstrip("% ").replace(",", ""))
    except ValueError:
        return math.nan
    return value / 100 if plain.endswith("%") else value


def make_printable(text: str) -> str:
    """Returns a text that harms no terminal: tabs become blanks, other controls question marks."""
    return "".join(char if char.isprintable() else " " if char == "\t" else "?" for char in text)
