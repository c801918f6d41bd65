import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.dataset import PreparedDataset, write_dataset
from model.data.npz import read_folder
from model.data.sources import load_dataset
from model.errors import DatasetError

LABELS = {"y_train": np.arange(20) % 4, "y_test": np.arange(8) % 4}
TABLE = {
    f"x_{split}/{name}": values[:count]
    for split, count in (("train", 20), ("test", 8))
    for name, values in {"user": np.arange(20), "features": np.linspace(0, 1, 60).reshape(20, 3)}.items()
}


def write(folder: Path, arrays: dict[str, NDArray[Any]], **options: Any) -> Path:
    for key, values in arrays.items():
        path = folder / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values, **options)
    return folder


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_folder_of_npy_files_is_the_same_data_as_an_npz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, order: Any
) -> None:
    monkeypatch.setattr("model.data.npz._BLOCK_BYTES", 64)
    arrays = {key: np.asarray(own, dtype if "features" in key else None, order=order) for key, own in TABLE.items()}
    folder = write(tmp_path / "ratings", arrays | LABELS)
    whole: dict[str, Any] = arrays | LABELS
    np.savez(tmp_path / "ratings.npz", **whole)
    digests = set()
    for number, dataset in enumerate((str(folder), f"{folder}/", folder.as_uri(), str(tmp_path / "ratings.npz"))):
        loaded = load_dataset(dataset)
        assert loaded.name == "ratings"
        prepared = write_dataset(loaded.arrays, tmp_path / f"data-{number}", name=loaded.name, source=loaded.source)
        digests.add(prepared.sha256)
    assert len(digests) == 1
    opened = PreparedDataset.open(tmp_path / "data-0", verify=True)
    assert opened.input_shape == {"features": (3,), "user": (1,)}
    assert opened.input_dtype == {"features": "float32", "user": "int64"}
    np.testing.assert_array_equal(opened.split("test").inputs["user"][:, 0], np.arange(8))


def test_a_folder_in_the_working_directory_is_taken_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "ratings", TABLE | LABELS)
    monkeypatch.chdir(tmp_path)
    assert load_dataset("ratings").arrays.num_labels == 4


def test_images_in_a_folder_are_images(tmp_path: Path) -> None:
    images = {"x_train": np.zeros((20, 2, 3), np.uint8), "x_test": np.ones((8, 2, 3), np.uint8)}
    assert read_folder(write(tmp_path, images | LABELS), "here").x_train.shape == (20, 2, 3, 1)


def test_preparing_a_folder_takes_no_memory_for_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.data.dataset._BYTES_PER_WRITE", 2**20)
    series = np.zeros((400, 2**15), np.float32)  # 50 MiB
    labels = {"y_train": np.arange(400) % 4, "y_test": np.arange(4) % 4}
    write(tmp_path / "big", {"x_train/series": series, "x_test/series": series[:4], **labels})
    del series
    tracemalloc.start()
    loaded = load_dataset(str(tmp_path / "big"))
    write_dataset(loaded.arrays, tmp_path / "data", name="big", source="here")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * 2**20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train/features": None, "x_train/user": None},
            r"Missing: x_train\. It holds: x_test/features, .*, y_t",
        ),
        ({"y_test": None}, r"Missing: y_test\."),
        ({"x_train/features": np.full((20, 3), np.nan)}, r"x_train/features must be finite as float32\. Received: 60"),
        ({"x_train/user": np.array([{}] * 20)}, r"x_train/user cannot be read as numbers: Object arrays"),
        ({"x_train/user": np.array(["a"] * 20)}, r"x_train/user must be numbers\. Received: <U1 \[20\], texts"),
        ({"y_train": np.array([[1], [1, 2]], dtype=object)}, r"y_train cannot be read as numbers: Object arrays"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arrays = {key: own for key, own in (TABLE | LABELS | changes).items() if own is not None}
    write(tmp_path, arrays, allow_pickle=True)
    with pytest.raises(DatasetError, match=rf"^{tmp_path}: .*{message}"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"must be an array in NumPy's format|damaged"),
        (b"PK\x03\x04 an npz under another name", "damaged|NumPy's format"),
        ("half", "ends before its last example"),
        ("header", "damaged|cannot be read"),
    ],
)
def test_a_file_that_is_cut_off_or_no_array_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path, TABLE | LABELS) / "x_train" / "features.npy"
    whole = path.read_bytes()
    path.write_bytes({"half": whole[: len(whole) // 2], "header": whole[:40]}.get(content, content))
    with pytest.raises(DatasetError, match=message):
        load_dataset(str(tmp_path))


def test_what_is_too_large_to_be_read_at_once_is_refused_with_how_to_store_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.data.npz._MOST_BYTES_AT_ONCE", 512)
    series = np.asfortranarray(np.zeros((20, 10), np.float32))
    write(tmp_path, {"x_train/series": series, "x_test/series": series[:8], **LABELS})
    with pytest.raises(DatasetError, match=r"x_train/series must have at most 512 bytes.* numpy\.ascontiguousarray"):
        load_dataset(str(tmp_path))


def test_files_on_a_read_only_disk_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path, TABLE | LABELS)
    for path in folder.rglob("*.npy"):
        path.chmod(0o444)
    block = load_dataset(str(folder)).arrays.x_train["features"][np.array([3, 1])]
    np.testing.assert_allclose(block, TABLE["x_train/features"][[3, 1]], rtol=1e-6)
