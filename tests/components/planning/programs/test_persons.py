import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from comparison.records import RecordError
from components.planning.parameters import Parameters
from components.planning.plan import RunPlan, plan_run
from components.planning.programs import Assignment, OwnLoop, PersonsProgram, choose_program
from components.planning.programs.persons_training import PersonsTraining, count_cpus_held
from pipeline.remote.check import list_doubts
from program.errors import ProgramError
from tfjob.backend import LogLine
from tfjob.errors import SpecError
from tfjob.local import find_gpus

COMMAND = "python train.py --batch {per_replica_batch_size} --out {output_dir}"


def write_job(
    *command: str, servers: int = 0, gpus: int = 0, env: dict[str, str] | None = None, **replicas: int
) -> str:
    container = {
        "name": "tensorflow",
        "image": "registry.example/mine:1",
        "command": list(command) or ["python", "train.py"],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        "resources": {"limits": {"cpu": "2", "memory": "1Gi", **({"nvidia.com/gpu": gpus} if gpus else {})}},
    }
    counts = {"Worker": 2, **({"PS": servers} if servers else {}), **replicas}
    specs = {
        kind: {"replicas": count, "template": {"spec": {"containers": [container]}}} for kind, count in counts.items()
    }
    return yaml.safe_dump(
        {
            "apiVersion": "kubeflow.org/v1",
            "kind": "TFJob",
            "metadata": {"name": "mine"},
            "spec": {"tfReplicaSpecs": specs},
        }
    )


def plan(**changes: Any) -> RunPlan:
    return plan_run("run-1", Parameters(**{"command": COMMAND, **changes}))


def assign(run_plan: RunPlan, index: int, folder: Path = Path()) -> Assignment:
    return Assignment(
        run_id="run-1",
        configuration=run_plan.configurations[index],
        baseline=run_plan.configurations[0],
        trial=2,
        round_number=2,
        place=3,
        data_dir=folder / "workspace" / "data",
        output_dir=folder / "workspace" / "workers-4-t2",
        finished=folder / "workspace" / "finished",
    )


def test_without_a_command_or_a_manifest_the_program_is_the_own_loop() -> None:
    assert isinstance(choose_program(Parameters()), OwnLoop)
    assert isinstance(choose_program(Parameters(command=" ", tfjob="\n")), OwnLoop)
    assert isinstance(choose_program(Parameters(command="a")), PersonsProgram)
    assert isinstance(choose_program(Parameters(tfjob=write_job())), PersonsProgram)


def test_rows_are_one_worker_and_each_number_of_workers_with_the_servers_of_the_manifest() -> None:
    assert [c.name for c in plan(workers=[1, 2, 4]).configurations] == ["single", "workers-2", "workers-4"]
    with_servers = plan(command="", tfjob=write_job(servers=2), workers=[2, 4])
    assert [c.name for c in with_servers.configurations] == ["single", "workers-2-ps-2", "workers-4-ps-2"]
    assert [c.name for c in plan(command="", tfjob=write_job(servers=2), num_ps=3).configurations][
        1
    ] == "workers-2-ps-3"
    assert [c.name for c in with_servers.single_nodes] == ["single"]


def test_the_plan_is_written_and_read_again(tmp_path: Path) -> None:
    for number, run_plan in enumerate([plan(workers=[2, 4]), plan(command="", tfjob=write_job(servers=1))]):
        run_plan.write(tmp_path / f"{number}.json")
        assert RunPlan.read(tmp_path / f"{number}.json") == run_plan
    written = json.loads((tmp_path / "1.json").read_text())["configurations"]
    assert written[1] == {"name": "workers-2-ps-1", "workers": 2, "num_ps": 1, "has_tf_config": False}


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    plan().write(tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace('"workers": 2,', '"workers": "two",'))
    with pytest.raises(RecordError, match="workers must be int"):
        RunPlan.read(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset": "fashion_mnist"},
            "dataset must be left out: it says something of this project's own loop, not",
        ),
        (
            {"model": "resnet20", "epochs": 3},
            "model and epochs must be left out: each .* Received: model 'resnet20', epochs 3",
        ),
        ({"strategies": ["all_reduce"]}, "strategies must be left out"),
        ({"scaling": "weak"}, "scaling must be left out"),
        ({"target_accuracy": 0.5}, "target_accuracy must be left out"),
        ({"study_depth": True}, "study_depth must be left out"),
        ({"a_a": True}, "a_a must be left out"),
        ({"bigger_nodes": True}, "bigger_nodes must be left out"),
        ({"num_ps": 2}, r"num_ps must be left out: the program has no parameter servers"),
        ({"chief_trains": True}, "chief_trains must be left out: the job has neither a Chief nor a Master"),
        ({"placement": "near"}, r"placement must be any, together, spread\. Received: 'near'\."),
        ({"workers": [1]}, r"workers must have a number above 1: one worker is the baseline\. Received: \[1\]\."),
        ({"workers": []}, r"workers must be numbers of workers that differ, at least 1 each\. Received: \[\]\."),
        ({"workers": [2, 2]}, "workers must be numbers of workers that differ"),
        ({"workers": [3]}, r"global batch size must be divisible by each number of workers"),
        ({"batch_size_per_replica": 8, "global_batch_size": 64}, "must not both be given"),
        ({"batch_size_per_replica": -1}, "batch_size_per_replica must be at least 0"),
        ({"progress": "pytorch"}, "progress must be one of auto, none, .*'pytorch' came"),
        ({"progress_regex": ["loss"]}, "NAME=REGEX"),
        ({"metric_direction": "up", "metric": "auc"}, "metric_direction must be max"),
        ({"progress": "none", "measure_steps": 10}, "progress is none"),
        ({"command": "python 'train.py"}, "command must be a command as a shell takes it"),
        ({"command": "", "tfjob": "kind: Pod"}, "one document of kind TFJob"),
        ({"command": "", "tfjob": "{"}, "The manifest is no YAML"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, SpecError, ProgramError), match=message):
        plan(**changes)


def test_what_the_manifest_says_of_its_replicas_is_not_said_twice() -> None:
    with pytest.raises(ValueError, match=r"cpus_per_replica must be left out: it is said by the manifest in `tfjob`"):
        plan(command="", tfjob=write_job(), cpus_per_replica=2.0)
    assert plan(cpus_per_replica=2.0).parameters.cpus_per_replica == 2.0  # a command alone gets it


@pytest.mark.parametrize("changes", [{"metric": "auc"}, {"measure_steps": 10}, {"chief_trains": True}])
def test_what_is_about_a_program_of_ones_own_is_refused_without_one(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be left out: it takes a program of your own: `command` or `tfjob`"):
        plan_run("run-1", Parameters(**changes))


def test_placeholders_are_filled_for_each_configuration_and_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "{workers} {num_ps} {global_batch_size} {per_replica_batch_size} {seed} {trial} {output_dir} {data_dir} {other}"
    )
    run_plan = plan(command="", tfjob=write_job("program", text), workers=[2, 4], seed=7)
    manifest = run_plan.program.begin(assign(run_plan, 2)).manifest
    container = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    expected = "4 0 128 32 8 2 workspace/workers-4-t2 workspace/data {other}"
    assert container["command"][-2:] == ["program", expected]
    assert manifest["spec"]["tfReplicaSpecs"]["Worker"]["replicas"] == 4
    assert manifest["metadata"]["labels"]["tfjob-speedup/run"] == "run-1"


def test_a_batch_for_each_worker_makes_the_whole_grow_with_the_workers() -> None:
    program = plan(batch_size_per_replica=8, workers=[3]).program
    assert isinstance(program, PersonsProgram)
    assert [program.find_batches(c) for c in program.plan()[0]] == [(8, 8), (24, 8)]
    untold = plan(command="python train.py").program
    assert isinstance(untold, PersonsProgram)
    assert [untold.find_batches(c) for c in untold.plan()[0]] == [(None, None), (None, None)]


def test_a_command_runs_in_this_projects_image_with_what_a_replica_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_plan = plan(image="registry.example/speedup:1", cpus_per_replica=0.5, memory_per_replica="1Gi")
    training = run_plan.program.begin(assign(run_plan, 1))
    container = training.manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    assert container["image"] == run_plan.program.image == "registry.example/speedup:1"
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    assert {"name": "TF_NUM_INTEROP_THREADS", "value": "2"} in container["env"]
    assert training.cpus == 0.5


@pytest.mark.parametrize(("gpus", "memory", "mounts"), [(0, "2Gi", []), (1, "8Gi", []), (2, "8Gi", ["/dev/shm"])])
def test_a_command_has_the_memory_that_replicas_have_by_default_and_several_gpus_share_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, memory: str, mounts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_plan = plan(gpus_per_replica=gpus)
    training = run_plan.program.begin(assign(run_plan, 1))
    pod = training.manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["resources"]["limits"]["memory"] == memory == run_plan.program.memory  # type: ignore[attr-defined]
    assert [mount["mountPath"] for mount in container.get("volumeMounts", [])] == mounts
    assert len(pod.get("volumes", [])) == len(mounts)


def test_the_rival_with_all_gpus_is_said_not_to_be_compared() -> None:
    told = "Not compared with one process that has the GPUs of 2, 4 workers: whether the program would train on all of"
    for gpus, expected in ((0, ""), (1, told)):
        run_plan = plan(gpus_per_replica=gpus, workers=[2, 4])
        assert "".join(run_plan.program.list_remarks(run_plan.configurations, None)).startswith(expected)


def test_a_manifest_keeps_its_image_and_its_resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_plan = plan(command="", tfjob=write_job())
    training = run_plan.program.begin(assign(run_plan, 1))
    container = training.manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    assert container["image"] == run_plan.program.image == "registry.example/mine:1"
    assert container["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}}
    assert training.cpus == 2.0


def test_the_cpus_that_a_job_holds_are_those_of_each_replica_but_the_evaluators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = json.loads(json.dumps(yaml.safe_load(write_job(servers=1, Evaluator=1))))  # no part of it is shared
    server = job["spec"]["tfReplicaSpecs"]["PS"]["template"]["spec"]["containers"][0]
    held = []
    for limits in ({"cpu": "500m"}, {}):
        server["resources"] = {"limits": limits}
        run_plan = plan(command="", tfjob=json.dumps(job))
        held.append([count_cpus_held(run_plan.program.begin(assign(run_plan, index)).manifest) for index in range(2)])

    assert held == [[2.0, 4.5], [2.0, None]]


def check_machine(run_plan: RunPlan) -> list[str]:
    told: list[str] = []
    run_plan.program.check_machine(run_plan.configurations, told.append)
    return told


def test_gpus_of_a_manifest_are_said_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # wherever this test runs
    without = "Warning: limit of nvidia.com/gpu: this machine has no GPU, and the trainings do without"
    assert without in check_machine(plan(command="", tfjob=write_job("true", gpus=1)))
    assert without not in check_machine(plan(command="", tfjob=write_job("true")))


def test_gpus_that_were_asked_for_beside_a_command_are_refused_where_the_machine_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(SpecError, match="2 replicas ask for 2 GPUs, and this machine has none"):
        check_machine(plan(command="true", gpus_per_replica=1))


def test_a_machine_with_fewer_gpus_than_the_manifests_workers_is_told_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find_gpus, "__defaults__", (lambda: ["GPU-1"],))
    manifest = write_job("true", gpus=1)
    with pytest.raises(
        SpecError, match=r"2 replicas ask for 2 GPUs, and this machine has 1: .*in a manifest, its limit"
    ):
        check_machine(plan(command="", tfjob=manifest))
    assert not any("nvidia" in line for line in check_machine(plan(command="", tfjob=manifest, share_gpus=True)))


def test_the_baseline_has_other_forms_in_which_it_may_run_and_nothing_else_has() -> None:
    run_plan = plan(command="", tfjob=write_job(servers=1))
    forms = run_plan.program.list_forms(run_plan.configurations[0])
    assert [form.name for form in forms] == ["single", "single-tf-config", "workers-1-ps-1"]
    assert [form.name for form in run_plan.program.list_forms(run_plan.configurations[1])] == ["workers-2-ps-1"]
    alone = plan()
    assert [form.name for form in alone.program.list_forms(alone.configurations[0])] == ["single", "single-tf-config"]


def test_a_near_miss_of_a_placeholder_is_told_with_the_plan() -> None:
    run_plan = plan(command="python train.py --workers {worker}")
    (doubt,) = run_plan.program.list_doubts()
    assert "did you mean {workers}?" in doubt
    assert doubt in list_doubts(run_plan.parameters, is_image_given=True)  # before a run on a server


def test_what_plans_and_launches_starts_without_what_only_a_report_needs() -> None:
    needed = "import sys, components.planning, components.trials; print({'pandas', 'matplotlib'} & {*sys.modules})"
    told = subprocess.run([sys.executable, "-c", needed], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


@pytest.mark.parametrize(
    ("progress", "lines", "times"),
    [
        ("auto", ["waiting for the parameter servers"], 1),  # as a worker on one core may, before its first step
        ("auto", ["step=1", "step=2"], 1),
        ("auto", [], 0),  # it has not begun
        ("none", ["waiting for the parameter servers"], 0),
    ],
)
def test_a_training_that_does_not_go_on_is_told_of_with_its_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], progress: str, lines: list[str], times: int
) -> None:
    run_plan = plan(progress=progress)
    assert isinstance(run_plan.program, PersonsProgram)
    training = PersonsTraining(run_plan.program, assign(run_plan, 1, tmp_path), silent_seconds=0.0)
    for line in lines:
        training.listen(LogLine("worker-0", line, 1.0))
    for _ in range(3):
        training._tell_silence(time.monotonic())
    told = capsys.readouterr().out
    assert told.count("No progress for 0 s. The replicas' last lines:") == times
    assert not times or f"[worker-0] {lines[-1]}" in told
