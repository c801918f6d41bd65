"""What a cluster must have for TFJobs, each a small function from a cluster to a finding."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tfjob.job import CONTAINER_NAME, GPU_RESOURCE
from tfjob.preflight_api import FORBIDDEN, NOT_FOUND, Api, Json, Refused, Unreachable
from tfjob.preflight_finding import Finding, Options, Outcome, Status
from tfjob.preflight_trial import IMPORT_NOTHING, core_path, probe_job, probe_pod, try_image, try_volume

# What the step that launches TFJobs does in its namespace. `manifests/base/role.yaml` grants exactly this.
NEEDED_RIGHTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("kubeflow.org", "tfjobs", ("create", "delete", "get", "list", "patch", "watch")),
    ("", "pods", ("list", "watch")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list", "watch")),
)

# Source: the image's tag in manifests/overlays/standalone/kustomization.yaml of each release.
_OPERATOR_TAGS = {
    "v1-5170a36": "v1.9.0",
    "v1-5c0e763": "v1.9.1",
    "v1-3f15cb8": "v1.9.2",
    "v1-d6eb98e": "v1.9.3",
    "v1-93c5489": "v1.9.4",
}
_TESTED_OPERATOR = "v1.9.3"
_OPERATOR_LABEL = "control-plane=kubeflow-training-operator"
# The oldest that the operator's installation guide names.
_MIN_KUBERNETES_MINOR = 28
# The first whose steps are told their volumes and resources (TaskConfig).
_MIN_KFP = (2, 15)

# Block devices and folders of one node. Source: https://kubernetes-csi.github.io/docs/drivers and each one's documents.
_SINGLE_NODE_PROVISIONERS = frozenset(
    {
        "cinder.csi.openstack.org",
        "csi.hetzner.cloud",
        "csi.vsphere.vmware.com",
        "disk.csi.azure.com",
        "diskplugin.csi.alibabacloud.com",
        "dobs.csi.digitalocean.com",
        "docker.io/hostpath",
        "ebs.csi.aws.com",
        "ebs.csi.eks.amazonaws.com",
        "hostpath.csi.k8s.io",
        "k8s.io/minikube-hostpath",
        "kubernetes.io/aws-ebs",
        "kubernetes.io/azure-disk",
        "kubernetes.io/cinder",
        "kubernetes.io/gce-pd",
        "kubernetes.io/no-provisioner",
        "linodebs.csi.linode.com",
        "microk8s.io/hostpath",
        "pd.csi.storage.gke.io",
        "rancher.io/local-path",
        "rbd.csi.ceph.com",
        "topolvm.io",
    }
)
_SHARED_PROVISIONERS = frozenset(
    {
        "cephfs.csi.ceph.com",
        "cluster.local/nfs-subdir-external-provisioner",
        "driver.longhorn.io",
        "efs.csi.aws.com",
        "file.csi.azure.com",
        "filestore.csi.storage.gke.io",
        "nfs.csi.k8s.io",
        "smb.csi.k8s.io",
    }
)
_INSTALL_KUEUE = (
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/kueue/releases/latest/download/manifests.yaml"
)
# `pods is forbidden: User "me" cannot list resource "pods" in API group …`
_RIGHT = re.compile(r'User "[^"]*" cannot (\w+) resource "([^"]+)"')
_IS_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"


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
    inspect: Callable[[Api, Options], Outcome]
    needs: tuple[str, ...] = ()
    applies: Callable[[Options], bool] = lambda _: True


def run_checks(api: Api, options: Options) -> Iterator[Finding]:
    """Yields what each check finds, in their order."""
    missing: set[str] = set()
    for check in CHECKS:
        if not check.applies(options):
            continue
        lacking = [name for name in check.needs if name in missing]
        outcome = Outcome(Status.UNKNOWN, f"not looked at, for want of: {', '.join(lacking)}")
        if not lacking:
            outcome = _inspect(check, api, options)
        yield Finding(outcome.status, check.what, outcome.detail, outcome.fix)
        if lacking or outcome.status is Status.FAILED:
            missing.add(check.what)
        if check is CHECKS[0] and missing:
            # Without an API server, every further line would say the same.
            return


def _inspect(check: Check, api: Api, options: Options) -> Outcome:
    try:
        return check.inspect(api, options)
    except Refused as error:
        if _lacks_right(error):
            return Outcome(Status.UNKNOWN, _tell_right(error))
        return Outcome(Status.FAILED, f"the answer was {error}")
    except Unreachable as error:
        return Outcome(Status.FAILED, f"no answer: {error}", "kubectl cluster-info")


def check_server(api: Api, _: Options) -> Outcome:
    """Tells whether the API server answers, and whom it takes us for."""
    api.get("/version")
    try:
        return Outcome(Status.OK, f"answers, and takes this user for {_who_asks(api)}")
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


def check_tfjob_api(api: Api, _: Options) -> Outcome:
    """Tells whether the cluster knows TFJobs, by the discovery that every user may read."""
    install = "kubectl apply --server-side -k manifests/operator"
    try:
        resources = api.get("/apis/kubeflow.org/v1")["resources"]
    except Refused as error:
        if error.status != NOT_FOUND:
            raise
        return Outcome(
            Status.FAILED, "the cluster serves no kubeflow.org/v1: the training operator is not installed", install
        )
    if "tfjobs" not in [resource["name"] for resource in resources]:
        return Outcome(Status.FAILED, "kubeflow.org/v1 is served, but without tfjobs", install)
    return Outcome(Status.OK, "tfjobs of kubeflow.org/v1 are served")


def check_operator(api: Api, _: Options) -> Outcome:
    """Tells whether the training operator runs."""
    deployments = _find_operators(api)
    if not deployments:
        return Outcome(
            Status.UNKNOWN,
            f"no Deployment has the label {_OPERATOR_LABEL}; the webhook below tells whether one answers",
        )
    metadata, wanted = deployments[0]["metadata"], deployments[0]["spec"]["replicas"]
    name, place = metadata["name"], metadata["namespace"]
    ready = deployments[0].get("status", {}).get("readyReplicas", 0)
    detail = f"Deployment {place}/{name}: {ready} of {wanted} pods ready"
    if wanted == 0:
        return Outcome(Status.FAILED, detail, f"kubectl --namespace {place} scale deployment {name} --replicas 1")
    if ready == 0:
        return Outcome(Status.FAILED, detail, f"kubectl --namespace {place} describe pods --selector {_OPERATOR_LABEL}")
    return Outcome(Status.OK, detail)


def check_operator_version(api: Api, _: Options) -> Outcome:
    """Tells the training operator's version, as far as its image's tag does."""
    deployments = _find_operators(api)
    if not deployments:
        return Outcome(Status.UNKNOWN, f"without its Deployment nothing tells it; tested is {_TESTED_OPERATOR}")
    image = deployments[0]["spec"]["template"]["spec"]["containers"][0]["image"]
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    version = _OPERATOR_TAGS.get(tag, tag if re.fullmatch(r"v1\.\d+\.\d+.*", tag) else None)
    if version is None:
        return Outcome(Status.UNKNOWN, f"the tag of {image} does not tell it; tested is {_TESTED_OPERATOR}")
    if version != _TESTED_OPERATOR:
        return Outcome(Status.WARNING, f"{version} ({image}); tested is {_TESTED_OPERATOR}")
    return Outcome(Status.OK, f"{version} ({image})")


def check_webhook(api: Api, options: Options) -> Outcome:
    """Tells whether the operator's webhook admits a TFJob, by a dry run."""
    try:
        api.create(_tfjobs(options.namespace), probe_job(options), dry_run=True)
    except Refused as error:
        if _lacks_right(error):
            raise
        fix = None
        if "failed calling webhook" in error.message:
            fix = _restart_command(api)
        return Outcome(Status.FAILED, f"a valid TFJob is refused: {error.message}", fix)
    return Outcome(Status.OK, "admits a valid TFJob (dry run)")


def check_webhook_refuses(api: Api, options: Options) -> Outcome:
    """Tells whether a TFJob that cannot run is refused, by a dry run."""
    nonsense = probe_job(options)
    nonsense["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["name"] = "nobody"
    try:
        api.create(_tfjobs(options.namespace), nonsense, dry_run=True)
    except Refused as error:
        if _lacks_right(error):
            raise
        return Outcome(Status.OK, f"refuses a TFJob without a container {CONTAINER_NAME} (dry run)")
    return Outcome(
        Status.WARNING,
        f"a TFJob without a container {CONTAINER_NAME} is admitted: the operator's webhook is not registered, and "
        "mistakes show as jobs that never run",
        "kubectl apply --server-side -k manifests/operator",
    )


def check_rights(api: Api, options: Options) -> Outcome:
    """Tells whether whoever launches TFJobs may do what that takes."""
    account, namespace = options.service_account, options.namespace
    if account is None:
        user = _who_asks(api)
        missing = _missing_rights(api, options, "selfsubjectaccessreviews", {})
    else:
        user = f"system:serviceaccount:{namespace}:{account}"
        if not _exists(api, f"{core_path(namespace)}/serviceaccounts/{account}"):
            fix = f"kubectl --namespace {namespace} create serviceaccount {account}"
            return Outcome(Status.FAILED, f"there is no service account {account} in {namespace}", fix)
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        try:
            missing = _missing_rights(api, options, "subjectaccessreviews", {"user": user, "groups": groups})
        except Refused as error:
            if error.status != FORBIDDEN:
                raise
            ask = f"kubectl auth can-i create tfjobs.kubeflow.org --namespace {namespace} --as {user}"
            return Outcome(Status.UNKNOWN, f"those of {user}: {_tell_right(error)}", ask)
    if missing:
        return Outcome(Status.FAILED, f"{user} may not {'; '.join(missing)}", _grant_command(user, namespace))
    return Outcome(Status.OK, f"{user} may do all that launching takes")


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
        if _lacks_right(error):
            return Outcome(Status.UNKNOWN, f"{level}; {_tell_right(error)}")
        fix = f"kubectl --namespace {options.namespace} describe resourcequotas,limitranges"
        if "violates PodSecurity" in error.message:
            # What the project makes meets every level; then something here changes pods.
            fix = "kubectl get mutatingwebhookconfigurations"
        return Outcome(Status.FAILED, f"{level}; a pod like the replicas is refused: {error.message}", fix)
    return Outcome(Status.OK, f"{level}; a pod like the replicas is admitted (dry run)")


def check_storage_class(api: Api, options: Options) -> Outcome:
    """Tells whether the storage class is there, and whether its provisioner is known to do the access mode."""
    classes = api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
    names = ", ".join(item["metadata"]["name"] for item in classes) or "none"
    if options.storage_class is not None:
        chosen = [item for item in classes if item["metadata"]["name"] == options.storage_class]
        if not chosen:
            return Outcome(
                Status.FAILED,
                f"there is no class {options.storage_class}; there are: {names}",
                "kubectl get storageclasses",
            )
    else:
        chosen = [item for item in classes if item["metadata"].get("annotations", {}).get(_IS_DEFAULT_CLASS) == "true"]
        if not chosen:
            name = classes[0]["metadata"]["name"] if classes else "NAME"
            return Outcome(
                Status.FAILED,
                f"no class is the default; there are: {names}",
                f"kubectl annotate storageclass {name} {_IS_DEFAULT_CLASS}=true",
            )
    return _judge_class(chosen[0], options)


def check_image(api: Api, options: Options) -> Outcome:
    """Tells whether a pod of the image starts, by one."""
    if not options.is_trying:
        return Outcome(Status.UNKNOWN, f"{options.image}: not tried; --try makes a pod of it")
    return try_image(api, options)


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
    if not _exists(api, f"{path}/{queue}"):
        return Outcome(
            Status.FAILED,
            f"there is no LocalQueue {queue}",
            f"kubectl --namespace {namespace} get localqueues",
        )
    queued = api.create(_tfjobs(namespace), probe_job(options, {"kueue.x-k8s.io/queue-name": queue}), dry_run=True)
    if not queued["spec"].get("runPolicy", {}).get("suspend"):
        fix = "kubectl --namespace kueue-system edit configmap kueue-manager-config"
        return Outcome(
            Status.FAILED, "Kueue leaves TFJobs alone: add kubeflow.org/tfjob to integrations.frameworks", fix
        )
    return Outcome(Status.OK, f"LocalQueue {queue} is there, and a TFJob in it waits for admission (dry run)")


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


CHECKS = (
    Check("API server", check_server),
    Check("Kubernetes version", check_kubernetes_version),
    Check("namespace", check_namespace),
    Check("TFJob API", check_tfjob_api),
    Check("training operator", check_operator, needs=("TFJob API",)),
    Check("operator's version", check_operator_version, needs=("TFJob API",)),
    Check("webhook", check_webhook, needs=("namespace", "TFJob API")),
    Check("webhook's refusal", check_webhook_refuses, needs=("webhook",)),
    Check("rights", check_rights, needs=("namespace",)),
    Check("pod security", check_pod_security, needs=("namespace",)),
    Check("storage class", check_storage_class),
    Check("image", check_image, needs=("pod security",), applies=lambda options: options.image is not None),
    Check("volume", try_volume, needs=("image", "storage class"), applies=lambda options: options.is_trying),
    Check("Kubeflow Pipelines", check_pipelines, applies=lambda options: options.kfp_endpoint is not None),
    Check("Istio", check_istio, needs=("namespace",)),
    Check("Kueue", check_queue, needs=("webhook",), applies=lambda options: options.queue is not None),
    Check("GPUs", check_gpus, applies=lambda options: options.gpus > 0),
)


def _tfjobs(namespace: str) -> str:
    return f"/apis/kubeflow.org/v1/namespaces/{namespace}/tfjobs"


def _exists(api: Api, path: str) -> bool:
    try:
        api.get(path)
    except Refused as error:
        if error.status == NOT_FOUND:
            return False
        # Whoever may not look is told so by the question that follows.
        if error.status != FORBIDDEN:
            raise
    return True


def _lacks_right(error: Refused) -> bool:
    # Pod Security, quota and webhooks answer 403 as well.
    return error.status == FORBIDDEN and _RIGHT.search(error.message) is not None


def _tell_right(error: Refused) -> str:
    found = _RIGHT.search(error.message)
    return f"this user may not {found[1]} {found[2]}" if found else error.message


def _who_asks(api: Api) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return str(answer["status"]["userInfo"]["username"])


def _find_operators(api: Api) -> list[Json]:
    found: list[Json] = api.get(f"/apis/apps/v1/deployments?labelSelector={_OPERATOR_LABEL}")["items"]
    return found


def _restart_command(api: Api) -> str:
    try:
        operators = _find_operators(api)
    except Refused:
        operators = []
    if not operators:
        return f"kubectl get deployments --all-namespaces --selector {_OPERATOR_LABEL}"
    metadata, spec = operators[0]["metadata"], operators[0]["spec"]
    verb = "scale --replicas 1" if spec["replicas"] == 0 else "rollout restart"
    return f"kubectl --namespace {metadata['namespace']} {verb} deployment {metadata['name']}"


def _missing_rights(api: Api, options: Options, reviews: str, subject: Json) -> list[str]:
    kind = {"selfsubjectaccessreviews": "SelfSubjectAccessReview", "subjectaccessreviews": "SubjectAccessReview"}
    missing = []
    for group, resource, verbs in NEEDED_RIGHTS:
        name, _, subresource = resource.partition("/")
        refused = []
        for verb in verbs:
            attributes = {
                "namespace": options.namespace,
                "verb": verb,
                "group": group,
                "resource": name,
                "subresource": subresource,
            }
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": kind[reviews],
                "spec": {**subject, "resourceAttributes": attributes},
            }
            if not api.create(f"/apis/authorization.k8s.io/v1/{reviews}", review)["status"]["allowed"]:
                refused.append(verb)
        if refused:
            missing.append(f"{', '.join(refused)} {resource}{'.' + group if group else ''}")
    return missing


def _grant_command(user: str, namespace: str) -> str:
    *_, account = user.split(":")
    is_account = user.startswith("system:serviceaccount:")
    subject = f"--serviceaccount {':'.join(user.split(':')[2:])}" if is_account else f"--user {user}"
    return (
        f"kubectl --namespace {namespace} apply -f manifests/base/role.yaml && kubectl --namespace {namespace} create "
        f"rolebinding tfjob-speedup-{account} --role tfjob-speedup {subject}"
    )


def _judge_class(storage_class: Json, options: Options) -> Outcome:
    provisioner = storage_class["provisioner"]
    detail = f"{storage_class['metadata']['name']}, by {provisioner}"
    if options.access_mode != "ReadWriteMany" or provisioner in _SHARED_PROVISIONERS:
        return Outcome(Status.OK, detail)
    if provisioner in _SINGLE_NODE_PROVISIONERS:
        return Outcome(
            Status.WARNING,
            f"{detail}, which is not known to share a volume between nodes: take a class that does ReadWriteMany, or "
            "ReadWriteOnce with all replicas on one node",
            "kubectl get storageclasses",
        )
    if options.is_trying:
        return Outcome(Status.OK, f"{detail}; whether it does {options.access_mode} is tried below")
    return Outcome(Status.UNKNOWN, f"{detail}; whether it does {options.access_mode}, --try can tell")
