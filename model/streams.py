"""The streams of a program at which a person looks."""

import io
import sys


def replace_unencodable() -> None:
    """Lets the streams replace what their encoding does not have, so that no program ends for what cannot be shown."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
