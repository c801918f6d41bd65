from typing import Any

from components.planning.parameters import Parameters
from components.planning.plan import RunPlan, plan_run

# Unlike the defaults where a test could pass on one that was never read.
GIVEN = Parameters(image="registry.example/speedup:1", model_arguments='{"stem_stride": 2}', trials=2, seed=7)
PARAMETERS: dict[str, Any] = vars(GIVEN)


def make_plan(run_id: str = "run-1", **changes: Any) -> RunPlan:
    """Returns a plan; `changes` are parameters to replace."""
    return plan_run(run_id, Parameters(**PARAMETERS | changes))
