"""The streams of a program at which a person looks."""

import codecs
import io
import re
import sys

_TELL_PLAINLY = "tell_plainly"
# What the programs print beyond ASCII, for terminals that lack it: as question marks, success and failure, two
# footnotes, or a number and its negative would look the same.
_PLAIN = {
    "▶": ">", "✓": "+", "✗": "x", "■": "#", "↻": "@", "█": "#", "░": ".", "…": "...", "←": "<-",
    "×": "x", "÷": "/", "±": "+-", "−": "-", "–": "-", "·": "-", "≥": ">=", "²": "2", "µ": "u", "’": "'",
    "†": "+", "‡": "=", "§": "*", "¶": "^", "∞": "inf", "★": "!",
}  # fmt: skip
# What moves a terminal's cursor, changes its colours or title, or turns the direction of writing round.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def make_printable(text: str) -> str:
    """Returns a text that comes from elsewhere as a terminal may show it: what would steer it is written out."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def replace_unencodable() -> None:
    """Lets the streams replace what their encoding does not have, so that no program ends for what cannot be shown."""
    codecs.register_error(_TELL_PLAINLY, _tell_plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_TELL_PLAINLY)


def _tell_plainly(error: UnicodeError) -> tuple[str, int]:
    """Returns what stands for characters that cannot be encoded, and where the text goes on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end
