"""Where a run's artifacts lie: asked of ML Metadata as KFP's dashboard asks it, by gRPC-web through its host.

KFP 2.17 has no other call that tells an artifact's address: the run's own answer has no outputs, and its calls for
artifacts know those of version 1 only.

Source: ml_metadata/proto/metadata_store.proto and metadata_store_service.proto (the numbers of the fields);
kubeflow/pipelines 2.17.0, backend/src/v2/metadata/client.go (names of contexts and properties) and
backend/src/v2/driver/driver.go, provisionOutputs (the address of an output: <run's root>/<task>/<random>/<output>).
"""

import contextlib
import struct
from typing import Any
from urllib.parse import urlsplit

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

from pipeline.remote.artifacts import StepPod, StoredArtifact
from pipeline.remote.server import NotFoundError, Server, ServerError

_SERVICE = "/ml_metadata.MetadataStoreService"
_CONTENT_TYPE = "application/grpc-web+proto"
_RUN_CONTEXT = "system.PipelineRun"
_FRAME_HEADER = struct.Struct(">BI")
_TRAILERS = 0x80
# Of an execution.
_RUNNING = 2
_PARTS_OF_AN_OUTPUT = 3
# The fields that are used, by message: name, number, and a type where it is not a string.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Value": {"string_value": (3, "string")},
    "Property": {"key": (1, "string"), "value": (2, "Value")},
    "Artifact": {
        "id": (1, "int64"),
        "uri": (3, "string"),
        "custom_properties": (5, "repeated Property"),
        "create_time_since_epoch": (9, "int64"),
    },
    "Context": {"id": (1, "int64"), "custom_properties": (5, "repeated Property")},
    "Execution": {"id": (1, "int64"), "last_known_state": (3, "int64"), "custom_properties": (5, "repeated Property")},
    "GetContextByTypeAndNameRequest": {"type_name": (1, "string"), "context_name": (2, "string")},
    "GetContextByTypeAndNameResponse": {"context": (1, "Context")},
    "GetArtifactsByContextRequest": {"context_id": (1, "int64")},
    "GetArtifactsByContextResponse": {"artifacts": (1, "repeated Artifact")},
    "GetExecutionsByContextRequest": {"context_id": (1, "int64")},
    "GetExecutionsByContextResponse": {"executions": (1, "repeated Execution")},
}


class _StatusError(ServerError):
    """ML Metadata answered with an error of its own."""


class MlMetadata:
    """The catalog of servers with ML Metadata.

    Args:
        server: The server.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def check(self) -> None:
        """Makes sure that ML Metadata answers.

        Raises:
            ServerError: It does not; the message says what to do.
        """
        with contextlib.suppress(_StatusError):  # that, too, is its answer
            self._find_context("none")

    def list_artifacts(self, run_id: str) -> list[StoredArtifact]:
        """Returns the outputs that a run has stored so far, the oldest first.

        Raises:
            ServerError: The metadata cannot be reached.
        """
        found = self._find_context(run_id)
        if not found.HasField("context"):
            return []  # no step has begun
        namespace = _read_properties(found.context).get("namespace", "")
        answer = _ask(self._server, "GetArtifactsByContext", context_id=found.context.id)
        listed = [read_artifact(artifact, namespace) for artifact in answer.artifacts]
        return sorted((artifact for artifact in listed if artifact), key=lambda artifact: artifact.number)

    def list_running_pods(self, run_id: str) -> list[StepPod]:
        """Returns the pods of the steps that run.

        Raises:
            ServerError: The metadata cannot be reached.
        """
        found = self._find_context(run_id)
        if not found.HasField("context"):
            return []
        answer = _ask(self._server, "GetExecutionsByContext", context_id=found.context.id)
        running = [_read_properties(e) for e in answer.executions if e.last_known_state == _RUNNING]
        pods = [StepPod(e.get("task_name", ""), e.get("pod_name", ""), e.get("namespace", "")) for e in running]
        return [pod for pod in pods if pod.name]

    def _find_context(self, run_id: str) -> Any:
        return _ask(self._server, "GetContextByTypeAndName", type_name=_RUN_CONTEXT, context_name=run_id)


def read_artifact(artifact: Any, namespace: str) -> StoredArtifact | None:
    """Returns a step's output; None for what is no step's.

    Args:
        artifact: An `Artifact` of ML Metadata.
        namespace: Namespace of the run.
    """
    parts = urlsplit(artifact.uri).path.strip("/").split("/")
    if len(parts) < _PARTS_OF_AN_OUTPUT:
        return None
    step, _, output = parts[-_PARTS_OF_AN_OUTPUT:]
    session = _read_properties(artifact).get("store_session_info", "")
    return StoredArtifact(
        artifact.id, step, output, artifact.uri, namespace, session, artifact.create_time_since_epoch / 1000
    )


def make_messages() -> dict[str, Any]:
    """Returns the classes of the messages that are exchanged, by name; fields that are not used are left out."""
    file = descriptor_pb2.FileDescriptorProto(name="ml_metadata_used.proto", package="ml_metadata", syntax="proto2")
    for name, contents in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in contents.items():
            word, _, rest = kind.partition(" ")
            field = message.field.add(name=field_name, number=number, label=3 if rest else 1)
            field.type = {"string": 9, "int64": 3}.get(rest or word, 11)
            if field.type == 11:  # noqa: PLR2004 - TYPE_MESSAGE
                field.type_name = f".ml_metadata.{rest or word}"
    pool = descriptor_pool.DescriptorPool()  # of its own: ml_metadata may be installed too
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"ml_metadata.{name}")) for name in _MESSAGES
    }


MESSAGES = make_messages()


def frame(message: bytes, kind: int = 0) -> bytes:
    """Returns a message as gRPC-web sends it.

    Args:
        message: The message.
        kind: 0 for a message, 0x80 for trailers.
    """
    return _FRAME_HEADER.pack(kind, len(message)) + message


def unframe(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Returns the message and the trailers in an answer of gRPC-web.

    Raises:
        ValueError: It is none.
    """
    message, start = b"", 0
    trailers: dict[str, str] = {}
    while start < len(body):
        try:
            kind, length = _FRAME_HEADER.unpack_from(body, start)
        except struct.error as error:
            raise ValueError("the header of a frame is cut off") from error
        content = body[start + _FRAME_HEADER.size :][:length]
        if len(content) < length:
            raise ValueError(f"a frame must have {length} bytes. Received: {len(content)}.")
        if kind & _TRAILERS:
            pairs = (line.partition(":") for line in content.decode().splitlines())
            trailers |= {name.strip().lower(): value.strip() for name, _, value in pairs}
        else:
            message += content
        start += _FRAME_HEADER.size + length
    return message, trailers


def _ask(server: Server, method: str, **request: Any) -> Any:
    body = frame(MESSAGES[f"{method}Request"](**request).SerializeToString())
    headers = {"Content-Type": _CONTENT_TYPE, "Accept": _CONTENT_TYPE, "X-Grpc-Web": "1"}
    try:
        answer = server.call("POST", f"{_SERVICE}/{method}", headers=headers, body=body, is_at_origin=True)
    except NotFoundError as error:
        raise ServerError(
            f"{server.access.origin} does not serve {_SERVICE}, which tells where the results lie. The endpoint must "
            "be KFP's dashboard (the service ml-pipeline-ui), not its API server alone."
        ) from error
    try:
        message, trailers = unframe(answer.data)
        status = trailers.get("grpc-status") or answer.headers.get("grpc-status", "0")
        if status != "0":
            told = trailers.get("grpc-message") or answer.headers.get("grpc-message", "")
            raise _StatusError(f"ML Metadata answered {method} with the gRPC status {status}: {told}")
        return MESSAGES[f"{method}Response"].FromString(message)
    except ValueError as error:  # protobuf's DecodeError is one
        raise ServerError(f"{_SERVICE}/{method} must be answered by ML Metadata. Received: {error}.") from error


def _read_properties(holder: Any) -> dict[str, str]:
    return {entry.key: entry.value.string_value for entry in holder.custom_properties}
