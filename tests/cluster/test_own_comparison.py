"""The pipeline's own steps as pods compare a person's TFJob, of which nothing but the manifest is given."""

import json
from pathlib import Path

import yaml

from tests.cluster.own_run import OwnRun
from tests.cluster.steps import Steps, Storage, run_pipeline

# Without TF_CONFIG it does not run, as many do not. A lone worker learns the same in twice the time.
PROGRAM = """
import json, os, time
workers = len(json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"])
for step in range(1, 41):
    time.sleep(0.2 / workers)
    print(f"step={step} accuracy={step / 40:.3f}")
"""


def test_a_persons_tfjob_is_compared_by_the_steps_from_its_manifest_alone(
    steps: Steps, storage: Storage, tmp_path: Path
) -> None:
    replica = OwnRun(steps.namespace, tmp_path).make_replica(PROGRAM)
    manifest = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "theirs"},
        "spec": {"tfReplicaSpecs": {"Worker": replica}},
    }
    steps.parameters |= {"tfjob": yaml.safe_dump(manifest), "trials": 1, "batch_size_per_replica": 8}
    pods = run_pipeline(steps, 1800)
    report, trials = (
        storage.get(pods["compare"].outputs[name]["uri"], tmp_path).read_text() for name in ("report", "trials")
    )
    records = [json.loads(line) for line in trials.splitlines()]
    alone, again, together = sorted(records, key=lambda record: (record["num_workers"], record["trial"]))
    assert [record["configuration"] for record in (alone, again, together)] == [
        "single-tf-config",
        "single-tf-config",
        "workers-2",
    ]
    assert {(record["backend"], record["level"], record["baseline"]) for record in records} == {
        ("kubernetes", 1, "single-tf-config")
    }
    assert "sha256:" in together["image_digest"]
    assert [replica["name"] for replica in together["replicas"]] == ["worker-0", "worker-1"]
    assert {metric["name"]: metric["value"] for metric in together["metrics"]} == {"accuracy": 1.0}
    assert alone["step_seconds"]["median"] > 1.1 * together["step_seconds"]["median"]
    assert "workers-2" in report
    assert "single does not run; tried in its place" in pods["train-single-node"].log()
    assert steps.namespace.get("tfjobs")["items"] == []
