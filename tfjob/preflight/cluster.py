"""The cluster as such: its API server, its version, its GPUs, and Kubeflow Pipelines."""

import re

from tfjob.preflight.api import Api, Refused, Unreachable
from tfjob.preflight.finding import Options, Outcome, Status
from tfjob.preflight.rights import who_asks
from tfjob.spec import GPU_RESOURCE

# The oldest that the operator's installation guide names.
_MIN_KUBERNETES_MINOR = 28
# The first whose steps are told their volumes and resources (TaskConfig).
_MIN_KFP = (2, 15)


def check_server(api: Api, _: Options) -> Outcome:
    """Tells whether the API server answers, and whom it takes us for."""
    api.get("/version")
    try:
        return Outcome(Status.OK, f"answers, and takes this user for {who_asks(api)}")
    except Refused as error:
        return Outcome(Status.OK, f"answers; whom it takes this user for is unknown ({error})")


def check_kubernetes_version(api: Api, _: Options) -> Outcome:
    """Tells the version of Kubernetes."""
    version = api.get("/version")
    # Some vendors write `34+`.
    minor = int(re.sub(r"\D", "", version["minor"]))
    if (version["major"], minor) < ("1", _MIN_KUBERNETES_MINOR):
        return Outcome(
            Status.WARNING, f"{version['gitVersion']} is older than v1.{_MIN_KUBERNETES_MINOR}, and was not tried"
        )
    return Outcome(Status.OK, version["gitVersion"])


def check_gpus(api: Api, options: Options) -> Outcome:
    """Tells whether a node has as many GPUs as a replica asks for."""
    nodes = api.get("/api/v1/nodes")["items"]
    counts = {node["metadata"]["name"]: int(node["status"]["allocatable"].get(GPU_RESOURCE, 0)) for node in nodes}
    most = max(counts.values(), default=0)
    if most < options.gpus:
        fix = "kubectl get daemonsets --all-namespaces | grep nvidia"
        return Outcome(
            Status.FAILED, f"a replica asks for {options.gpus} {GPU_RESOURCE}; no node has more than {most}", fix
        )
    total = sum(counts.values())
    return Outcome(Status.OK, f"{total} {GPU_RESOURCE} on {sum(map(bool, counts.values()))} nodes")


def check_pipelines(api: Api, options: Options) -> Outcome:
    """Tells the version of Kubeflow Pipelines."""
    endpoint = (options.kfp_endpoint or "").rstrip("/")
    oldest = ".".join(map(str, _MIN_KFP))
    try:
        health = api.fetch(f"{endpoint}/apis/v2beta1/healthz")
    except Refused as error:
        return Outcome(Status.UNKNOWN, f"{endpoint} asks for a login, or is something else ({error})")
    except Unreachable as error:
        forward = "kubectl --namespace kubeflow port-forward service/ml-pipeline 8888:8888"
        return Outcome(Status.FAILED, f"no answer: {error}", f"{forward}   # and KFP_ENDPOINT=http://localhost:8888")
    # The API server says tag_name; the dashboard, which may answer in its place, apiServerTagName.
    version = str(health.get("tag_name") or health.get("apiServerTagName") or "")
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found is None:
        return Outcome(Status.UNKNOWN, f"{endpoint} answers, but does not tell its version: {version or 'none'!r}")
    if (int(found[1]), int(found[2])) < _MIN_KFP:
        return Outcome(Status.FAILED, f"version {version} is older than {oldest}: its steps are not told their volumes")
    return Outcome(Status.OK, f"version {version} at {endpoint}")
