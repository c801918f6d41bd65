"""Fetching a run's results from a server into `runs/<run id>/`, as a local run leaves them.

Files and folders come through KFP's dashboard, as its download button gets them. It sends a folder of an S3 store as
one archive since KFP 2.17.

Source: kubeflow/pipelines 2.17.0, frontend/server/handlers/artifacts.ts and frontend/src/lib/Apis.ts, buildReadFileUrl.
"""

import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import urllib3

from components.planning import list_trials, read_launched
from components.trials import list_left_out
from pipeline.remote.artifacts import Catalog, StoredArtifact
from pipeline.remote.metadata import MlMetadata
from pipeline.remote.server import ConnectionLostError, NotFoundError, Server, ServerError, describe_lost_connection
from pipeline.results import FINISHED_OUTPUT, PIPELINE_LOG, RESULT_FILES, TRAINED_OUTPUT, arrange_results

LOG_OUTPUT = "executor-logs"
ALWAYS_THERE = ("report.html", "comparison.csv", "comparison.md", "recommendation.json", "trials.jsonl", "run.json")
_SOURCES = {"gs": "gcs"}
_NUM_TRIES = 3
_PAUSE_SECONDS = 2.0
_CHUNK_BYTES = 1 << 20
_INTERNAL_ERROR = 500
_BROKEN_ARCHIVE = (tarfile.TarError, EOFError, zlib.error, OSError)


@dataclass(frozen=True)
class StepLog:
    """What a step has said.

    Attributes:
        step: The step's name.
        text: The log.
        created_at: When it was stored, Unix time; 0 where that is not known.
    """

    step: str
    text: str
    created_at: float


@dataclass(frozen=True)
class Fetched:
    """What came of fetching a run's results.

    Attributes:
        run_dir: Where they are.
        missing: Files that a whole run has and that are not there.
        left: Addresses of trained models that could not be fetched, each with the reason.
        logs: Each step's log, the oldest first.
    """

    run_dir: Path
    missing: Sequence[str]
    left: Sequence[str]
    logs: Sequence[StepLog]


def fetch_results(
    server: Server,
    run_id: str,
    runs_dir: Path,
    *,
    has_succeeded: bool,
    hide: Callable[[str], str] = lambda text: text,
) -> Fetched:
    """Fetches what a run has stored so far; what was fetched of it before is replaced.

    Args:
        server: The server.
        run_id: The run.
        runs_dir: Folder of all runs' results.
        has_succeeded: Whether the run has, so that its steps handed out all that they trained.
        hide: Takes what nobody may read out of the steps' logs, in which KFP writes down their parameters.

    Raises:
        ServerError: The server does not give it.
        OSError: It cannot be written here.
    """
    artifacts = find_catalog(server).list_artifacts(run_id)
    partial = runs_dir / f".{run_id}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    downloads = partial / "artifacts"
    downloads.mkdir(parents=True)
    logs = [replace(log, text=hide(log.text)) for log in read_logs(server, artifacts)]
    (partial / PIPELINE_LOG).parent.mkdir()
    (partial / PIPELINE_LOG).write_text("".join(f"== {log.step}\n{log.text}\n" for log in logs), encoding="utf-8")
    files = {}
    for name, (step, output) in RESULT_FILES.items():
        if of_step := [artifact for artifact in artifacts if (artifact.step, artifact.output) == (step, output)]:
            files[name] = downloads / name
            download(server, of_step[-1], files[name])
    folders, left = fetch_folders(server, (a for a in artifacts if a.output == TRAINED_OUTPUT), downloads)
    finished, left_finished = fetch_folders(
        server,
        (a for a in artifacts if a.output == FINISHED_OUTPUT),
        downloads,
        is_ignored=lambda error: has_succeeded and _says_not_there(error),
    )
    arrange_results(partial, files, [*folders, *finished])
    shutil.rmtree(downloads)
    run_dir = runs_dir / run_id
    shutil.rmtree(run_dir, ignore_errors=True)
    partial.rename(run_dir)
    return Fetched(run_dir, [name for name in ALWAYS_THERE if name not in files], [*left, *left_finished], logs)


def find_catalog(server: Server) -> Catalog:
    """Returns what knows where the server's runs have stored their outputs."""
    return MlMetadata(server)


def fetch_folders(
    server: Server,
    artifacts: Iterable[StoredArtifact],
    downloads: Path,
    is_ignored: Callable[[ServerError], bool] = lambda _: False,
) -> tuple[list[Path], list[str]]:
    """Fetches folders and returns where they are, and what had to be left with the reason.

    Args:
        server: The server.
        artifacts: The folders.
        downloads: Folder for them.
        is_ignored: Whether it does not matter that a folder could not be fetched.
    """
    folders, left = [], []
    for artifact in artifacts:
        archive, folder = downloads / f"{artifact.number}.tar.gz", downloads / str(artifact.number)
        try:
            download(server, artifact, archive)
            unpack(archive, folder)
            check_trials(folder)
            folders.append(folder)
        except ServerError as error:
            if not is_ignored(error):
                left.append(f"{artifact.uri}: {error}")
        archive.unlink(missing_ok=True)
    return folders, left


def check_trials(folder: Path) -> None:
    """Makes sure that the trials in a fetched folder say which they are: files are named by that.

    Raises:
        ServerError: One does not.
    """
    try:
        for trial in list_trials([folder]):
            read_launched(trial)
        list_left_out([folder])
    except ValueError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ServerError(str(error)) from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a folder's archive.

    Args:
        archive: What the dashboard sent.
        folder: Folder to make.

    Raises:
        ServerError: It is no archive, or not a whole one.
    """
    try:
        with tarfile.open(archive, "r:gz") as packed:
            packed.extractall(folder, filter=_take_plain)  # noqa: S202 - stricter than the filter that is asked for
    except _BROKEN_ARCHIVE as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ServerError(f"no whole .tar.gz came ({error or type(error).__name__})") from error


def _take_plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Lets files and folders through that stay inside; a store has no links, which could lead out once moved."""
    if not (member.isreg() or member.isdir()):
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, folder)


def read_logs(server: Server, artifacts: Iterable[StoredArtifact]) -> list[StepLog]:
    """Returns the log of each step that has stored one.

    Raises:
        ServerError: The server does not give them.
    """
    logs = []
    for artifact in artifacts:
        if artifact.output.startswith(LOG_OUTPUT):
            try:
                text = read_text(server, artifact)
            except (ConnectionLostError, NotFoundError) as error:  # a log that is gone must not cost the results
                text = f"(not fetched: {error})"
            logs.append(StepLog(artifact.step, text, artifact.created_at))
    return logs


def read_text(server: Server, artifact: StoredArtifact) -> str:
    """Returns the content of a text artifact.

    Raises:
        ServerError: The server does not give it.
    """
    return b"".join(_stream(server, artifact)).decode(errors="replace")


def download(server: Server, artifact: StoredArtifact, path: Path, pause: Callable[[float], None] = time.sleep) -> None:
    """Writes an artifact to a file; a folder arrives as an archive.

    Args:
        server: The server.
        artifact: The artifact.
        path: File to write.
        pause: Waits before another try.

    Raises:
        ServerError: The server does not give it.
    """
    for tries_left in reversed(range(_NUM_TRIES)):
        try:
            with path.open("wb") as file:
                file.writelines(_stream(server, artifact))
        except ConnectionLostError as error:
            # The dashboard answers so for what is not in the store: that does not pass.
            if not tries_left or error.status == _INTERNAL_ERROR:
                raise
            pause(_PAUSE_SECONDS)
        else:
            return


def locate(artifact: StoredArtifact) -> tuple[str, list[tuple[str, str]]]:
    """Returns the dashboard's path and query for an artifact.

    Raises:
        ServerError: Its address is not that of a store.
    """
    uri = urlsplit(artifact.uri)
    if not uri.scheme or not uri.netloc:
        raise ServerError(f"An artifact's address must be one of a store. Received: {artifact.uri}.")
    query = [("namespace", artifact.namespace), ("providerInfo", artifact.session)]
    source = _SOURCES.get(uri.scheme, uri.scheme)
    return f"/artifacts/{source}/{uri.netloc}/{quote(uri.path.lstrip('/'))}", [pair for pair in query if pair[1]]


def _says_not_there(error: ServerError) -> bool:
    """Returns whether the dashboard says so that something is not in the store."""
    return isinstance(error, NotFoundError) or getattr(error, "status", None) == _INTERNAL_ERROR


def _stream(server: Server, artifact: StoredArtifact) -> Iterable[bytes]:
    path, query = locate(artifact)
    answer = server.call("GET", path, query=query)
    try:
        yield from answer.stream(_CHUNK_BYTES)
    except urllib3.exceptions.HTTPError as error:
        raise describe_lost_connection(server.access.endpoint, error) from error
    finally:
        answer.release_conn()
