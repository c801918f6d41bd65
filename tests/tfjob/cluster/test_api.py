import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException

from tests.tfjob.cluster.api_server import Server, status
from tests.tfjob.fake_cluster import JOB, job_json, running
from tfjob.cluster.api import CONNECTION_ERRORS, Cluster, Json, explain, load_configuration, select
from tfjob.errors import NoBackend

MakeJob = Callable[..., dict[str, Any]]
TFJOBS = "/apis/kubeflow.org/v1/namespaces/team-a/tfjobs"
PODS, EVENTS = "/api/v1/namespaces/team-a/pods", "/api/v1/namespaces/team-a/events"
LOG = f"{PODS}/mnist-worker-0/log"


def change(kind: str, item: Json) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


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
