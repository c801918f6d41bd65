"""The calls that preflight makes, as plain JSON."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException

from tfjob.cluster import FORBIDDEN, NOT_FOUND, Cluster, KubernetesBackend
from tfjob.job import Manifest

Json = dict[str, Any]

# An API server gives a webhook up to 30 seconds, and only then says that it did not answer.
_TIMEOUT = (5.0, 35.0)
# What the server does not get round to is asked again after so many seconds: nothing that is asked changes anything.
_TOO_MANY_REQUESTS = 429
_PAUSES_SECONDS = (1.0, 2.0, 4.0)
# How long a replica of the trial may wait for its node, image or volume.
_PENDING_SECONDS = 180.0


class Api:
    """A cluster as preflight asks it. Errors are the client's: `ApiException` and `CONNECTION_ERRORS`.

    Args:
        configuration: Its address and who asks.
        sleep: Waits so many seconds.
    """

    def __init__(self, configuration: Configuration, sleep: Callable[[float], object] = time.sleep) -> None:
        # What does not answer is told at once, not after three tries.
        configuration.retries = False
        self._client, self._configuration, self._sleep = ApiClient(configuration), configuration, sleep

    def get(self, path: str) -> Json:
        """Returns what is at a path."""
        return self._call("GET", path)

    def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """Returns what was created: reviews that are kept nowhere, and in a dry run what would be."""
        return self._call("POST", path, body, {"dryRun": "All"} if dry_run else {})

    def run_job(self, manifest: Manifest) -> None:
        """Runs a TFJob to its end, as a step of a run does, and raises `TFJobError` where it does not succeed."""
        cluster = Cluster(manifest["metadata"]["namespace"], self._configuration)
        backend = KubernetesBackend(cluster=cluster, pending_seconds=_PENDING_SECONDS)
        with tempfile.TemporaryDirectory() as folder:
            backend.run(manifest, log_dir=Path(folder), on_event=lambda _: None)

    def _call(self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None) -> Json:
        for pause in _PAUSES_SECONDS:
            try:
                return self._ask(method, path, body, query)
            except ApiException as error:
                if error.status != _TOO_MANY_REQUESTS:
                    raise
            self._sleep(pause)
        return self._ask(method, path, body, query)

    def _ask(self, method: str, path: str, body: Json | None, query: Mapping[str, str] | None) -> Json:
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
        answer: Json = json.loads(response.data)
        return answer


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
    except ApiException as error:
        if error.status == NOT_FOUND:
            return False
        # Whoever may not look is told so by the question that follows.
        if error.status != FORBIDDEN:
            raise
    return True
