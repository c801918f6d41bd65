"""An API server that answers what a test tells it to."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from kubernetes.client import Configuration

from tfjob.cluster.api import Cluster, Json


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


def status(code: int, message: str) -> Json:
    return {"kind": "Status", "code": code, "reason": "Reason", "message": message}
