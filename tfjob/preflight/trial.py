"""Pods and claims that are made for a moment, to see what becomes of them."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tfjob.cluster import DOUBTFUL_REASONS, HOPELESS_REASONS
from tfjob.manifest import build_manifest
from tfjob.overlay import of_metadata
from tfjob.preflight.api import NOT_FOUND, Api, Json, Refused, Unreachable, core_path
from tfjob.preflight.finding import Options, Outcome, Status
from tfjob.spec import ReplicaSpec

_POLL_SECONDS = 1.0
_MOUNT = "/tfjob-preflight"
# What an interrupted trial may leave is found by it.
_LABELS = {"app.kubernetes.io/name": "tfjob-preflight"}
# What registries say to whom they do not know.
_ACCESS_WORDS = ("401", "403", "denied", "unauthorized", "Unauthorized", "authorization failed")
IMPORT_NOTHING = ("python", "-c", "pass")
_WRITE_A_FILE = ("python", "-c", f"open('{_MOUNT}/probe', 'w').write('ok')")


def probe_job(options: Options, labels: Mapping[str, str] | None = None) -> Json:
    """Returns the manifest of a tiny TFJob, made as a run makes its own."""
    return build_manifest(
        "tfjob-preflight",
        namespace=options.namespace,
        image=options.image or "localhost/tfjob-preflight:none",
        command=IMPORT_NOTHING,
        replicas={"Worker": ReplicaSpec(count=2, cpus=0.1, memory="128Mi")},
        overlays=[of_metadata(labels={**_LABELS, **(labels or {})})],
    )


def probe_pod(name: str, options: Options, command: Sequence[str], claim: str | None = None) -> Json:
    """Returns a pod with all that a replica's has but its program."""
    template: Json = probe_job(options)["spec"]["tfReplicaSpecs"]["Worker"]["template"]
    spec = template["spec"]
    container = spec["containers"][0]
    container |= {"command": list(command), "terminationMessagePolicy": "FallbackToLogsOnError"}
    # Should this process be killed, the pod still ends.
    spec |= {"restartPolicy": "Never", "activeDeadlineSeconds": max(1, int(options.timeout_seconds))}
    if claim is not None:
        container["volumeMounts"] = [{"name": "probe", "mountPath": _MOUNT}]
        spec["volumes"] = [{"name": "probe", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": spec}


def _probe_claim(options: Options) -> Json:
    spec: Json = {"accessModes": [options.access_mode], "resources": {"requests": {"storage": "1Mi"}}}
    if options.storage_class is not None:
        spec["storageClassName"] = options.storage_class
    metadata = {"name": _probe_name(), "labels": _LABELS}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _probe_name() -> str:
    return f"tfjob-preflight-{secrets.token_hex(4)}"


@contextmanager
def _temporary(api: Api, path: str, body: Json) -> Iterator[None]:
    is_made = True
    try:
        try:
            api.create(path, body)
        except Refused:
            is_made = False
            raise
        yield
    finally:
        # An interrupt or a lost answer may fall after the server has made it.
        if is_made:
            _delete(api, f"{path}/{body['metadata']['name']}")


def _delete(api: Api, path: str) -> None:
    try:
        api.delete(path)
    except Refused as error:
        if error.status != NOT_FOUND:
            raise Refused(error.status, f"{path} could not be deleted, do it by hand: {error.message}") from error
    except Unreachable as error:
        raise Unreachable(f"{path} could not be deleted, do it by hand: {error}") from error


def check_image(api: Api, options: Options) -> Outcome:
    """Tells whether a pod of the image starts, by one."""
    if not options.is_trying:
        return Outcome(Status.UNKNOWN, f"{options.image}: not tried; --try makes a pod of it")
    return _try_pod(api, options, IMPORT_NOTHING, f"{options.image} starts Python as a replica would")


def check_volume(api: Api, options: Options) -> Outcome:
    """Returns what became of a claim like the workspace's, and of a pod that writes to it."""
    claims = f"{core_path(options.namespace)}/persistentvolumeclaims"
    claim = _probe_claim(options)
    name = claim["metadata"]["name"]
    with _temporary(api, claims, claim):
        outcome = _try_pod(
            api,
            options,
            _WRITE_A_FILE,
            f"a claim with {options.access_mode} was filled and written by a pod; sharing between nodes was not tried",
            claim=name,
        )
        if outcome.status is Status.OK or api.get(f"{claims}/{name}").get("status", {}).get("phase") == "Bound":
            return outcome
        reason = _last_event(api, options.namespace, name) or outcome.detail
        selector = "involvedObject.kind=PersistentVolumeClaim"
        fix = f"kubectl --namespace {options.namespace} get events --field-selector {selector}"
        return Outcome(Status.FAILED, f"a claim with {options.access_mode} got no volume: {reason}", fix)


def _last_event(api: Api, namespace: str, name: str) -> str | None:
    try:
        events = api.get(f"{core_path(namespace)}/events?fieldSelector=involvedObject.name={name}")["items"]
    except Refused:
        return None
    return str(events[-1]["message"]) if events else None


def _try_pod(api: Api, options: Options, command: Sequence[str], success: str, *, claim: str | None = None) -> Outcome:
    name = _probe_name()
    pods = f"{core_path(options.namespace)}/pods"
    with _temporary(api, pods, probe_pod(name, options, command, claim)):
        deadline = api.now() + options.timeout_seconds
        while True:
            status = api.get(f"{pods}/{name}")["status"]
            if status.get("phase") == "Succeeded":
                return Outcome(Status.OK, success)
            trouble = _find_trouble(status)
            if trouble is not None:
                return Outcome(Status.FAILED, trouble, _fix_of_trouble(trouble, options))
            if api.now() >= deadline:
                waiting = _describe_wait(status)
                fix = f"kubectl --namespace {options.namespace} get events --sort-by .lastTimestamp"
                return Outcome(Status.FAILED, f"not started within {options.timeout_seconds:g} s: {waiting}", fix)
            api.sleep(_POLL_SECONDS)


def _find_trouble(status: Json) -> str | None:
    state = _container_state(status)
    waiting, terminated = state.get("waiting", {}), state.get("terminated", {})
    if waiting.get("reason") in HOPELESS_REASONS | DOUBTFUL_REASONS:
        return f"{waiting['reason']}: {waiting.get('message', '')}".strip()
    if status.get("phase") == "Failed":
        said = terminated.get("message") or status.get("message") or "no message"
        return f"{terminated.get('reason') or status.get('reason') or 'Failed'}: {said}".strip()
    return None


def _fix_of_trouble(trouble: str, options: Options) -> str | None:
    kubectl = f"kubectl --namespace {options.namespace}"
    if "runAsNonRoot" in trouble:
        return "echo 'USER 1000' >> Dockerfile   # then build and push it again"
    if not trouble.startswith(("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")):
        return None
    if any(word in trouble for word in _ACCESS_WORDS):
        return (
            f"{kubectl} create secret docker-registry registry --docker-server HOST --docker-username USER "
            f"--docker-password PASSWORD && {kubectl} patch serviceaccount default "
            '--patch \'{"imagePullSecrets": [{"name": "registry"}]}\''
        )
    name = str(options.image).rpartition("/")[2]
    return f"docker tag {options.image} HOST/{name} && docker push HOST/{name}   # a registry that nodes reach"


def _describe_wait(status: Json) -> str:
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    waiting = _container_state(status).get("waiting", {})
    return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message")))) or f"phase {status.get('phase')}"


def _container_state(status: Json) -> dict[str, Any]:
    statuses = status.get("containerStatuses", ())
    state: dict[str, Any] = statuses[0].get("state", {}) if statuses else {}
    return state
