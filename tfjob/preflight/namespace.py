"""The namespace of runs: whether it is there, and what it does to pods and jobs in it."""

from tfjob.preflight.api import NOT_FOUND, Api, Refused, core_path, exists, tfjobs_path
from tfjob.preflight.finding import Options, Outcome, Status
from tfjob.preflight.rights import lacks_right, tell_right
from tfjob.preflight.trial import IMPORT_NOTHING, probe_job, probe_pod

_INSTALL_KUEUE = (
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/kueue/releases/latest/download/manifests.yaml"
)
_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"


def check_namespace(api: Api, options: Options) -> Outcome:
    """Tells whether the namespace is there."""
    try:
        api.get(core_path(options.namespace))
    except Refused as error:
        if error.status != NOT_FOUND:
            raise
        return Outcome(
            Status.FAILED,
            f"there is no namespace {options.namespace}",
            f"kubectl create namespace {options.namespace}",
        )
    return Outcome(Status.OK, options.namespace)


def check_pod_security(api: Api, options: Options) -> Outcome:
    """Tells whether pods like the replicas are admitted: by Pod Security, quota and limit ranges."""
    try:
        labels = api.get(core_path(options.namespace))["metadata"].get("labels", {})
        level = labels.get(_SECURITY_LABEL, "no level of Pod Security on the namespace")
    except Refused:
        level = "level of Pod Security unknown"
    pod = probe_pod("tfjob-preflight", options, IMPORT_NOTHING)
    try:
        api.create(f"{core_path(options.namespace)}/pods", pod, dry_run=True)
    except Refused as error:
        if lacks_right(error):
            return Outcome(Status.UNKNOWN, f"{level}; {tell_right(error)}")
        fix = f"kubectl --namespace {options.namespace} describe resourcequotas,limitranges"
        if "violates PodSecurity" in error.message:
            # What the project makes meets every level; then something here changes pods.
            fix = "kubectl get mutatingwebhookconfigurations"
        return Outcome(Status.FAILED, f"{level}; a pod like the replicas is refused: {error.message}", fix)
    return Outcome(Status.OK, f"{level}; a pod like the replicas is admitted (dry run)")


def check_istio(api: Api, options: Options) -> Outcome:
    """Tells whether Istio puts sidecars into the namespace's pods."""
    labels = api.get(core_path(options.namespace))["metadata"].get("labels", {})
    if labels.get("istio-injection") == "enabled" or "istio.io/rev" in labels:
        return Outcome(Status.OK, "injects sidecars into this namespace; replicas opt out by label")
    return Outcome(Status.OK, "no injection in this namespace")


def check_queue(api: Api, options: Options) -> Outcome:
    """Tells whether Kueue has the queue, and manages TFJobs."""
    namespace, queue = options.namespace, options.queue or ""
    try:
        version = api.get("/apis/kueue.x-k8s.io")["preferredVersion"]["version"]
    except Refused as error:
        if error.status != NOT_FOUND:
            raise
        return Outcome(Status.FAILED, "Kueue is not installed", _INSTALL_KUEUE)
    path = f"/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/localqueues"
    if not exists(api, f"{path}/{queue}"):
        return Outcome(
            Status.FAILED,
            f"there is no LocalQueue {queue}",
            f"kubectl --namespace {namespace} get localqueues",
        )
    queued = api.create(tfjobs_path(namespace), probe_job(options, {"kueue.x-k8s.io/queue-name": queue}), dry_run=True)
    if not queued["spec"].get("runPolicy", {}).get("suspend"):
        fix = "kubectl --namespace kueue-system edit configmap kueue-manager-config"
        return Outcome(
            Status.FAILED, "Kueue leaves TFJobs alone: add kubeflow.org/tfjob to integrations.frameworks", fix
        )
    return Outcome(Status.OK, f"LocalQueue {queue} is there, and a TFJob in it waits for admission (dry run)")
