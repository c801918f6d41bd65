from typing import Any

from components.planning.order import Place, list_places
from components.planning.parameters import Parameters
from components.planning.plan import RunPlan, plan_run

# Unlike the defaults where a test could pass on one that was never read.
GIVEN = Parameters(image="registry.example/speedup:1", model_arguments='{"stem_stride": 2}', trials=2, seed=7)
PARAMETERS: dict[str, Any] = vars(GIVEN)


def make_plan(run_id: str = "run-1", **changes: Any) -> RunPlan:
    """Returns a plan; `changes` are parameters to replace."""
    return plan_run(run_id, Parameters(**PARAMETERS | changes))


def find_place(plan: RunPlan, configuration: str, trial: int) -> Place:
    """Returns the place of a trial."""
    return next(p for p in list_places(plan) if (p.configuration.name, p.trial) == (configuration, trial))
