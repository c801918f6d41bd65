"""The calls that preflight makes, as plain JSON, and the real API server behind them."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any, Protocol

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

Json = dict[str, Any]

FORBIDDEN, NOT_FOUND = 403, 404

# An API server gives a webhook up to 30 seconds, and only then says that it did not answer.
_ANSWER_SECONDS = 35.0
_CONNECT_SECONDS = 5.0
_TIMEOUT = (_CONNECT_SECONDS, _ANSWER_SECONDS)


class Refused(Exception):  # noqa: N818 - named like what happened
    """The server answered, and not with success.

    Args:
        status: The HTTP status.
        message: What it said.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")


class Unreachable(Exception):  # noqa: N818 - named like what happened
    """There was no answer."""


class Api(Protocol):
    """What preflight asks, of the API server if not said otherwise. A call raises `Refused` or `Unreachable`."""

    def get(self, path: str) -> Json:
        """Returns what is at a path."""

    def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """Returns what was created, or what would be."""

    def delete(self, path: str) -> None:
        """Deletes what is at a path."""

    def fetch(self, url: str) -> Json:
        """Returns the JSON object at any URL."""

    def now(self) -> float:
        """Returns the seconds of a clock that is never set back."""

    def sleep(self, seconds: float) -> None:
        """Returns after some seconds."""


class ApiServer(Api):
    """A real API server.

    Args:
        client: Its address and who asks.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def get(self, path: str) -> Json:
        """Returns what is at a path."""
        return self._call("GET", path)

    def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """Returns what was created, or what would be."""
        return self._call("POST", path, body, {"dryRun": "All"} if dry_run else {})

    def delete(self, path: str) -> None:
        """Deletes what is at a path, at once."""
        self._call("DELETE", path, {"gracePeriodSeconds": 0})

    def fetch(self, url: str) -> Json:
        """Returns the JSON object at any URL."""
        try:
            response = urllib3.request("GET", url, timeout=_CONNECT_SECONDS, retries=False, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{url}: {error}") from error
        if response.status != 200:  # noqa: PLR2004 - HTTP's "OK"
            raise Refused(response.status, response.reason or "")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Refused(response.status, "the answer is no JSON object")
        return answer

    def now(self) -> float:
        """Returns the seconds of a clock that is never set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Returns after some seconds."""
        time.sleep(seconds)

    def _call(self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None) -> Json:
        try:
            response = self._client.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
        except ApiException as error:
            if not error.status:
                # So the client tells that TLS failed.
                raise Unreachable(f"{self._client.configuration.host}: {_explain(error)}") from error
            raise Refused(error.status, _explain(error)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"{self._client.configuration.host}: {error}") from error
        answer: Json = json.loads(response.data)
        return answer


def connect(environment: Mapping[str, str] = os.environ) -> ApiServer:
    """Returns the API server of this pod, or of the kubeconfig's current context.

    Raises:
        Unreachable: Nothing says where it is.
    """
    configuration = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in environment:
            load_incluster_config(client_configuration=configuration)
        else:
            load_kube_config(client_configuration=configuration)
    except ConfigException as error:
        raise Unreachable(str(error)) from error
    # What does not answer is told at once, not after three tries.
    configuration.retries = False
    return ApiServer(ApiClient(configuration))


def core_path(namespace: str) -> str:
    """Returns the path of a namespace."""
    return f"/api/v1/namespaces/{namespace}"


def tfjobs_path(namespace: str) -> str:
    """Returns the path of a namespace's TFJobs."""
    return f"/apis/kubeflow.org/v1/namespaces/{namespace}/tfjobs"


def exists(api: Api, path: str) -> bool:
    """Returns whether there is something at a path, or may be."""
    try:
        api.get(path)
    except Refused as error:
        if error.status == NOT_FOUND:
            return False
        # Whoever may not look is told so by the question that follows.
        if error.status != FORBIDDEN:
            raise
    return True


def _explain(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
