"""The prepared data set: a directory of plain array files that every replica maps into memory (docs/schemas.md)."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.data.arrays import Arrays
from model.data.inputs import Examples, list_inputs
from model.errors import DatasetError
from model.files import SCHEMA_VERSION, name_sibling, write_json
from model.objectives import LabelKind

SPLITS = ("train", "validation", "test")
PARTS = ("images", "labels")
# 5,000 of MNIST's 60,000 training images.
DEFAULT_VALIDATION_FRACTION = 1 / 12
_MANIFEST = "manifest.json"
_MANIFEST_KEYS = ("name", "sha256", "image_shape", "num_classes", "splits")
# An example that is written is in memory: no more of them at a time than either allows.
_EXAMPLES_PER_WRITE, _BYTES_PER_WRITE = 4096, 2**26
_IMAGE_RANK = 3

Mapped = np.memmap[tuple[int, ...], np.dtype[Any]]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """The inputs and labels of one split, read-only and mapped, not loaded.

    Attributes:
        inputs: One of shape [count, …], or several by name.
        labels: Shape [count], or [count, k].
    """

    inputs: Mapped | dict[str, Mapped]
    labels: Mapped

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def images(self) -> Mapped:
        """The one input, images of shape [count, h, w, c] say, where it has no name.

        Raises:
            TypeError: The inputs have names.
        """
        if isinstance(self.inputs, dict):
            raise TypeError(f"these data have no input without a name, but {', '.join(self.inputs)}")
        return self.inputs


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
            for part, entry in dataset._list_entries(split):
                dataset._check_file(split, part, entry, verify=verify)
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
    def input_shape(self) -> Shape | dict[str, Shape]:
        """Shape of an example: height, width and channels of an image; or that of each input by name."""
        if self._inputs is None:
            return tuple(self.manifest["image_shape"])
        return {name: tuple(entry["shape"]) for name, entry in self._inputs.items()}

    @property
    def input_dtype(self) -> str | dict[str, str]:
        """Type that an example is stored as; or that of each input by name."""
        if self._inputs is None:
            return str(self.manifest["splits"]["train"]["images"]["dtype"])
        return {name: str(entry["dtype"]) for name, entry in self._inputs.items()}

    @property
    def is_images(self) -> bool:
        """Whether an example is an image: one input without a name, of height, width and channels."""
        return not isinstance(self.input_shape, dict) and len(self.input_shape) == _IMAGE_RANK

    @property
    def label_kind(self) -> LabelKind:
        """What the labels are."""
        kind: LabelKind = self.manifest.get("label_kind", "classes")
        return kind

    @property
    def num_labels(self) -> int:
        """Number of classes, of which some may be without examples; or of the values in an example's label."""
        return int(self.manifest["num_classes"] if self.label_kind == "classes" else self.manifest["num_labels"])

    def split(self, name: str) -> Split:
        """Returns the split of this name: train, validation or test.

        Raises:
            ValueError: There is no such split.
        """
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}. Received: {name!r}.")
        entry = self.manifest["splits"][name]
        if self._inputs is None:
            return Split(self._map(entry["images"]), self._map(entry["labels"]))
        return Split({own: self._map(entry["inputs"][own]) for own in self._inputs}, self._map(entry["labels"]))

    @property
    def _inputs(self) -> Mapping[str, Any] | None:
        return self.manifest.get("inputs")

    def _list_entries(self, split: str) -> list[tuple[str, Any]]:
        """Returns the files of a split, each with what the messages call it."""
        try:
            entry = self.manifest["splits"][split]
            return [*_list_inputs(entry).items(), ("labels", entry["labels"])]
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{self.directory / _MANIFEST} does not describe {split} images: {error!r}") from error

    def _map(self, entry: Mapping[str, Any]) -> Mapped:
        return np.memmap(self.directory / entry["file"], _stored_dtype(entry), mode="r", shape=tuple(entry["shape"]))

    def _check_file(self, split: str, part: str, entry: Mapping[str, Any], *, verify: bool) -> None:
        try:
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

    The validation split is a seeded share of the training examples, of each class alike where they have one. An earlier
    prepared data set in the directory is replaced.

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
    strata = find_strata(arrays)
    kept = pick_stratified(strata, max_train_images, seed)
    train, validation = split_validation(strata[kept], validation_fraction, seed)
    chosen = {"train": kept[train], "validation": kept[validation], "test": np.arange(len(arrays.y_test))}
    with _replacing(directory) as temporary:
        splits = {split: _write_split(temporary, split, arrays, indices) for split, indices in chosen.items()}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "source": source,
            "sha256": _name_data(splits),
            **_describe_inputs(arrays),
            **_describe_labels(arrays),
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


def find_strata(arrays: Arrays) -> NDArray[np.int32]:
    """Returns the class of each training example; where there are no classes, one for all."""
    is_of_classes = arrays.label_kind == "classes"
    return arrays.y_train if is_of_classes else np.zeros(len(arrays.y_train), np.int32)


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
            "There must be enough training examples for a validation split that leaves some of each class. "
            f"Received: {labels.size} examples of {np.unique(labels).size} classes, validation_fraction {fraction:.4g}."
        )
    return train, validation


def _describe_inputs(arrays: Arrays) -> dict[str, Any]:
    if not isinstance(arrays.x_train, dict):
        return {"image_shape": list(arrays.x_train.shape[1:])}
    inputs = {name: {"shape": list(own.shape[1:]), "dtype": own.dtype.name} for name, own in arrays.x_train.items()}
    return {"image_shape": None, "inputs": inputs}


def _describe_labels(arrays: Arrays) -> dict[str, Any]:
    if arrays.label_kind == "classes":
        return {"num_classes": arrays.num_labels}
    return {"num_classes": None, "label_kind": arrays.label_kind, "num_labels": arrays.num_labels}


def _write_split(directory: Path, split: str, arrays: Arrays, indices: NDArray[np.int64]) -> dict[str, Any]:
    inputs, labels = (arrays.x_test, arrays.y_test) if split == "test" else (arrays.x_train, arrays.y_train)
    entry: dict[str, Any] = {"count": len(indices)}
    if arrays.label_kind == "classes":
        entry["class_histogram"] = np.bincount(labels[indices], minlength=arrays.num_labels).tolist()
    files = {
        name: _write_array(directory / f"{split}_{f'x_{name}' if name else 'images'}.bin", own, indices)
        for name, own in list_inputs(inputs).items()
    }
    entry |= {"inputs": files} if isinstance(inputs, dict) else {"images": files[""]}
    return entry | {"labels": _write_array(directory / f"{split}_labels.bin", labels, indices)}


def _write_array(path: Path, array: Examples | NDArray[Any], indices: NDArray[np.int64]) -> dict[str, Any]:
    per_write = min(
        _EXAMPLES_PER_WRITE, max(1, _BYTES_PER_WRITE // (math.prod(array.shape[1:]) * array.dtype.itemsize))
    )
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            for start in range(0, len(indices), per_write):
                block = array[indices[start : start + per_write]].tobytes()
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # a write does not tell where
    shape = [len(indices), *array.shape[1:]]
    return {"file": path.name, "dtype": array.dtype.name, "shape": shape, "sha256": digest.hexdigest()}


def _name_data(splits: Mapping[str, Mapping[str, Any]]) -> str:
    parts = [part for split in SPLITS for part in (*_list_inputs(splits[split]).values(), splits[split]["labels"])]
    digests = [part["sha256"] for part in parts]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _list_inputs(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the files of a split's inputs by name; the one without a name is images, whatever it holds."""
    return entry["inputs"] if "inputs" in entry else {"images": entry["images"]}


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
