"""The prepared data set: a directory of plain array files that every replica maps into memory (docs/schemas.md)."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.data.arrays import Arrays, Images
from model.errors import DatasetError
from model.files import SCHEMA_VERSION, name_sibling, write_json

SPLITS = ("train", "validation", "test")
PARTS = ("images", "labels")
# 5,000 of MNIST's 60,000 training images.
DEFAULT_VALIDATION_FRACTION = 1 / 12
_MANIFEST = "manifest.json"
_MANIFEST_KEYS = ("name", "sha256", "image_shape", "num_classes", "splits")
_IMAGES_PER_WRITE = 4096

Mapped = np.memmap[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Split:
    """The images [count, h, w, c] and labels [count] of one split, read-only and mapped, not loaded."""

    images: Mapped
    labels: Mapped

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.labels)


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared data set on disk."""

    directory: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, directory: Path, *, verify: bool = False) -> Self:
        """Returns the data set in `directory`, its manifest and file sizes checked.

        Args:
            directory: What `write_dataset` wrote.
            verify: Whether to read every file and check its digest too.

        Raises:
            DatasetError: It is no prepared data set of this version, or not whole.
        """
        dataset = cls(directory, _read_manifest(directory / _MANIFEST))
        for split in SPLITS:
            for part in PARTS:
                dataset._check_file(split, part, verify=verify)
        return dataset

    @property
    def name(self) -> str:
        """What the data set is called."""
        return str(self.manifest["name"])

    @property
    def sha256(self) -> str:
        """The digest that names the data: all splits, images and labels."""
        return str(self.manifest["sha256"])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        height, width, channels = self.manifest["image_shape"]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """Number of classes, of which some may be without images."""
        return int(self.manifest["num_classes"])

    def split(self, name: str) -> Split:
        """Returns the split of this name: train, validation or test."""
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}. Received: {name!r}.")
        entry = self.manifest["splits"][name]
        return Split(self._map(entry["images"]), self._map(entry["labels"]))

    def _map(self, entry: Mapping[str, Any]) -> Mapped:
        return np.memmap(self.directory / entry["file"], _stored_dtype(entry), mode="r", shape=tuple(entry["shape"]))

    def _check_file(self, split: str, part: str, *, verify: bool) -> None:
        try:
            entry = self.manifest["splits"][split][part]
            path = self.directory / entry["file"]
            expected = int(np.prod(entry["shape"])) * _stored_dtype(entry).itemsize
            digest = entry["sha256"]
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{self.directory / _MANIFEST} does not describe {split} {part}: {error!r}") from error
        try:
            received = path.stat().st_size
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
        if received != expected:
            raise DatasetError(f"{path} must be of {expected} bytes. Received: {received}.")
        if verify and (found := _hash_file(path)) != digest:
            raise DatasetError(f"{path} must have the SHA-256 {digest}. Received: {found}.")


def write_dataset(
    arrays: Arrays,
    directory: Path,
    *,
    name: str,
    source: str,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    seed: int = 0,
    max_train_images: int | None = None,
) -> PreparedDataset:
    """Writes a prepared data set and returns it; the directory appears when it is whole.

    The validation split is a seeded share of the training images, of each class alike. An earlier prepared data set
    in the directory is replaced.

    Args:
        arrays: The data.
        directory: Where to.
        name: What the data set is called.
        source: Where the data came from.
        validation_fraction: Share of the training images that becomes the validation split.
        seed: Decides which images.
        max_train_images: Take no more than so many training images, of each class its share, before the validation
            split is made.

    Raises:
        DatasetError: An option is out of range, there are too few images to split, or the directory holds something
            else.
    """
    check_options(validation_fraction, seed, max_train_images)
    _check_target(directory)
    kept = pick_stratified(arrays.y_train, max_train_images, seed)
    train, validation = split_validation(arrays.y_train[kept], validation_fraction, seed)
    chosen = {"train": kept[train], "validation": kept[validation], "test": np.arange(len(arrays.y_test))}
    with _replacing(directory) as temporary:
        splits = {split: _write_split(temporary, split, arrays, indices) for split, indices in chosen.items()}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "source": source,
            "sha256": _name_data(splits),
            "image_shape": list(arrays.x_train.shape[1:]),
            "num_classes": arrays.num_classes,
            "validation_fraction": validation_fraction,
            "seed": seed,
            "max_train_images": max_train_images,
            "splits": splits,
        }
        write_json(temporary / _MANIFEST, manifest)
    return PreparedDataset(directory, manifest)


def check_options(validation_fraction: float, seed: int, max_train_images: int | None) -> None:
    """Checks what a person chooses about the splits.

    Raises:
        DatasetError: Which option is out of range.
    """
    if not 0 < validation_fraction < 1:
        raise DatasetError(f"validation_fraction must be above 0 and below 1. Received: {validation_fraction}.")
    if seed < 0:
        raise DatasetError(f"seed must be 0 or more. Received: {seed}.")
    if max_train_images is not None and max_train_images < 1:
        raise DatasetError(f"max_train_images must be 1 or more. Received: {max_train_images}.")


def pick_stratified(labels: NDArray[np.int32], count: int | None, seed: int) -> NDArray[np.int64]:
    """Returns the sorted indices of `count` images, of each class its share, the same ones for the same seed.

    Shares are rounded by the largest remainder. A class that this would use up comes last.

    Args:
        labels: Class of each image.
        count: How many; all of them where it is None or more than there are.
        seed: Decides which images of a class.
    """
    if count is None or count >= labels.size:
        return np.arange(labels.size)
    histogram = np.bincount(labels).astype(np.int64)
    shares, remainders = np.divmod(histogram * count, labels.size)
    remainders[shares + 1 >= histogram] = 0
    shares[np.argsort(-remainders, kind="stable")[: count - shares.sum()]] += 1
    order = np.random.Generator(np.random.PCG64(seed)).permutation(labels.size)
    by_class = order[np.argsort(labels[order], kind="stable")]
    rank_in_class = np.arange(labels.size) - np.repeat(np.cumsum(histogram) - histogram, histogram)
    return np.sort(by_class[rank_in_class < np.repeat(shares, histogram)])


def split_validation(
    labels: NDArray[np.int32], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the sorted indices of training and of validation images.

    Raises:
        DatasetError: There are too few images: none for validation, or a class is left with none for training.
    """
    count = round(labels.size * fraction)
    validation = pick_stratified(labels, count, seed)
    train = np.setdiff1d(np.arange(labels.size), validation, assume_unique=True)
    lost = np.setdiff1d(labels, labels[train])
    if count == 0 or lost.size:
        raise DatasetError(
            "There must be enough training images for a validation split that leaves some of each class. "
            f"Received: {labels.size} images of {np.unique(labels).size} classes, validation_fraction {fraction:.4g}."
        )
    return train, validation


def _write_split(directory: Path, split: str, arrays: Arrays, indices: NDArray[np.int64]) -> dict[str, Any]:
    images, labels = (arrays.x_test, arrays.y_test) if split == "test" else (arrays.x_train, arrays.y_train)
    return {
        "count": len(indices),
        "class_histogram": np.bincount(labels[indices], minlength=arrays.num_classes).tolist(),
        "images": _write_array(directory / f"{split}_images.bin", images, indices),
        "labels": _write_array(directory / f"{split}_labels.bin", labels, indices),
    }


def _write_array(path: Path, array: Images | NDArray[np.int32], indices: NDArray[np.int64]) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for start in range(0, len(indices), _IMAGES_PER_WRITE):
            block = array[indices[start : start + _IMAGES_PER_WRITE]].tobytes()
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    shape = [len(indices), *array.shape[1:]]
    return {"file": path.name, "dtype": array.dtype.name, "shape": shape, "sha256": digest.hexdigest()}


def _name_data(splits: Mapping[str, Mapping[str, Any]]) -> str:
    digests = [splits[split][part]["sha256"] for split in SPLITS for part in PARTS]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _check_target(directory: Path) -> None:
    if not directory.exists():
        return
    if directory.is_mount():
        raise DatasetError(f"{directory} is a mount point, which cannot be replaced: name a directory inside it.")
    if not directory.is_dir() or (any(directory.iterdir()) and not (directory / _MANIFEST).is_file()):
        raise DatasetError(f"{directory} must not exist, be empty, or hold a prepared data set. It holds other things.")


@contextmanager
def _replacing(directory: Path) -> Iterator[Path]:
    """Gives a folder to fill that takes the place of `directory` at the end; nothing is left of it after an error."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary, former = name_sibling(directory), name_sibling(directory)
    temporary.mkdir()
    try:
        yield temporary
        if directory.exists():
            directory.rename(former)
        temporary.rename(directory)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}. `python -m model.prepare` writes a prepared data set."
        ) from error
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise DatasetError(f"{path} must have schema_version {SCHEMA_VERSION}. Received: {version!r}.")
    missing = [key for key in _MANIFEST_KEYS if key not in manifest]
    if missing:
        raise DatasetError(f"{path} must have {', '.join(_MANIFEST_KEYS)}. Missing: {', '.join(missing)}.")
    return dict(manifest)


def _stored_dtype(entry: Mapping[str, Any]) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(entry["dtype"])
    return dtype.newbyteorder("<")


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
