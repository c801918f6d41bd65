from typing import Any

import pytest

from components.planning.parameters import Parameters
from pipeline.steps import count_steps, name_steps, read_spec

DEFAULTS = vars(Parameters())


def make_spec() -> dict[str, Any]:
    """A pipeline in an exit handler: a plan, a loop of two steps, a branch of one, and the clean-up."""

    def task(component: str, **more: Any) -> dict[str, Any]:
        return {"componentRef": {"name": component}, **more}

    switched = {"condition": "inputs.parameter_values['pipelinechannel--study'] == true"}
    program = {"executorLabel": "exec"}
    return {
        "root": {"dag": {"tasks": {"exit-handler-1": task("handled"), "clean-up": task("program")}}},
        "components": {
            "program": program,
            "handled": {
                "dag": {
                    "tasks": {
                        "plan": task("program"),
                        "for-loop-1": task("looped", parameterIterator={"itemInput": "trial"}),
                        "condition-2": task("branch", triggerPolicy=switched),
                    }
                }
            },
            "looped": {"dag": {"tasks": {"train": task("program"), "train-2": task("program")}}},
            "branch": {"dag": {"tasks": {"study": task("program")}}},
        },
    }


def test_steps_are_the_tasks_that_run_a_program_wherever_they_are() -> None:
    assert name_steps(make_spec()) == {"plan", "train", "train-2", "study", "clean-up"}


@pytest.mark.parametrize(("trials", "study", "steps"), [(1, False, 6), (2, False, 6), (3, False, 8), (3, True, 9)])
def test_loops_and_branches_count_for_what_they_run(trials: int, study: bool, steps: int) -> None:
    assert count_steps(make_spec(), {"trials": trials, "study": study}) == steps


def test_the_pipelines_steps_are_read_from_the_pipeline() -> None:
    spec = read_spec()
    assert {"plan-comparison", "train-distributed", "compare", "study-depth"} <= name_steps(spec)
    number = count_steps(spec, DEFAULTS | {"trials": 1})
    assert count_steps(spec, DEFAULTS | {"trials": 4}) == number + 2
    assert count_steps(spec, DEFAULTS | {"trials": 1, "study_depth": True}) == number + 1
