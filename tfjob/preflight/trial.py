"""A TFJob that is run for a moment, as a run would, to see what becomes of its image and of a volume."""

import secrets

from tfjob.errors import TFJobError
from tfjob.manifest import build_manifest
from tfjob.preflight.api import Api, Json
from tfjob.preflight.finding import Finding, Options, Status
from tfjob.settings import Overlay, of_containers, of_metadata, of_pods, of_run_policy
from tfjob.spec import ReplicaSpec

_MOUNT = "/tfjob-preflight"
# What a trial that was killed may leave is found by it.
_LABELS = {"app.kubernetes.io/name": "tfjob-preflight"}
_WRITE_A_FILE = f"open('{_MOUNT}/probe', 'w').write('ok')"
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
        restart_policy="Never",
        active_deadline_seconds=600,
        # Should this process be killed, the job still goes.
        overlays=[of_metadata(labels=_LABELS), of_run_policy(ttlSecondsAfterFinished=60), *overlays],
    )


def check_trial(api: Api, options: Options) -> Finding:
    """Tells what became of a TFJob whose workers each write to a volume like the workspace."""
    claim: Json = {"accessModes": [options.access_mode], "resources": {"requests": {"storage": "1Mi"}}}
    if options.storage_class is not None:
        claim["storageClassName"] = options.storage_class
    # A claim of the pod's own goes with it, however this ends.
    volume = of_pods(volumes=[{"name": "probe", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}])
    mount = of_containers(volumeMounts=[{"name": "probe", "mountPath": _MOUNT}])
    try:
        api.run_job(probe_job(options, f"tfjob-preflight-{secrets.token_hex(4)}", volume, mount))
    except TFJobError as error:
        return Finding(Status.FAILED, str(error), _fix_trouble(str(error), options))
    done = f"a TFJob of two workers ran {options.image}, and each wrote to a volume with {options.access_mode}"
    return Finding(Status.OK, f"{done}; sharing one between nodes was not tried")


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
