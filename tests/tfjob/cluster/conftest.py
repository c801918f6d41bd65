import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from tests.tfjob.cluster.api_server import Server


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
