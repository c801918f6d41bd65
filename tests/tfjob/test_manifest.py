import json
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.tfjob.operator_schema import GOLDEN, make_validator, read_crd
from tfjob.manifest import build_manifest, share_memory, thread_env
from tfjob.settings import of_containers, of_env, of_metadata, of_pods, of_run_policy
from tfjob.spec import ReplicaSpec

OVERLAYS = [
    of_env({"OMP_NUM_THREADS": "7", "RUN_ID": "r1", "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}}),
    of_metadata(labels={"app": "speedup"}, annotations={"example.com/run": "r1"}),
    of_run_policy(
        backoffLimit=2,
        cleanPodPolicy="All",
        ttlSecondsAfterFinished=60,
        suspend=True,
        schedulingPolicy={
            "minAvailable": 4,
            "minResources": {"cpu": "4"},
            "priorityClass": "training",
            "queue": "team-a",
            "scheduleTimeoutSeconds": 60,
        },
    ),
    of_pods(
        volumes=[{"name": "workspace", "persistentVolumeClaim": {"claimName": "run-workspace"}}],
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        nodeSelector={"pool": "gpu"},
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
                }
            }
        },
        priorityClassName="training",
        imagePullSecrets=[{"name": "registry"}],
    ),
    of_containers(
        volumeMounts=[{"name": "workspace", "mountPath": "/workspace"}],
        resources={"limits": {"rdma/hca": "1"}, "requests": {"rdma/hca": "1"}},
    ),
]
MANIFESTS = {
    "all-reduce": build_manifest(
        "mnist-all-reduce-2w",
        image="registry.example/speedup:1",
        command=("python", "-m", "model.train", "--epochs=2"),
        replicas={"Worker": ReplicaSpec(count=2)},
    ),
    "parameter-server": build_manifest(
        "mnist-parameter-server-2w-1ps",
        namespace="team-a",
        image="registry.example/speedup:1",
        command=("python", "-m", "model.train"),
        replicas={
            "PS": ReplicaSpec(cpus=0.5, memory="512Mi"),
            "Worker": ReplicaSpec(count=2, cpus=1.5, memory="2Gi", gpus=1),
            "Chief": ReplicaSpec(memory="1Gi"),
        },
        restart_policy="ExitCode",
        active_deadline_seconds=600,
        success_policy="AllWorkers",
        overlays=OVERLAYS,
    ),
    "bigger-node": build_manifest(
        "mnist-single-2x-gpus",
        image="registry.example/speedup:1-gpu",
        command=("python", "-m", "model.train"),
        replicas={"Worker": ReplicaSpec(cpus=2, memory="16Gi", gpus=2)},
        restart_policy="ExitCode",
        overlays=[of_pods(volumes=[OVERLAYS[3].template["spec"]["volumes"][0]]), OVERLAYS[4]],
    ),
}


@pytest.fixture(scope="module")
def crd() -> dict[str, Any]:
    return read_crd()


@pytest.fixture(scope="module")
def operator_schema(crd: dict[str, Any]) -> Draft202012Validator:
    return make_validator(crd)


def pods(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [replica["template"]["spec"] for replica in manifest["spec"]["tfReplicaSpecs"].values()]


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifest_is_the_golden_one(name: str) -> None:
    assert MANIFESTS[name] == json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_operator_knows_every_key_of_the_manifest(name: str, operator_schema: Draft202012Validator) -> None:
    assert [error.message for error in operator_schema.iter_errors(MANIFESTS[name])] == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (["spec", "runPolicy"], "activeDeadlineSecond"),
        (["spec"], "cleanPodPolicy"),
        (["spec", "tfReplicaSpecs", "Worker", "template", "spec"], "nodeSelectors"),
        (["spec", "tfReplicaSpecs", "Worker", "template", "spec", "containers", "0"], "imagePullPolice"),
        (["metadata"], "label"),
    ],
)
def test_a_key_that_would_be_pruned_is_caught(path: list[str], key: str, operator_schema: Draft202012Validator) -> None:
    manifest = deepcopy(MANIFESTS["all-reduce"])
    place: Any = manifest
    for step in path:
        place = place[int(step) if isinstance(place, list) else step]
    place[key] = 10
    assert [
        (list(map(str, error.absolute_path)), error.validator) for error in operator_schema.iter_errors(manifest)
    ] == [(path, "additionalProperties")]


def test_a_value_of_the_wrong_type_is_caught(operator_schema: Draft202012Validator) -> None:
    manifest = deepcopy(MANIFESTS["all-reduce"])
    manifest["spec"]["runPolicy"]["backoffLimit"] = "3"
    assert not operator_schema.is_valid(manifest)


def test_the_crd_serves_the_version_that_the_manifest_names(crd: dict[str, Any]) -> None:
    served = [f"{crd['spec']['group']}/{version['name']}" for version in crd["spec"]["versions"] if version["served"]]
    assert served == [MANIFESTS["all-reduce"]["apiVersion"]]


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_meet_the_restricted_security_standard(name: str) -> None:
    for pod in pods(MANIFESTS[name]):
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert [container["securityContext"] for container in pod["containers"]] == [
            {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        ]


@pytest.mark.parametrize(
    ("gpus", "memory", "size"), [(2, "16Gi", "1024Mi"), (4, None, "1024Mi"), (2, "2Gi", "512Mi"), (8, "1G", "238Mi")]
)
def test_several_gpus_of_a_replica_share_memory_within_what_it_has(gpus: int, memory: str | None, size: str) -> None:
    shared = share_memory(gpus, memory)
    assert shared["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": size}
    assert [mount["mountPath"] for mount in shared["volumeMounts"]] == ["/dev/shm"]


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_gpu_shares_no_memory(gpus: int) -> None:
    assert share_memory(gpus, "8Gi") == {}


def test_a_volume_of_ones_own_at_dev_shm_takes_the_place_of_ours() -> None:
    mine = of_pods(
        volumes=[{"name": "mine", "emptyDir": {"medium": "Memory"}}],
        containers=[{"name": "tensorflow", "volumeMounts": [{"name": "mine", "mountPath": "/dev/shm"}]}],
    )
    worker = ReplicaSpec(gpus=2)
    manifest = build_manifest(
        "mnist", image="mine:1", command=("python",), replicas={"Worker": worker}, overlays=[mine]
    )
    assert pods(manifest)[0]["containers"][0]["volumeMounts"] == [{"name": "mine", "mountPath": "/dev/shm"}]


@pytest.mark.parametrize(
    ("cpus", "intra_op", "inter_op"), [(0.5, "1", "2"), (1, "1", "2"), (1.5, "2", "2"), (2, "2", "2"), (4, "4", "4")]
)
def test_thread_pools_follow_the_cpu_limit(cpus: float, intra_op: str, inter_op: str) -> None:
    assert thread_env(cpus) == {
        "OMP_NUM_THREADS": intra_op,
        "OPENBLAS_NUM_THREADS": intra_op,
        "MKL_NUM_THREADS": intra_op,
        "TF_NUM_INTRAOP_THREADS": intra_op,
        "TF_NUM_INTEROP_THREADS": inter_op,
    }
