import io
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from model.data.fetch import SourceError
from model.data.remote import open_store
from model.data.sources import check_dataset_name, load_npz_url
from model.errors import DatasetError

ARRAYS: dict[str, Any] = {
    "x_train": np.arange(40).reshape(20, 2),
    "x_test": np.arange(16).reshape(8, 2),
    "y_train": np.arange(20) % 4,
    "y_test": np.arange(8) % 4,
}


class FakeStore:
    """A file system of fsspec's, in a dictionary."""

    def __init__(self, objects: dict[str, bytes], error: Exception | None = None) -> None:
        self.objects, self.error = objects, error

    def open(self, path: str, mode: str) -> IO[bytes]:
        assert mode == "rb"
        if self.error:
            raise self.error
        return io.BytesIO(self.objects[path])

    def find(self, path: str, *, detail: bool) -> dict[str, dict[str, Any]]:
        assert detail
        below = {name: own for name, own in self.objects.items() if name.startswith(f"{path}/")}
        return {name: {"size": len(content)} for name, content in below.items()}

    def __call__(self, url: str) -> tuple["FakeStore", str]:
        return self, url.partition("://")[2].rstrip("/")


def to_npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def to_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **ARRAYS)
    return buffer.getvalue()


FOLDER = {f"bucket/sets/rows/{key}.npy": to_npy(values) for key, values in ARRAYS.items()}


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_an_npz_and_a_folder_are_loaded_from_a_store(scheme: str) -> None:
    store = FakeStore({"bucket/sets/rows.npz": to_npz(), "bucket/sets/rows/README.txt": b"", **FOLDER})
    for path in ("bucket/sets/rows.npz", "bucket/sets/rows", "bucket/sets/rows/"):
        check_dataset_name(f"{scheme}://{path}")
        loaded = load_npz_url(f"{scheme}://{path}", open_store=store)
        assert (loaded.name, loaded.source) == ("rows", f"{scheme}://{path}")
        np.testing.assert_array_equal(loaded.arrays.x_train[:], ARRAYS["x_train"])


def test_inputs_by_name_are_folders_there() -> None:
    objects = {
        path.replace("/x_", "/x_").replace(".npy", "/rows.npy" if "/x_" in path else ".npy"): own
        for path, own in FOLDER.items()
    }
    loaded = load_npz_url("s3://bucket/sets/rows", open_store=FakeStore(objects))
    assert loaded.arrays.x_train["rows"].shape == (20, 2)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (FakeStore({"bucket/sets/rows/x.csv": b""}), "there is no .npy file below it, but 1 others"),
        (FakeStore({}), "there is no .npy file below it, but 0 others"),
        (FakeStore(FOLDER, PermissionError("Access\nDenied")), "PermissionError: Access Denied"),
    ],
)
def test_what_a_store_does_not_give_is_told_with_its_address(store: FakeStore, message: str) -> None:
    with pytest.raises(DatasetError, match=f"^s3://bucket/sets/rows cannot be had: .*{message}"):
        load_npz_url("s3://bucket/sets/rows", open_store=store)


def test_more_than_there_is_room_for_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStore, "find", lambda *_, **__: {"bucket/x.npy": {"size": 10**18}})
    with pytest.raises(DatasetError, match=r"it has 1,000,000,000,000,000,000 bytes, and .* set TMPDIR"):
        load_npz_url("gs://bucket", open_store=FakeStore({}))


@pytest.mark.parametrize("key", ["rows/../../outside.npy", "rows/x_train/../../../outside.npy", "rows/a\0.npy"])
def test_no_object_becomes_a_file_outside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = FakeStore({**FOLDER, f"bucket/sets/{key}": b"planted"})
    with pytest.raises(DatasetError, match=r"it holds 'bucket/sets/rows/.*npy', which is not below it as a path"):
        load_npz_url("s3://bucket/sets/rows", open_store=store)
    assert not [path for path in tmp_path.parent.rglob("*outside*") if path.is_file()]


@pytest.mark.parametrize(("url", "package"), [("gs://bucket/a.npz", "gcsfs"), ("s3://bucket/a.npz", "s3fs")])
def test_a_package_that_is_missing_is_named(
    url: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fsspec").mkdir()
    (tmp_path / "fsspec" / "__init__.py").write_text("raise ImportError('No module named fsspec')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fsspec", raising=False)
    with pytest.raises(
        SourceError, match=rf"needs the Python packages fsspec and {package} .*pip install fsspec {package}"
    ):
        open_store(url)
