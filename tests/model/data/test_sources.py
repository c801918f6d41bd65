import errno
import hashlib
import io
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from model.data.arrays import NPZ_KEYS
from model.data.fetch import Files, SourceError, encode_idx
from model.data.sources import (
    CACHE_VARIABLE,
    NAMED_DATASETS,
    SHIPPED_VARIABLE,
    NamedDataset,
    Source,
    find_cache,
    find_shipped,
    load_dataset,
    load_named,
    load_npz_url,
)
from model.errors import DatasetError

IMAGES = np.arange(12 * 4, dtype=np.uint8).reshape(12, 2, 2)
LABELS = np.arange(12, dtype=np.uint8) % 3
FILES = {
    "train-images": encode_idx(IMAGES),
    "train-labels": encode_idx(LABELS),
    "test-images": encode_idx(IMAGES[:6]),
    "test-labels": encode_idx(LABELS[:6]),
}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@dataclass
class FakeMirror:
    answer: Callable[[], Files] = lambda: FILES
    calls: int = 0

    def fetch(self) -> Files:
        self.calls += 1
        return self.answer()


class Answer(io.BytesIO):
    headers: ClassVar[dict[str, str]] = {}


def ignore(line: str) -> None:
    pass


def fail(reason: str) -> Callable[[], Files]:
    def answer() -> Files:
        raise SourceError(reason)

    return answer


def make_dataset(*mirrors: FakeMirror) -> NamedDataset:
    sources = tuple(Source(f"mirror {number}", mirror.fetch) for number, mirror in enumerate(mirrors))
    return NamedDataset("tiny", SHA256, sources)


def write_npz(path: Path) -> Path:
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:6], y_test=LABELS[:6])
    return path


def test_a_named_data_set_holds_what_its_source_gave(tmp_path: Path) -> None:
    loaded = load_named(make_dataset(FakeMirror()), tmp_path, report=ignore)
    np.testing.assert_array_equal(loaded.arrays.x_train[..., 0], IMAGES)
    np.testing.assert_array_equal(loaded.arrays.y_test, LABELS[:6])
    assert (loaded.name, loaded.source) == ("tiny", "mirror 0")


def test_a_second_load_comes_from_the_cache(tmp_path: Path) -> None:
    mirror = FakeMirror()
    for _ in range(2):
        loaded = load_named(make_dataset(mirror), tmp_path, report=ignore)
    assert mirror.calls == 1
    assert loaded.source == f"cache {tmp_path / 'tiny'}"
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == sorted(FILES)


@pytest.mark.parametrize("damage", [b"", FILES["train-labels"][:-1], FILES["train-labels"][:-1] + b"x"])
def test_a_corrupt_cached_file_is_noticed_and_fetched_again(tmp_path: Path, damage: bytes) -> None:
    mirror = FakeMirror()
    load_named(make_dataset(mirror), tmp_path, report=ignore)
    (tmp_path / "tiny" / "train-labels").write_bytes(damage)
    lines: list[str] = []
    load_named(make_dataset(mirror), tmp_path, report=lines.append)
    assert mirror.calls == 2
    assert "train-labels must have the SHA-256" in lines[0]
    assert (tmp_path / "tiny" / "train-labels").read_bytes() == FILES["train-labels"]


def test_what_came_with_the_image_is_taken_checked_and_not_kept_once_more(tmp_path: Path) -> None:
    mirror, cache, shipped = FakeMirror(), tmp_path / "cache", tmp_path / "shipped"
    load_named(make_dataset(mirror), shipped, report=ignore)
    loaded = load_named(make_dataset(mirror), cache, shipped=shipped, report=ignore)
    assert (mirror.calls, loaded.source) == (1, f"image {shipped / 'tiny'}")
    assert not cache.exists()
    (shipped / "tiny" / "train-labels").write_bytes(b"something else")
    lines: list[str] = []
    assert load_named(make_dataset(mirror), cache, shipped=shipped, report=lines.append).source == "mirror 0"
    assert "train-labels must have the SHA-256" in lines[0]


@pytest.mark.parametrize(("folder", "expected"), [("/opt/datasets", Path("/opt/datasets")), ("", None)])
def test_the_environment_names_the_data_sets_that_came_with_the_image(
    folder: str, expected: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHIPPED_VARIABLE, folder)
    assert find_shipped() == expected


def test_a_user_without_a_home_has_a_cache_in_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def know_nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", know_nobody)
    for variable in (CACHE_VARIABLE, "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert find_cache() == Path(tempfile.gettempdir()) / ".cache" / "tfjob-speedup"


def test_wrong_content_falls_to_the_next_source_and_says_so(tmp_path: Path) -> None:
    wrong = FakeMirror(lambda: {**FILES, "test-images": b"something else"})
    lines: list[str] = []
    loaded = load_named(make_dataset(wrong, FakeMirror()), tmp_path, report=lines.append)
    assert loaded.source == "mirror 1"
    assert f"mirror 0: test-images must have the SHA-256 {SHA256['test-images']}. Received: " in lines[1]


def test_when_nothing_has_it_every_source_is_named_with_its_reason(tmp_path: Path) -> None:
    dataset = make_dataset(FakeMirror(fail("no such host")), FakeMirror(fail("HTTP 403")))
    with pytest.raises(DatasetError) as raised:
        load_named(dataset, tmp_path, report=ignore)
    message = str(raised.value)
    assert f"cache {tmp_path / 'tiny'}: not all files are there" in message
    assert "mirror 0: no such host" in message
    assert "mirror 1: HTTP 403" in message
    assert "Or give it as an .npz file" in message
    assert "x_train, y_train, x_test, y_test" in message


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the directory should be")
    lines: list[str] = []
    loaded = load_named(make_dataset(FakeMirror()), blocked, report=lines.append)
    assert len(loaded.arrays.x_train) == 12
    assert lines[-1].startswith("Warning: not kept in the cache")
    assert str(blocked) in lines[-1]


def test_a_cache_on_a_full_disk_is_a_warning_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    lines: list[str] = []
    loaded = load_named(make_dataset(FakeMirror()), tmp_path, report=lines.append)
    assert len(loaded.arrays.x_train) == 12
    assert lines[-1].startswith("Warning: not kept in the cache")
    assert str(tmp_path / "tiny") in lines[-1]
    assert "No space left on device" in lines[-1]
    assert list((tmp_path / "tiny").iterdir()) == []


def test_a_read_only_cache_is_a_warning_that_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    lines: list[str] = []
    loaded = load_named(make_dataset(FakeMirror()), tmp_path / "cache", report=lines.append)
    assert len(loaded.arrays.x_train) == 12
    assert lines[-1].startswith("Warning: not kept in the cache")
    assert str(tmp_path / "cache" / "tiny") in lines[-1]
    assert "Read-only file system" in lines[-1]


def test_two_processes_may_fill_the_cache_at_once(tmp_path: Path) -> None:
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from test_sources import *\n"
        "[load_named(make_dataset(FakeMirror()), Path(sys.argv[2]) / str(n), report=ignore) for n in range(20)]"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    for number in range(20):
        kept = {path.name: path.read_bytes() for path in (tmp_path / str(number) / "tiny").iterdir()}
        assert kept == FILES


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_cache() == tmp_path / "tfjob-speedup"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_cache() == tmp_path / ".cache" / "tfjob-speedup"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "own"))
    assert find_cache() == tmp_path / "own"


def test_named_data_sets_have_a_digest_for_each_array() -> None:
    assert list(NAMED_DATASETS) == ["mnist", "fashion_mnist"]
    for dataset in NAMED_DATASETS.values():
        assert [len(digest) for digest in dataset.sha256.values()] == [64] * len(NPZ_KEYS)


def test_an_npz_is_loaded_from_a_path_and_from_a_file_url(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "my data.npz")
    for dataset in (str(path), path.as_uri()):
        loaded = load_dataset(dataset)
        assert (loaded.name, loaded.source) == ("my data", str(path))
        np.testing.assert_array_equal(loaded.arrays.y_train, LABELS)


def test_an_npz_is_loaded_from_a_url_whose_signature_stays_secret(tmp_path: Path) -> None:
    asked: list[str] = []

    def open_url(url: str) -> Answer:
        asked.append(url)
        return Answer(write_npz(tmp_path / "a.npz").read_bytes())

    loaded = load_npz_url("https://data.example/sets/birds.npz?signature=secret", open_url=open_url)
    assert asked == ["https://data.example/sets/birds.npz?signature=secret"]
    assert (loaded.name, loaded.source) == ("birds", "https://data.example/sets/birds.npz")


def test_data_that_the_temporary_folder_has_no_room_for_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    answer = Answer(write_npz(tmp_path / "a.npz").read_bytes())
    with pytest.raises(
        DatasetError, match=r"a\.npz cannot be had: gives more than the 100 bytes that /\S+ has room for"
    ):
        load_npz_url("https://data.example/a.npz", open_url=lambda _: answer)


def test_a_url_that_cannot_be_had_says_why() -> None:
    def open_url(url: str) -> Answer:
        raise ConnectionRefusedError("connection refused")

    with pytest.raises(DatasetError, match=r"https://data.example/a.npz cannot be had: connection refused"):
        load_npz_url("https://data.example/a.npz", open_url=open_url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:secret@bucket/a.npz",
        "ftp://data.example/a.npz",
        "https://me:secret@data.example/a.npz",
        "https://[a.npz",
    ],
)
def test_a_url_of_another_kind_is_refused_without_its_credentials(url: str) -> None:
    with pytest.raises(DatasetError, match=r"Expected an .npz file") as raised:
        load_dataset(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["cifar10", "MNIST", "", "mnist.npy"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(DatasetError, match=f"Unknown data set '{name}'. Known: mnist, fashion_mnist; or an .npz file"):
        load_dataset(name)


def test_a_path_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no file .*none.npz"):
        load_dataset(str(tmp_path / "none.npz"))
    with pytest.raises(DatasetError, match=r"must hold the arrays x_train.* It holds: nothing"):
        load_dataset(f"{tmp_path}{os.sep}")


def test_every_mirror_is_reached_by_https() -> None:
    names = [source.name for dataset in NAMED_DATASETS.values() for source in dataset.sources]
    assert [name for name in names if "://" in name and not name.startswith("https://")] == []
    assert all(len(dataset.sources) > 1 for dataset in NAMED_DATASETS.values())
