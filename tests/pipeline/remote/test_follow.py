import copy
import functools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kfp_server_api  # type: ignore[import-untyped]
import pytest

from components.planning.order import count_iterations
from components.planning.parameters import Parameters
from pipeline.remote.follow import Progress, explain_waiting
from pipeline.remote.run_state import RunState, read_run_state
from pipeline.remote.server import Access
from pipeline.steps import count_steps, read_spec

RECORDED = Path(__file__).parents[1] / "recorded"
# Those of the pipeline that the recorded runs were of.
STEPS = frozenset(
    {
        *("plan-comparison", "prepare-data", "train-single-node", "train-distributed"),
        *("evaluate", "compare", "study-depth", "clean-up"),
    }
)


@functools.cache
def read_run(name: str) -> Any:
    answer = SimpleNamespace(data=(RECORDED / f"{name}.json").read_text())
    return kfp_server_api.ApiClient().deserialize(answer, "V2beta1Run")


def read_state(name: str) -> RunState:
    return read_run_state(read_run(name), STEPS)


def tell(*names: str, seconds: float = 10) -> list[str]:
    """Returns the lines that a person gets who looks at these answers, one after another."""
    lines: list[str] = []
    now = [0.0]
    progress = Progress(Access("http://localhost:8080"), STEPS, 9, lines.append, lambda: now[0])
    for name in names:
        progress.tell(read_run(name))
        now[0] += seconds
    return lines


def test_each_step_of_a_real_run_is_told_once_an_iteration() -> None:
    lines = tell("run_succeeded")
    assert [line for line in lines if line.startswith("▶")] == [
        "▶ 1/9 plan-comparison",
        "▶ 2/9 prepare-data",
        "▶ 3/9 train-single-node",
        "▶ 4/9 train-distributed",
        "▶ 5/9 train-single-node",
        "▶ 6/9 train-distributed",
        "▶ 7/9 evaluate",
        "▶ 8/9 compare",
        "▶ 9/9 clean-up",
    ]
    assert len([line for line in lines if line.startswith("✓")]) == 9
    assert len(lines) == 18


@pytest.mark.parametrize(
    ("recorded", "num_begun"),
    [
        ("run_running_single", 3),
        ("run_running_distributed", 4),
        ("run_recurring_succeeded", 7),
        ("run_succeeded_study_depth", 8),
        ("run_failed_at_plan", 2),
    ],
)
def test_as_many_steps_have_begun_as_a_person_counts(recorded: str, num_begun: int) -> None:
    assert len(read_state(recorded).steps) == num_begun


@pytest.mark.parametrize(
    "recorded", ["run_succeeded", "run_recurring_succeeded", "run_succeeded_study_depth", "run_succeeded_after_retry"]
)
def test_as_many_steps_are_told_as_the_compiled_pipeline_has(recorded: str) -> None:
    # When these runs were recorded, the loop had an iteration for each trial.
    parameters = vars(Parameters()) | read_run(recorded).runtime_config.parameters
    names = [step.name for step in read_state(recorded).steps if not step.name.startswith("train-")]
    in_loop = 2 * count_iterations(int(parameters["trials"]))
    assert len(names) + in_loop == count_steps(read_spec(), parameters)


def test_what_was_told_is_not_told_again() -> None:
    lines = tell("run_running_single", "run_running_single", "run_running_single")
    assert lines[-1] == "▶ 3/9 train-single-node"
    assert len(lines) == 5


def test_a_run_that_a_person_terminated_has_no_step_that_failed() -> None:
    lines = tell("run_terminated_single")
    assert "■ The run was told to end at 15:15:37 (UTC)." in lines
    assert "■ train-single-node ended with the run" in lines
    assert not [line for line in lines if line.startswith("✗")]
    assert read_state("run_terminated_single").end == "was terminated"
    assert read_state("run_terminated_single").terminated_steps == ["train-single-node"]
    # Argo calls the step successful whose pod ended when it was told to.
    assert read_state("run_terminated_distributed").terminated_steps == ["train-distributed"]


def test_a_step_that_failed_by_itself_did() -> None:
    (failed,) = [step for step in read_state("run_failed_worker_force_deleted").steps if step.state == "FAILED"]
    assert (failed.name, failed.was_terminated, failed.has_run) == ("train-distributed", False, True)
    assert read_state("run_failed_worker_force_deleted").end == "ended as FAILED"


def test_a_pod_that_never_started_is_told_from_one_that_was_killed() -> None:
    has_run = {step.name: step.has_run for step in read_state("run_terminated_wrong_image").steps}
    assert has_run == {"plan-comparison": False, "clean-up": False}


def test_a_retried_run_does_not_show_what_had_failed_before() -> None:
    lines = tell("run_retried_just_now")
    assert lines[0] == "↻ The run was retried at 15:45:42 (UTC): it goes on from what had failed."
    assert not [line for line in lines if line.startswith("✗")]
    assert not [line for line in lines if "started it again" in line]


def test_who_follows_a_run_over_its_retry_sees_the_step_begin_anew() -> None:
    lines = tell("run_running_taken_over", "run_retried_just_now")
    assert "▶ 4/9 train-distributed" in lines
    assert lines[-3:] == [
        "↻ The run was retried at 15:45:42 (UTC): it goes on from what had failed.",
        "▶ 5/9 clean-up",
        "✓ clean-up (10 s)",
    ]


def test_a_run_that_succeeded_after_a_retry_has_no_failed_step() -> None:
    lines = tell("run_succeeded_after_retry")
    assert lines[0].startswith("↻ The run was retried at 15:56:30")
    assert len([line for line in lines if line.startswith("✓")]) == 7
    assert not [line for line in lines if line.startswith("✗") or "started it again" in line]


def test_no_retry_by_a_person_is_told_as_a_start_by_kfp() -> None:
    # Retried after its distributed step had failed, and again after the single node's was killed; before that, KFP had
    # started the single node's anew, because somebody had deleted its pod.
    lines = tell("run_retried_twice")
    assert [line for line in lines if line.startswith("↻")] == [
        "↻ The run was retried at 23:27:52 (UTC): it goes on from what had failed.",
        "↻ train-single-node: KFP started it again, for its pod was lost or killed.",
    ]
    assert not [line for line in lines if line.startswith("✗")]


@pytest.mark.parametrize("recorded", ["run_running_after_launcher_killed", "run_running_taken_over"])
def test_a_step_that_kfp_started_again_is_told_once(recorded: str) -> None:
    told = "↻ train-distributed: KFP started it again, for its pod was lost or killed."
    assert [line for line in tell(recorded, recorded) if line.startswith("↻")] == [told]


@pytest.mark.parametrize(
    ("recorded", "step", "first"),
    [
        ("run_pending_image", "plan-comparison", "its image registry.invalid/team/nope:1 cannot be pulled"),
        ("run_pending_volume", "train-single-node", "the run's volume cannot be had"),
    ],
)
def test_a_pod_that_does_not_start_is_told_after_a_minute_with_the_likeliest_reason_first(
    recorded: str, step: str, first: str
) -> None:
    assert not [line for line in tell(recorded, recorded, seconds=59) if line.startswith("…")]
    (told,) = [line for line in tell(*[recorded] * 20) if line.startswith("…")]
    assert told.startswith(f"… {step} has been waiting for its pod to start for 60 s. It may be that {first}")
    assert told.endswith(f"kubectl describe pods -n kubeflow -l pipeline/runid={read_run(recorded).run_id}")


def test_of_many_pods_of_a_step_that_do_not_start_one_is_told_until_none_waits() -> None:
    run, lines, now = copy.deepcopy(read_run("run_pending_volume")), list[str](), [0.0]
    tasks = run.run_details.task_details
    (pod,) = [task for task in tasks if task.state == "PENDING"]
    for number in range(20):
        tasks.append(copy.deepcopy(pod))
        tasks[-1].task_id = f"{pod.task_id}-{number}"
    progress = Progress(Access("http://localhost:8080"), STEPS, 9, lines.append, lambda: now[0])
    for state in ("PENDING", "PENDING", "PENDING", "RUNNING", "PENDING", "PENDING", "PENDING"):
        for task in tasks:
            task.state = state if task.task_id.startswith(pod.task_id) else task.state
        progress.tell(run)
        now[0] += 40
    told = [line.partition(". ")[0] for line in lines if line.startswith("…")]
    assert told == ["… train-single-node has been waiting for its pod to start for 80 s"] * 2


def test_a_pod_of_kfps_own_that_does_not_start_is_not_laid_to_the_steps_image() -> None:
    run = copy.deepcopy(read_run("run_pending_image"))
    (driver,) = [task for task in run.run_details.task_details if task.display_name == "plan-comparison-driver(0)"]
    driver.state = "PENDING"
    (waiting,) = [pod for pod in read_run_state(run, STEPS).waiting if pod.is_driver]
    told = explain_waiting(run, waiting, Access("http://localhost:8080"), is_first_step=True)
    assert waiting.step == "plan-comparison"
    assert told.startswith("It may be that no node has room for it, or the images of KFP itself cannot be pulled.")


def test_a_run_that_goes_well_is_told_without_a_doubt() -> None:
    marks = {re.split(" ", line)[0] for line in tell("run_running_single", "run_running_in_training")}
    assert marks == {"▶", "✓"}
