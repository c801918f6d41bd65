"""The pipeline's own steps as pods, under the project's service account, on real MNIST."""

import json
import re
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from components.planning.parameters import Parameters
from components.planning.plan import plan_run
from components.trials.trial import run_trial
from model.prepare import prepare
from tests.cluster.site import MOUNT, Namespace
from tests.cluster.steps import StepPod, Steps, Storage, run_pipeline
from tests.components.plan_factory import find_place
from tfjob.local.backend import LocalBackend
from tfjob.manifest import build_manifest
from tfjob.settings import of_run_policy
from tfjob.spec import ReplicaSpec

pytestmark = pytest.mark.slow

# A chief with two workers and a server must find room on a node of two cores, beside two steps of 0.1 CPUs each and the
# small programs of other tests.
IMAGES = 12_000
SMALL = {"trials": 1, "epochs": 1, "max_train_images": IMAGES, "cpus_per_replica": 0.35, "memory_per_replica": "1500Mi"}
# Where fewer must, each may have more, and starts sooner. A parameter server has its chief beside its worker.
LONG = {
    "all_reduce": SMALL | {"epochs": 40, "workers": [2], "cpus_per_replica": 0.7},
    "parameter_server": SMALL | {"epochs": 40, "workers": [1], "cpus_per_replica": 0.5},
}
JOBS = "training.kubeflow.org/job-name"
PREPARED = f"{MOUNT}/prepared"
Launch = Callable[[str], StepPod]


@pytest.fixture(scope="module")
def prepared(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data") / "prepared"
    prepare("mnist", folder, max_train_images=IMAGES)
    storage.put(folder, PREPARED)


@pytest.fixture
def launch(steps: Steps, storage: Storage, prepared: None, tmp_path: Path) -> Launch:
    """Starts a distributed step of a strategy, and returns it when its job trains, for many epochs.

    The plan and the data are put where the steps before leave them: these themselves are among the whole pipeline's.
    """

    def start(strategy: str) -> StepPod:
        steps.parameters |= LONG[strategy] | {"strategies": [strategy]}
        run_info = steps.name_outputs("plan-comparison")["run_info"]
        plan_run(steps.run_id, Parameters(**steps.parameters)).write(tmp_path / "run.json")
        storage.put(tmp_path / "run.json", run_info["uri"])
        data = steps.name_outputs("prepare-data")["prepared"] | {"uri": PREPARED}
        steps.note_finished("single-t1", storage)
        pod = steps.start("train-distributed", {"run_info": run_info, "prepared": data}, iteration=1)
        pod.wait_for_line("0] epoch 1/40 step", 1800)
        return pod

    return start


@pytest.fixture
def launcher(launch: Launch) -> StepPod:
    """A distributed step whose job trains."""
    return launch("all_reduce")


def find_pod(namespace: Namespace, replica: str) -> str:
    """Returns the pod of a replica of the only job, by its name: worker-1."""
    kind, index = replica.split("-")
    labels = f"{JOBS},training.kubeflow.org/replica-type={kind},training.kubeflow.org/replica-index={index}"
    return str(namespace.get("pods", "--selector", labels)["items"][0]["metadata"]["name"])


def read_curve(folder: Path) -> list[float]:
    training = json.loads((folder / "training.json").read_text())
    return [point["train_loss"] for point in training["curve"]]


def train_here(steps: Steps, tmp_path: Path) -> Path:
    """Trains the same all-reduce as processes here, and returns its folder."""
    plan = plan_run(steps.run_id, Parameters(**steps.parameters))
    prepare("mnist", tmp_path / "prepared", max_train_images=steps.parameters["max_train_images"])
    (tmp_path / "workspace").mkdir()
    folders = (tmp_path / "prepared", tmp_path / "workspace", tmp_path / "here")
    run_trial(plan, find_place(plan, "all-reduce-2w", 1), *folders, LocalBackend())
    return tmp_path / "here"


def test_the_whole_pipeline_runs_and_learns_what_it_learns_on_one_machine(
    steps: Steps, storage: Storage, tmp_path: Path
) -> None:
    steps.parameters |= SMALL
    pods = run_pipeline(steps, 1800)
    wanted = (("compare", "report"), ("compare", "trials"), ("train-distributed", "trained"))
    outputs = {name: storage.get(pods[step].outputs[name]["uri"], tmp_path / step) for step, name in wanted}
    records = [json.loads(line) for line in outputs["trials"].read_text().splitlines()]
    assert sorted((record["configuration"], record["trial"]) for record in records) == [
        ("all-reduce-2w", 1),
        ("parameter-server-2w-1ps", 1),
        ("single", 1),
        ("single", 2),
    ]
    assert {record["backend"] for record in records} == {"kubernetes"}
    assert {record["image"] for record in records} == {steps.parameters["image"]}
    assert len({record["image_digest"] for record in records}) == 1
    assert "sha256:" in records[0]["image_digest"]
    nodes = {node["metadata"]["name"] for node in pods["compare"].namespace.get("nodes")["items"]}
    assert {replica["node"] for record in records for replica in record["replicas"]} <= nodes
    assert min(record["test_n_correct"] / record["test_n_examples"] for record in records) > 0.9
    assert "<title>" in outputs["report"].read_text()
    curve = read_curve(outputs["trained"] / "all-reduce-2w-t1")
    assert curve == pytest.approx(read_curve(train_here(steps, tmp_path)), rel=1e-3)
    assert pods["train-distributed"].namespace.get("tfjobs")["items"] == []


def test_the_launching_step_is_small_and_quick_and_deletes_its_job_when_it_is_terminated(
    launcher: StepPod, namespace: Namespace
) -> None:
    peak = launcher.namespace.kubectl("exec", launcher.name, "--", "sh", "-c", "grep -h VmHWM /proc/[0-9]*/status")
    megabytes = max(int(line.split()[1]) for line in peak.splitlines()) / 1000
    assert megabytes < 150
    job, *_ = launcher.namespace.get("tfjobs")["items"]
    state = launcher.namespace.get("pod", launcher.name)["status"]["containerStatuses"][0]["state"]
    seconds = _seconds(job["metadata"]["creationTimestamp"]) - _seconds(state["running"]["startedAt"])
    print(f"launcher: {megabytes:.0f} MB, TFJob created after {seconds:.0f} s")
    assert seconds <= 60  # on a machine that does much else; what it took is printed
    namespace.kubectl("delete", "pod", launcher.name, "--wait=false")
    namespace.wait_until_gone("tfjobs", "", 300)
    namespace.wait_until_gone("pods", JOBS, 300)


def test_a_killed_worker_costs_the_attempt_and_the_trial_is_trained_anew(
    steps: Steps, launcher: StepPod, namespace: Namespace
) -> None:
    launcher.wait_for_line("epoch 2/40 done", 1200)
    worker = namespace.get("pods", "--selector", f"{JOBS},training.kubeflow.org/replica-index=1")["items"][0]
    namespace.kill(worker["metadata"]["name"], "model.train")
    launcher.wait_for_line("trial 1, is trained anew from step 0, once", 600)
    launcher.wait_for_line("[worker-0] epoch 1/40 done", 1800, times=2)  # from the start, not from its checkpoint


@pytest.mark.parametrize(
    ("strategy", "replica", "is_whole"),
    [("all_reduce", "worker-1", False), ("parameter_server", "worker-0", True), ("parameter_server", "ps-0", False)],
)
def test_a_replica_that_is_frozen_is_named_within_a_minute_and_the_trial_is_trained_anew(
    strategy: str, replica: str, is_whole: bool, launch: Launch, namespace: Namespace
) -> None:
    launcher = launch(strategy)
    pod = find_pod(namespace, replica)
    began = time.monotonic()
    namespace.freeze(pod) if is_whole else namespace.kill(pod, "model.train", signal.SIGSTOP)
    launcher.wait_for_line("trial 1, is trained anew from step 0, once", 600)
    told = [line for line in launcher.log().splitlines() if f"{replica} " in line and "no sign of life for" in line]
    print(f"{strategy}, {replica}: named after {time.monotonic() - began:.0f} s: {told}")
    silent_seconds = [int(seconds) for line in told for seconds in re.findall(r"no sign of life for (\d+) s", line)]
    assert silent_seconds
    assert min(silent_seconds) <= 60


@pytest.mark.parametrize(
    ("strategy", "replica", "seconds", "told"),
    [
        ("all_reduce", "worker-1", 20, "stopped sending heartbeats): worker-1"),
        # Nothing tells which of them cannot be reached: all live, and their signs come by way of the volume.
        ("parameter_server", "ps-0", 50, "though all live (chief-0: training, step"),
    ],
)
def test_a_replica_whose_network_is_cut_costs_the_attempt_in_time_and_the_trial_is_trained_anew(
    *, strategy: str, replica: str, seconds: float, told: str, launch: Launch, namespace: Namespace
) -> None:
    launcher = launch(strategy)
    namespace.cut(find_pod(namespace, replica))
    began = time.monotonic()
    # Several times as long as it takes: the machine may do much else, and what it took is printed.
    launcher.wait_for_line("Failed: Job", 5 * seconds)
    print(f"{strategy}, {replica}: given up after {time.monotonic() - began:.0f} s")
    launcher.wait_for_line("trial 1, is trained anew from step 0, once", 600)
    assert told in launcher.log()


def test_a_training_whose_worker_is_cut_off_for_15_s_goes_on_or_is_begun_anew_once(
    launch: Launch, namespace: Namespace
) -> None:
    launcher = launch("parameter_server")
    worker = find_pod(namespace, "worker-0")
    namespace.cut(worker)
    time.sleep(5)
    before = _find_epochs(launcher)  # with what was on its way
    time.sleep(10)
    assert _find_epochs(launcher) == before  # it stands still
    namespace.mend(worker)
    began = time.monotonic()
    trained = sum(" done: " in line for line in before)
    launcher.wait_for_line(f"epoch {trained + 2}/40 done", 1200)
    lost, anew = (launcher.log().count(words) for words in ("Failed: Job", "is trained anew from step 0, once"))
    print(f"{lost} attempt(s) lost; two epochs more after {time.monotonic() - began:.0f} s")
    # Whether TCP's packets come in time or a connection breaks, no call on a worker is made again in the same attempt.
    assert lost == anew <= 1


def test_a_launcher_killed_in_its_pod_leaves_no_replica(launcher: StepPod, namespace: Namespace) -> None:
    # KFP deletes the workflow's pods some time; until then only the heartbeat tells the replicas.
    namespace.kill(launcher.name, "kfp.dsl.executor_main")
    limit = time.monotonic() + 600
    while _running(namespace):
        assert time.monotonic() < limit, "replicas still run"
        time.sleep(2)


def test_a_deleted_launcher_takes_its_job_with_it(launcher: StepPod, namespace: Namespace) -> None:
    namespace.kubectl("delete", "pod", launcher.name, "--grace-period=0", "--force")
    namespace.wait_until_gone("tfjobs", "", 600)
    namespace.wait_until_gone("pods", JOBS, 600)


def test_a_step_that_is_run_again_trains_anew_what_the_first_had_begun(
    steps: Steps, launcher: StepPod, namespace: Namespace
) -> None:
    namespace.kubectl("delete", "pod", launcher.name, "--grace-period=0", "--force", "--wait=false")
    again = steps.start_again("train-distributed", launcher)
    again.wait_for_line("epoch 2/40 done", 1800)


def test_the_exit_handler_deletes_what_a_step_left(steps: Steps, launcher: StepPod, namespace: Namespace) -> None:
    # The owner is taken away, so that nothing but the exit handler can delete the job.
    job = namespace.get("tfjobs")["items"][0]["metadata"]["name"]
    namespace.kubectl("patch", "tfjob", job, "--type=merge", "--patch", '{"metadata": {"ownerReferences": null}}')
    namespace.kubectl("delete", "pod", launcher.name, "--grace-period=0", "--force")
    cleaned = steps.start("clean-up").wait(600)
    assert f"TFJob {job} was left, and is deleted" in cleaned.log()
    namespace.wait_until_gone("tfjobs", "", 600)
    namespace.wait_until_gone("pods", JOBS, 600)


def test_a_job_that_is_over_goes_by_its_time_to_live(namespace: Namespace) -> None:
    manifest = build_manifest(
        "short-lived",
        namespace=namespace.name,
        image=namespace.image,
        command=("python", "-c", "pass"),
        replicas={"Worker": ReplicaSpec(cpus=0.25)},
        overlays=[of_run_policy(ttlSecondsAfterFinished=3)],
    )
    namespace.apply(manifest)
    namespace.wait_until_gone("tfjobs", "", 600)


def _find_epochs(launcher: StepPod) -> list[str]:
    return [line for line in launcher.log().splitlines() if "] epoch " in line]


def _running(namespace: Namespace) -> list[str]:
    pods = namespace.get("pods", "--selector", JOBS)["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
