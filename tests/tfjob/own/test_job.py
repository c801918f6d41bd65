import json
from typing import Any

import pytest
import yaml

from tests.tfjob.operator_schema import make_validator, read_crd
from tfjob.errors import SpecError
from tfjob.job import read_job, replica_counts
from tfjob.own import OwnJob, read_own_job
from tfjob.settings import of_containers, of_metadata
from tfjob.spec import read_container

VALIDATOR = make_validator(read_crd())


def make_replica(replicas: int = 1, **container: Any) -> dict[str, Any]:
    base = {"name": "tensorflow", "image": "ml/train:1", "command": ["python", "train.py"], **container}
    return {"replicas": replicas, "restartPolicy": "OnFailure", "template": {"spec": {"containers": [base]}}}


def make_text(replicas: dict[str, Any] | None = None, **spec: Any) -> str:
    replicas = {"Worker": make_replica(2)} if replicas is None else replicas
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "theirs"},
        "spec": {"tfReplicaSpecs": replicas, **spec},
    }
    return yaml.safe_dump(job)


def build(job: OwnJob, workers: int = 2, num_ps: int = 0, **fields: Any) -> dict[str, Any]:
    defaults = {"name": "trial-1", "namespace": "runs", "values": {}}
    manifest = dict(job.build(workers=workers, num_ps=num_ps, **{**defaults, **fields}))
    assert [error.message for error in VALIDATOR.iter_errors(manifest)] == []
    return manifest


def container_of(manifest: dict[str, Any], kind: str = "Worker") -> Any:
    return read_container(manifest["spec"]["tfReplicaSpecs"][kind])


def env_of(manifest: dict[str, Any], kind: str = "Worker") -> dict[str, Any]:
    variables = container_of(manifest, kind)["env"]
    return {item["name"]: item.get("value") for item in variables if item["name"] != "PYTHONUNBUFFERED"}


PS_JOB = {"Chief": make_replica(), "Worker": make_replica(2), "PS": make_replica(2)}


def test_the_number_of_workers_is_set_and_all_else_stays() -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    replica = make_replica(2, volumeMounts=mounts, resources={"limits": {"cpu": 2, "memory": "4Gi"}})
    replica["template"]["spec"] |= {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "images", "readOnly": True}}],
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
    }
    job = read_own_job(make_text({"Worker": replica}))
    manifest = json.loads(json.dumps(build(job, 4)))
    worker = manifest["spec"]["tfReplicaSpecs"]["Worker"]
    assert worker["replicas"] == 4
    pod = worker["template"]["spec"]
    assert pod.pop("terminationGracePeriodSeconds") == 10
    pod["containers"][0].pop("env")
    assert pod == replica["template"]["spec"]
    assert (job.cpus_per_replica, job.memory_per_replica, job.num_workers) == (2, "4Gi", 2)


def test_a_trial_has_its_name_policies_and_overlays() -> None:
    policy = {"cleanPodPolicy": "None", "backoffLimit": 2, "activeDeadlineSeconds": 9, "ttlSecondsAfterFinished": 1}
    job = read_own_job(make_text(runPolicy=policy, successPolicy="AllWorkers"))
    manifest = build(job, deadline_seconds=60, overlays=[of_metadata(labels={"run": "r1"})])
    assert manifest["metadata"]["name"] == "trial-1"
    assert manifest["metadata"]["namespace"] == "runs"
    assert manifest["metadata"]["labels"] == {"run": "r1"}
    assert manifest["spec"]["runPolicy"] == {
        "cleanPodPolicy": "Running",
        "backoffLimit": 2,
        "activeDeadlineSeconds": 60,
        "ttlSecondsAfterFinished": 86400,
    }
    assert manifest["spec"]["successPolicy"] == "AllWorkers"
    read = read_job(manifest)
    assert read.is_foreign
    assert {replica.restart_policy for replica in read.replicas} == {"Never"}


@pytest.mark.parametrize(
    ("replicas", "workers", "num_ps", "chief_trains", "expected"),
    [
        ({"worker": make_replica(2)}, 1, 0, False, {"Worker": 1}),
        ({"worker": make_replica(2)}, 3, 0, False, {"Worker": 3}),
        (PS_JOB, 1, 0, False, {"Worker": 1}),
        (PS_JOB, 2, 1, False, {"Chief": 1, "Worker": 2, "PS": 1}),
        (PS_JOB, 1, 1, False, {"Chief": 1, "Worker": 1, "PS": 1}),
        (PS_JOB, 2, 1, True, {"Chief": 1, "Worker": 1, "PS": 1}),
        ({"Master": make_replica(), "Worker": make_replica(3)}, 4, 0, True, {"Master": 1, "Worker": 3}),
        ({"Master": make_replica(), "Worker": make_replica(3)}, 1, 0, True, {"Master": 1}),
        (
            {"Master": make_replica(), "Worker": make_replica(3), "Evaluator": make_replica()},
            2,
            0,
            True,
            {"Master": 1, "Worker": 1, "Evaluator": 1},
        ),
        ({"Chief": make_replica(command=["python", "chief.py"]), "Worker": make_replica()}, 1, 0, False, {"Chief": 1}),
    ],
)
def test_a_configuration_is_made_of_the_types_that_there_are(
    replicas: dict[str, Any], workers: int, num_ps: int, chief_trains: bool, expected: dict[str, int]
) -> None:
    manifest = build(read_own_job(make_text(replicas)), workers, num_ps, chief_trains=chief_trains)
    assert replica_counts(manifest) == expected


def test_a_single_chief_with_a_command_of_its_own_uses_what_a_worker_may() -> None:
    chief = make_replica(command=["python", "chief.py"], resources={"limits": {"cpu": "1"}})
    worker = make_replica(2, resources={"limits": {"cpu": "8"}})
    job = read_own_job(make_text({"Chief": chief, "Worker": worker}))
    single = container_of(build(job, 1), "Chief")
    assert (single["command"], single["resources"]) == (["python", "chief.py"], {"limits": {"cpu": "8"}})


@pytest.mark.parametrize(
    ("replicas", "fields", "message"),
    [
        ({"Worker": make_replica(2)}, {"chief_trains": True}, "must have a Chief or Master where the chief trains"),
        ({"Worker": make_replica(2)}, {"num_ps": 1}, "must have a PS where there are servers"),
        ({"Chief": make_replica()}, {}, "must have a Worker where there are several"),
        ({"Worker": make_replica(2, args=["{data_dir}"])}, {}, "has {data_dir}, for which there is no value"),
        ({"Worker": make_replica(2)}, {"name": "x" * 60}, "at most 50 characters"),
    ],
)
def test_what_cannot_be_made_of_a_job_is_refused(
    replicas: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        build(read_own_job(make_text(replicas)), **fields)


def test_placeholders_are_filled_in_commands_arguments_and_variables() -> None:
    side = {"name": "board", "image": "ml/board:1", "args": ["--logdir={output_dir}"]}
    replica = make_replica(
        args=["--batch", "{per_replica_batch_size}", "--workers={workers}"],
        env=[
            {"name": "SEED", "value": "{seed}"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
    )
    replica["template"]["spec"]["containers"].append(side)
    job = read_own_job(make_text({"Worker": replica}))
    values = {"per_replica_batch_size": "16", "seed": "3", "output_dir": "/out"}
    assert job.placeholders == {"per_replica_batch_size", "workers", "seed", "output_dir"}
    manifest = build(job, 4, values=values)
    assert container_of(manifest)["args"] == ["--batch", "16", "--workers=4"]
    assert env_of(manifest) == {"SEED": "3", "IP": None}
    containers = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
    assert containers[1]["args"] == ["--logdir=/out"]


def test_one_build_leaves_no_trace_in_the_next() -> None:
    job = read_own_job(make_text({"Worker": make_replica(args=["{seed}"])}))
    first = build(job, 2, values={"seed": "1"}, placement="spread", env={"A": "1", "PYTHONPATH": "/ours"})
    second = build(job, 2, values={"seed": "2"})
    assert container_of(first)["args"] == ["1"]
    unbuffered = [{"name": "PYTHONUNBUFFERED", "value": "1"}]
    assert container_of(second) == {**make_replica(args=["2"])["template"]["spec"]["containers"][0], "env": unbuffered}


def test_a_folder_goes_in_front_of_the_python_path_that_the_manifest_sets() -> None:
    job = read_own_job(make_text({"Worker": make_replica(env=[{"name": "PYTHONPATH", "value": "/theirs"}])}))
    assert env_of(build(job, env={"PYTHONPATH": "/ours"})) == {"PYTHONPATH": "/ours:/theirs"}


def test_without_command_the_images_python_path_is_left_alone() -> None:
    replica = make_replica()
    del replica["template"]["spec"]["containers"][0]["command"]
    manifest = build(read_own_job(make_text({"Worker": replica})), env={"PYTHONPATH": "/ours"})
    assert env_of(manifest) == {}
    assert "command" not in container_of(manifest)


@pytest.mark.parametrize(("placement", "kind"), [("together", "podAffinity"), ("spread", "podAntiAffinity")])
def test_pods_go_together_or_apart_beside_what_the_manifest_asks_for(placement: Any, kind: str) -> None:
    replica = make_replica(2)
    theirs = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone"}
    rule = "requiredDuringSchedulingIgnoredDuringExecution"
    replica["template"]["spec"]["affinity"] = {kind: {rule: [theirs]}}
    manifest = build(read_own_job(make_text({"Worker": replica})), placement=placement)
    ours = {
        "labelSelector": {"matchLabels": {"training.kubeflow.org/job-name": "trial-1"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    pod = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    assert pod["affinity"] == {kind: {rule: [theirs, ours]}}


def test_a_lone_replica_gets_a_cluster_of_one_where_it_is_asked_for() -> None:
    job = read_own_job(make_text())
    config = json.loads(env_of(build(job, 1, lone_tf_config=True))["TF_CONFIG"])
    assert config["cluster"] == {"worker": ["trial-1-worker-0.runs.svc:2222"]}
    assert "TF_CONFIG" not in env_of(build(job, 2, lone_tf_config=True))


def test_a_gang_of_all_replicas_follows_their_number() -> None:
    job = read_own_job(make_text(runPolicy={"schedulingPolicy": {"minAvailable": 2}}))
    assert build(job, 4)["spec"]["runPolicy"]["schedulingPolicy"] == {"minAvailable": 4}
    frozen = read_own_job(make_text(runPolicy={"schedulingPolicy": {"minAvailable": 1}}))
    assert build(frozen, 4)["spec"]["runPolicy"]["schedulingPolicy"] == {"minAvailable": 1}


def test_anti_affinity_on_the_jobs_name_follows_the_trials_name() -> None:
    replica = make_replica(2)
    expression = {"key": "training.kubeflow.org/job-name", "operator": "In", "values": ["theirs"]}
    term = {"labelSelector": {"matchExpressions": [expression]}, "topologyKey": "kubernetes.io/hostname"}
    rule = "requiredDuringSchedulingIgnoredDuringExecution"
    replica["template"]["spec"]["affinity"] = {"podAntiAffinity": {rule: [term]}}
    job = read_own_job(make_text({"Worker": replica}))
    assert any("names the job theirs" in doubt for doubt in job.doubts)
    assert '"values": ["trial-1"]' in json.dumps(build(job))


def test_a_command_takes_the_place_of_the_manifests_own() -> None:
    job = read_own_job(make_text(PS_JOB), "python other.py --seed {seed}")
    manifest = build(job, 2, 1, values={"seed": "7"})
    commands = [container_of(manifest, kind)["command"] for kind in ("Chief", "Worker", "PS")]
    assert commands == [["python", "other.py", "--seed", "7"]] * 3


def test_a_command_alone_is_a_job_of_workers_whose_image_is_still_to_be_said() -> None:
    job = read_own_job("", "python train.py --name 'a b'")
    assert (job.image, job.has_chief, job.num_ps, job.num_workers) == (None, False, 0, 1)
    manifest = build(job, 2, overlays=[of_containers(image="ours:1")])
    assert container_of(manifest)["command"] == ["python", "train.py", "--name", "a b"]
    with pytest.raises(SpecError, match="image must not be empty"):
        build(job, 2)


@pytest.mark.parametrize(
    "command", ["cd src && python train.py", "python train.py | tee log", "SEED=1 python train.py"]
)
def test_a_shells_syntax_is_left_to_a_shell(command: str) -> None:
    manifest = build(read_own_job("", command), overlays=[of_containers(image="ours:1")])
    assert container_of(manifest)["command"] == ["sh", "-c", command]


@pytest.mark.parametrize("command", ["", "  ", "python 'train.py"])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(SpecError, match="command must"):
        read_own_job("", command)


def test_a_batch_must_be_divisible_by_the_workers_only_where_it_is_filled_in() -> None:
    job = read_own_job(make_text({"Worker": make_replica(args=["{per_replica_batch_size}"])}))
    job.check_batch([1, 2, 4], 64)
    with pytest.raises(SpecError, match=r"divisible by each number of workers.*Received: 64 and 3"):
        job.check_batch([1, 3], 64)
    with pytest.raises(SpecError, match="takes a global batch size"):
        job.check_batch([1], None)
    read_own_job(make_text()).check_batch([3], 64)


def test_what_this_machine_has_no_counterpart_for_is_told() -> None:
    replica = make_replica(
        resources={"limits": {"cpu": 1, "memory": "1Gi"}},
        env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        workingDir="/app",
    )
    pod = replica["template"]["spec"]
    pod |= {"volumes": [{"name": "data", "emptyDir": {}}], "nodeSelector": {"a": "b"}}
    pod["containers"].insert(0, {"name": "proxy", "image": "p:1"})
    assert read_own_job(make_text({"Worker": replica})).describe_here() == [
        "image ml/train:1: the command runs with the programs of this machine",
        "volume data: not mounted, /data is this machine's own path",
        "limit of memory: not kept",
        "container proxy: not run",
        "variable KEY: has no value, it comes from secretKeyRef",
        "workingDir: no effect",
        "nodeSelector: no effect",
    ]


def test_a_job_that_leaves_its_command_to_the_image_cannot_run_here() -> None:
    replica = make_replica()
    del replica["template"]["spec"]["containers"][0]["command"]
    job = read_own_job(make_text({"Worker": replica}))
    with pytest.raises(SpecError, match=r"spec.tfReplicaSpecs.Worker.template.spec.containers\[0\].command must name"):
        job.check_here()
    build(job)


def test_a_program_that_is_not_there_is_refused_before_anything_starts() -> None:
    read_own_job("", "sh -c true").check_here()
    with pytest.raises(SpecError, match="no-such-program"):
        read_own_job("", "no-such-program").check_here()
