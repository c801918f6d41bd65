"""What a cluster must have for TFJobs: the list of checks, each a small function from a cluster to a finding.

What a dry run or the trial shows has no check of its own.
"""

import dataclasses
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

from kubernetes.client.exceptions import ApiException

from tfjob.cluster import CONNECTION_ERRORS, NOT_FOUND, explain
from tfjob.errors import TFJobError
from tfjob.preflight.api import Api, core_path, exists, tfjobs_path
from tfjob.preflight.finding import Finding, Options, Status
from tfjob.preflight.rights import check_rights, lacks_right, tell_right
from tfjob.preflight.trial import check_trial, probe_job
from tfjob.settings import QUEUE_LABEL, lay_over, of_metadata
from tfjob.spec import CONTAINER_NAME, GPU_RESOURCE

_INSTALL_OPERATOR = "kubectl apply --server-side -k manifests/operator"
_INSTALL_KUEUE = (
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/kueue/releases/latest/download/manifests.yaml"
)
_IS_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Args:
        what: Its name.
        inspect: Looks.
        needs: Names of the checks without whose success it could say nothing.
        applies: Whether it is asked for.
    """

    what: str
    inspect: Callable[[Api, Options], Finding]
    needs: tuple[str, ...] = ()
    applies: Callable[[Options], bool] = lambda _: True


def check_server(api: Api, _: Options) -> Finding:
    """Tells whether the API server answers, and its version."""
    return Finding(Status.OK, api.get("/version")["gitVersion"])


def check_operator(api: Api, options: Options) -> Finding:
    """Tells whether TFJobs are taken, and by the training operator's webhook, in dry runs."""
    path, job = tfjobs_path(options.namespace), probe_job(options)
    try:
        api.create(path, job, dry_run=True)
    except ApiException as error:
        if lacks_right(error):
            raise
        return Finding(Status.FAILED, f"a valid TFJob is refused: {explain(error)}", _fix_refusal(error, options))
    nonsense = deepcopy(job)
    nonsense["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["name"] = "nobody"
    try:
        api.create(path, nonsense, dry_run=True)
    except ApiException as error:
        if lacks_right(error):
            raise
        return Finding(Status.OK, f"admits a valid TFJob, refuses one without a container {CONTAINER_NAME} (dry runs)")
    return Finding(
        Status.WARNING,
        f"a TFJob without a container {CONTAINER_NAME} is admitted: no webhook of the operator is registered, so that "
        "only a trial (--try) tells whether it runs",
        _INSTALL_OPERATOR,
    )


def _fix_refusal(error: ApiException, options: Options) -> str | None:
    message = explain(error)
    if error.status == NOT_FOUND and message.startswith("namespaces"):
        return f"kubectl create namespace {options.namespace}"
    if error.status == NOT_FOUND:
        return _INSTALL_OPERATOR
    if "failed calling webhook" in message:
        return "kubectl get deployments --all-namespaces --selector control-plane=kubeflow-training-operator"
    return None


def check_pods(api: Api, options: Options) -> Finding:
    """Tells whether pods like the replicas are admitted: by Pod Security, quota and limit ranges."""
    template = probe_job(options)["spec"]["tfReplicaSpecs"]["Worker"]["template"]
    metadata = {**template["metadata"], "name": "tfjob-preflight"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    try:
        api.create(f"{core_path(options.namespace)}/pods", pod, dry_run=True)
    except ApiException as error:
        if lacks_right(error):
            raise
        # What the project makes meets every level of Pod Security; then something here changes pods.
        is_changed = "violates PodSecurity" in explain(error)
        describe = f"kubectl --namespace {options.namespace} describe resourcequotas,limitranges"
        fix = "kubectl get mutatingwebhookconfigurations" if is_changed else describe
        return Finding(Status.FAILED, f"one like the replicas is refused: {explain(error)}", fix)
    return Finding(Status.OK, "one like the replicas is admitted (dry run)")


def check_storage_class(api: Api, options: Options) -> Finding:
    """Tells whether the workspace's storage class is there; what its volumes can do, only the trial shows."""
    classes = {item["metadata"]["name"]: item for item in api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]}
    names = ", ".join(classes) or "none"
    chosen = options.storage_class
    if chosen is not None and chosen not in classes:
        return Finding(Status.FAILED, f"there is no class {chosen}; there are: {names}", "kubectl get storageclasses")
    if chosen is None:
        annotations = {name: item["metadata"].get("annotations", {}) for name, item in classes.items()}
        chosen = next((name for name in classes if annotations[name].get(_IS_DEFAULT_CLASS) == "true"), None)
    if chosen is None:
        fix = f"kubectl annotate storageclass {next(iter(classes), 'NAME')} {_IS_DEFAULT_CLASS}=true"
        return Finding(Status.FAILED, f"no class is the default; there are: {names}", fix)
    detail = f"{chosen}, by {classes[chosen]['provisioner']}"
    if options.is_trying:
        return Finding(Status.OK, detail)
    return Finding(Status.UNKNOWN, f"{detail}; whether it does {options.access_mode}, --try can tell")


def check_queue(api: Api, options: Options) -> Finding:
    """Tells whether Kueue has the queue, and manages TFJobs."""
    namespace, queue = options.namespace, options.queue or ""
    if not exists(api, "/apis/kueue.x-k8s.io"):
        return Finding(Status.FAILED, "Kueue is not installed", _INSTALL_KUEUE)
    version = api.get("/apis/kueue.x-k8s.io")["preferredVersion"]["version"]
    if not exists(api, f"/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/localqueues/{queue}"):
        fix = f"kubectl --namespace {namespace} get localqueues"
        return Finding(Status.FAILED, f"there is no LocalQueue {queue}", fix)
    job = lay_over(probe_job(options), of_metadata(labels={QUEUE_LABEL: queue}))
    queued = api.create(tfjobs_path(namespace), job, dry_run=True)
    if not queued["spec"].get("runPolicy", {}).get("suspend"):
        fix = "kubectl --namespace kueue-system edit configmap kueue-manager-config"
        detail = "Kueue leaves TFJobs alone: add kubeflow.org/tfjob to integrations.frameworks"
        return Finding(Status.FAILED, detail, fix)
    return Finding(Status.OK, f"LocalQueue {queue} is there, and a TFJob in it waits for admission (dry run)")


def check_gpus(api: Api, options: Options) -> Finding:
    """Tells whether nodes offer GPUs, and enough on one node for a replica."""
    nodes = {item["metadata"]["name"]: item["status"] for item in api.get("/api/v1/nodes")["items"]}
    offered = {name: int(status.get("allocatable", {}).get(GPU_RESOURCE, 0)) for name, status in nodes.items()}
    having = {name: count for name, count in offered.items() if count}
    if not having:
        detail = f"none of {len(nodes)} nodes offers {GPU_RESOURCE}: the driver or NVIDIA's device plugin is missing"
        return Finding(Status.FAILED, detail, "kubectl get pods --all-namespaces | grep -i nvidia")
    told = f"{sum(having.values())} on {len(having)} of {len(nodes)} nodes, at most {max(having.values())} on one"
    if max(having.values()) < options.gpus:
        return Finding(Status.FAILED, f"{told}; a replica asks for {options.gpus}", "kubectl describe nodes")
    return Finding(Status.OK, told)


CHECKS = (
    Check("API server", check_server),
    Check("training operator", check_operator),
    Check("rights", check_rights),
    Check("pods", check_pods, needs=("training operator",)),
    Check("storage class", check_storage_class),
    Check("GPUs", check_gpus, applies=lambda options: options.gpus > 0),
    Check("Kueue", check_queue, needs=("training operator",), applies=lambda options: options.queue is not None),
    Check(
        "trial",
        check_trial,
        needs=("training operator", "pods", "storage class"),
        applies=lambda options: options.is_trying,
    ),
)


def run_checks(api: Api, options: Options) -> Iterator[Finding]:
    """Yields what each check finds, in their order."""
    missing: set[str] = set()
    for check in CHECKS:
        if not check.applies(options):
            continue
        lacking = [name for name in check.needs if name in missing]
        finding = Finding(Status.UNKNOWN, f"not looked at, for want of: {', '.join(lacking)}")
        if not lacking:
            finding = _inspect(check, api, options)
        yield dataclasses.replace(finding, what=check.what)
        if lacking or finding.status is Status.FAILED:
            missing.add(check.what)
        if check is CHECKS[0] and missing:
            # Without an API server, every further line would say the same.
            return


def _inspect(check: Check, api: Api, options: Options) -> Finding:
    try:
        return check.inspect(api, options)
    except ApiException as error:
        if lacks_right(error):
            return Finding(Status.UNKNOWN, tell_right(error))
        if error.status:
            return Finding(Status.FAILED, f"the answer was {error.status}: {explain(error)}")
        # So the client tells that TLS failed.
        return Finding(Status.FAILED, f"no answer: {error.reason}", "kubectl cluster-info")
    except CONNECTION_ERRORS as error:
        return Finding(Status.FAILED, f"no answer: {error}", "kubectl cluster-info")
    except TFJobError as error:
        return Finding(Status.FAILED, str(error))
