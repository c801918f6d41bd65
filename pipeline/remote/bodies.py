"""What a server answers, held in memory as far as a stated size: it sends as much as it likes."""

import json

import urllib3

# The answer about a run of a thousand trials has a few.
MOST_BYTES = 1 << 25
CHUNK_BYTES = 1 << 20
_MOST_BYTES_OF_AN_ERROR = 1 << 16
_LONGEST_MESSAGE = 300


class TooLargeError(Exception):
    """An answer has more bytes than are taken."""


def read_whole(answer: urllib3.BaseHTTPResponse, most_bytes: int = MOST_BYTES) -> bytes:
    """Returns the body of an answer.

    Raises:
        TooLargeError: It is larger than that, once it is unpacked; no more of it is read.
        urllib3.exceptions.HTTPError: It was cut off.
    """
    content = bytearray()
    for chunk in answer.stream(CHUNK_BYTES):
        content += chunk
        if len(content) > most_bytes:
            answer.close()
            raise TooLargeError(f"was answered with more than the {most_bytes:,} bytes that are taken of it")
    return bytes(content)


def read_message(answer: urllib3.BaseHTTPResponse) -> str:
    """Returns what the body of an error says, shortened."""
    text = answer.read(_MOST_BYTES_OF_AN_ERROR).decode(errors="replace")
    answer.close()
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = {}
    if isinstance(told, dict):
        text = str(told.get("message") or told.get("error_message") or text)
    if text.lstrip().startswith("<"):
        return "a web page"
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"
