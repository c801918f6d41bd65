from pathlib import Path

import pytest

from tests.tfjob.own.test_job import make_replica, make_text
from tfjob.errors import SpecError
from tfjob.own import read_own_job


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "programs").mkdir()
    return tmp_path


def refuse(command: str, said_by: str = "command") -> str:
    with pytest.raises(SpecError) as refused:
        read_own_job("", command).check_here(said_by)
    return str(refused.value)


def test_a_program_that_is_not_there_is_named_with_where_it_was_looked_for_and_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert refuse("no-such-program --epochs 1") == (
        "command must name a program of this machine. Received: 'no-such-program', which none of the folders in PATH "
        "has (/usr/bin:/bin). Install it, give its whole path, or run on a cluster whose image has it"
    )
    assert refuse("train.py").endswith(
        f"The file of that name in {folder} is started by ./train.py, or by its interpreter"
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("./nosuch.sh", "'./nosuch.sh', and there is no such file ({folder}/nosuch.sh). Correct the path"),
        ("programs/", "'programs/', which is a folder: name the program in it ({folder}/programs)"),
        ("./train.py", "which is no file that may be run: start it by its interpreter, or chmod +x ./train.py"),
    ],
)
def test_a_path_that_leads_to_no_program_is_told_by_what_is_there(folder: Path, command: str, told: str) -> None:
    assert told.format(folder=folder) in refuse(command)


def test_the_command_of_a_manifest_is_named_by_its_path_there() -> None:
    text = make_text({"Worker": make_replica(command=["no-such-program"])})
    with pytest.raises(SpecError, match=r"containers\[0\].command must name a program .* 'no-such-program'"):
        read_own_job(text).check_here()
