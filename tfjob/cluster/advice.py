"""What a person can do about a replica that does not start, by what scheduler, kubelet and operator say of it."""

_IMAGE = (
    "see that the image's name is right, that the nodes reach its registry, and that it needs no login or has its "
    "secret (job_settings: image_pull_secrets)"
)
_VOLUME = (
    "the workspace waits for a storage class: kubectl get storageclass shows those that there are, and "
    "--workspace-storage-class names one that does ReadWriteMany"
)
_OPERATOR = (
    "see whether the training operator runs: kubectl get deployments --all-namespaces --selector "
    "control-plane=kubeflow-training-operator"
)
_LIMIT_RANGE = (
    "ask for what the namespace lets a pod have (bigger nodes ask for more than workers: --no-bigger-nodes): kubectl "
    "--namespace {namespace} describe limitranges"
)
# The first that fits counts: a replica without a pod only waits for what holds up the others.
_ADVICE = (
    ("violates PodSecurity", "run in a namespace that admits the pods, or see what in the cluster changes them"),
    ("usage per", _LIMIT_RANGE),
    ("ratio per", _LIMIT_RANGE),
    ("must specify", "give every replica what the quota wants named (memory_per_replica), or have a LimitRange do so"),
    ("PriorityClass", "kubectl get priorityclasses shows those that there are (job_settings: priority_class_name)"),
    ("quota", "ask for less, or for a larger quota: kubectl --namespace {namespace} describe resourcequotas"),
    ("service account", "kubectl --namespace {namespace} get serviceaccounts shows those that there are"),
    ("runAsNonRoot", "set USER 1000 in the image's Dockerfile"),
    ("Image", _IMAGE),
    ("RegistryUnavailable", _IMAGE),
    ("PersistentVolumeClaim", _VOLUME),
    ("persistentvolumeclaim", _VOLUME),
    ("storageclass", _VOLUME),
    ("Insufficient nvidia.com/gpu", "fewer workers, fewer gpus_per_replica, or more nodes with GPUs"),
    ("Insufficient", "fewer workers, less cpus_per_replica or memory_per_replica, or more nodes"),
    ("untolerated taint", "bear the nodes' taints (job_settings: tolerations), or use other nodes"),
    ("node affinity/selector", "kubectl get nodes --show-labels shows what node_selector and affinity can ask for"),
    ("Too many pods", "more nodes, or fewer pods on those that there are"),
    (": ", "kubectl --namespace {namespace} describe pods --selector training.kubeflow.org/job-name={job} tells more"),
    ("no pod yet", _OPERATOR),
)


def advise(reasons: str, namespace: str, job: str) -> str:
    """Returns what may help a job that waits for its replicas; or nothing.

    Args:
        reasons: Why they do not start, in the cluster's own words.
        namespace: Where the job runs.
        job: The job's name.
    """
    words = next((advice for sign, advice in _ADVICE if sign in reasons), "")
    return words.format(namespace=namespace, job=job)
