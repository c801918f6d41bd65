"""The storage class of the workspace, which all replicas must reach."""

from tfjob.preflight.api import Api, Json
from tfjob.preflight.finding import Options, Outcome, Status

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
_IS_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


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
