"""The training operator: the API that it serves, its Deployment, its version, its webhook."""

import re

from tfjob.preflight.api import NOT_FOUND, Api, Json, Refused, tfjobs_path
from tfjob.preflight.finding import Options, Outcome, Status
from tfjob.preflight.rights import lacks_right
from tfjob.preflight.trial import probe_job
from tfjob.spec import CONTAINER_NAME

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
        api.create(tfjobs_path(options.namespace), probe_job(options), dry_run=True)
    except Refused as error:
        if lacks_right(error):
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
        api.create(tfjobs_path(options.namespace), nonsense, dry_run=True)
    except Refused as error:
        if lacks_right(error):
            raise
        return Outcome(Status.OK, f"refuses a TFJob without a container {CONTAINER_NAME} (dry run)")
    return Outcome(
        Status.WARNING,
        f"a TFJob without a container {CONTAINER_NAME} is admitted: the operator's webhook is not registered, and "
        "mistakes show as jobs that never run",
        "kubectl apply --server-side -k manifests/operator",
    )


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
