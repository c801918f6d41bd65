import tarfile
from pathlib import Path

import pytest

from pipeline.remote.artifacts import StoredArtifact
from pipeline.remote.fetch import download, locate, unpack
from pipeline.remote.server import Access, ConnectionLostError, Server, ServerError
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


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_anything_but_files_and_folders_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        file, link = tarfile.TarInfo("a/launch.json"), tarfile.TarInfo("a/logs")
        link.type, link.linkname = kind, "a/launch.json"
        archive.addfile(file)
        archive.addfile(link)
    with pytest.raises(ServerError, match=r"no whole \.tar\.gz came"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
