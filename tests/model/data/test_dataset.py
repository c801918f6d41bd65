import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.arrays import Arrays, check_arrays
from model.data.dataset import (
    PARTS,
    SPLITS,
    PreparedDataset,
    pick_stratified,
    split_validation,
    write_dataset,
)
from model.errors import DatasetError


def make_arrays(count: int = 300, dtype: str = "uint8") -> Arrays:
    generator = np.random.default_rng(0)
    # The first two pixels number the images, so that each can be told from every other.
    images = generator.integers(0, 256, (count, 4, 3)).astype(dtype)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(count), 256)
    labels = generator.choice(5, count, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    return check_arrays({"x_train": images, "y_train": labels, "x_test": images[:40], "y_test": labels[:40]})


def write(directory: Path, arrays: Arrays | None = None, **options: Any) -> PreparedDataset:
    options = {"name": "tiny", "source": "made up", "validation_fraction": 0.2, "seed": 0, **options}
    return write_dataset(arrays or make_arrays(), directory, **options)


def number_images(images: np.ndarray) -> list[int]:
    return [int(row) * 256 + int(column) for row, column in images[:, 0, :2, 0]]


def read_files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_splits_are_disjoint_and_together_the_source(tmp_path: Path, dtype: str) -> None:
    arrays = make_arrays(dtype=dtype)
    write(tmp_path / "data", arrays)
    dataset = PreparedDataset.open(tmp_path / "data", verify=True)
    train, validation, test = (dataset.split(name) for name in SPLITS)
    assert (train.count, validation.count, test.count) == (240, 60, 40)
    numbers = number_images(train.images) + number_images(validation.images)
    assert sorted(numbers) == list(range(300))
    labels = np.concatenate([train.labels, validation.labels])
    np.testing.assert_array_equal(labels, arrays.y_train[numbers])
    np.testing.assert_array_equal(np.concatenate([train.images, validation.images]), arrays.x_train[numbers])
    np.testing.assert_array_equal(test.images, arrays.x_test)
    np.testing.assert_array_equal(test.labels, arrays.y_test)


def test_every_class_gives_its_share_to_the_validation_split(tmp_path: Path) -> None:
    arrays = make_arrays()
    dataset = write(tmp_path / "data", arrays)
    whole = np.bincount(arrays.y_train)
    validation = np.bincount(dataset.split("validation").labels)
    assert np.all(np.abs(validation - whole * 0.2) < 1)
    np.testing.assert_array_equal(whole - validation, np.bincount(dataset.split("train").labels))


def test_a_seed_repeats_the_split_and_another_changes_it(tmp_path: Path) -> None:
    first, again, other = (write(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert read_files(first.directory) == read_files(again.directory)
    assert first.sha256 != other.sha256
    np.testing.assert_array_equal(first.split("test").images, other.split("test").images)


def test_the_split_of_a_seed_is_the_same_on_every_platform() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 0], np.int32)
    assert pick_stratified(labels, 4, seed=7).tolist() == [0, 4, 6, 8]


def test_the_manifest_describes_what_is_there(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data", max_train_images=100)
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert {key: value for key, value in manifest.items() if key not in {"sha256", "splits"}} == {
        "schema_version": 1,
        "name": "tiny",
        "source": "made up",
        "image_shape": [4, 3, 1],
        "num_classes": 5,
        "validation_fraction": 0.2,
        "seed": 0,
        "max_train_images": 100,
    }
    files = {f"{split}_{part}.bin" for split in SPLITS for part in PARTS}
    assert set(read_files(tmp_path / "data")) == files | {"manifest.json"}
    validation = manifest["splits"]["validation"]
    labels = dataset.split("validation").labels.tobytes()
    assert validation["labels"] == {
        "file": "validation_labels.bin",
        "dtype": "int32",
        "shape": [20],
        "sha256": hashlib.sha256(labels).hexdigest(),
    }
    assert validation["class_histogram"] == np.bincount(np.frombuffer(labels, "<i4"), minlength=5).tolist()
    digests = [manifest["splits"][split][part]["sha256"] for split in SPLITS for part in PARTS]
    assert manifest["sha256"] == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_an_opened_data_set_tells_its_facts(tmp_path: Path) -> None:
    write(tmp_path / "data")
    dataset = PreparedDataset.open(tmp_path / "data")
    assert (dataset.name, dataset.input_shape, dataset.num_labels) == ("tiny", (4, 3, 1), 5)
    assert str(dataset.split("train").images.filename) == str(tmp_path / "data" / "train_images.bin")
    with pytest.raises(ValueError, match=r"split must be one of train, validation, test. Received: 'dev'"):
        dataset.split("dev")


def test_mapped_arrays_cannot_be_written(tmp_path: Path) -> None:
    split = write(tmp_path / "data").split("train")
    for array in (split.images, split.labels):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_limit_takes_images_of_each_class(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data", max_train_images=100)
    train, validation, test = (dataset.split(name) for name in SPLITS)
    assert (train.count, validation.count, test.count) == (80, 20, 40)
    taken = np.add(*(np.bincount(split.labels, minlength=5) for split in (train, validation)))
    assert np.all(np.abs(taken - np.bincount(make_arrays().y_train) / 3) < 1)


def test_a_limit_above_what_there_is_changes_nothing(tmp_path: Path) -> None:
    assert write(tmp_path / "a", max_train_images=1000).sha256 == write(tmp_path / "b").sha256


def test_a_class_with_a_single_image_stays_in_training() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2], np.int32)
    for seed in range(10):
        train, validation = split_validation(labels, 0.25, seed)
        assert 20 in train
        assert len(validation) == 5


@pytest.mark.parametrize(("labels", "fraction"), [([0, 1, 2, 3], 0.5), ([0] * 5, 0.05), ([0], 0.5), ([0] * 10, 0.99)])
def test_too_few_images_for_a_validation_split_are_refused(labels: list[int], fraction: float) -> None:
    with pytest.raises(DatasetError, match=f"enough training examples .* Received: {len(labels)} examples of"):
        split_validation(np.array(labels, np.int32), fraction, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 0.0}, "validation_fraction must be above 0 and below 1. Received: 0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be"),
        ({"validation_fraction": float("nan")}, "validation_fraction must be"),
        ({"seed": -1}, "seed must be 0 or more. Received: -1"),
        ({"max_train_images": 0}, "max_train_images must be 1 or more. Received: 0"),
    ],
)
def test_an_option_out_of_range_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        write(tmp_path / "data", **options)
    assert not list(tmp_path.iterdir())


def test_an_earlier_data_set_is_replaced_while_its_readers_go_on(tmp_path: Path) -> None:
    former = write(tmp_path / "data").split("train")
    before = former.images.copy()
    write(tmp_path / "data", seed=1)
    np.testing.assert_array_equal(former.images, before)
    assert PreparedDataset.open(tmp_path / "data", verify=True).manifest["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DatasetError, match="must not exist, be empty, or hold a prepared data set"):
        write(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="JSON"):
        write(tmp_path / "data", name=object())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", [2, "1", None])
def test_another_schema_version_is_refused(tmp_path: Path, version: Any) -> None:
    write(tmp_path / "data")
    manifest = tmp_path / "data" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema_version": version}))
    with pytest.raises(DatasetError, match=f"must have schema_version 1. Received: {version!r}"):
        PreparedDataset.open(tmp_path / "data")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must have schema_version 1"),
        ('{"schema_version": 1}', "Missing: name, sha256, image_shape, num_classes, splits"),
        (
            '{"schema_version": 1, "name": "", "sha256": "", "image_shape": [], "num_classes": 1, "splits": {}}',
            "does not describe train images: KeyError",
        ),
    ],
)
def test_a_manifest_of_another_form_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        PreparedDataset.open(tmp_path)


def test_a_directory_without_manifest_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest.json cannot be read: No such file or directory. `python -m"):
        PreparedDataset.open(tmp_path)


def test_a_file_that_is_missing_or_cut_off_is_noticed_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "data").directory / "test_images.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"test_images.bin must be of 480 bytes. Received: 479"):
        PreparedDataset.open(tmp_path / "data")
    path.unlink()
    with pytest.raises(DatasetError, match=r"test_images.bin cannot be read: No such file"):
        PreparedDataset.open(tmp_path / "data")


def test_a_changed_byte_is_noticed_when_asked_to_verify(tmp_path: Path) -> None:
    path = write(tmp_path / "data").directory / "train_labels.bin"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    PreparedDataset.open(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"train_labels.bin must have the SHA-256"):
        PreparedDataset.open(tmp_path / "data", verify=True)
