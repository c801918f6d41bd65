import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.planning import Parameters
from pipeline.remote.archives import KEPT_FREE_BYTES
from pipeline.remote.artifacts import StoredArtifact
from pipeline.remote.fetch import LOG_OUTPUT, download, fetch_logs, locate, split_lines
from pipeline.remote.server import Access, ConnectionLostError, Server, ServerError
from pipeline.results import open_log
from tests.pipeline.remote.kfp_server import ROOT, SESSION, Kfp, Served

URI = f"{ROOT}/run-1/compare/1/report"


def store(uri: str, namespace: str = "kubeflow", session: str = SESSION) -> StoredArtifact:
    return StoredArtifact(1, "compare", "report", uri, namespace, session)


def test_an_artifacts_address_becomes_the_dashboards_download() -> None:
    path, query = locate(store("minio://mlpipeline/private artifacts/a/report"))
    assert path == "/artifacts/minio/mlpipeline/private%20artifacts/a/report"
    assert query == [("namespace", "kubeflow"), ("providerInfo", SESSION)]
    assert locate(store("gs://bucket/report", namespace="", session="")) == ("/artifacts/gcs/bucket/report", [])


def test_an_address_outside_of_every_store_is_refused() -> None:
    with pytest.raises(ServerError, match=r"must be one of a store\. Received: /tmp/report"):
        locate(store("/tmp/report"))


@pytest.mark.parametrize(("status", "times", "num_pauses"), [(503, 2, 2), (503, 9, 2), (500, 1, 0)])
def test_a_download_is_tried_again_where_that_can_help(
    tmp_path: Path, status: int, times: int, num_pauses: int
) -> None:
    kfp = Kfp(artifacts={("compare", "report", 1): b"report"})
    kfp.refusals["/artifacts/"] = ((status, {}, b"Failed to get object in bucket"), times)
    pauses: list[float] = []
    with Served(kfp) as endpoint:
        server = Server(Access(endpoint))
        if (status, times) == (503, 2):
            download(server, store(URI), tmp_path / "report", pauses.append)
            assert (tmp_path / "report").read_bytes() == b"report"
        else:
            with pytest.raises(ConnectionLostError, match=f"answered with {status}: Failed to get object in bucket"):
                download(server, store(URI), tmp_path / "report", pauses.append)
    assert len(pauses) == num_pauses
    assert kfp.complaints == []


def test_a_download_that_the_disk_has_no_room_for_ends_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp = Kfp(artifacts={("compare", "report", 1): b"x" * 101})
    with Served(kfp) as endpoint:
        server = Server(Access(endpoint))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=KEPT_FREE_BYTES + 100))
        with pytest.raises(ServerError, match="there is no room for it: it has 101 bytes more"):
            download(server, store(URI), tmp_path / "report")
    assert (tmp_path / "report").read_bytes() == b""


def test_a_log_is_written_whole_and_its_end_told_in_memory_that_does_not_grow_with_it(tmp_path: Path) -> None:
    lines = [f"{number} {'x' * 1000}" for number in range(16_000)]
    kfp = Kfp(artifacts={("compare", "executor-logs-0", 1): "\n".join(lines).encode()})
    artifact = StoredArtifact(1, "compare", LOG_OUTPUT, f"{ROOT}/run-1/compare/1/executor-logs-0", "kubeflow", SESSION)
    with Served(kfp) as endpoint, open_log(tmp_path / "log", Parameters()) as log:
        tracemalloc.start()
        (told,) = fetch_logs(Server(Access(endpoint)), [artifact], log, tmp_path, lambda line: line)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 << 20  # of 16
    assert (tmp_path / "log").read_text().splitlines() == ["== compare", *lines]
    assert told.text.splitlines() == lines[-len(told.text.splitlines()) :]
    assert 1 << 18 <= len(told.text) + 1010 <= 1 << 20


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_lines_are_those_of_the_log_whatever_pieces_it_comes_in(size: int) -> None:
    log = "one\n\ntürkis\r\nlast".encode()
    pieces = [log[at : at + size] for at in range(0, len(log), size)]
    assert [*split_lines(pieces)] == ["one", "", "türkis\r", "last"]
    assert [*split_lines([*pieces, b"\n"])] == ["one", "", "türkis\r", "last"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\nlast"])
def test_a_line_without_end_is_left_out_whole(end: bytes) -> None:
    pieces = [b"first\n", *[b"x" * (1 << 19)] * 7, b"secret", end]
    last = ["last"] if end == b"\nlast" else []
    assert [*split_lines(pieces)] == ["first", "(a line of 3,670,022 bytes, left out)", *last]
