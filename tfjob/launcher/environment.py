"""What a process can tell of where it runs, without asking the cluster."""

from collections.abc import Mapping
from os import environ
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def is_in_pod(environment: Mapping[str, str] = environ) -> bool:
    """Returns whether this process runs in a pod of a cluster."""
    return "KUBERNETES_SERVICE_HOST" in environment


def current_namespace(file: Path = NAMESPACE_FILE) -> str:
    """Returns the namespace of this pod, and `default` outside of one."""
    return file.read_text(encoding="utf-8").strip() if file.exists() else "default"


def read_boot_id(file: Path = BOOT_ID_FILE) -> str | None:
    """Returns which boot of this machine it is, None where the system does not tell.

    Linux counts its monotonic clock from there, the same for all processes.
    """
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def owner_reference(environment: Mapping[str, str] = environ) -> dict[str, str] | None:
    """Returns the reference to this step's pod, with which its jobs go when it is deleted; None outside of KFP.

    Source: KFP's driver sets KFP_POD_NAME and KFP_POD_UID in every step.
    """
    if not (environment.get("KFP_POD_NAME") and environment.get("KFP_POD_UID")):
        return None
    name, uid = environment["KFP_POD_NAME"], environment["KFP_POD_UID"]
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
