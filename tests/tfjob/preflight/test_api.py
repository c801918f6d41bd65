import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException

from tfjob.cluster.api import CONNECTION_ERRORS, explain
from tfjob.errors import ClusterRefused
from tfjob.preflight.api import Api


@pytest.fixture
def serve() -> Iterator[Callable[[int, str], tuple[str, list[tuple[str, str, Any]]]]]:
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str, num_busy: int = 0) -> tuple[str, list[tuple[str, str, Any]]]:
        requests: list[tuple[str, str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                requests.append((self.command, self.path, json.loads(self.rfile.read(length) or "null")))
                self.send_response(429 if len(requests) <= num_busy else status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET  # noqa: N815 - the server calls them by these names

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{server.server_port}", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def make_api_server(url: str) -> Api:
    return Api(Configuration(host=url))


def test_calls_reach_the_api_server_as_they_are_meant(serve: Callable[..., Any]) -> None:
    url, requests = serve(200, '{"answer": 1}')
    server = make_api_server(url)
    assert server.get("/apis?labelSelector=a=b") == {"answer": 1}
    assert server.create("/pods", {"kind": "Pod"}) == {"answer": 1}
    assert server.create("/pods", {"kind": "Pod"}, dry_run=True) == {"answer": 1}
    assert requests == [
        ("GET", "/apis?labelSelector=a=b", None),
        ("POST", "/pods", {"kind": "Pod"}),
        ("POST", "/pods?dryRun=All", {"kind": "Pod"}),
    ]


def test_a_refusal_carries_what_the_api_server_said(serve: Callable[..., Any]) -> None:
    url, _ = serve(404, '{"message": "no such pod"}')
    with pytest.raises(ApiException) as caught:
        make_api_server(url).get("/pods/a")
    assert (caught.value.status, explain(caught.value)) == (404, "no such pod")


def test_no_answer_is_a_connection_error() -> None:
    with pytest.raises(CONNECTION_ERRORS):
        make_api_server("http://127.0.0.1:9").get("/version")


def test_a_job_is_run_as_a_step_of_a_run_does(serve: Callable[..., Any], make_job: Callable[..., Any]) -> None:
    url, requests = serve(403, '{"message": "cannot create resource tfjobs"}')
    with pytest.raises(ClusterRefused, match="does not let this step run TFJobs: cannot create resource tfjobs"):
        make_api_server(url).run_job(make_job("pass", namespace="team-a"))
    assert [request[:2] for request in requests] == [("POST", "/apis/kubeflow.org/v1/namespaces/team-a/tfjobs")]


@pytest.mark.parametrize("ask", [lambda api: api.get("/version"), lambda api: api.create("/pods", {}, dry_run=True)])
def test_a_server_that_is_too_busy_is_asked_again_a_little_later(
    ask: Callable[[Api], object], serve: Callable[..., Any]
) -> None:
    url, requests = serve(200, '{"answer": 1}', num_busy=3)
    pauses: list[float] = []
    assert ask(Api(Configuration(host=url), pauses.append)) == {"answer": 1}
    assert (len(requests), pauses) == (4, [1.0, 2.0, 4.0])


def test_a_server_that_stays_too_busy_is_told(serve: Callable[..., Any]) -> None:
    url, _ = serve(429, '{"message": "slow down"}')
    with pytest.raises(ApiException, match="429"):
        Api(Configuration(host=url), lambda _: None).get("/version")
