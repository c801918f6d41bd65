"""Answers about runs whose rounds are side by side; what servers said about runs of one round is in `recorded`."""

import datetime as dt
from typing import Any

import kfp_server_api  # type: ignore[import-untyped]
import pytest

from pipeline.remote.run_state import RunState, read_run_state

SINGLE, DISTRIBUTED = "train-single-node", "train-distributed"
BEGIN = dt.datetime(2026, 11, 27, 15, tzinfo=dt.UTC)
NOT_YET = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
RAN, NEVER_RAN = ("PENDING", "RUNNING"), ("PENDING",)


def make_task(
    name: str, start: int, end: int | None = None, state: str = "RUNNING", before: tuple[str, ...] = ("RUNNING",)
) -> Any:
    """Returns a node or a pod.

    Args:
        name: Its name.
        start: Seconds after the run's begin at which it began.
        end: Those at which it ended.
        state: Its state.
        before: Its earlier states.
    """
    history = [kfp_server_api.V2beta1RuntimeStatus(state=told, update_time=BEGIN) for told in (*before, state)]
    return kfp_server_api.V2beta1PipelineTaskDetail(
        task_id=f"{name} {start} {end} {state} {before}",
        display_name=name,
        start_time=BEGIN + dt.timedelta(seconds=start),
        end_time=NOT_YET if end is None else BEGIN + dt.timedelta(seconds=end),
        state=state,
        state_history=history,
    )


def read(*tasks: Any) -> RunState:
    details = kfp_server_api.V2beta1RunDetails(task_details=list(tasks))
    run = kfp_server_api.V2beta1Run(state="RUNNING", run_details=details)
    return read_run_state(run, frozenset({SINGLE, DISTRIBUTED}))


def list_restarted(state: RunState) -> list[str]:
    return [name for _, name in state.restarts]


# The first round's step trains, the second one's waits for its turn, while the first one's next step has begun.
TWO_ROUNDS = (
    make_task(SINGLE, 0, 70, "SUCCEEDED"),
    make_task("executor(0)", 0, 62, "SUCCEEDED", RAN),
    make_task(DISTRIBUTED, 80),
    make_task("executor(0)", 80, before=RAN),
    make_task(SINGLE, 0),
)


def test_a_step_that_waits_for_its_turn_and_is_started_again_is_the_one_that_is_told() -> None:
    again = (make_task("executor(0)", 0, 120, "FAILED", RAN), make_task("executor(1)", 120, before=RAN))
    assert list_restarted(read(*TWO_ROUNDS, *again)) == [SINGLE]


def test_a_pod_whose_container_was_started_again_is_told_under_its_own_steps_name() -> None:
    again = make_task("executor(0)", 0, before=("PENDING", "RUNNING", "FAILED"))
    assert list_restarted(read(*TWO_ROUNDS, again)) == [SINGLE]


def test_a_pod_that_does_not_start_is_told_under_its_own_steps_name() -> None:
    again = (make_task("executor(0)", 0, 120, "FAILED", RAN), make_task("executor(1)", 120, None, "PENDING", ()))
    assert [pod.step for pod in read(*TWO_ROUNDS, *again).waiting] == [SINGLE]


def test_of_steps_that_begin_together_each_has_its_own_pod() -> None:
    state = read(
        make_task(SINGLE, 0, 100, "FAILED"),
        make_task("executor(0)", 0, 92, "FAILED", RAN),
        make_task(SINGLE, 0, 200, "FAILED"),
        make_task("executor(0)", 0, 191, "FAILED", NEVER_RAN),
        make_task(SINGLE, 0, 300, "FAILED"),
        make_task("executor(0)", 0, 50, "FAILED", NEVER_RAN),
        make_task("executor(1)", 50, 293, "FAILED", RAN),
    )
    assert [step.has_run for step in state.steps] == [True, False, True]


def test_where_nothing_tells_two_steps_apart_neither_is_said_not_to_have_started() -> None:
    state = read(
        make_task(SINGLE, 0, 100, "FAILED"),
        make_task("executor(0)", 0, 92, "FAILED", RAN),
        make_task(DISTRIBUTED, 0, 100, "FAILED"),
        make_task("executor(0)", 0, 92, "FAILED", NEVER_RAN),
    )
    assert [step.has_run for step in state.steps] == [True, True]


def test_where_nothing_tells_two_steps_apart_both_are_named() -> None:
    state = read(
        make_task(SINGLE, 0),
        make_task("executor(0)", 0, before=RAN),
        make_task(DISTRIBUTED, 0),
        make_task("executor(0)", 0, before=("PENDING", "RUNNING", "FAILED")),
    )
    assert list_restarted(state) == [f"{SINGLE} or {DISTRIBUTED}"]


@pytest.mark.parametrize("begin", [81, 95])
def test_a_pod_that_begins_a_little_after_its_step_is_the_one_of_the_step_without_a_pod(begin: int) -> None:
    state = read(
        *TWO_ROUNDS[:2],
        make_task(DISTRIBUTED, 80, 100, "FAILED"),
        make_task("executor(0)", begin, 97, "FAILED", RAN),
        make_task(SINGLE, 0),
        make_task("executor(0)", 0, before=NEVER_RAN),
    )
    has_run = {(step.name, step.ended_at is None): step.has_run for step in state.steps}
    assert has_run[DISTRIBUTED, False]
