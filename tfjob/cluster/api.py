"""The calls to a cluster that running a TFJob takes, as plain JSON.

kubeflow-training and the official client supply connection, models and calls. Its waiting swallows errors' codes, so
watching and deciding are in `tfjob.cluster.backend`.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from os import environ
from typing import Any, Literal

import urllib3
from kubeflow.training import TrainingClient
from kubeflow.training.constants.constants import GROUP, JOB_NAME_LABEL, TFJOB_KIND, TFJOB_PLURAL, VERSION
from kubernetes import watch
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3.connection import HTTPConnection

from tfjob.errors import NoBackend
from tfjob.job import Manifest
from tfjob.launcher import current_namespace, is_in_pod
from tfjob.lines import LineCutter, Piece
from tfjob.spec import CONTAINER_NAME

Json = dict[str, Any]
# What is watched of a job, and what the whole cluster is asked for once.
Kind = Literal["tfjobs", "pods", "events"]
WideKind = Literal["nodes", "pods of all namespaces"]
# What a call raises while the API server restarts or the network fails.
CONNECTION_ERRORS = (urllib3.exceptions.HTTPError, OSError)
FORBIDDEN, NOT_FOUND, CONFLICT, GONE = 403, 404, 409, 410
_TEMPORARY = (429, 500, 502, 503, 504)

# Server and client end a watch after this long, so that one whose connection died unnoticed is renewed.
_WATCH_SECONDS = 30
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 30.0
# A log may be silent for as long as it likes: so the system asks whether the other side is there, after 30 s and then
# three times. Load balancers drop what is idle for minutes without a word, as does a server that loses its power.
_TCP_OPTIONS = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # not every system has them
_SOCKET_OPTIONS = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _TCP_OPTIONS.items()
        if hasattr(socket, name)
    ),
]
# What changes nothing, or nothing more the second time, is asked for again at once; POST and PATCH are not.
_TRIES, _LONGEST_PAUSE_SECONDS = 3, 5.0
# As kubectl asks for lists.
_PAGE_OBJECTS = 500
_PAGE_PAUSES_SECONDS = (1.0, 2.0, 4.0)
# Each replica's log is a connection. By default five a core are kept, and of each more that ends a warning is logged.
_MOST_CONNECTIONS = 1024


class _ShortWaits(urllib3.Retry):
    """Heeds what a busy server says of when to ask again, up to a few seconds: who calls asks again by itself, later.

    Up to 32 s are said, through which a step that is told to end would hear nothing and be killed with its job left.
    """

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Returns how many seconds to wait, or None where the server does not say."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _LONGEST_PAUSE_SECONDS)


class Cluster:
    """A cluster with the training operator. Errors are the client's: `ApiException` and `CONNECTION_ERRORS`.

    Args:
        namespace: Where the jobs run.
        configuration: The cluster's address and credentials.
        answer_seconds: How long an answer may take.
    """

    def __init__(
        self, namespace: str, configuration: Configuration, *, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        configuration.connection_pool_maxsize = _MOST_CONNECTIONS
        if configuration.retries is None:
            configuration.retries = _ShortWaits(_TRIES)
        client = TrainingClient(namespace=namespace, job_kind=TFJOB_KIND, client_configuration=configuration)
        self._jobs, core = client.custom_api, client.core_api
        self._jobs.api_client.rest_client.pool_manager.connection_pool_kw["socket_options"] = _SOCKET_OPTIONS
        self._where = (GROUP, VERSION, namespace, TFJOB_PLURAL)
        self._timeout = (_CONNECT_SECONDS, answer_seconds)
        self._lists = {
            "tfjobs": partial(self._jobs.list_namespaced_custom_object, *self._where),
            "pods": partial(core.list_namespaced_pod, namespace),
            "events": partial(core.list_namespaced_event, namespace),
        }
        self._wide_lists = {"nodes": core.list_node, "pods of all namespaces": core.list_pod_for_all_namespaces}
        self._read_log = partial(core.read_namespaced_pod_log, namespace=namespace, container=CONTAINER_NAME)

    def create_job(self, manifest: Manifest) -> Json:
        """Returns the created TFJob."""
        return self._jobs.create_namespaced_custom_object(*self._where, dict(manifest), _request_timeout=self._timeout)  # type: ignore[no-any-return]

    def get_job(self, name: str) -> Json:
        """Returns a TFJob."""
        return self._jobs.get_namespaced_custom_object(*self._where, name, _request_timeout=self._timeout)  # type: ignore[no-any-return]

    def patch_job(self, name: str, patch: Mapping[str, Any]) -> None:
        """Merges a patch into a TFJob."""
        self._jobs.patch_namespaced_custom_object(*self._where, name, dict(patch), _request_timeout=self._timeout)

    def delete_job(self, name: str, uid: str) -> None:
        """Deletes a TFJob and, in the background, its pods and services, unless it is another one of that name."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        self._jobs.delete_namespaced_custom_object(*self._where, name, body=options, _request_timeout=self._timeout)

    def list_objects(self, kind: Kind, **selector: Any) -> Json:
        """Returns the list of those objects of a kind that a label or field selector names."""
        return self._read_list(self._lists[kind], selector)

    def list_whole_cluster(self, kind: WideKind, **selector: Any) -> Iterator[Json]:
        """Yields those objects of a kind in the whole cluster that a label or field selector names.

        A large cluster has a gigabyte of pods: they are asked for and held page by page. Where that takes so long that
        the server has forgotten how the cluster was at the first page, the others are of the cluster as it is then.

        Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
        """
        token = ""
        while True:
            page = self._read_page(kind, selector, token)
            yield from page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    def watch_objects(self, kind: Kind, resource_version: str, **selector: Any) -> Iterator[Json]:
        """Yields their changes from a version on."""
        # The type `object` leaves JSON as it is.
        stream = watch.Watch(return_type="object").stream(
            self._lists[kind],
            **selector,
            resource_version=resource_version,
            timeout_seconds=_WATCH_SECONDS,
            _request_timeout=(_CONNECT_SECONDS, _WATCH_SECONDS + _CONNECT_SECONDS),
        )
        for change in stream:
            yield {"type": change["type"], "object": change["raw_object"]}

    def follow_log(self, pod_name: str, since_seconds: int | None) -> Iterator[str]:
        """Yields the lines of a replica's log, each after a timestamp, until its container has ended.

        A very long line comes in pieces, as it is read: the API stamps its beginning, and the others are stamped here.
        """
        since = {} if since_seconds is None else {"since_seconds": since_seconds}
        response = self._read_log(
            pod_name,
            follow=True,
            timestamps=True,
            **since,
            _preload_content=False,
            # A training may be silent for long while it compiles.
            _request_timeout=(_CONNECT_SECONDS, None),
        )
        try:
            cutter = LineCutter()  # the client's own splitting forgets a last line without an end, and has no bounds
            for chunk in response.stream(amt=None, decode_content=False):
                yield from map(_stamp, cutter.feed(chunk))
            yield from map(_stamp, cutter.finish())
        finally:
            response.close()
            response.release_conn()

    def _read_page(self, kind: WideKind, selector: Mapping[str, Any], token: str) -> Json:
        """Returns a page. Of hundreds one may well fail for a moment, and all before it were for nothing."""
        for pause in _PAGE_PAUSES_SECONDS:
            try:
                return self._ask_page(kind, selector, token)
            except CONNECTION_ERRORS:
                pass
            except ApiException as error:
                if error.status not in _TEMPORARY:
                    raise
            time.sleep(pause)
        return self._ask_page(kind, selector, token)

    def _ask_page(self, kind: WideKind, selector: Mapping[str, Any], token: str) -> Json:
        asked = {**selector, "limit": _PAGE_OBJECTS}
        try:
            return self._read_list(self._wide_lists[kind], asked | ({"_continue": token} if token else {}))
        except ApiException as error:
            if not (later := _read_later_token(error)):
                raise
            return self._read_list(self._wide_lists[kind], asked | {"_continue": later})

    def _read_list(self, ask: Callable[..., Any], selector: Mapping[str, Any]) -> Json:
        response = ask(**selector, _preload_content=False, _request_timeout=self._timeout)
        return json.loads(response.data)  # type: ignore[no-any-return]


def _stamp(piece: Piece) -> str:
    return piece.text if piece.begins_line else f"{datetime.now(UTC).isoformat()} {piece.text}"


def load_configuration(environment: Mapping[str, str] = environ) -> Configuration:
    """Returns address and credentials of this pod's cluster, elsewhere of the kubeconfig's current one.

    Raises:
        NoBackend: There is neither a service account nor a kubeconfig.
    """
    configuration = Configuration()
    load = load_incluster_config if is_in_pod(environment) else load_kube_config
    try:
        load(client_configuration=configuration)
    except ConfigException as error:
        raise NoBackend(f"No cluster can be reached from here: {error}") from None
    return configuration


def connect(namespace: str | None = None) -> Cluster:
    """Returns the cluster of this pod, or of the kubeconfig.

    Args:
        namespace: Where the jobs run; None: this pod's namespace.

    Raises:
        NoBackend: There is neither a service account nor a kubeconfig.
    """
    return Cluster(namespace or current_namespace(), load_configuration())


def select(kind: Kind, job_name: str) -> dict[str, str]:
    """Returns the selector of a job's own objects; events have none."""
    selectors = {
        "tfjobs": {"field_selector": f"metadata.name={job_name}"},
        "pods": {"label_selector": f"{JOB_NAME_LABEL}={job_name}"},
    }
    return selectors.get(kind, {})


def _read_later_token(error: ApiException) -> str:
    """Returns the token that goes on after the page of one that is too old; nothing where the error is another."""
    with suppress(TypeError, ValueError, KeyError):
        return str(json.loads(error.body)["metadata"]["continue"]) if error.status == GONE else ""
    return ""


def explain(error: ApiException) -> str:
    """Returns what the API server said."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"
