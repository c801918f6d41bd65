from typing import Any

import pytest
import yaml

from tfjob.own import read_own_job


def make_replica(container: dict[str, Any] | None = None, replicas: int = 2, **pod: Any) -> dict[str, Any]:
    own = {"name": "tensorflow", "image": "ml/train:1", "command": ["python", "train.py"], **(container or {})}
    containers = [*pod.pop("before", []), own]
    return {"replicas": replicas, "template": {"spec": {"containers": containers, **pod}}}


def doubts(
    replicas: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    others: tuple[dict[str, Any], ...] = (),
    spec: dict[str, Any] | None = None,
) -> list[str]:
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "theirs", **(metadata or {})},
        "spec": {"tfReplicaSpecs": replicas or {"Worker": make_replica()}, **(spec or {})},
    }
    return read_own_job(yaml.safe_dump_all([job, *others])).doubts


def test_a_plain_job_raises_no_doubt() -> None:
    assert doubts() == []


@pytest.mark.parametrize(
    "policy", ["cleanPodPolicy", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "schedulingPolicy"]
)
def test_a_policy_at_its_old_place_is_named_with_where_it_belongs(policy: str) -> None:
    told = " ".join(doubts(spec={policy: "x"}))
    assert told == (
        f"spec.{policy} is no field of a TFJob and has no effect, the API server drops it: it belongs in "
        f"spec.runPolicy.{policy}"
    )


def test_other_fields_that_the_api_server_drops_are_named() -> None:
    worker = make_replica() | {"ttl": 3}
    told = doubts({"worker": worker}, spec={"runPolicy": {"cleanPodPolice": "All"}, "tfReplicaSpec": {}})
    assert [line.partition(" is no field")[0] for line in told] == [
        "spec.tfReplicaSpec",
        "spec.runPolicy.cleanPodPolice",
        "spec.tfReplicaSpecs.worker.ttl",
    ]


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"env": [{"name": "workers", "value": "2"}]}, 'Worker.tensorflow.env.workers: "2" does not follow'),
        ({"env": [{"name": "NUM_WORKERS", "value": "2"}]}, 'env.NUM_WORKERS: "2" does not follow'),
        ({"env": [{"name": "WORLD_SIZE", "value": "2"}]}, 'env.WORLD_SIZE: "2" does not follow'),
        ({"args": ["--num_workers=2"]}, "Worker.tensorflow.args: num_workers 2 does not follow"),
        ({"args": ["--num-ps", "2"]}, "args: num-ps 2 does not follow"),
        ({"command": ["sh", "-c", "python t.py --num_ps 2"]}, "command: num_ps 2 does not follow"),
        ({"args": ["--n={worker}"]}, "did you mean {workers}?"),
        ({"args": ["--lr=${trialParameters.lr}"]}, "is Katib's and is not filled in here"),
        ({"env": [{"name": "TF_CONFIG", "value": "{}"}]}, "the operator replaces it"),
    ],
)
def test_what_is_frozen_or_mistyped_in_a_container_is_told(container: dict[str, Any], told: str) -> None:
    assert any(told in line for line in doubts({"Worker": make_replica(container)}))


def test_options_of_a_data_loader_are_no_number_of_workers() -> None:
    assert doubts({"Worker": make_replica({"args": ["--dataloader-workers=4", "--workers-per-gpu", "2"]})}) == []


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        ({"hostNetwork": True}, "replicas of one node would have the same port"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}, "(hostPath /x) is shared by all trials"),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            "(persistentVolumeClaim c) is shared by all trials: what one writes there, the next may find",
        ),
        ({"before": [{"name": "log", "image": "l:1"}]}, "containers.log runs beside the training"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/x/{trial}"}}]}, "'/x/{trial}' is not filled in"),
    ],
)
def test_what_trials_share_in_a_pod_is_told(pod: dict[str, Any], told: str) -> None:
    assert any(told in line for line in doubts({"Worker": make_replica(**pod)}))


def test_a_volume_that_is_only_read_is_no_matter() -> None:
    volumes = [
        {"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}},
        {"name": "e", "emptyDir": {}},
    ]
    assert doubts({"Worker": make_replica(volumes=volumes)}) == []


def test_a_claim_of_one_node_is_known_by_the_document_beside_it() -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    told = doubts({"Worker": make_replica(volumes=volumes)}, others=(claim,))
    assert any("can be mounted by the pods of one node alone (ReadWriteOnce)" in line for line in told)


def test_gang_sizes_are_told() -> None:
    assert doubts(spec={"runPolicy": {"schedulingPolicy": {"minAvailable": 2}}}) == [
        "spec.runPolicy.schedulingPolicy.minAvailable 2 is all replicas, and follows their number"
    ]
    assert doubts(spec={"runPolicy": {"schedulingPolicy": {"minAvailable": 5}}}) == [
        "spec.runPolicy.schedulingPolicy.minAvailable 5 does not follow the number of workers"
    ]
    worker = make_replica()
    worker["template"]["metadata"] = {"labels": {"pod-group.scheduling.sigs.k8s.io/min-available": "2"}}
    (told,) = doubts({"Worker": worker})
    assert "does not follow the number of workers" in told


def test_another_namespace_is_told() -> None:
    (told,) = doubts(metadata={"namespace": "ml"})
    assert told.startswith("metadata.namespace ml is not kept: trials run in the run's own namespace")


def test_restarts_that_there_will_not_be_are_told() -> None:
    (told,) = doubts({"Worker": make_replica() | {"restartPolicy": "OnFailure"}})
    assert told.startswith("restartPolicy OnFailure becomes Never")


def test_a_chief_that_may_train_an_evaluator_and_other_commands_are_told() -> None:
    replicas = {
        "Master": make_replica(replicas=1),
        "Worker": make_replica({"command": ["python", "worker.py"]}),
        "Evaluator": make_replica(replicas=1),
    }
    told = " ".join(doubts(replicas))
    assert "a Master without servers trains as a worker does: say --chief-trains" in told
    assert "the Evaluator runs beside every distributed training" in told
    assert "Master and Worker run different commands" in told


def test_a_dynamic_cluster_and_a_suspended_job_are_told() -> None:
    told = " ".join(doubts(spec={"enableDynamicWorker": True, "runPolicy": {"suspend": True}}))
    assert "each worker sees itself alone, in a map" in told
    assert "each trial waits until something, such as Kueue, resumes it" in told
