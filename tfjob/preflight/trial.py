"""A TFJob with a volume that is made for a moment, to see what becomes of it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes.client.exceptions import ApiException

from tfjob.cluster import CONNECTION_ERRORS, NOT_FOUND, explain
from tfjob.errors import ClusterRefused, TFJobError
from tfjob.manifest import build_manifest
from tfjob.overlay import Overlay, of_containers, of_metadata, of_pods, of_run_policy
from tfjob.preflight.api import Api, Json, core_path
from tfjob.preflight.finding import Finding, Options, Status
from tfjob.spec import ReplicaSpec

_MOUNT = "/tfjob-preflight"
# What an interrupted trial may leave is found by it.
_LABELS = {"app.kubernetes.io/name": "tfjob-preflight"}
_WRITE_A_FILE = f"import os; open(os.path.join('{_MOUNT}', os.uname().nodename), 'w').write('ok')"
# What registries say to whom they do not know.
_ACCESS_WORDS = ("401", "403", "denied", "unauthorized", "Unauthorized", "authorization failed")


def probe_job(options: Options, name: str = "tfjob-preflight", *overlays: Overlay) -> Json:
    """Returns the manifest of a tiny TFJob, made as a run makes its own."""
    return build_manifest(
        name,
        namespace=options.namespace,
        image=options.image or "localhost/tfjob-preflight:none",
        command=("python", "-c", _WRITE_A_FILE),
        replicas={"Worker": ReplicaSpec(count=2, cpus=0.1, memory="128Mi", gpus=options.gpus)},
        success_policy="AllWorkers",
        active_deadline_seconds=600,
        # Should this process be killed, the job still goes.
        overlays=[of_metadata(labels=_LABELS), of_run_policy(ttlSecondsAfterFinished=60), *overlays],
    )


def check_trial(api: Api, options: Options) -> Finding:
    """Tells what became of a claim like the workspace's, and of a TFJob whose two workers write to it."""
    name = f"tfjob-preflight-{secrets.token_hex(4)}"
    volume = of_pods(volumes=[{"name": "probe", "persistentVolumeClaim": {"claimName": name}}])
    mount = of_containers(volumeMounts=[{"name": "probe", "mountPath": _MOUNT}])
    with _temporary_claim(api, options, name) as path:
        try:
            api.run_job(probe_job(options, name, volume, mount))
        except TFJobError as error:
            trouble = f"{error}{_describe_claim(api, options, path)}"
            return Finding(Status.FAILED, trouble, _fix_trouble(trouble, options))
    done = f"a TFJob of two workers ran {options.image}, and both wrote to one volume with {options.access_mode}"
    return Finding(Status.OK, done)


@contextmanager
def _temporary_claim(api: Api, options: Options, name: str) -> Iterator[str]:
    claims = f"{core_path(options.namespace)}/persistentvolumeclaims"
    spec: Json = {"accessModes": [options.access_mode], "resources": {"requests": {"storage": "1Mi"}}}
    if options.storage_class is not None:
        spec["storageClassName"] = options.storage_class
    metadata = {"name": name, "labels": _LABELS}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    is_made = True
    try:
        try:
            api.create(claims, claim)
        except ApiException:
            is_made = False
            raise
        yield f"{claims}/{name}"
    finally:
        # An interrupt or a lost answer may fall after the server has made it.
        if is_made:
            _delete(api, f"{claims}/{name}")


def _delete(api: Api, path: str) -> None:
    try:
        api.delete(path)
    except (ApiException, *CONNECTION_ERRORS) as error:
        if isinstance(error, ApiException) and error.status == NOT_FOUND:
            return
        message = explain(error) if isinstance(error, ApiException) else error
        raise ClusterRefused(f"{path} could not be deleted, do it by hand: {message}") from error


def _describe_claim(api: Api, options: Options, path: str) -> str:
    """Returns what was said last of a claim that got no volume, or nothing."""
    try:
        if api.get(path).get("status", {}).get("phase") == "Bound":
            return ""
        name = path.rpartition("/")[2]
        events = api.get(f"{core_path(options.namespace)}/events?fieldSelector=involvedObject.name={name}")["items"]
    except ApiException:
        return ""
    said = [event["message"] for event in events if event["involvedObject"]["kind"] == "PersistentVolumeClaim"]
    return f" The claim with {options.access_mode} got no volume: {said[-1]}" if said else ""


def _fix_trouble(trouble: str, options: Options) -> str:
    kubectl = f"kubectl --namespace {options.namespace}"
    if "runAsNonRoot" in trouble:
        return "echo 'USER 1000' >> Dockerfile   # then build and push it again"
    if "ImagePull" not in trouble:
        return f"{kubectl} get events --sort-by .lastTimestamp"
    if any(word in trouble for word in _ACCESS_WORDS):
        return (
            f"{kubectl} create secret docker-registry registry --docker-server HOST --docker-username USER "
            f"--docker-password PASSWORD && {kubectl} patch serviceaccount default "
            '--patch \'{"imagePullSecrets": [{"name": "registry"}]}\''
        )
    name = str(options.image).rpartition("/")[2]
    return f"docker tag {options.image} HOST/{name} && docker push HOST/{name}   # a registry that nodes reach"
