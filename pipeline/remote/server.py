"""A Kubeflow Pipelines server: how it is reached, one session with it, and errors that say what to do.

The generated client `kfp_server_api` makes the calls, as it does for `kfp.Client`. All of them, downloads included, go
through one connection pool that looks at every answer.
"""

import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import kfp_server_api  # type: ignore[import-untyped]
import urllib3
from kfp.client import ServiceAccountTokenVolumeCredentials

from pipeline.remote.bodies import TooLargeError, read_message, read_whole
from pipeline.remote.retries import RETRIES

ENDPOINT_VARIABLE, NAMESPACE_VARIABLE = "KFP_ENDPOINT", "KFP_NAMESPACE"
TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = "KFP_TOKEN", "KFP_TOKEN_FILE"
COOKIES_VARIABLE, CA_CERT_VARIABLE = "KFP_COOKIES", "KFP_CA_CERT"
# Where the SDK looks for the token that a pod of Kubeflow's is given.
POD_TOKEN_VARIABLE, POD_TOKEN_FILE = "KF_PIPELINES_SA_TOKEN_PATH", "/var/run/secrets/kubeflow/pipelines/token"
# The first version that hands a step's volumes and resources on (dsl.TaskConfig).
LEAST_VERSION = "2.15"
_HEALTH_PATH = "/apis/v2beta1/healthz"
_VERSION_KEYS = ("tag_name", "apiServerTagName", "frontendTagName")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
# Where an installation for a single user runs everything.
_SINGLE_USER_NAMESPACE = "kubeflow"
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_PORT_FORWARD = "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80, then KFP_ENDPOINT=http://localhost:8080"
_HOW_TO_LOG_IN = (
    f"Give a bearer token ({TOKEN_VARIABLE}, or {TOKEN_FILE_VARIABLE} for a file that is read anew for each call) or "
    f"the cookies of a browser that is logged in ({COOKIES_VARIABLE}, such as 'oauth2_proxy_kubeflow=…')."
)
_TEMPORARY_STATUS = (429, 500, 502, 503, 504)


class ServerError(Exception):
    """The server cannot be used, or refused; the message says why and what to do."""


class ConnectionLostError(ServerError):
    """No useful answer came. A later try may get one.

    Attributes:
        status: HTTP status of the answer; None if there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnauthorizedError(ServerError):
    """The server does not know the caller, or the caller may not do this."""


class NotFoundError(ServerError):
    """The server does not have what was asked for."""


@dataclass(frozen=True)
class Access:
    """How a server is reached.

    Attributes:
        endpoint: URL of KFP's dashboard, without a slash at its end.
        namespace: Kubernetes namespace of the runs; empty in an installation for a single user.
        token: Bearer token.
        token_file: File with a bearer token, read anew for each call.
        cookies: Value of the Cookie header.
        ca_cert: File with the certificate of the authority that signed the server's.
    """

    endpoint: str
    namespace: str = ""
    token: str = ""
    token_file: str = ""
    cookies: str = ""
    ca_cert: str = ""

    @classmethod
    def read(cls, endpoint: str, namespace: str, environ: Mapping[str, str] = os.environ) -> Self:
        """Returns the access that a person asked for.

        Args:
            endpoint: URL of the dashboard, as a person writes or copies it.
            namespace: Namespace of the runs, or nothing.
            environ: Environment with the credentials.

        Raises:
            ServerError: A value cannot be.
        """
        pod_token_file = environ.get(POD_TOKEN_VARIABLE, POD_TOKEN_FILE)
        access = cls(
            endpoint=normalize_endpoint(endpoint),
            namespace=namespace,
            token=environ.get(TOKEN_VARIABLE, "").strip(),
            token_file=environ.get(TOKEN_FILE_VARIABLE) or (pod_token_file if Path(pod_token_file).exists() else ""),
            cookies=environ.get(COOKIES_VARIABLE, ""),
            ca_cert=environ.get(CA_CERT_VARIABLE, ""),
        )
        for variable, path in ((TOKEN_FILE_VARIABLE, access.token_file), (CA_CERT_VARIABLE, access.ca_cert)):
            if path and not os.access(path, os.R_OK):
                raise ServerError(f"{variable} must name a file that can be read. Received: {path}.")
        return access

    @property
    def origin(self) -> str:
        """Scheme and host: the dashboard's own calls for metadata go there, whatever path it has."""
        url = urlsplit(self.endpoint)
        return f"{url.scheme}://{url.netloc}"

    @property
    def renews_token(self) -> bool:
        """Whether an expired token may be replaced by a fresh one while this program runs."""
        return bool(self.token_file and not self.token)

    def inspect_pods(self, run_id: str) -> str:
        """Returns the command that shows what the cluster says of a run's pods."""
        return f"kubectl describe pods -n {self.namespace or _SINGLE_USER_NAMESPACE} -l pipeline/runid={run_id}"

    def link_run(self, run_id: str) -> str:
        """Returns where a person sees the run."""
        return f"{self.endpoint}/#/runs/details/{run_id}"

    def link_runs(self) -> str:
        """Returns where a person sees all runs."""
        return f"{self.endpoint}/#/runs"

    def link_version(self, pipeline_id: str, version_id: str) -> str:
        """Returns where a person sees the version of a pipeline."""
        return f"{self.endpoint}/#/pipelines/details/{pipeline_id}/version/{version_id}"


@dataclass(frozen=True)
class Health:
    """What a server says about itself.

    Attributes:
        version: Such as 2.17.0; empty if it does not say.
        is_multi_user: Whether runs belong to namespaces.
        is_ready: Whether the API server behind the dashboard answers.
    """

    version: str
    is_multi_user: bool
    is_ready: bool = True


class Server:
    """A session with a server.

    Args:
        access: How it is reached.

    Attributes:
        access: Likewise.
        experiments: The generated calls about experiments.
        pipelines: Those about pipelines.
        runs: Those about runs.
        uploads: Those that upload pipelines.
    """

    def __init__(self, access: Access) -> None:
        configuration = kfp_server_api.Configuration(host=access.endpoint)
        configuration.ssl_ca_cert = access.ca_cert or None
        configuration.retries = RETRIES
        configuration.api_key_prefix["authorization"] = "Bearer"
        if access.token:
            configuration.api_key["authorization"] = access.token
        elif access.token_file:
            configuration.api_key["authorization"] = "replaced by the hook"
            credentials = ServiceAccountTokenVolumeCredentials(path=access.token_file)
            configuration.refresh_api_key_hook = credentials.refresh_api_key_hook
        self._client = kfp_server_api.ApiClient(configuration, cookie=access.cookies or None)
        rest = self._client.rest_client
        rest.pool_manager = CheckedPool(rest.pool_manager)
        self.access = access
        self.experiments = kfp_server_api.ExperimentServiceApi(self._client)
        self.pipelines = kfp_server_api.PipelineServiceApi(self._client)
        self.runs = kfp_server_api.RunServiceApi(self._client)
        self.uploads = kfp_server_api.PipelineUploadServiceApi(self._client)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        is_at_origin: bool = False,
        is_streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Returns the answer to a call that the generated client does not have.

        Args:
            method: GET or POST.
            path: Path, quoted, from the endpoint on.
            query: The query's names and values.
            headers: Further headers.
            body: Content of a POST.
            is_at_origin: The path counts from the host on.
            is_streamed: The body, of any size, is left to who calls.

        Raises:
            ServerError: There is no such answer, or not a whole one.
        """
        host = self.access.origin if is_at_origin else None
        answer = self._client.call_api(
            path,
            method,
            query_params=[*query],
            header_params={**(headers or {})},
            body=body,
            auth_settings=["Bearer"],
            _preload_content=False,
            _host=host,
        )
        assert isinstance(answer, urllib3.BaseHTTPResponse)  # noqa: S101 - the generated client has no types
        return answer if is_streamed else hold(f"{host or self.access.endpoint}{path}", answer)

    def check(self) -> Health:
        """Returns what the server says about itself, if it can run the pipeline.

        Raises:
            ServerError: It cannot, or not for this caller.
        """
        try:
            text = self.call("GET", _HEALTH_PATH).data.decode(errors="replace")
        except NotFoundError as error:
            raise ServerError(
                f"There is no KFP 2 at {self.access.endpoint}: {_HEALTH_PATH} was answered with 404. "
                f"{ENDPOINT_VARIABLE} must be the address of KFP's dashboard; within Kubeflow's it ends in /pipeline."
            ) from error
        health = read_health(text)
        if not health.is_ready:
            raise ConnectionLostError(f"{self.access.endpoint} answers, but KFP's API server behind it does not. Wait.")
        if health.version and _read_version(health.version) < _read_version(LEAST_VERSION):
            raise ServerError(
                f"KFP must be {LEAST_VERSION} or later: older versions do not hand a step's volumes to the TFJobs it "
                f"starts (TaskConfig). Received: {health.version}."
            )
        if health.is_multi_user and not self.access.namespace:
            raise ServerError(
                f"{self.access.endpoint} serves several users, whose runs live in namespaces. Name yours: "
                f"{NAMESPACE_VARIABLE}=…, or --namespace."
            )
        return health


class CheckedPool:
    """A connection pool whose answers are what was asked for; anything else raises a `ServerError`.

    Args:
        pool: The pool of connections.
    """

    def __init__(self, pool: urllib3.PoolManager) -> None:
        self._pool = pool

    def request(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Returns the answer to a request, as urllib3's pool does.

        Raises:
            ServerError: None came, or not that of KFP, or one that is an error.
        """
        is_held = options.get("preload_content", True)
        options |= {"timeout": options.get("timeout") or _TIMEOUT, "preload_content": False}
        try:
            response = self._pool.request(method, url, **options)
            check_answer(method, url, response)
        except urllib3.exceptions.HTTPError as error:
            raise describe_lost_connection(url, error) from error
        return hold(url, response) if is_held else response


def hold(url: str, answer: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
    """Returns an answer with its body in memory.

    Raises:
        ServerError: It is too large, or was cut off.
    """
    try:
        content = io.BytesIO(read_whole(answer))
    except TooLargeError as error:
        raise ServerError(f"{url.partition('?')[0]} {error}.") from error
    except urllib3.exceptions.HTTPError as error:
        raise describe_lost_connection(url, error) from error
    return urllib3.HTTPResponse(
        content,
        answer.headers,
        answer.status,
        reason=answer.reason,
        decode_content=False,
        enforce_content_length=False,
    )


def normalize_endpoint(text: str) -> str:
    """Returns the URL of a dashboard as calls need it, from what a person writes or copies from a browser.

    Raises:
        ServerError: It is not one.
    """
    expected = f"{ENDPOINT_VARIABLE} must be a URL such as https://kubeflow.example/pipeline"
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        is_possible = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError as error:
        raise ServerError(f"{expected}: {error}.") from None
    # What may be secret is in no message: each of them is told and linked with this address.
    shown = url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()
    if not is_possible:
        raise ServerError(f"{expected}. Received: {shown}.")
    if "@" in url.netloc:
        raise ServerError(
            f"{expected}, without a user: none is sent to the server. Received: {shown}. {_HOW_TO_LOG_IN}"
        )
    path = url.path.rstrip("/")
    # Kubeflow's dashboard shows KFP's in a frame, and puts /_ before its path.
    return f"{url.scheme}://{url.netloc}{path.removeprefix('/_')}"


def read_health(text: str) -> Health:
    """Returns what the answer of the API server, or of the dashboard before it, says.

    Raises:
        ServerError: It is neither's.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not {"multi_user", *_VERSION_KEYS} & answer.keys():
        raise ServerError(f"{_HEALTH_PATH} must be answered as KFP does, with multi_user. Received: {text[:100]!r}.")
    versions = (str(answer.get(key) or "") for key in _VERSION_KEYS)
    return Health(
        version=next(filter(_VERSION.match, versions), ""),
        is_multi_user=bool(answer.get("multi_user")),
        is_ready=answer.get("apiServerReady") is not False,
    )


def check_answer(method: str, url: str, response: urllib3.BaseHTTPResponse) -> None:
    """Checks that an answer is neither an error nor a login page.

    Raises:
        ServerError: It is.
    """
    place = url.partition("?")[0]
    if response.status < 300:  # noqa: PLR2004 - redirections have been followed
        was_redirected = response.retries is not None and bool(response.retries.history)
        if "text/html" in response.headers.get("Content-Type", "") and (was_redirected or "/apis/" in place):
            raise UnauthorizedError(f"{place} was answered with a login page. {_HOW_TO_LOG_IN}")
        return
    told = f"{method} {place} was answered with {response.status}: {read_message(response)}"
    match response.status:
        case 401:
            raise UnauthorizedError(f"{told}\nThe server does not know you, or no longer. {_HOW_TO_LOG_IN}")
        case 403:
            raise UnauthorizedError(
                f"{told}\nYou are not allowed to do this, or not logged in. Is the namespace yours? {_HOW_TO_LOG_IN}"
            )
        case 404:
            raise NotFoundError(told)
        case status if status in _TEMPORARY_STATUS:
            raise ConnectionLostError(told, status)
    raise ServerError(told)


def describe_lost_connection(url: str, error: urllib3.exceptions.HTTPError) -> ServerError:
    """Returns the error that tells why no answer came."""
    reason = getattr(error, "reason", None) or error
    place = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    why = str(reason).partition("): ")[2] or str(reason)
    if isinstance(reason, urllib3.exceptions.SSLError):
        return ServerError(
            f"No secure connection to {place}: {why}. If your own authority signed its certificate, name the "
            f"authority's: {CA_CERT_VARIABLE}=/path/to/ca.crt. If it speaks plain HTTP, as a port-forward does, write "
            f"http:// in {ENDPOINT_VARIABLE}."
        )
    return ConnectionLostError(
        f"{place} cannot be reached: {why}. Is {ENDPOINT_VARIABLE} right, and the network it needs there? "
        f"Without an address from outside: {_PORT_FORWARD}."
    )


def _read_version(text: str) -> tuple[int, ...]:
    return tuple(map(int, _VERSION.findall(text)[0]))
