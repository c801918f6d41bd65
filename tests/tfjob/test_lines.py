from hypothesis import given
from hypothesis import strategies as st

from tfjob.lines import MAX_LINE_BYTES, LineCutter, Piece

CHUNKS = st.lists(
    st.binary(max_size=40) | st.sampled_from([b"\n", b"\r\n", b"\r", b"\b\b", b"x" * 20_000]), max_size=20
)


def cut(*chunks: bytes) -> list[Piece]:
    cutter = LineCutter()
    return [piece for chunk in chunks for piece in cutter.feed(chunk)] + cutter.finish()


def texts(*chunks: bytes) -> list[str]:
    return [piece.text for piece in cut(*chunks)]


def test_lines_come_whole_however_they_were_written() -> None:
    assert texts(b"one\ntw", b"o\r\n", b"\nlast") == ["one", "two", "", "last"]


def test_what_a_progress_bar_draws_over_stays_in_the_line() -> None:
    assert texts(b" 1/2 [=>..]", b"\b\b\b 2/2 [===]\r 2/2\n") == [" 1/2 [=>..]\b\b\b 2/2 [===]\r 2/2"]


def test_a_line_without_an_end_comes_in_pieces_as_it_grows() -> None:
    cutter = LineCutter()
    pieces = [piece for _ in range(100) for piece in cutter.feed(b"x" * 1000)]
    assert len(pieces) == 100_000 // MAX_LINE_BYTES
    assert [piece.begins_line for piece in pieces] == [True, *[False] * (len(pieces) - 1)]
    assert cutter.feed(b"\nnext\n")[-1] == Piece("next", begins_line=True)


def test_a_long_line_is_cut_between_two_redraws() -> None:
    redraws = [b"\b\b\r%d/1000 " % step + b"=" * 90 for step in range(1000)]
    pieces = texts(*redraws)
    assert len(pieces) > 1
    assert all(piece.startswith("\b\b\r") and piece.endswith("=" * 90) for piece in pieces)
    assert "".join(pieces).encode() == b"".join(redraws)


def test_a_long_line_is_cut_between_two_characters() -> None:
    line = "学" * 20_000
    assert "".join(texts(line.encode())) == line
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(texts(b"x" + line.encode()))


@given(CHUNKS)
def test_nothing_is_lost_and_nothing_is_too_long(chunks: list[bytes]) -> None:
    pieces = cut(*chunks)
    assert all(len(piece.text) <= MAX_LINE_BYTES for piece in pieces)
    whole = b"".join(chunks).decode(errors="replace")
    assert sum(piece.begins_line for piece in pieces) == len(whole.removesuffix("\n").split("\n")) - (whole == "")


@given(CHUNKS)
def test_lines_do_not_depend_on_how_they_were_read(chunks: list[bytes]) -> None:
    short = [chunk[:50] for chunk in chunks]
    assert texts(*short) == texts(b"".join(short))
