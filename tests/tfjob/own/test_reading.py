import json
import os
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tfjob.errors import SpecError
from tfjob.job import read_job
from tfjob.own import read_own_job

BASE = """
apiVersion: kubeflow.org/v1
kind: TFJob
metadata: {name: theirs, labels: {a: b}, annotations: {c: d}, namespace: ml}
spec:
  successPolicy: AllWorkers
  runPolicy: {backoffLimit: 3, suspend: false, schedulingPolicy: {minAvailable: 2}}
  tfReplicaSpecs:
    Worker:
      replicas: 2
      template:
        spec:
          affinity:
            podAntiAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                - {labelSelector: {matchLabels: {job-name: theirs}}, topologyKey: zone}
          terminationGracePeriodSeconds: 30
          initContainers: [{name: wait, image: busybox, command: [sleep, "1"]}]
          volumes: [{name: data, persistentVolumeClaim: {claimName: images}}]
          containers:
            - name: tensorflow
              image: ml/train:1
              command: [python, train.py]
              env: [{name: A, value: a}, {name: B, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
              resources: {limits: {cpu: 500m, memory: 1Gi, nvidia.com/gpu: 1}}
              volumeMounts: [{name: data, mountPath: /data}]
              ports: [{name: tfjob-port, containerPort: 2222}]
"""
WORKER = ("spec", "tfReplicaSpecs", "Worker")
POD = (*WORKER, "template", "spec")
CONTAINER = (*POD, "containers", 0)
REMOVED = object()
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    0.5,
    "",
    "x",
    "{workers}",
    "9k",
    [],
    {},
    [None],
    [[]],
    ["a"],
    [{}],
    {"a": None},
    {"a": 1},
)


def change(*changes: tuple[tuple[str | int, ...], Any]) -> str:
    """Returns the manifest with other values at some paths."""
    job = yaml.safe_load(BASE)
    for path, value in changes:
        *parents, last = path
        place = job
        for part in parents:
            place = place[part]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return yaml.safe_dump(job)


def test_another_kind_is_refused_by_its_name() -> None:
    text = BASE.replace("kind: TFJob", "kind: PyTorchJob")
    with pytest.raises(SpecError, match=r"kind TFJob.*Received 0 of that kind among: PyTorchJob \(kubeflow.org/v1\)"):
        read_own_job(text)


@pytest.mark.parametrize("version", ["kubeflow.org/v1beta1", "kubeflow.org/v1alpha2", "v1", None])
def test_an_old_version_is_refused(version: str | None) -> None:
    with pytest.raises(SpecError, match=r"apiVersion must be kubeflow.org/v1, where policies are in spec.runPolicy"):
        read_own_job(change((("apiVersion",), version)))


def test_two_tfjobs_are_refused() -> None:
    with pytest.raises(SpecError, match="Received 2 of that kind"):
        read_own_job(f"{BASE}---\n{BASE}")


def test_a_katib_experiment_says_what_to_take() -> None:
    experiment = {"kind": "Experiment", "apiVersion": "kubeflow.org/v1beta1", "spec": {"trialTemplate": {}}}
    with pytest.raises(SpecError, match=r"take the TFJob from its spec.trialTemplate.trialSpec"):
        read_own_job(json.dumps(experiment))


def test_other_documents_are_not_applied_and_that_is_said() -> None:
    claim = "kind: PersistentVolumeClaim\nmetadata: {name: images}\n"
    job = read_own_job(f"---\n{claim}---\n---\n{BASE}")
    assert "PersistentVolumeClaim images, in the same file, is not applied: apply it yourself" in job.doubts


def test_a_replica_type_is_known_in_whatever_case_and_once() -> None:
    worker = yaml.safe_load(BASE)["spec"]["tfReplicaSpecs"]["Worker"]
    job = read_own_job(change((("spec", "tfReplicaSpecs"), {"worker": worker, "ps": worker})))
    assert (job.num_workers, job.num_ps) == (2, 2)
    with pytest.raises(SpecError, match="must have Worker once, in whatever case"):
        read_own_job(change((("spec", "tfReplicaSpecs", "WORKER"), worker)))


def test_what_the_api_server_adds_is_left_out() -> None:
    metadata = {
        "name": "theirs",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"team": "a"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept"},
        "ownerReferences": [{"uid": "2"}],
    }
    text = change((("metadata",), metadata), (("status",), {"conditions": []}))
    manifest = read_own_job(text).build(name="trial", namespace="runs", workers=2, num_ps=0, values={})
    assert "status" not in manifest
    assert manifest["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert manifest["metadata"]["annotations"].keys() == {"note", "tfjob-speedup/own-program"}


def test_what_is_null_is_absent() -> None:
    text = change(((*CONTAINER, "command"), None), ((*CONTAINER, "env"), None), (("spec", "runPolicy"), None))
    manifest = read_own_job(text).build(name="trial", namespace="runs", workers=2, num_ps=0, values={})
    assert "command" not in manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("spec",), REMOVED, "spec must be an object"),
        (("spec", "tfReplicaSpecs"), {}, "spec.tfReplicaSpecs must have Workers, or a Chief or Master"),
        (("spec", "tfReplicaSpecs", "Boss"), {}, "spec.tfReplicaSpecs.Boss must be one of Chief, Master, Worker, PS"),
        (("spec", "successPolicy"), "ChiefWorker", "spec.successPolicy must be one of '', 'AllWorkers'"),
        ((*WORKER, "replicas"), "2", r"Worker.replicas must be a whole number from 1 to 10000. Received: '2'"),
        ((*WORKER, "replicas"), 0, "Worker.replicas must be a whole number from 1"),
        ((*WORKER, "replicas"), True, "Worker.replicas must be a whole number from 1"),
        ((*WORKER, "replicas"), 10**400, "Worker.replicas must be a whole number from 1"),
        ((*WORKER, "restartPolicy"), "never", "Worker.restartPolicy must be one of 'Never'"),
        ((*WORKER, "template"), REMOVED, "Worker.template must be an object"),
        ((*POD, "containers"), [], "containers must have one named tensorflow, which the operator looks at"),
        ((*CONTAINER, "name"), "main", r"must have one named tensorflow.*Received: \['main'\]"),
        ((*CONTAINER, "name"), REMOVED, r"containers\[0\].name must be a name"),
        ((*CONTAINER, "image"), "", r"containers\[0\].image must name an image"),
        ((*CONTAINER, "command"), "python train.py", r"command must be a list of texts such as"),
        ((*CONTAINER, "args"), ["--epochs", 3], r"args\[1\] must be a text: put it in quotes. Received: 3"),
        ((*CONTAINER, "env"), [{"name": "A", "value": 2}], r"env\[0\].value must be a text: put it in quotes"),
        ((*CONTAINER, "env"), [{"name": "A", "value": "2", "valueFrom": {"x": 1}}], "a value or a source"),
        ((*CONTAINER, "env"), [{"name": "1 A"}], "must have letters, digits and '_'"),
        ((*CONTAINER, "env"), {"A": "2"}, r"containers\[0\].env must be a list"),
        ((*CONTAINER, "resources"), {"limits": {"cpu": "two"}}, "limits.cpu must be an amount such as 2, 500m or 1Gi"),
        (
            (*CONTAINER, "resources"),
            {"limits": {"cpu": "1Gi"}},
            "limits.cpu must be a number of CPUs such as 2 or 500m",
        ),
        ((*POD, "affinity"), [], "affinity must be an object"),
        ((*POD, "terminationGracePeriodSeconds"), "30", "terminationGracePeriodSeconds must be a whole number"),
        (("spec", "runPolicy", "backoffLimit"), "3", "spec.runPolicy.backoffLimit must be a whole number"),
        ((*CONTAINER, "volumeMounts", 0, "name"), ["data"], r"volumeMounts\[0\].name must be one of the pod's volumes"),
        ((*CONTAINER, "ports", 0, "name"), ["data"], r"ports\[0\].name must be a name"),
        ((*CONTAINER, "volumeMounts", 0, "name"), "other", r"volumeMounts\[0\].name must be one of the pod's volumes"),
        ((*CONTAINER, "volumeMounts", 0, "mountPath"), REMOVED, r"volumeMounts\[0\].mountPath must be a path"),
        (("metadata", "labels"), {"a": "b c"}, "metadata.labels.a must have at most 63"),
        (("spec", "runPolicy"), [], "spec.runPolicy must be an object"),
    ],
)
def test_what_the_operator_would_reject_is_refused_by_its_path(
    path: tuple[str | int, ...], value: Any, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read_own_job(change((path, value)))
    assert len(str(caught.value)) < 500


def test_a_chief_with_a_master_is_refused() -> None:
    worker = yaml.safe_load(BASE)["spec"]["tfReplicaSpecs"]["Worker"]
    with pytest.raises(SpecError, match="must not have both a Chief and a Master"):
        read_own_job(change((("spec", "tfReplicaSpecs"), {"Chief": worker, "Master": worker})))


def test_no_document_at_all_is_refused() -> None:
    for text in ("---\n", "# nothing\n", "kind: List\nitems: []\n"):
        with pytest.raises(SpecError, match="Received 0 of that kind among: nothing"):
            read_own_job(text)


def list_paths(value: Any) -> list[tuple[str | int, ...]]:
    """Returns the paths of all values in a manifest."""
    if isinstance(value, dict):
        items: list[tuple[str | int, Any]] = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    return [path for key, item in items for path in [(key,), *((key, *rest) for rest in list_paths(item))]]


@settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), deadline=None)
@given(st.sampled_from(list_paths(yaml.safe_load(BASE))), st.sampled_from(ODD))
def test_any_value_anywhere_is_a_job_or_one_error(path: tuple[str | int, ...], value: Any) -> None:
    try:
        job = read_own_job(change((path, value)))
        assert job.doubts is not None
        job.describe_here()
        manifest = job.build(name="trial", namespace="runs", workers=2, num_ps=0, values={}, placement="spread")
        assert len(read_job(manifest).replicas) == 2
        job.build(name="trial", namespace="runs", workers=1, num_ps=0, values={}, lone_tf_config=True)
    except SpecError as error:
        assert "Received" in str(error)  # noqa: PT017 - most values are refused, some are none of ours
