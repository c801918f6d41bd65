"""A small Kubeflow Pipelines server: its API, its metadata and its dashboard's artifacts, as version 2.17 answers.

What goes in and out of the API is checked against the models that are generated from KFP's published schema: every name
must be one of the model's, every value of its type. A request or an answer that is not counts as a complaint, and the
fixture of the tests fails on those.
"""

import datetime as dt
import io
import json
import re
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import kfp_server_api  # type: ignore[import-untyped]

from pipeline.remote.metadata import MESSAGES, frame, unframe

PREFIX = "/pipeline"
ROOT = "minio://mlpipeline/v2/artifacts/tfjob-speedup"
API = f"{PREFIX}/apis/v2beta1"
CREATED = dt.datetime(2026, 11, 23, 20, tzinfo=dt.UTC)
SESSION = '{"Provider":"minio","Params":{"fromEnv":"true"}}'
LOGIN_PAGE = (HTTPStatus.OK, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>Log in to Your Account</title>")
Answer = tuple[int, Mapping[str, str], bytes]
Folder = dict[str, bytes]


@dataclass
class Kfp:
    """What the server holds and how it behaves; a test sets it.

    Attributes:
        health: Answer about the server.
        states: What each look at a run shows, one after another: the run's state, and names and states of its steps.
        answers: Recorded answers about a run, given in place of those that `states` would make.
        artifacts: Artifacts by step, output and number: a file's content, or a folder's files.
        stored_at: When artifacts were stored, Unix time in milliseconds, by what names them; 0 for the others.
        pods: The running steps, and their pods' logs; None for one that cannot be read.
        refusals: Answers in place of the usual ones: part of a path, answer, and how often.
        lost: Number of looks at a run that get no answer, once the first has had one.
        token: Token that a caller must have.
        serves_folders: Whether the dashboard sends folders, as since 2.17.
        on_look: Called at each look at a run.
    """

    health: dict[str, Any] = field(
        default_factory=lambda: {"multi_user": False, "pipeline_store": "database", "tag_name": "2.17.0"}
    )
    states: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[tuple[str, str, int], bytes | Folder] = field(default_factory=dict)
    stored_at: dict[tuple[str, str, int], int] = field(default_factory=dict)
    pods: dict[str, str | None] = field(default_factory=dict)
    refusals: dict[str, tuple[Answer, int]] = field(default_factory=dict)
    lost: int = 0
    token: str = ""
    serves_folders: bool = True
    on_look: Callable[[], None] = lambda: None
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploaded: list[bytes] = field(default_factory=list)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    terminated: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    looks: int = 0

    def find_artifact(self, key: str) -> bytes | Folder | None:
        """Returns the artifact of that key in its bucket."""
        step, number, output = key.split("/")[-3:]
        return self.artifacts.get((step, output, int(number)))


class Served:
    """The server, running: `with Served(Kfp()) as endpoint`."""

    def __init__(self, kfp: Kfp) -> None:
        handler = type("Handler", (KfpHandler,), {"kfp": kfp})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}{PREFIX}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class KfpHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    kfp: Kfp

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.kfp.requests.append(f"{self.command} {url.path}")
        try:
            answer = self._refuse(url.path) or self._route(url.path, query, body)
        except AssertionError as error:
            self.kfp.complaints.append(f"{self.command} {self.path}: {error}")
            answer = error_json(400, str(error))
        except ConnectionAbortedError:
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, path: str) -> Answer | None:
        if self.kfp.token and self.headers.get("Authorization") != f"Bearer {self.kfp.token}":
            return error_json(401, "Request header error: there is no user identity header.", code=16)
        for part, (answer, times) in self.kfp.refusals.items():
            if part in path and times:
                self.kfp.refusals[part] = (answer, times - 1)
                return answer
        return None

    def _route(self, path: str, query: dict[str, str], body: bytes) -> Answer:
        routes: dict[str, Callable[..., Answer]] = {
            rf"GET {API}/healthz": lambda: json_answer(self.kfp.health),
            rf"GET {API}/pipelines/names/([^/]+)": self._get_pipeline,
            rf"POST {API}/pipelines": lambda: self._create("Pipeline", self.kfp.pipelines, "pipeline_id", body),
            rf"GET {API}/pipelines/([^/]+)/versions": lambda pipeline: self._list_versions(pipeline, query),
            rf"POST {API}/pipelines/upload_version": lambda: self._upload(query, body),
            rf"GET {API}/experiments": lambda: self._list_experiments(query),
            rf"POST {API}/experiments": lambda: self._create("Experiment", self.kfp.experiments, "experiment_id", body),
            rf"POST {API}/runs": lambda: self._create("Run", self.kfp.runs, "run_id", body),
            rf"GET {API}/runs/([^/:]+)": self._look,
            rf"POST {API}/runs/([^/:]+):terminate": self._terminate,
            r"POST /ml_metadata\.MetadataStoreService/(\w+)": lambda method: self._ask_metadata(method, body),
            rf"GET {PREFIX}/k8s/pod/logs": lambda: self._send_log(query),
            rf"GET {PREFIX}/artifacts/minio/mlpipeline/(.+)": lambda key: self._send_artifact(key, query),
        }
        for route, action in routes.items():
            if found := re.fullmatch(route, f"{self.command} {unquote(path)}"):
                return action(*found.groups())
        return error_json(404, "Not Found", code=5)

    def _create(self, model: str, store: dict[str, dict[str, Any]], key: str, body: bytes) -> Answer:
        sent = json.loads(body)
        check_schema(f"V2beta1{model}", sent)
        if model == "Run":
            assert sent["experiment_id"] in self.kfp.experiments, "the experiment must be there"
            reference = sent["pipeline_version_reference"]
            assert reference["pipeline_version_id"] in self.kfp.versions, "the version must be there"
        created = {**sent, key: f"{model.lower()}-{len(store) + 1}", "created_at": timestamp(0)}
        store[created[key]] = created
        return api_answer(f"V2beta1{model}", created)

    def _get_pipeline(self, name: str) -> Answer:
        found = [pipeline for pipeline in self.kfp.pipelines.values() if pipeline["name"] == name]
        return (
            api_answer("V2beta1Pipeline", found[0]) if found else error_json(404, f"Pipeline {name} not found", code=5)
        )

    def _list_versions(self, pipeline_id: str, query: dict[str, str]) -> Answer:
        found = [
            version
            for version in self.kfp.versions.values()
            if version["pipeline_id"] == pipeline_id and version["display_name"] == read_filter(query)
        ]
        return api_answer("V2beta1ListPipelineVersionsResponse", {"pipeline_versions": found} if found else {})

    def _upload(self, query: dict[str, str], body: bytes) -> Answer:
        form = message_from_bytes(f"Content-Type: {self.headers['Content-Type']}\n\n".encode() + body)
        (part,) = (part for part in form.walk() if not part.is_multipart())
        assert part.get_param("name", header="content-disposition") == "uploadfile"
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        self.kfp.uploaded.append(content)
        assert query["pipelineid"] in self.kfp.pipelines, "the pipeline must be there"
        version_id = f"version-{len(self.kfp.versions) + 1}"
        self.kfp.versions[version_id] = {
            "pipeline_id": query["pipelineid"],
            "pipeline_version_id": version_id,
            "name": query["name"],
            "display_name": query["name"],
            "description": query["description"],
        }
        return api_answer("V2beta1PipelineVersion", self.kfp.versions[version_id])

    def _list_experiments(self, query: dict[str, str]) -> Answer:
        wanted = (read_filter(query), query.get("namespace", ""))
        found = [e for e in self.kfp.experiments.values() if (e["display_name"], e.get("namespace", "")) == wanted]
        return api_answer("V2beta1ListExperimentsResponse", {"experiments": found} if found else {})

    def _look(self, run_id: str) -> Answer:
        if run_id not in self.kfp.runs:
            return error_json(404, f"Failed to get a run: Run {run_id} not found", code=5)
        self.kfp.on_look()
        if self.kfp.looks and self.kfp.lost:
            self.kfp.lost -= 1
            raise ConnectionAbortedError
        if self.kfp.answers:
            answer = self.kfp.answers[min(self.kfp.looks, len(self.kfp.answers) - 1)]
            self.kfp.looks += 1
            return api_answer("V2beta1Run", {**answer, "run_id": run_id})
        state, steps = self.kfp.states[min(self.kfp.looks, len(self.kfp.states) - 1)]
        self.kfp.looks += 1
        details = {"task_details": [describe_task(run_id, number, steps) for number in range(len(steps))]}
        ended = {"finished_at": timestamp(600)} if state in {"SUCCEEDED", "FAILED"} else {}
        return api_answer("V2beta1Run", {**self.kfp.runs[run_id], "state": state, "run_details": details, **ended})

    def _terminate(self, run_id: str) -> Answer:
        self.kfp.terminated.append(run_id)
        return json_answer({})

    def _ask_metadata(self, method: str, body: bytes) -> Answer:
        message, _ = unframe(body)
        asked = MESSAGES[f"{method}Request"].FromString(message)
        answer = MESSAGES[f"{method}Response"]()
        if method == "GetContextByTypeAndName":
            assert asked.type_name == "system.PipelineRun"
            if asked.context_name in self.kfp.runs:
                answer.context.id = 7
                add_property(answer.context, "namespace", "kubeflow")
        elif method == "GetExecutionsByContext":
            assert asked.context_id == 7
            answer.executions.add(last_known_state=3)  # one that has ended
            for step in self.kfp.pods:
                execution = answer.executions.add(last_known_state=2)
                for key, value in (("task_name", step), ("pod_name", f"pod-of-{step}"), ("namespace", "kubeflow")):
                    add_property(execution, key, value)
        else:
            assert asked.context_id == 7
            for number, named in enumerate(self.kfp.artifacts, start=1):
                step, output, salt = named
                artifact = answer.artifacts.add(id=number, uri=f"{ROOT}/run-1/{step}/{salt}/{output}")
                artifact.create_time_since_epoch = self.kfp.stored_at.get(named, 0)
                add_property(artifact, "store_session_info", SESSION)
        content = frame(answer.SerializeToString()) + frame(b"grpc-status: 0\r\n", kind=0x80)
        return 200, {"Content-Type": "application/grpc-web+proto"}, content

    def _send_log(self, query: dict[str, str]) -> Answer:
        assert query.keys() == {"podname", "runid", "podnamespace"}
        log = self.kfp.pods[query["podname"].removeprefix("pod-of-")]
        if log is None:
            return 500, {}, b"Could not get main container logs"
        return 200, {"Content-Type": "text/plain"}, log.encode()

    def _send_artifact(self, key: str, query: dict[str, str]) -> Answer:
        assert query == {"namespace": "kubeflow", "providerInfo": SESSION}
        match self.kfp.find_artifact(key):
            case bytes(content):
                return 200, {}, content
            case dict(files) if self.kfp.serves_folders:
                headers = {"Content-Type": "application/gzip", "Content-Disposition": "attachment"}
                return 200, headers, pack(files)
            case None if self.kfp.serves_folders:
                return 404, {}, f"No objects found at mlpipeline/{key}".encode()
        return 500, {}, b"Failed to get object in bucket: S3Error: The specified key does not exist."


def check_schema(model: str, value: Any) -> None:
    """Checks a JSON value against a type of the published API.

    Args:
        model: A type as the generated models name them: `V2beta1Run`, `list[str]`, `dict(str, object)`, `datetime`.
        value: The value.
    """
    if listed := re.fullmatch(r"list\[(.+)\]", model):
        assert isinstance(value, list), f"{model}: {value!r}"
        for item in value:
            check_schema(listed[1], item)
    elif mapped := re.fullmatch(r"dict\(str, (.+)\)", model):
        assert isinstance(value, dict), f"{model}: {value!r}"
        for item in value.values():
            check_schema(mapped[1], item)
    elif model in {"str", "int", "bool"}:
        assert type(value).__name__ == model, f"{model}: {value!r}"
    elif model == "datetime":
        dt.datetime.fromisoformat(value)
    elif model != "object":
        generated = getattr(kfp_server_api, model)
        if hasattr(generated, "allowable_values"):
            assert value in generated.allowable_values, f"{model}: {value!r}"
            return
        names = {json_name: name for name, json_name in generated.attribute_map.items()}
        assert value.keys() <= names.keys(), f"{model} has no {value.keys() - names.keys()}"
        for name, item in value.items():
            check_schema(generated.openapi_types[names[name]], item)


def describe_task(run_id: str, number: int, steps: list[tuple[str, str]]) -> dict[str, Any]:
    """Returns a task's details, as the server tells them of a node of the workflow."""
    name, state = steps[number]
    ended = state in {"SUCCEEDED", "FAILED"}
    return {
        "run_id": run_id,
        "task_id": f"{name}-{[earlier for earlier, _ in steps[:number]].count(name)}",
        "display_name": name,
        "create_time": timestamp(0),
        "start_time": timestamp(10 * number),
        "end_time": timestamp(10 * number + 7) if ended else "0001-01-01T00:00:00Z",
        "state": state,
    }


def timestamp(seconds: float) -> str:
    """Returns a time after the run's creation as the server writes it."""
    return (CREATED + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def read_filter(query: dict[str, str]) -> str:
    """Returns the name that a filter asks for."""
    sent = json.loads(query["filter"])
    check_schema("V2beta1Filter", sent)
    (predicate,) = sent["predicates"]
    assert (predicate["operation"], predicate["key"]) == ("EQUALS", "display_name")
    return str(predicate["string_value"])


def add_property(holder: Any, key: str, value: str) -> None:
    """Adds a custom property to an object of ML Metadata."""
    entry = holder.custom_properties.add(key=key)
    entry.value.string_value = value


def pack(files: Folder) -> bytes:
    """Returns the archive of a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def json_answer(value: Any, status: int = 200) -> Answer:
    """Returns a JSON answer."""
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def api_answer(model: str, value: dict[str, Any]) -> Answer:
    """Returns an answer of the API, checked against its schema."""
    check_schema(model, value)
    return json_answer(value)


def error_json(status: int, message: str, code: int = 3) -> Answer:
    """Returns an error as the API's gateway writes it."""
    check_schema("GoogleRpcStatus", value := {"code": code, "message": message, "details": []})
    return json_answer(value, status)
