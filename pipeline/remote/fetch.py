"""Fetching a run's results from a server into `runs/<run id>/`, as a local run leaves them.

Files and folders come through KFP's dashboard, as its download button gets them. It sends a folder of an S3 store as
one archive since KFP 2.17.

Source: kubeflow/pipelines 2.17.0, frontend/server/handlers/artifacts.ts and frontend/src/lib/Apis.ts, buildReadFileUrl.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, urlsplit

import urllib3

from components.planning import Parameters, list_trials, make_hider, read_launched
from components.trials import list_left_out
from pipeline.remote.archives import check_room, unpack
from pipeline.remote.artifacts import Catalog, StoredArtifact
from pipeline.remote.bodies import CHUNK_BYTES
from pipeline.remote.metadata import MlMetadata
from pipeline.remote.server import ConnectionLostError, NotFoundError, Server, ServerError, describe_lost_connection
from pipeline.results import (
    FINISHED_OUTPUT,
    PIPELINE_LOG,
    RESULT_FILES,
    TRAINED_OUTPUT,
    arrange_results,
    make_folder,
    open_log,
)

LOG_OUTPUT = "executor-logs"
ALWAYS_THERE = ("report.html", "comparison.csv", "comparison.md", "recommendation.json", "trials.jsonl", "run.json")
_SOURCES = {"gs": "gcs"}
_NUM_TRIES = 3
_PAUSE_SECONDS = 2.0
_INTERNAL_ERROR = 500
# Of a step's log: what may be told on the terminal, and the longest line, which a program may never end.
_TOLD_CHARACTERS, _LONGEST_LINE_BYTES = 1 << 18, 1 << 20


@dataclass(frozen=True)
class StepLog:
    """What a step has said.

    Attributes:
        step: The step's name.
        text: The last of its lines; all are in the run's log.
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
    parameters: Parameters,
    *,
    has_succeeded: bool,
) -> Fetched:
    """Fetches what a run has stored so far; what was fetched of it before is replaced.

    It may be as large as the disk has room for, of which some is left.

    Args:
        server: The server.
        run_id: The run.
        runs_dir: Folder of all runs' results.
        parameters: What the run was given: their secrets stand in the steps' logs, in which KFP writes them down.
        has_succeeded: Whether the run has, so that its steps handed out all that they trained.

    Raises:
        ServerError: The server does not give it.
        OSError: It cannot be written here.
    """
    partial, run_dir = runs_dir / f".{run_id}.partial", runs_dir / run_id
    shutil.rmtree(partial, ignore_errors=True)
    try:
        fetched = _fetch_into(partial, server, run_id, parameters, has_succeeded=has_succeeded)
    except BaseException:  # an interruption, too, leaves no half of a run
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(run_dir, ignore_errors=True)
    partial.rename(run_dir)
    return replace(fetched, run_dir=run_dir)


def _fetch_into(run_dir: Path, server: Server, run_id: str, parameters: Parameters, *, has_succeeded: bool) -> Fetched:
    artifacts = find_catalog(server).list_artifacts(run_id)
    downloads, log = run_dir / "artifacts", run_dir / PIPELINE_LOG
    for folder in (downloads, log.parent):
        make_folder(folder, parameters)
    with open_log(log, parameters) as file:
        logs = fetch_logs(server, artifacts, file, log.parent, make_hider(parameters))
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
    arrange_results(run_dir, files, [*folders, *finished])
    shutil.rmtree(downloads)
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


def fetch_logs(
    server: Server, artifacts: Iterable[StoredArtifact], log: TextIO, folder: Path, hide: Callable[[str], str]
) -> list[StepLog]:
    """Writes the log of each step that has stored one, line by line: it may be larger than the memory.

    Args:
        server: The server.
        artifacts: The run's.
        log: Takes them all.
        folder: Where that is.
        hide: Takes what nobody may read out of a line.

    Raises:
        ServerError: The server does not give them, or there is no room for them.
        OSError: They cannot be written.
    """
    logs = []
    for artifact in artifacts:
        if artifact.output.startswith(LOG_OUTPUT):
            log.write(f"== {artifact.step}\n")
            told = ""
            for line in map(hide, _read_lines(server, artifact, folder)):
                log.write(f"{line}\n")
                told += f"{line}\n"
                if len(told) > 2 * _TOLD_CHARACTERS:
                    told = told[-_TOLD_CHARACTERS:].partition("\n")[2]
            logs.append(StepLog(artifact.step, told, artifact.created_at))
    return logs


def _read_lines(server: Server, artifact: StoredArtifact, folder: Path) -> Iterator[str]:
    try:
        yield from split_lines(_stream(server, artifact, folder))
    except (ConnectionLostError, NotFoundError) as error:  # a log that is gone must not cost the results
        yield f"(not fetched: {error})"


def split_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yields the lines of a log. One without an end is left out, not cut: it may hold a secret, which a cut would show.

    Args:
        chunks: The log, in pieces of any size.
    """
    rest, num_left_out = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _tell_line(line, num_left_out)
            num_left_out = 0
        if len(rest) > _LONGEST_LINE_BYTES:
            num_left_out, rest = num_left_out + len(rest), b""
    if rest or num_left_out:
        yield _tell_line(rest, num_left_out)


def _tell_line(line: bytes, num_left_out: int) -> str:
    num_bytes = num_left_out + len(line)
    if num_bytes > _LONGEST_LINE_BYTES:
        return f"(a line of {num_bytes:,} bytes, left out)"
    return line.decode(errors="replace")


def download(server: Server, artifact: StoredArtifact, path: Path, pause: Callable[[float], None] = time.sleep) -> None:
    """Writes an artifact to a file; a folder arrives as an archive.

    Args:
        server: The server.
        artifact: The artifact.
        path: File to write.
        pause: Waits before another try.

    Raises:
        ServerError: The server does not give it, or there is no room for it.
        OSError: It cannot be written.
    """
    for tries_left in reversed(range(_NUM_TRIES)):
        try:
            with path.open("wb") as file:
                file.writelines(_stream(server, artifact, path.parent))
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


def _stream(server: Server, artifact: StoredArtifact, folder: Path) -> Iterator[bytes]:
    """Yields what an artifact holds, as long as there is room for it in a folder."""
    path, query = locate(artifact)
    answer = server.call("GET", path, query=query, is_streamed=True)
    try:
        for chunk in answer.stream(CHUNK_BYTES):
            check_room(folder, len(chunk))
            yield chunk
    except urllib3.exceptions.HTTPError as error:
        raise describe_lost_connection(server.access.endpoint, error) from error
    finally:
        answer.close()
