"""A log's bytes as lines of bounded length, whatever a program prints: an hour without a newline, megabytes in one."""

from typing import NamedTuple

MAX_LINE_BYTES = 16 * 1024
_REDRAWS = b"\r\b"
_CONTINUATION = 0b1000_0000
_LONGEST_CHARACTER = 4


class Piece(NamedTuple):
    """A line without its end or, of a very long one, a piece; `begins_line` tells the first piece from the others."""

    text: str
    begins_line: bool


class LineCutter:
    """Cuts a stream of bytes into lines. A line that grows too long is handed on in pieces, between two redraws if any.

    A progress bar draws over itself with carriage returns and backspaces, and a whole epoch is one line. These stay in
    the text: only who reads it knows which redraw counts.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._begins_line = True

    def feed(self, chunk: bytes) -> list[Piece]:
        """Returns what a further chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        pieces = [piece for line in lines for piece in self._cut(line, is_whole=True)]
        if len(self._rest) > MAX_LINE_BYTES:
            pieces += self._cut(self._rest, is_whole=False)
        return pieces

    def finish(self) -> list[Piece]:
        """Returns what is left: a last line without an end, which a crash may well leave."""
        rest, self._rest = self._rest, b""
        return self._cut(rest, is_whole=True) if rest else []

    def _cut(self, line: bytes, *, is_whole: bool) -> list[Piece]:
        """Returns a line in pieces; keeps what may go on."""
        pieces = []
        while len(line) > MAX_LINE_BYTES:
            end = _find_cut(line)
            pieces.append(Piece(_decode(line[:end]), self._begins_line))
            line, self._begins_line = line[end:], False
        if is_whole:
            pieces.append(Piece(_decode(line).rstrip("\r"), self._begins_line))
            self._begins_line = True
        else:
            self._rest = line
        return pieces


def _find_cut(line: bytes) -> int:
    """Returns where to cut: before the last redraw, else before a character."""
    start = line[:MAX_LINE_BYTES]
    last = max(start.rfind(b"\r"), start.rfind(b"\b"))
    if end := len(start[: last + 1].rstrip(_REDRAWS)):
        return end
    ends = range(MAX_LINE_BYTES, MAX_LINE_BYTES - _LONGEST_CHARACTER, -1)
    return next((end for end in ends if _begins_character(line[end])), MAX_LINE_BYTES)


def _begins_character(byte: int) -> bool:
    """Returns whether a byte of UTF-8 begins a character."""
    return byte & 0b1100_0000 != _CONTINUATION


def _decode(line: bytes) -> str:
    return line.decode(errors="replace")
