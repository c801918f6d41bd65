import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import pytest
from urllib3.exceptions import ProtocolError

from tests.tfjob.fake_cluster import (
    JOB,
    FakeCluster,
    ended,
    job_json,
    log_line,
    pod_event,
    refusal,
    running,
)
from tfjob.backend import LogLine
from tfjob.cluster.pods import read_pod
from tfjob.cluster.watching import Gone, LogEnded, Message, Seen, Watching
from tfjob.errors import ClusterRefused

PATIENCE_SECONDS = 120.0
AWAY = ProtocolError("connection broken")
POD = f"{JOB}-worker-0"


@dataclass
class Watched:
    """What a `Watching` tells of a cluster."""

    log_path: Path
    cluster: FakeCluster = field(default_factory=FakeCluster)
    inbox: SimpleQueue[Message] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        self.watching = Watching(
            self.cluster, JOB, self.inbox.put, first_pause_seconds=0.002, refusal_patience_seconds=0.01
        )

    def take(self, count: int) -> list[Message]:
        return [self.inbox.get(timeout=PATIENCE_SECONDS) for _ in range(count)]

    def follow(self) -> threading.Event:
        has_ended = threading.Event()
        self.watching.follow_log(read_pod(running("worker-0")), has_ended, self.log_path)
        return has_ended

    def end_container(self, has_ended: threading.Event) -> None:
        self.cluster.pods["pod-worker-0"] = ended("worker-0")
        has_ended.set()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "worker-0.log")
    yield watched
    watched.watching.stop()
    watched.cluster.close()


def test_what_there_is_comes_first_then_what_changes(watched: Watched) -> None:
    job, pod, event = job_json("Running"), running("worker-0"), pod_event("worker-0", "Pulling", "x")
    watched.cluster.jobs[JOB] = job_json("Created")
    watched.cluster.say("tfjobs", job)
    watched.cluster.say("pods", pod, "ADDED")
    watched.cluster.say("events", event, "ADDED")
    watched.cluster.say("pods", pod, "DELETED")
    watched.cluster.say("tfjobs", job, "DELETED")
    watched.watching.start()
    assert watched.take(6) == [
        Seen("tfjobs", job_json("Created")),
        Seen("tfjobs", job),
        Seen("pods", pod),
        Seen("events", event),
        Gone("pods", "pod-worker-0"),
        Gone("tfjobs", "job-1"),
    ]
    of_job = {"field_selector": "metadata.name=mnist"}
    assert watched.cluster.called("list tfjobs") == [[of_job]]
    assert watched.cluster.called("watch tfjobs") == [["5", of_job]]
    assert watched.cluster.called("list events") == [[{"limit": 1}]]
    assert watched.cluster.called("watch events") == [["5", {}]]


def test_a_bookmark_only_moves_the_version_from_which_the_next_watch_goes_on(watched: Watched) -> None:
    bookmark = {"metadata": {"resourceVersion": "77"}}
    watched.cluster.say("pods", bookmark, "BOOKMARK")
    watched.cluster.say("pods", None)
    watched.cluster.say("pods", running("worker-0"))
    watched.watching.start()
    assert watched.take(1) == [Seen("pods", running("worker-0"))]
    assert [version for version, _ in watched.cluster.called("watch pods")] == ["5", "77"]
    assert len(watched.cluster.called("list pods")) == 1


@pytest.mark.parametrize("error", [refusal(410, "too old resource version"), refusal(500, "etcd"), AWAY])
def test_a_new_list_tells_what_went_while_nobody_watched(error: Exception, watched: Watched) -> None:
    pods = {name: running(name) for name in ("worker-0", "worker-1")}
    for pod in pods.values():
        watched.cluster.say("pods", pod, "ADDED")
    watched.cluster.say("pods", lambda: watched.cluster.pods.pop("pod-worker-0"))
    watched.cluster.say("pods", error)
    watched.watching.start()
    assert watched.take(4) == [
        *(Seen("pods", pod) for pod in pods.values()),
        Gone("pods", "pod-worker-0"),
        Seen("pods", pods["worker-1"]),
    ]


def test_an_api_server_that_is_away_is_asked_again(watched: Watched) -> None:
    watched.cluster.jobs[JOB] = job_json()
    watched.cluster.fail("list tfjobs", AWAY, refusal(503, "starting"), AWAY)
    watched.watching.start()
    assert watched.take(1) == [Seen("tfjobs", job_json())]
    assert len(watched.cluster.called("list tfjobs")) == 4


def test_a_refusal_that_passes_is_no_matter(watched: Watched) -> None:
    watched.cluster.jobs[JOB] = job_json()
    watched.cluster.fail("list tfjobs", refusal(403, "rules are not read yet"))
    watched.watching.start()
    assert watched.take(1) == [Seen("tfjobs", job_json())]


def test_a_refusal_that_stays_is_told(watched: Watched) -> None:
    watched.cluster.fail("list pods", refusal(403, "cannot list resource pods"), times=1000)
    watched.watching.start()
    (error,) = watched.take(1)
    assert isinstance(error, ClusterRefused)
    assert "does not let this step watch pods: cannot list resource pods. Give" in str(error)


def test_nothing_comes_after_the_end(watched: Watched) -> None:
    watched.cluster.jobs[JOB] = job_json()
    watched.cluster.say("tfjobs", watched.watching.stop)
    watched.cluster.say("tfjobs", job_json("Running"))
    watched.cluster.say("tfjobs", watched.cluster.close)
    watched.watching.start()
    assert watched.take(1) == [Seen("tfjobs", job_json())]
    wait_until(lambda: not any("_watch" in thread.name for thread in threading.enumerate()))
    assert watched.inbox.empty()


def wait_until(is_met: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not is_met():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_a_log_comes_line_by_line_and_lies_in_a_file(watched: Watched) -> None:
    for second, text in enumerate(["one", "", "two  words "]):
        watched.cluster.say(POD, log_line(second, text))
    has_ended = watched.follow()
    assert watched.take(3) == [LogLine("worker-0", text) for text in ("one", "", "two  words ")]
    watched.end_container(has_ended)
    watched.cluster.say(POD, None)
    assert watched.take(1) == [LogEnded("pod-worker-0")]
    assert watched.log_path.read_text() == "one\n\ntwo  words \n"


def test_a_log_that_is_cut_off_goes_on_without_a_line_repeated_or_lost(watched: Watched) -> None:
    first, second, third, fourth = (log_line(second, f"line {second}") for second in range(1, 5))
    for line in (first, second, AWAY, second, third, refusal(500, "kubelet is away"), first, second, third, fourth):
        watched.cluster.say(POD, line)
    has_ended = watched.follow()
    assert watched.take(4) == [LogLine("worker-0", f"line {number}") for number in range(1, 5)]
    watched.end_container(has_ended)
    watched.cluster.say(POD, None)
    assert watched.take(1) == [LogEnded("pod-worker-0")]
    (_, whole), (_, again), *_ = watched.cluster.called("follow_log")
    assert whole is None
    assert again >= 60


def test_a_log_is_asked_for_once_more_after_its_container_has_ended(watched: Watched) -> None:
    watched.cluster.say(POD, log_line(1, "one"))
    watched.cluster.say(POD, None)
    has_ended = watched.follow()
    assert watched.take(1) == [LogLine("worker-0", "one")]
    watched.cluster.say(POD, log_line(2, "last words"))
    watched.end_container(has_ended)
    assert watched.take(2) == [LogLine("worker-0", "last words"), LogEnded("pod-worker-0")]


def test_what_the_kubelet_says_in_a_log_is_not_of_the_replica(watched: Watched) -> None:
    lines = ["failed to create fsnotify watcher: too many open files", "unable to retrieve container logs", ""]
    for line in (log_line(1, "one"), *lines, AWAY, log_line(1, "one"), log_line(2, "two")):
        watched.cluster.say(POD, line)
    watched.follow()
    assert watched.take(2) == [LogLine("worker-0", "one"), LogLine("worker-0", "two")]


def test_a_log_that_was_out_of_reach_for_long_is_still_read_after_the_end(watched: Watched) -> None:
    has_ended = threading.Event()
    watched.cluster.fail("follow_log", AWAY, times=8)
    watched.watching.follow_log(read_pod(running("worker-0")), has_ended, watched.log_path)
    wait_until(lambda: len(watched.cluster.called("follow_log")) == 8)
    watched.cluster.say(POD, log_line(1, "last words"))
    watched.end_container(has_ended)
    assert watched.take(2) == [LogLine("worker-0", "last words"), LogEnded("pod-worker-0")]


def test_a_log_that_stays_out_of_reach_after_the_end_is_given_up(watched: Watched) -> None:
    watched.cluster.fail("follow_log", refusal(500, "the node is gone"), times=1000)
    has_ended = threading.Event()
    has_ended.set()
    watched.watching.follow_log(read_pod(running("worker-0")), has_ended, watched.log_path)
    assert watched.take(1) == [LogEnded("pod-worker-0")]
    assert len(watched.cluster.called("follow_log")) == 5


def test_the_log_of_a_pod_that_is_gone_has_ended(watched: Watched) -> None:
    watched.cluster.fail("follow_log", refusal(404, "pods not found"))
    watched.follow()
    assert watched.take(1) == [LogEnded("pod-worker-0")]


def test_the_log_of_a_pod_that_was_replaced_is_not_taken_up_by_its_name(watched: Watched) -> None:
    watched.cluster.say(POD, log_line(1, "one"))
    watched.cluster.say(POD, lambda: watched.watching.leave_log("pod-worker-0"))
    watched.cluster.say(POD, AWAY)
    watched.cluster.say(POD, log_line(2, "another pod's"))
    watched.follow()
    assert watched.take(2) == [LogLine("worker-0", "one"), LogEnded("pod-worker-0")]
    assert len(watched.cluster.called("follow_log")) == 1


def test_a_container_that_is_still_to_start_is_asked_again(watched: Watched) -> None:
    watched.cluster.fail("follow_log", refusal(400, "container is waiting to start"))
    watched.cluster.say(POD, log_line(1, "one"))
    watched.follow()
    assert watched.take(1) == [LogLine("worker-0", "one")]
