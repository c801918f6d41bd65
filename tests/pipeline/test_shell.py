import shlex
import sys

import pytest

from pipeline.shell import RUN, write_run


@pytest.mark.parametrize(
    ("prog", "by_make", "command"),
    [
        (RUN, True, 'make run A=… ARGS="--resume 1"'),
        (RUN, False, f"A=… {shlex.quote(sys.executable)} -m pipeline.run --resume 1"),
        ("tfjob-speedup run", True, "A=… tfjob-speedup run --resume 1"),
        ("tfjob-speedup run", False, "A=… tfjob-speedup run --resume 1"),
    ],
)
def test_the_command_to_type_next_is_that_by_which_the_program_was_called(
    monkeypatch: pytest.MonkeyPatch, prog: str, by_make: bool, command: str
) -> None:
    monkeypatch.delenv("MAKELEVEL")
    if by_make:
        monkeypatch.setenv("MAKELEVEL", "1")
    assert write_run(prog, "--resume 1", "A=…") == command
