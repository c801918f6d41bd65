"""Threads that turn what happens in a cluster into messages, through lost connections and API server restarts."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

from kubernetes.client.exceptions import ApiException

from tfjob.backend import LogLine
from tfjob.cluster.api import CONNECTION_ERRORS, FORBIDDEN, NOT_FOUND, Cluster, Json, Kind, explain, select
from tfjob.cluster.pods import Pod
from tfjob.errors import ClusterRefused

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 5.0
# A restarting API server answers 401 or 403 until it has read its own rules.
REFUSAL_PATIENCE_SECONDS = 30.0
# The end of a log comes a moment before the end of its container.
_END_PATIENCE_SECONDS = 5.0
# Clocks of nodes differ; lines that came before are told by their timestamps.
_LOG_OVERLAP_SECONDS = 60
_MAX_LOG_FAILURES = 5
_REFUSED = (401, FORBIDDEN)
# A kubelet out of file watches, or without the log's file, says so in the midst of the log and without a timestamp.
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")


@dataclass(frozen=True)
class Seen:
    """An object as it is now: the job, a pod of it, or what a component of the cluster has to say."""

    kind: Kind
    object: Json


@dataclass(frozen=True)
class Gone:
    """An object was deleted."""

    kind: Kind
    uid: str


@dataclass(frozen=True)
class LogEnded:
    """All of a pod's log has come before this message."""

    uid: str


Message = Seen | Gone | LogLine | LogEnded | ClusterRefused
Put = Callable[[Message], None]


class Watching:
    """Watches one job: its state, its pods, the events about them.

    Args:
        cluster: Where it runs.
        job_name: The job.
        put: Gets the messages, in other threads.
        first_pause_seconds: How long to wait before the first of further tries.
        refusal_patience_seconds: How long to try again where the API server refuses.
    """

    def __init__(
        self,
        cluster: Cluster,
        job_name: str,
        put: Put,
        *,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
        refusal_patience_seconds: float = REFUSAL_PATIENCE_SECONDS,
    ) -> None:
        self._cluster, self._job_name, self._put = cluster, job_name, put
        self._first_pause_seconds, self._refusal_patience_seconds = first_pause_seconds, refusal_patience_seconds
        self._has_stopped = threading.Event()
        self._left_logs: set[str] = set()

    def start(self, *job_uids: str) -> None:
        """Begins to watch; of jobs that were there before it is told, too, where they are gone already."""
        for kind in get_args(Kind):
            watch = _Watch(self._cluster, kind, self._job_name, {*job_uids} if kind == "tfjobs" else set())
            threading.Thread(target=self._watch, args=(watch,), daemon=True).start()

    def stop(self) -> None:
        """Lets no further message come. The threads end with their connections, in half a minute at most."""
        self._has_stopped.set()

    def follow_log(self, pod: Pod, has_ended: threading.Event, path: Path) -> None:
        """Begins to hand over a pod's log line by line and to write it to a file.

        Args:
            pod: The pod, whose container has started.
            has_ended: Set when it has ended. A log that ends before was cut off, and is taken up again.
            path: File that the lines are added to.
        """
        arguments = (pod, has_ended, path)
        threading.Thread(target=self._follow_log, args=arguments, daemon=True).start()

    def leave_log(self, pod_uid: str) -> None:
        """Lets a pod's log be taken up no more: another pod has its name now, and logs are asked for by name."""
        self._left_logs.add(pod_uid)

    def _watch(self, watch: "_Watch") -> None:
        """Lists, then watches from there; begins anew with a list when the server has forgotten the version."""
        pause = self._first_pause_seconds
        refused_since: float | None = None
        while not self._has_stopped.is_set():
            try:
                for message in watch.next_messages():
                    self._tell(message)
                pause, refused_since = self._first_pause_seconds, None
                continue
            except ApiException as error:
                if error.status in _REFUSED:
                    refused_since = refused_since or time.monotonic()
                    if time.monotonic() - refused_since > self._refusal_patience_seconds:
                        self._tell(_refusal(watch.kind, error))
                        return
            except CONNECTION_ERRORS:
                pass
            watch.forget_version()
            # Not all launchers at once after the server's restart.
            self._has_stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - nothing secret about it
            pause = min(_MAX_PAUSE_SECONDS, 2 * pause)

    def _follow_log(self, pod: Pod, has_ended: threading.Event, path: Path) -> None:
        newest = ""
        failures = tries_after_end = 0
        with path.open("a", encoding="utf-8") as file:
            while not self._is_left(pod) and tries_after_end < _MAX_LOG_FAILURES:
                known, is_last = newest, has_ended.is_set()
                tries_after_end += is_last
                try:
                    for line in self._cluster.follow_log(pod.name, _seconds_since(known) if known else None):
                        stamp, _, text = line.partition(" ")
                        if _STAMP.fullmatch(stamp) and stamp > known:
                            newest, failures = stamp, 0
                            file.write(text + "\n")
                            file.flush()
                            self._tell(LogLine(pod.replica, text, datetime.fromisoformat(stamp).timestamp()))
                    if is_last:
                        break
                    # Once more after the end: a container that was restarted in place begins another log.
                    has_ended.wait(_END_PATIENCE_SECONDS)
                    continue
                except ApiException as error:
                    if error.status == NOT_FOUND:  # the pod went, and its log with it
                        break
                except CONNECTION_ERRORS:
                    pass
                failures += 1
                self._has_stopped.wait(min(_MAX_PAUSE_SECONDS, self._first_pause_seconds * failures))
        self._tell(LogEnded(pod.uid))

    def _is_left(self, pod: Pod) -> bool:
        return self._has_stopped.is_set() or pod.uid in self._left_logs

    def _tell(self, message: Message) -> None:
        if not self._has_stopped.is_set():
            self._put(message)


class _Watch:
    """What is known of the objects of one kind that belong to a job.

    Args:
        cluster: Where.
        kind: The kind.
        job_name: The job.
        known: The uids of those that were there before.
    """

    def __init__(self, cluster: Cluster, kind: Kind, job_name: str, known: set[str]) -> None:
        self.kind = kind
        self._cluster, self._selector = cluster, select(kind, job_name)
        self._known = known
        self._version: str | None = None

    def forget_version(self) -> None:
        """Begins anew with a list."""
        self._version = None

    def next_messages(self) -> Iterator[Seen | Gone]:
        """Yields what there is, the first time, then what changes until the connection ends."""
        if self._version is None:
            yield from self._list()
        for change in self._cluster.watch_objects(self.kind, str(self._version), **self._selector):
            item, uid = change["object"], change["object"]["metadata"].get("uid", "")
            self._version = item["metadata"]["resourceVersion"]
            if change["type"] == "DELETED":
                self._known.discard(uid)
                yield Gone(self.kind, uid)
            elif change["type"] != "BOOKMARK":
                self._known.add(uid)
                yield Seen(self.kind, item)

    def _list(self) -> Iterator[Seen | Gone]:
        # Events from before the job are none of its own: of their list only the version counts.
        is_events = self.kind == "events"
        limit = {"limit": 1} if is_events else {}
        listing = self._cluster.list_objects(self.kind, **self._selector, **limit)
        listed = {} if is_events else {item["metadata"]["uid"]: item for item in listing["items"]}
        yield from (Gone(self.kind, uid) for uid in self._known - listed.keys())
        yield from (Seen(self.kind, item) for item in listed.values())
        self._known, self._version = set(listed), listing["metadata"]["resourceVersion"]


def _refusal(kind: Kind, error: ApiException) -> ClusterRefused:
    return ClusterRefused(
        f"The cluster does not let this step watch {kind}: {explain(error)}. Give its service account the rights in "
        "manifests/ (kubectl apply -k)."
    )


def _seconds_since(timestamp: str) -> int:
    return max(0, int(time.time() - datetime.fromisoformat(timestamp).timestamp())) + _LOG_OVERLAP_SECONDS
