"""The streams of a program at which a person looks."""

import io
import re
import sys

# What moves a terminal's cursor, changes its colours or title, or turns the direction of writing round.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def make_printable(text: str) -> str:
    """Returns a text that comes from elsewhere as a terminal may show it: what would steer it is written out."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def replace_unencodable() -> None:
    """Lets the streams replace what their encoding does not have, so that no program ends for what cannot be shown."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
