import os
from pathlib import Path

from pipeline.local.beside import noted


def test_a_run_is_told_of_another_one_and_goes_on(tmp_path: Path) -> None:
    notice = tmp_path / "notice"
    with noted(Path("/runs/first"), notice) as alone:
        assert alone == ""
        with noted(Path("/runs/second"), notice) as beside:
            assert "another run goes on on this machine (/runs/first). Both share its cores" in beside
    with noted(Path("/runs/third"), notice) as alone:
        assert alone == ""
    assert notice.read_text() == "/runs/third\n"


def test_a_run_that_was_killed_is_not_told_of(tmp_path: Path) -> None:
    notice = tmp_path / "notice"
    notice.write_text("/runs/killed\n")
    with noted(Path("/runs/next"), notice) as alone:
        assert alone == ""


def test_a_link_that_somebody_has_put_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "notice").symlink_to(tmp_path / "precious")
    with noted(Path("/runs/first"), tmp_path / "notice") as told:
        assert told == ""
    assert (tmp_path / "precious").read_text() == "precious"


def test_where_nothing_can_be_noted_nothing_is_told(tmp_path: Path) -> None:
    with noted(Path("/runs/first"), tmp_path / "missing" / os.devnull.strip("/")) as told:
        assert told == ""
