import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException

from tests.tfjob.fake_cluster import JOB, job_json, running
from tfjob.cluster.api import CONNECTION_ERRORS, Cluster, Json, explain, load_configuration, select
from tfjob.errors import NoBackend

MakeJob = Callable[..., dict[str, Any]]
TFJOBS = "/apis/kubeflow.org/v1/namespaces/team-a/tfjobs"
PODS, EVENTS = "/api/v1/namespaces/team-a/pods", "/api/v1/namespaces/team-a/events"
LOG = f"{PODS}/mnist-worker-0/log"


@dataclass
class Answer:
    """What the API server says to one request.

    Args:
        body: All of it, or its chunks.
        status: The HTTP status.
        headers: Further headers.
        is_cut_off: Whether the connection breaks before the end.
        after: What to wait for before answering.
    """

    body: bytes | list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_cut_off: bool = False
    after: threading.Event | None = None


@dataclass
class Server:
    """An API server that gives scripted answers and remembers what it was asked."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, str, str, Any]] = field(default_factory=list)

    def answer(self, body: Json | list[bytes], **more: Any) -> None:
        self.answers.append(Answer(body if isinstance(body, list) else json.dumps(body).encode(), **more))

    def operator(self, **changes: Any) -> Cluster:
        configuration = Configuration(host=self.url)
        configuration.retries = False
        return Cluster("team-a", configuration, **changes)

    def last_request(self) -> tuple[str, str, str, Any]:
        return self.requests[-1]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            known.requests.append((self.command, unquote(self.path), self.headers.get("Content-Type", ""), body))
            answer = known.answers.pop(0)
            if answer.after is not None:
                answer.after.wait(5)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(answer.body, bytes):
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in answer.body:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if answer.is_cut_off:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the server calls them by these names

        def log_message(self, *arguments: object) -> None:
            pass

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    known = Server(f"http://127.0.0.1:{http_server.server_port}")
    threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield known
    http_server.shutdown()
    http_server.server_close()


def change(kind: str, item: Json) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def status(code: int, message: str) -> Json:
    return {"kind": "Status", "code": code, "reason": "Reason", "message": message}


def test_a_job_is_created_where_jobs_are(server: Server, make_job: MakeJob) -> None:
    manifest = make_job("pass", namespace="team-a")
    server.answer(job_json())
    assert server.operator().create_job(manifest) == job_json()
    assert server.last_request() == ("POST", TFJOBS, "application/json", manifest)


def test_a_job_is_asked_for_by_its_name(server: Server) -> None:
    server.answer(job_json())
    assert server.operator().get_job(JOB) == job_json()
    assert server.last_request()[:2] == ("GET", f"{TFJOBS}/mnist")


def test_a_patch_is_merged(server: Server) -> None:
    server.answer(job_json())
    server.operator().patch_job(JOB, {"spec": {"runPolicy": {"activeDeadlineSeconds": 1}}})
    assert server.last_request() == (
        "PATCH",
        f"{TFJOBS}/mnist",
        "application/merge-patch+json",
        {"spec": {"runPolicy": {"activeDeadlineSeconds": 1}}},
    )


def test_only_the_job_that_is_meant_is_deleted_and_its_pods_with_it(server: Server) -> None:
    server.answer({"kind": "Status", "status": "Success"})
    server.operator().delete_job(JOB, "job-1")
    assert server.last_request() == (
        "DELETE",
        f"{TFJOBS}/mnist",
        "application/json",
        {"propagationPolicy": "Background", "preconditions": {"uid": "job-1"}},
    )


def test_jobs_are_listed_by_a_selector(server: Server) -> None:
    server.answer({"items": []})
    server.answer({"items": []})
    operator = server.operator()
    assert operator.list_objects("tfjobs", label_selector="tfjob-speedup/run=r1") == {"items": []}
    operator.list_objects("tfjobs", **select("tfjobs", JOB))
    assert [path for _, path, *_ in server.requests] == [
        f"{TFJOBS}?labelSelector=tfjob-speedup/run=r1",
        f"{TFJOBS}?fieldSelector=metadata.name=mnist",
    ]


def test_pods_are_those_with_the_jobs_label_as_the_server_gives_them(server: Server) -> None:
    listing = {"items": [running("worker-0")], "metadata": {"resourceVersion": "5"}}
    server.answer(listing)
    assert server.operator().list_objects("pods", **select("pods", JOB)) == listing
    assert server.last_request()[:2] == ("GET", f"{PODS}?labelSelector=training.kubeflow.org/job-name=mnist")


@pytest.mark.parametrize("last", [{}, {"continue": ""}])
def test_what_the_whole_cluster_has_is_asked_for_page_by_page(server: Server, last: Json) -> None:
    server.answer({"metadata": {"continue": "second"}, "items": [{"metadata": {"name": "a"}}]})
    server.answer({"metadata": last, "items": [{"metadata": {"name": "b"}}]})
    pods = server.operator().list_whole_cluster("pods of all namespaces", field_selector="status.phase!=Failed")
    assert next(pods) == {"metadata": {"name": "a"}}
    assert len(server.requests) == 1  # one page at a time is held
    assert [*pods] == [{"metadata": {"name": "b"}}]
    asked = [dict(parse_qsl(urlsplit(path).query)) for _, path, _, _ in server.requests]
    selected = {"fieldSelector": "status.phase!=Failed", "limit": "500"}
    assert asked == [selected, {**selected, "continue": "second"}]


def test_pages_that_take_so_long_that_the_token_is_too_old_go_on_from_there_in_the_cluster_of_now(
    server: Server,
) -> None:
    expired = status(410, "The provided continue parameter is too old") | {"metadata": {"continue": "later"}}
    server.answer({"metadata": {"continue": "second"}, "items": [{"name": "a"}]})
    server.answer(expired, status=410)
    server.answer({"metadata": {"continue": "third"}, "items": [{"name": "b"}]})
    server.answer({"metadata": {}, "items": [{"name": "c"}]})
    assert [node["name"] for node in server.operator().list_whole_cluster("nodes")] == ["a", "b", "c"]
    asked = [dict(parse_qsl(urlsplit(path).query)) for _, path, _, _ in server.requests]
    assert [query.get("continue") for query in asked] == [None, "second", "later", "third"]


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_page_that_fails_for_a_moment_is_asked_for_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, is_cut_off: bool
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    server.answer({"metadata": {"continue": "second"}, "items": [{"name": "a"}]})
    for _ in range(3):
        server.answer([b"{"] if is_cut_off else status(500, "etcd"), status=500, is_cut_off=is_cut_off)
    server.answer({"metadata": {}, "items": [{"name": "b"}]})
    assert [node["name"] for node in server.operator().list_whole_cluster("nodes")] == ["a", "b"]
    assert waited == [1.0, 2.0, 4.0]


def test_who_may_not_list_is_told_at_once(server: Server) -> None:
    server.answer(status(403, "cannot list resource nodes"), status=403)
    with pytest.raises(ApiException, match="403"):
        next(server.operator().list_whole_cluster("nodes"))
    assert len(server.requests) == 1


@pytest.mark.parametrize("metadata", [{}, {"continue": ""}, {"continue": "later"}])
def test_pages_that_cannot_go_on_are_an_error(metadata: Json, server: Server) -> None:
    server.answer({"metadata": {"continue": "second"}, "items": [{"name": "a"}]})
    for _ in range(2):
        server.answer(status(410, "too old") | {"metadata": metadata}, status=410)
    pods = server.operator().list_whole_cluster("pods of all namespaces")
    assert next(pods) == {"name": "a"}
    with pytest.raises(ApiException, match="410"):
        next(pods)


def test_a_watch_goes_on_from_a_version_and_ends_after_a_while(server: Server) -> None:
    server.answer([change("MODIFIED", job_json("Running")), change("DELETED", job_json())])
    assert list(server.operator().watch_objects("tfjobs", "17", **select("tfjobs", JOB))) == [
        {"type": "MODIFIED", "object": job_json("Running")},
        {"type": "DELETED", "object": job_json()},
    ]
    path, _, query = server.last_request()[1].partition("?")
    assert path == TFJOBS
    assert set(query.split("&")) == {
        "fieldSelector=metadata.name=mnist",
        "resourceVersion=17",
        "timeoutSeconds=30",
        "watch=True",
    }


def test_pods_and_events_are_watched_as_json(server: Server) -> None:
    event = {"metadata": {"resourceVersion": "8"}, "reason": "Pulling", "firstTimestamp": None}
    server.answer([change("ADDED", running("worker-0")), change("BOOKMARK", {"metadata": {"resourceVersion": "9"}})])
    server.answer([change("ADDED", event)])
    operator = server.operator()
    assert [change["object"] for change in operator.watch_objects("pods", "5", **select("pods", JOB))] == [
        running("worker-0"),
        {"metadata": {"resourceVersion": "9"}},
    ]
    assert [change["object"] for change in operator.watch_objects("events", "7")] == [event]
    pods, events = (path for _, path, *_ in server.requests)
    assert pods.startswith(f"{PODS}?")
    assert "labelSelector=training.kubeflow.org/job-name=mnist" in pods
    assert events.startswith(f"{EVENTS}?")
    assert "resourceVersion=7" in events


def test_a_change_that_comes_in_pieces_is_one(server: Server) -> None:
    line = change("MODIFIED", job_json("Running"))
    server.answer([line[:20], line[20:] + line[:7], line[7:]])
    assert len(list(server.operator().watch_objects("tfjobs", "17", **select("tfjobs", JOB)))) == 2


def test_a_version_that_the_server_has_forgotten_is_an_error(server: Server) -> None:
    server.answer([change("MODIFIED", job_json()), change("ERROR", status(410, "too old resource version"))])
    changes = server.operator().watch_objects("tfjobs", "17", **select("tfjobs", JOB))
    assert next(changes)["type"] == "MODIFIED"
    with pytest.raises(ApiException) as caught:
        next(changes)
    assert caught.value.status == 410
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "ask",
    [lambda operator: operator.list_objects("pods"), lambda operator: list(operator.watch_objects("tfjobs", "1"))],
)
def test_what_the_server_says_of_an_error_is_told(ask: Callable[[Cluster], object], server: Server) -> None:
    server.answer(status(403, "pods is forbidden"), status=403)
    with pytest.raises(ApiException) as caught:
        ask(server.operator())
    assert (caught.value.status, explain(caught.value)) == (403, "pods is forbidden")


@pytest.mark.parametrize("body", [None, "<html>", "[]", "{}"])
def test_an_error_without_words_is_told_by_its_number(body: str | None) -> None:
    error = ApiException(502, "Bad Gateway")
    error.body = body
    assert explain(error) == "502 Bad Gateway"


def test_a_watch_that_breaks_is_a_connection_error(server: Server) -> None:
    server.answer([change("MODIFIED", job_json())], is_cut_off=True)
    changes = server.operator().watch_objects("tfjobs", "17", **select("tfjobs", JOB))
    assert next(changes)["type"] == "MODIFIED"
    with pytest.raises(CONNECTION_ERRORS):
        next(changes)


def test_an_api_server_that_is_away_is_a_connection_error() -> None:
    server = Server("http://127.0.0.1:9")
    with pytest.raises(CONNECTION_ERRORS):
        server.operator().get_job(JOB)


def test_an_answer_that_does_not_come_is_a_connection_error(server: Server) -> None:
    after = threading.Event()
    server.answer({}, after=after)
    with pytest.raises(CONNECTION_ERRORS):
        server.operator(answer_seconds=0.05).delete_job(JOB, "job-1")
    after.set()


def test_a_log_is_followed_by_lines_with_timestamps(server: Server) -> None:
    server.answer([b"2026-11-23T12:00:01Z one\n2026-11-23T12:00:02Z t", b"wo \xc3", b"\xa4\n"])
    assert list(server.operator().follow_log("mnist-worker-0", None)) == [
        "2026-11-23T12:00:01Z one",
        "2026-11-23T12:00:02Z two ä",
    ]
    path, _, query = server.last_request()[1].partition("?")
    assert path == LOG
    assert set(query.split("&")) == {"container=tensorflow", "follow=True", "timestamps=True"}


def test_a_log_that_was_read_before_is_read_from_there(server: Server) -> None:
    server.answer([b"2026-11-23T12:00:01Z one\n"])
    list(server.operator().follow_log("mnist-worker-0", 61))
    assert "sinceSeconds=61" in server.last_request()[1]


def test_a_last_line_without_an_end_is_a_line(server: Server) -> None:
    server.answer([b"2026-11-23T12:00:01Z one\n2026-11-23T12:00:02Z Segmentation fa", b"ult"])
    assert list(server.operator().follow_log("mnist-worker-0", None))[-1] == "2026-11-23T12:00:02Z Segmentation fault"


def test_an_empty_log_has_no_line(server: Server) -> None:
    server.answer([])
    assert list(server.operator().follow_log("mnist-worker-0", None)) == []


def test_a_line_that_was_cut_off_is_not_taken_for_a_whole_one(server: Server) -> None:
    server.answer([b"2026-11-23T12:00:01Z one\n", b"2026-11-23T12:00:02Z tw"], is_cut_off=True)
    lines = server.operator().follow_log("mnist-worker-0", None)
    assert next(lines) == "2026-11-23T12:00:01Z one"
    with pytest.raises(CONNECTION_ERRORS):
        next(lines)


def test_the_log_of_a_container_that_is_still_to_start_is_an_error(server: Server) -> None:
    server.answer(status(400, "container is waiting to start: ContainerCreating"), status=400)
    with pytest.raises(ApiException) as caught:
        list(server.operator().follow_log("mnist-worker-0", None))
    assert (caught.value.status, explain(caught.value)) == (
        400,
        "container is waiting to start: ContainerCreating",
    )


def test_a_log_that_is_silent_for_long_is_on_a_connection_that_is_kept_alive(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[tuple[int, int, int]] = []
    monkeypatch.setattr("urllib3.util.connection._set_socket_options", lambda _, asked: options.extend(asked))
    server.answer([b"2026-11-23T12:00:01Z one\n"])
    list(Cluster("team-a", Configuration(host=server.url)).follow_log("mnist-worker-0", None))
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in options


def test_the_logs_of_many_replicas_are_followed_without_a_warning(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = Configuration(host=server.url)
    configuration.connection_pool_maxsize = 1  # as with few cores
    cluster = Cluster("team-a", configuration)
    for _ in range(3):
        server.answer([b"2026-11-23T12:00:01Z one\n"])
    logs = [cluster.follow_log(f"mnist-worker-{index}", None) for index in range(3)]
    assert len([next(log) for log in logs]) == 3
    assert [[*log] for log in logs] == [[], [], []]
    assert not caplog.records


def test_a_busy_server_that_says_when_to_ask_again_is_heeded_up_to_some_seconds(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    cluster = Cluster("team-a", Configuration(host=server.url))
    for seconds in ("1", "32"):
        server.answer(status(429, "slow down"), status=429, headers={"Retry-After": seconds})
    server.answer(job_json())
    assert cluster.get_job(JOB) == job_json()
    assert waited == [1, 5.0]


def test_what_a_busy_server_may_have_done_is_not_asked_for_again_unseen(server: Server) -> None:
    server.answer(status(429, "slow down"), status=429, headers={"Retry-After": "1"})
    with pytest.raises(ApiException, match="429"):
        Cluster("team-a", Configuration(host=server.url)).create_job({})
    assert len(server.requests) == 1


def test_a_pod_without_a_service_account_has_no_cluster() -> None:
    with pytest.raises(NoBackend, match="No cluster can be reached from here: Service"):
        load_configuration({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
