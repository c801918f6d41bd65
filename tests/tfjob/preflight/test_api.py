import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from tfjob.preflight.api import ApiServer, Refused, Unreachable, connect


@pytest.fixture
def serve() -> Iterator[Callable[[int, str], tuple[str, list[tuple[str, str, Any]]]]]:
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str) -> tuple[str, list[tuple[str, str, Any]]]:
        requests: list[tuple[str, str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                requests.append((self.command, self.path, json.loads(self.rfile.read(length) or "null")))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_DELETE = do_GET  # noqa: N815 - the server calls them by these names

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


def make_api_server(url: str) -> ApiServer:
    configuration = Configuration(host=url)
    configuration.retries = False
    return ApiServer(ApiClient(configuration))


def test_calls_reach_the_api_server_as_they_are_meant(serve: Callable[..., Any]) -> None:
    url, requests = serve(200, '{"answer": 1}')
    server = make_api_server(url)
    assert server.get("/apis?labelSelector=a=b") == {"answer": 1}
    assert server.create("/pods", {"kind": "Pod"}) == {"answer": 1}
    assert server.create("/pods", {"kind": "Pod"}, dry_run=True) == {"answer": 1}
    server.delete("/pods/a")
    assert server.fetch(f"{url}/healthz") == {"answer": 1}
    assert requests == [
        ("GET", "/apis?labelSelector=a=b", None),
        ("POST", "/pods", {"kind": "Pod"}),
        ("POST", "/pods?dryRun=All", {"kind": "Pod"}),
        ("DELETE", "/pods/a", {"gracePeriodSeconds": 0}),
        ("GET", "/healthz", None),
    ]


@pytest.mark.parametrize(("body", "message"), [('{"message": "no such pod"}', "no such pod"), ("<html>", "Not Found")])
def test_a_refusal_carries_what_the_api_server_said(serve: Callable[..., Any], body: str, message: str) -> None:
    url, _ = serve(404, body)
    with pytest.raises(Refused) as caught:
        make_api_server(url).get("/pods/a")
    assert (caught.value.status, caught.value.message) == (404, message)


@pytest.mark.parametrize(("status", "body"), [(302, "{}"), (200, "<html>a login</html>"), (200, "[]")])
def test_a_page_in_place_of_json_is_a_refusal(serve: Callable[..., Any], status: int, body: str) -> None:
    url, _ = serve(status, body)
    with pytest.raises(Refused) as caught:
        make_api_server(url).fetch(url)
    assert caught.value.status == status


def test_no_answer_is_told_as_that() -> None:
    server = make_api_server("http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9: "):
        server.get("/version")
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9/x: "):
        server.fetch("http://127.0.0.1:9/x")


def test_a_pod_without_a_service_account_has_no_api_server() -> None:
    with pytest.raises(Unreachable, match="Service"):
        connect({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
