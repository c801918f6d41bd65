import gzip
import io
import shutil
import tarfile
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.remote import archives
from pipeline.remote.archives import KEPT_FREE_BYTES, unpack
from pipeline.remote.server import ServerError
from tests.pipeline.remote.kfp_server import pack


def test_a_folder_comes_out_as_it_went_in_however_long_its_names_are(tmp_path: Path) -> None:
    files = {"single/launch.json": b"{}", "ü/" + "long/" * 60 + "name.log": b"x" * 2_000_000, "empty": b""}
    (tmp_path / "a.tar.gz").write_bytes(pack(files))
    unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    assert {name: (tmp_path / "folder" / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_anything_but_files_and_folders_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        file, link = tarfile.TarInfo("a/launch.json"), tarfile.TarInfo("a/logs")
        link.type, link.linkname = kind, "a/launch.json"
        archive.addfile(file)
        archive.addfile(link)
    with pytest.raises(ServerError, match=r"no whole \.tar\.gz came"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_what_there_is_no_room_for_is_not_unpacked_and_some_room_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(pack({"small": b"x" * 100, "large": b"x" * 101}))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=KEPT_FREE_BYTES + 100))
    with pytest.raises(ServerError, match=r"^there is no room for it: it has 101 bytes more, and .*/folder has"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_what_describes_an_entry_takes_no_more_memory_than_a_name_can(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("a")
    header.type, header.size = kind, 1 << 26
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf() + bytes(header.size), 1))
    tracemalloc.start()
    with pytest.raises(ServerError, match="what describes an entry is too large"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 23


def test_descriptions_without_end_are_no_archive(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a")
    header.type = tarfile.XHDTYPE
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf() * 5000))
    with pytest.raises(ServerError, match=r"no whole \.tar\.gz came"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "folder")


def test_an_archive_has_no_more_entries_than_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 10)
    for number in (10, 11):
        (tmp_path / f"{number}.tar.gz").write_bytes(pack({str(file): b"" for file in range(number)}))
    unpack(tmp_path / "10.tar.gz", tmp_path / "10")
    assert len([*(tmp_path / "10").iterdir()]) == 10
    with pytest.raises(ServerError, match="it has more than 10 entries"):
        unpack(tmp_path / "11.tar.gz", tmp_path / "11")


def test_many_entries_are_not_kept_in_memory(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for _ in range(5000):
            archive.addfile(tarfile.TarInfo("again"))
    (tmp_path / "a.tar.gz").write_bytes(packed.getvalue())
    tracemalloc.start()
    unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no archive"), pack({"a": b"x" * 999})[:-40]],
    ids=["empty", "text", "compressed text", "cut off"],  # a name with the time in it would be another in each process
)
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ServerError, match=r"no whole \.tar\.gz came"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
