import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from comparison.streams import make_printable as of_pipeline
from model.streams import make_printable as of_model
from pipeline.streams import complain, tell

# Terminals as people have them; the last is a locale of ASCII, in which Python reads pipes, too.
TERMINALS = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
SAYING = "▶ 1/9 † × … 分布式训练 é"
STEP = f"import sys; print({SAYING!a}); print(sys.argv[1], file=sys.stderr)"
# A program as `pipeline.run`, in which KFP's local runner starts a step and reads what that says.
PROGRAM = f"""
import contextlib, io, sys
from kfp.local.subprocess_task_handler import run_local_subprocess
from pipeline.streams import replace_unencodable, speak_utf8_with_children
replace_unencodable()
speak_utf8_with_children()
kept = io.StringIO()
with contextlib.redirect_stdout(kept):
    code = run_local_subprocess([sys.executable, "-c", {STEP!r}, {SAYING!a}])
print(kept.getvalue())
assert kept.getvalue().count({SAYING!a}) == 2, ascii(kept.getvalue())
sys.exit(code)
"""


def run_on(terminal: dict[str, str], program: str) -> subprocess.CompletedProcess[bytes]:
    encodings = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONIOENCODING", "PYTHONUTF8")
    environment = {name: value for name, value in os.environ.items() if name not in encodings}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment | terminal, capture_output=True, timeout=600, check=False
    )


@pytest.mark.parametrize("terminal", TERMINALS, ids=str)
def test_a_step_is_understood_whatever_the_terminal_can_show(terminal: dict[str, str]) -> None:
    ended = run_on(terminal, PROGRAM)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"1/9" in ended.stdout


def test_what_a_terminal_can_show_is_shown() -> None:
    ended = run_on({"PYTHONIOENCODING": "gbk"}, PROGRAM)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert "> 1/9 + × … 分布式训练 é" in ended.stdout.decode("gbk")


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "cp1252", "latin-1"])
def test_what_differs_in_meaning_differs_on_every_terminal(encoding: str) -> None:
    signs = ["▶", "✓", "✗", "†", "‡", "§", "¶", "█", "░", "−", "±", "×"]
    program = f"from pipeline.streams import replace_unencodable\nreplace_unencodable()\nprint(*{signs!a}, sep='\\n')"
    shown = run_on({"PYTHONIOENCODING": encoding}, program).stdout.decode(encoding).split()
    assert len(shown) == len(signs)
    assert "?" not in shown
    for alike in (("✓", "✗"), ("†", "‡", "§", "¶"), ("█", "░"), ("−", "±", "×")):
        assert len({shown[signs.index(sign)] for sign in alike}) == len(alike)


def test_what_nothing_stands_for_becomes_a_question_mark() -> None:
    program = f"from pipeline.streams import replace_unencodable\nreplace_unencodable()\nprint({'分é'!a})"
    assert run_on({"PYTHONIOENCODING": "ascii"}, program).stdout.decode().strip() == "??"


@pytest.mark.parametrize("make_printable", [of_pipeline, of_model])
def test_what_would_steer_a_terminal_is_written_out(make_printable: Callable[[str], str]) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\x9b2J\roverwritten \u202etxt.exe\r\n\tend \N{CJK UNIFIED IDEOGRAPH-4E2D} é"
    told = r"\x1b]0;title\x07\x1b[2J\x9b2J\roverwritten \u202etxt.exe"
    assert make_printable(hostile) == f"{told}\n\tend \N{CJK UNIFIED IDEOGRAPH-4E2D} é"


def test_what_is_told_and_what_is_wrong_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    tell("a \x1b[2J")
    complain("b \x1b[2J")
    assert capsys.readouterr() == ("a \\x1b[2J\n", "b \\x1b[2J\n")
