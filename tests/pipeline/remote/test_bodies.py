import gzip
import io
import json
from collections.abc import Callable

import pytest
import urllib3

from pipeline.remote.bodies import CHUNK_BYTES, MOST_BYTES, TooLargeError, read_message, read_whole
from pipeline.remote.metadata import MlMetadata
from pipeline.remote.server import Access, ConnectionLostError, Server, ServerError
from tests.pipeline.remote.kfp_server import PREFIX, Answer, Kfp, Served

JSON = {"Content-Type": "application/json"}


class Endless(io.RawIOBase):
    """A body without an end, which counts what was read of it."""

    num_read = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "all of it was asked for"
        self.num_read += size
        return b"x" * size


def answer_with(body: io.RawIOBase) -> urllib3.BaseHTTPResponse:
    return urllib3.HTTPResponse(body, preload_content=False)


def test_no_more_is_read_of_an_answer_than_is_taken() -> None:
    body = Endless()
    with pytest.raises(TooLargeError, match=r"was answered with more than the 1,000 bytes"):
        read_whole(answer_with(body), most_bytes=1000)
    assert body.num_read <= CHUNK_BYTES


def test_no_more_is_read_of_an_error_than_can_be_its_message() -> None:
    body = Endless()
    assert read_message(answer_with(body)) == "x" * 300 + "…"
    assert body.num_read <= 1 << 16


ASKED: dict[str, Callable[[Server], object]] = {
    "run": lambda server: server.runs.run_service_get_run("run-1"),
    "health": Server.check,
    "metadata": lambda server: MlMetadata(server).check(),
}


@pytest.mark.parametrize(
    "body", [b'{"message": "no  such\\nrun"}', b"no such run", b'{"error_message": "no such run"}']
)
def test_the_message_of_an_error_is_found_whoever_wrote_it(body: bytes) -> None:
    assert read_message(answer_with(io.BytesIO(body))) == "no such run"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        (200, JSON, b" " * (MOST_BYTES + 1)),
        (200, JSON | {"Content-Encoding": "gzip"}, gzip.compress(b" " * (MOST_BYTES + 1))),
    ],
    ids=["sent", "unpacked"],
)
@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_that_is_too_large_is_one_message(asked: str, answer: Answer) -> None:
    kfp = Kfp(runs={"run-1": {}}, refusals={"/": (answer, 9)})
    with Served(kfp) as endpoint:
        server = Server(Access(endpoint))
        with pytest.raises(
            ServerError, match=f"^{endpoint.removesuffix(PREFIX)}/.* was answered with more than the 33,"
        ):
            ASKED[asked](server)
    assert len(kfp.requests) == 1


@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_that_is_cut_off_is_a_lost_connection(asked: str) -> None:
    cut_off = (200, JSON | {"Transfer-Encoding": "chunked"}, b"100\r\n{")
    with Served(Kfp(refusals={"/": (cut_off, 9)})) as endpoint:
        server = Server(Access(endpoint))
        with pytest.raises(ConnectionLostError, match=f"^{endpoint.removesuffix(PREFIX)} cannot be reached: "):
            ASKED[asked](server)


def test_an_answer_of_nothing_but_brackets_is_no_health() -> None:
    nested = (200, JSON, b"[" * 200_000)
    with Served(Kfp(refusals={"/healthz": (nested, 1)})) as endpoint, pytest.raises(ServerError, match="as KFP does"):
        Server(Access(endpoint)).check()


def test_an_error_of_nothing_but_brackets_is_told_as_it_is() -> None:
    body = io.BytesIO(json.dumps("").encode() + b"[" * 60_000)
    assert read_message(answer_with(body)).startswith('""[[[')  # type: ignore[arg-type]
