"""Runs the compiled pipeline's steps as pods, as KFP runs them: its command, its executor input, its service account.

What KFP's own controllers do is left out: artifacts lie in the claim itself, in place of an object store.
"""

import io
import json
import os
import secrets
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from components.planning.form import fill_form
from components.planning.order import count_iterations
from components.planning.parameters import Parameters
from model.data.sources import NAMED_DATASETS, find_cache, load_named
from pipeline.compile import compile_pipeline
from tests.cluster.site import MOUNT, SERVICE_ACCOUNT, VOLUME, VOLUME_MOUNT, Namespace

# What KFP 2.17 hands a step whose task has nothing set but the pipeline's workspace.
TASK_CONFIG = {"volumes": [VOLUME], "volumeMounts": [VOLUME_MOUNT], "resources": {}, "env": []}
CACHE = f"{MOUNT}/cache"
# Only for the init container of a step's pod KFP 2.17 asks for anything. The scheduler, and the kernel's shares of CPU,
# go by it as long as the pod lives.
# Source: kubeflow/pipelines 2.17.0, backend/src/v2/compiler/argocompiler/argo.go, launcherResources
COPYING = {"requests": {"cpu": "0.1"}, "limits": {"cpu": "0.5", "memory": "256Mi"}}


@dataclass
class StepPod:
    """A step's pod."""

    namespace: Namespace
    name: str
    outputs: Mapping[str, Any]
    command: list[str]

    def phase(self) -> str:
        """Returns Pending, Running, Succeeded or Failed."""
        return str(self.namespace.get("pod", self.name)["status"]["phase"])

    def log(self) -> str:
        """Returns what it has printed so far."""
        return self.namespace.kubectl("logs", self.name)

    def wait(self, seconds: float, phase: str = "Succeeded") -> "StepPod":
        """Returns when it has reached a phase, and fails where it reaches another end or none in time."""
        limit = time.monotonic() + seconds
        while (seen := self.phase()) != phase:
            assert seen not in ("Succeeded", "Failed"), f"{self.name} {seen}:\n{self.log()[-3000:]}"
            assert time.monotonic() < limit, f"{self.name} is {seen} after {seconds} s:\n{self.describe()}"
            time.sleep(0.5)
        return self

    def wait_for_line(self, text: str, seconds: float, times: int = 1) -> None:
        """Returns when it has printed a text so many times."""
        limit = time.monotonic() + seconds
        while (phase := self.phase()) == "Pending" or self.log().count(text) < times:
            assert phase in ("Pending", "Running"), f"{self.name} ended without {text!r}:\n{self.log()[-3000:]}"
            assert time.monotonic() < limit, f"{self.name} has not printed {text!r} in {seconds} s:\n{self.describe()}"
            time.sleep(0.5)

    def describe(self) -> str:
        """Returns what a person would look at."""
        return self.namespace.kubectl("describe", "pod", self.name)


@dataclass
class Steps:
    """The steps of one run of the pipeline.

    Args:
        namespace: Where.
        folder: Where artifacts are made.
    """

    namespace: Namespace
    folder: Path
    run_id: str = field(default_factory=lambda: f"run-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        path = self.folder / "pipeline.yaml"
        compile_pipeline(path)
        self.spec, *_ = yaml.safe_load_all(path.read_text())
        self.parameters: dict[str, Any] = {**vars(Parameters()), "image": self.namespace.image}
        self.root = f"{MOUNT}/artifacts/{self.run_id}"

    def start(self, step: str, artifacts: Mapping[str, Any] | None = None, **parameters: Any) -> StepPod:
        """Returns the pod of a step, created.

        Args:
            step: Its name in the pipeline: `train-distributed`.
            artifacts: For each input artifact the outputs' entry of an earlier step, or a list of such.
            parameters: Parameters that are no pipeline parameters.
        """
        component = self.spec["components"][f"comp-{step}"]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        outputs = self._outputs(step, component)
        known = {
            "pipeline_job_id": self.run_id,
            "workspace_path": f"{MOUNT}/runs/{self.run_id}",
            "task_config": TASK_CONFIG,
        }
        values = {**self.parameters, **fill_form(Parameters(**self.parameters)), **known, **parameters}
        wanted = component.get("inputDefinitions", {}).get("parameters", {})
        executor_input = {
            "inputs": {
                "parameterValues": {name: values[name] for name in wanted},
                "artifacts": {name: {"artifacts": _listed(entry)} for name, entry in (artifacts or {}).items()},
            },
            "outputs": {
                "parameters": {
                    name: {"outputFile": f"{self.root}/{step}/{name}"}
                    for name in component.get("outputDefinitions", {}).get("parameters", {})
                },
                "artifacts": {name: {"artifacts": [entry]} for name, entry in outputs.items()},
                "outputFile": f"{self.root}/{step}/executor_output.json",
            },
        }
        arguments = [json.dumps(executor_input) if part == "{{$}}" else part for part in container["args"]]
        return self._create(step, StepPod(self.namespace, "", outputs, [*container["command"], *arguments]))

    def name_outputs(self, step: str) -> dict[str, Any]:
        """Returns the outputs' entries of a step that need not run, since a test puts there what it would leave."""
        return self._outputs(step, self.spec["components"][f"comp-{step}"])

    def note_finished(self, trial: str, storage: "Storage") -> None:
        """Lets a step believe that a trial before its own is finished."""
        storage.make_folder(f"{MOUNT}/runs/{self.run_id}/finished/{trial}")

    def start_again(self, step: str, first: "StepPod") -> "StepPod":
        """Returns the pod that KFP makes in place of a deleted one: the same command, the same executor input."""
        return self._create(step, first)

    def _create(self, step: str, pod: "StepPod") -> "StepPod":
        name = f"{step}-{secrets.token_hex(3)}"
        self.namespace.apply(step_pod(name, self.namespace.image, pod.command))
        return replace(pod, name=name)

    def _outputs(self, step: str, component: Mapping[str, Any]) -> dict[str, Any]:
        place = f"{self.root}/{step}-{secrets.token_hex(3)}"
        return {
            name: {"name": name, "uri": f"{place}/{name}", "metadata": {}, "type": definition["artifactType"]}
            for name, definition in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        }


def run_pipeline(steps: Steps, seconds: float) -> dict[str, StepPod]:
    """Returns the first pod of each step, when all steps of the pipeline have succeeded.

    Args:
        steps: The run's steps.
        seconds: How long each may take.
    """
    plan = steps.start("plan-comparison").wait(seconds)
    data = steps.start("prepare-data", {"run_info": plan.outputs["run_info"]}).wait(seconds)
    inputs = {"run_info": plan.outputs["run_info"], "prepared": data.outputs["prepared"]}
    numbers = range(1, count_iterations(steps.parameters["trials"]) + 1)
    single = [steps.start("train-single-node", inputs, iteration=number) for number in numbers]  # side by side, as KFP
    launched = []
    for number, alone in zip(numbers, single, strict=True):
        alone.wait(seconds)
        launched.append(steps.start("train-distributed", inputs, iteration=number).wait(seconds))
    steps_that_train = {"baselines": single, "distributed": launched}
    trained = {name: [pod.outputs["trained"] for pod in pods] for name, pods in steps_that_train.items()}
    evaluated = steps.start("evaluate", {**inputs, **trained}).wait(seconds)
    evaluations = {"evaluations": evaluated.outputs["evaluations"]}
    compared = steps.start("compare", {"run_info": plan.outputs["run_info"], **trained, **evaluations}).wait(seconds)
    cleaned = steps.start("clean-up").wait(seconds)
    return {
        "plan-comparison": plan,
        "prepare-data": data,
        "train-single-node": single[0],
        "train-distributed": launched[0],
        "evaluate": evaluated,
        "compare": compared,
        "clean-up": cleaned,
    }


def step_pod(name: str, image: str, command: list[str]) -> dict[str, Any]:
    """Returns a pod as KFP makes it of a step, under the restricted standard and without a writable root."""
    from_field = [("KFP_POD_NAME", "metadata.name"), ("KFP_POD_UID", "metadata.uid")]
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in from_field]
    container = {
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": "step"}},
        "spec": {
            "serviceAccountName": SERVICE_ACCOUNT,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [{**container, "name": "kfp-launcher", "command": ["true"], "resources": COPYING}],
            "containers": [
                {
                    **container,
                    "name": "main",
                    "command": command,
                    "env": [*env, {"name": "XDG_CACHE_HOME", "value": CACHE}],
                    "volumeMounts": [VOLUME_MOUNT, {"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [VOLUME, {"name": "tmp", "emptyDir": {}}],
        },
    }


class Storage:
    """A pod through which files go into the claim and out of it."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.name = "storage"
        pod = step_pod(self.name, namespace.image, ["sleep", "7200"])
        del pod["spec"]["initContainers"]  # no step: the node's CPUs are the replicas' and the steps'
        namespace.apply(pod)
        namespace.kubectl("wait", "--for=condition=Ready", "--timeout=600s", "pod/storage")

    def put(self, source: Path, target: str) -> None:
        """Copies a file or folder into the claim."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(source, arcname=os.fspath(Path(target).relative_to(MOUNT)))
        unpack = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall(sys.argv[1])"
        self._namespace.pipe("exec", "-i", self.name, "--", "python", "-c", unpack, MOUNT, stdin=packed.getvalue())

    def make_folder(self, path: str) -> None:
        """Makes a folder in the claim, and those above it."""
        self._namespace.kubectl("exec", self.name, "--", "mkdir", "-p", path)

    def get(self, source: str, target: Path) -> Path:
        """Copies a file or folder out of the claim, below `target`, and returns where it is."""
        pack = "import sys, tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').add(sys.argv[1], sys.argv[2])"
        name = Path(source).name
        packed = self._namespace.pipe("exec", self.name, "--", "python", "-c", pack, source, name)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(target, filter="data")
        return target / name


def make_storage(namespace: Namespace) -> Storage:
    """Returns the claim, with MNIST in it: a cluster under test may have no way to the internet."""
    load_named(NAMED_DATASETS["mnist"], find_cache())
    storage = Storage(namespace)
    storage.put(find_cache(), f"{CACHE}/tfjob-speedup")
    return storage


def _listed(entry: Any) -> list[Any]:
    return entry if isinstance(entry, list) else [entry]
