import os
from pathlib import Path

import pytest

from tfjob.local import folders
from tfjob.local.folders import FolderMaker, make_view


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def view(home: Path, tmp_path: Path) -> Path:
    target = tmp_path / "trial" / "work" / "worker-0"
    make_view(home, target, hidden=tmp_path / "trial")
    return target


def test_folders_are_new_and_small_files_are_copies(home: Path, tmp_path: Path) -> None:
    write(home / "src" / "train.py", "print()")
    seen = view(home, tmp_path)
    assert (seen / "src" / "train.py").read_text() == "print()"
    assert not (seen / "src").is_symlink()
    assert not (seen / "src" / "train.py").is_symlink()


def test_large_files_are_links(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_COPIED_FILE_BYTES", 10)
    monkeypatch.setattr(folders, "MAX_COPIED_BYTES", 12)
    data = write(home / "a" / "train.npy", "x" * 11)
    write(home / "small-1", "x" * 8)
    write(home / "small-2", "x" * 8)
    seen = view(home, tmp_path)
    assert (seen / "a" / "train.npy").readlink() == data.resolve()
    assert sorted(path.is_symlink() for path in seen.glob("small-*")) == [False, True]


def test_hidden_ones_environments_and_links_are_links(home: Path, tmp_path: Path) -> None:
    write(home / ".env", "SECRET=1")
    write(home / ".git" / "HEAD")
    write(home / "venv" / "pyvenv.cfg")
    write(home / "venv" / "lib" / "big.py")
    elsewhere = write(tmp_path / "elsewhere" / "data.csv").parent
    (home / "data").symlink_to(elsewhere)
    (home / "broken").symlink_to(tmp_path / "nowhere")
    (home / "loop").symlink_to(home)
    seen = view(home, tmp_path)
    assert {path.name for path in seen.iterdir() if path.is_symlink()} == {path.name for path in home.iterdir()}
    assert (seen / "data" / "data.csv").exists()


def test_beyond_the_limit_whole_folders_are_links(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 9)
    for index in range(6):
        write(home / f"images-{index}" / "0.jpg")
    seen = view(home, tmp_path)
    assert len(list(seen.glob("*/0.jpg"))) == 6
    assert sum(path.is_symlink() for path in seen.iterdir()) == 3


def test_a_runs_results_are_no_input_of_its_trials(home: Path) -> None:
    write(home / "runs" / "old" / "events.out")
    write(home / "train.py")
    trial = home / "runs" / "new" / "trial"
    target = trial / "work" / "worker-0"
    make_view(home, target, hidden=trial / "work")
    assert sorted(path.name for path in target.iterdir()) == ["runs", "train.py"]
    assert list((target / "runs").iterdir()) == []


def test_what_cannot_be_read_is_there_all_the_same(home: Path, tmp_path: Path) -> None:
    os.mkfifo(home / "pipe")
    assert (view(home, tmp_path) / "pipe").is_symlink()


def test_removing_the_folders_leaves_what_links_lead_to(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_COPIED_FILE_BYTES", 0)
    write(home / "data" / "train.csv")
    write(home / ".cache" / "kept")
    maker = FolderMaker(home, tmp_path / "trial" / "work")
    made = maker.make("worker-0")
    assert (made.work / "data" / "train.csv").is_symlink()
    assert made.temporary.is_dir()
    maker.remove()
    assert not made.work.exists()
    assert not made.temporary.exists()
    assert (home / "data" / "train.csv").read_text() == "x"
    assert (home / ".cache" / "kept").exists()


def test_a_temporary_folder_is_short_enough_for_a_socket(home: Path, tmp_path: Path) -> None:
    maker = FolderMaker(home, tmp_path / ("deep" * 30) / "work")
    made = maker.make("worker-12")
    assert len(str(made.temporary)) < 70
    maker.remove()


def test_a_second_start_finds_a_new_folder(home: Path, tmp_path: Path) -> None:
    maker = FolderMaker(home, tmp_path / "work")
    write(maker.make("worker-0").work / "left")
    assert not (maker.make("worker-0").work / "left").exists()
    maker.remove()


def test_a_folder_of_very_many_files_is_one_link(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 20)
    for index in range(30):
        write(home / "images" / f"{index}.jpg")
    write(home / "src" / "train.py")
    seen = view(home, tmp_path)
    assert (seen / "images").readlink() == (home / "images").resolve()
    assert not (seen / "src" / "train.py").is_symlink()


def test_a_folder_that_is_not_there_is_one_whose_reader_hears_why(tmp_path: Path) -> None:
    seen = view(tmp_path / "nowhere", tmp_path)
    with pytest.raises(FileNotFoundError):
        list(seen.iterdir())
